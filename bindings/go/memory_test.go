package kmsbox

import (
	"bytes"
	"errors"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
)

// resident is the memory of this process in bytes.
func resident(t *testing.T) int {
	t.Helper()
	debug.FreeOSMemory()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.Atoi(string(bytes.Fields(text)[1]))
	must(t, err)
	return pages * os.Getpagesize()
}

func TestCallsLeaveNoMemoryBehind(t *testing.T) {
	if instrumented {
		t.Skip("the detector takes memory of its own for each call")
	}
	client, cmk := inMemory(t)
	key := newKey(t, client, cmk, orders)
	long := string(bytes.Repeat([]byte("x"), 1000))
	plaintext := make([]byte, 32)
	for name, c := range map[string]struct {
		times int
		call  func() error
	}{
		"refusals": {20_000, func() error {
			_, err := client.Decrypt(decrypting(cmk, key.Blob, nil), plaintext)
			if !errors.Is(err, ErrCiphertextInvalid) {
				return err
			}
			return nil
		}},
		"long names": {20_000, func() error {
			_, err := client.Decrypt(decrypting(long, key.Blob, nil), plaintext)
			if !errors.Is(err, ErrKeyMismatch) {
				return err
			}
			return nil
		}},
		"documents": {20_000, func() error {
			_, err := client.DescribeKey(cmk)
			return err
		}},
		"descriptions": {20_000, func() error {
			_, err := client.Describe()
			return err
		}},
		"secrets": {100_000, func() error {
			secret, err := NewSecret(64)
			_ = secret.Close()
			return err
		}},
		"clients": {500, func() error {
			other, err := Open(Options{Keystore: "memory:", RootKeyBytes: rootKey(), Audit: func([]byte) error { return nil }})
			if err != nil {
				return err
			}
			return other.Close()
		}},
		"clients that do not open": {5_000, func() error {
			_, err := Open(Options{Keystore: "/nowhere/at/all", RootKeyBytes: rootKey(), Audit: func([]byte) error { return nil }})
			if !errors.Is(err, ErrKeystoreNotFound) && !errors.Is(err, ErrKeystoreIO) {
				return err
			}
			return nil
		}},
	} {
		for i := 0; i < c.times/10; i++ {
			must(t, c.call())
		}
		before := resident(t)
		for i := 0; i < c.times; i++ {
			must(t, c.call())
		}
		if grown := resident(t) - before; grown > 3<<20 {
			t.Errorf("%s: %d KiB more after %d calls", name, grown>>10, c.times)
		}
	}
}

func TestTheHotPathAllocatesNothing(t *testing.T) {
	if instrumented {
		t.Skip("the detector allocates")
	}
	client, cmk := inMemory(t)
	prepared, err := Prepare(orders)
	must(t, err)
	plaintext, blob, moved := make([]byte, 32), make([]byte, 142), make([]byte, 142)
	most := 0.0
	if strings.HasPrefix(runtime.Version(), "go1.21") {
		most = 1 // Its cgo puts a copy of the client's handle on the heap.
	}
	zero := func(name string, call func() error) {
		t.Helper()
		if allocations := testing.AllocsPerRun(200, func() { must(t, call()) }); allocations > most {
			t.Errorf("%s: %v allocations", name, allocations)
		}
	}
	zero("GenerateDataKey", func() error {
		_, err := client.GenerateDataKey(DataKeyRequest{KeyID: cmk, Context: prepared}, plaintext, blob)
		return err
	})
	zero("GenerateDataKeyWithoutPlaintext", func() error {
		_, err := client.GenerateDataKeyWithoutPlaintext(DataKeyRequest{KeyID: cmk, Context: prepared}, blob)
		return err
	})
	zero("Decrypt", func() error {
		_, err := client.Decrypt(decrypting(cmk, blob, prepared), plaintext)
		return err
	})
	zero("ReEncrypt", func() error {
		_, err := client.ReEncrypt(moving(cmk, blob, prepared, cmk, prepared), moved)
		return err
	})
	zero("Encrypt", func() error {
		_, err := client.Encrypt(EncryptRequest{cmk, plaintext, prepared}, blob)
		return err
	})
}

// A stack is copied as it grows, and the old copy is not wiped.
func TestAKeyIsNeverOnAStack(t *testing.T) {
	client, cmk := inMemory(t)
	key := newKey(t, client, cmk, nil)
	request := decrypting(cmk, key.Blob, nil)
	allocations := testing.AllocsPerRun(100, func() {
		var plaintext [32]byte
		_, err := client.Decrypt(request, plaintext[:])
		must(t, err)
		Zeroize(plaintext[:])
	})
	if allocations < 1 {
		t.Error("the local array is not on the heap")
	}
}
