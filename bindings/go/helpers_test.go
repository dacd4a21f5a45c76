package kmsbox

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func rootKey() []byte { return bytes.Repeat([]byte{0xA7}, RootKeyLen) }

// inMemory is a client on a keystore of its own with one CMK.
func inMemory(t testing.TB, more ...func(*Options)) (*Client, string) {
	t.Helper()
	return opened(t, Options{Keystore: "memory:"}, more...)
}

// onDisk is the same with a file, and the options to open it again.
func onDisk(t testing.TB) (*Client, string, Options) {
	t.Helper()
	options := Options{Keystore: filepath.Join(private(t), "keystore"), Create: true}
	client, cmk := opened(t, options)
	options.Create, options.RootKeyBytes = false, rootKey()
	return client, cmk, options
}

func opened(t testing.TB, options Options, more ...func(*Options)) (*Client, string) {
	t.Helper()
	options.RootKeyBytes = rootKey()
	for _, change := range more {
		change(&options)
	}
	client, err := Open(options)
	must(t, err)
	t.Cleanup(func() { must(t, client.Close()) })
	key, err := client.CreateKey(nil)
	must(t, err)
	return client, key.KeyID
}

// private is a directory that others cannot write, as a keystore asks for.
func private(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o700))
	return dir
}

func newKey(t testing.TB, client *Client, cmk string, context Context) *DataKey {
	t.Helper()
	key, err := client.NewDataKey(DataKeyRequest{KeyID: cmk, Context: context})
	must(t, err)
	t.Cleanup(func() { must(t, key.Close()) })
	return key
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func decrypting(cmk string, blob []byte, context Context) DecryptRequest {
	return DecryptRequest{ExpectedKeyID: cmk, Blob: blob, Context: context}
}

func moving(from string, blob []byte, fromContext Context, to string, toContext Context) ReEncryptRequest {
	return ReEncryptRequest{
		ExpectedKeyID: from, Blob: blob, SourceContext: fromContext,
		DestinationKeyID: to, DestinationContext: toContext,
	}
}

// refused finds the refusal with this status.
func refused(t testing.TB, err error, status Status) *Error {
	t.Helper()
	if !errors.Is(err, status) {
		t.Fatalf("expected %v, came %v", status.String(), err)
	}
	var refusal *Error
	if !errors.As(err, &refusal) {
		t.Fatalf("no *Error: %v", err)
	}
	return refusal
}

func isZero(b []byte) bool {
	return len(bytes.Trim(b, "\x00")) == 0
}
