package kmsbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"unsafe"
)

func TestASecretIsWrittenReadAndWiped(t *testing.T) {
	secret, err := NewSecret(33)
	must(t, err)
	b := secret.Bytes()
	if len(b) != 33 || cap(b) != 33 || secret.Len() != 33 || !isZero(b) {
		t.Fatalf("%d bytes of %d", len(b), cap(b))
	}
	if uintptr(unsafe.Pointer(&b[0]))%16 != 0 {
		t.Error("it is not aligned")
	}
	copy(b, "something that nobody should know")
	secret.Wipe()
	if !isZero(b) {
		t.Error("it was not wiped")
	}
	copy(b, "again")
	if string(secret.Bytes()[:5]) != "again" {
		t.Error("it is not the same memory")
	}
	must(t, secret.Close())
	must(t, secret.Close())
	if secret.Bytes() != nil || secret.Len() != 33 {
		t.Error("there is memory after Close")
	}
	secret.Wipe()
	for _, length := range []int{0, -1} {
		_, err = NewSecret(length)
		refused(t, err, ErrInvalidArgument)
	}
	_, err = NewSecret(1 << 60)
	refused(t, err, ErrNoMemory)
}

func TestNilSecretsAndKeysAreEmpty(t *testing.T) {
	var secret *Secret
	var key *DataKey
	var client *Client
	must(t, client.Close())
	must(t, secret.Close())
	must(t, key.Close())
	secret.Wipe()
	if secret.Bytes() != nil || secret.Len() != 0 {
		t.Error("it has bytes")
	}
}

func TestNothingShowsASecret(t *testing.T) {
	secret, err := NewSecret(16)
	must(t, err)
	defer secret.Close()
	const hidden = "s3cretS3cretS3cr"
	copy(secret.Bytes(), hidden)
	key := &DataKey{Plaintext: secret}
	options := Options{RootKeyBytes: []byte(hidden)}
	var texts []string
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%c", "%U"} {
		for _, value := range []any{secret, key, *key, []*Secret{secret}, options, &options} {
			texts = append(texts, fmt.Sprintf(verb, value))
		}
	}
	var log bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(handler).Info("made", "key", key, "secret", secret, "options", options)
	}
	texts = append(texts, log.String(), secret.String(), secret.GoString())
	for _, text := range texts {
		for _, shape := range []string{"%s", "%x", "%X", "%v"} {
			if strings.Contains(text, strings.Trim(fmt.Sprintf(shape, []byte(hidden[:4])), "[]")) {
				t.Errorf("%s is in %s", shape, text)
			}
		}
	}
	if _, err := json.Marshal(key); err == nil {
		t.Error("it was marshalled")
	}
}

func TestZeroize(t *testing.T) {
	b := []byte("something that nobody should know")
	Zeroize(b[3:6])
	if string(b[:9]) != "som\x00\x00\x00ing" {
		t.Errorf("%q", b)
	}
	Zeroize(b)
	if !isZero(b) {
		t.Error("it was not wiped")
	}
	Zeroize(nil)
	Zeroize([]byte{})
}

// What else is in the struct is no concern of C: cgo must not look for pointers there.
func TestAKeyMayLieBesidePointers(t *testing.T) {
	client, cmk := inMemory(t)
	session := &struct {
		name      *string
		plaintext [32]byte
		blob      [142]byte
		again     [32]byte
	}{name: new(string)}
	_, err := client.GenerateDataKey(DataKeyRequest{KeyID: cmk}, session.plaintext[:], session.blob[:])
	must(t, err)
	_, err = client.Decrypt(decrypting(cmk, session.blob[:], nil), session.again[:])
	must(t, err)
	if session.again != session.plaintext {
		t.Error("another key came back")
	}
	_, err = client.Decrypt(decrypting("a\x00b", session.blob[:], nil), session.again[:])
	refused(t, err, ErrInvalidParameter)
	Zeroize(session.plaintext[:])
	if !isZero(session.plaintext[:]) || !isZero(session.again[:]) {
		t.Error("the keys were not wiped")
	}
}

func TestWipingAKeyWipesItInPlace(t *testing.T) {
	client, cmk := inMemory(t)
	key := newKey(t, client, cmk, nil)
	copied := bytes.Clone(key.Plaintext.Bytes())
	b := key.Plaintext.Bytes()
	key.Plaintext.Wipe()
	if !isZero(b) || isZero(copied) {
		t.Error("the key was not wiped")
	}
}
