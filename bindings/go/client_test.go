package kmsbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestAThousandGoroutinesShareAClient(t *testing.T) {
	client, cmk, _ := onDisk(t)
	must(t, client.CreateAlias(cmk, "alias/orders"))
	const goroutines, rounds = 1000, 20
	var group sync.WaitGroup
	var start sync.WaitGroup
	start.Add(1)
	requests := sync.Map{}
	for g := 0; g < goroutines; g++ {
		group.Add(1)
		go func(g int) {
			defer group.Done()
			start.Wait()
			context := Pairs{"goroutine": fmt.Sprint(g)}
			plaintext, again, blob := make([]byte, 32), make([]byte, 32), make([]byte, 142)
			for i := 0; i < rounds; i++ {
				made, err := client.GenerateDataKey(DataKeyRequest{KeyID: "alias/orders", Context: context}, plaintext, blob)
				if err != nil || made.KeyID != cmk {
					t.Error(err, made)
					return
				}
				opened, err := client.Decrypt(decrypting(cmk, blob, context), again)
				if err != nil || !bytes.Equal(plaintext, again) || opened.KeyVersionID != made.KeyVersionID {
					t.Error(err, opened)
					return
				}
				for _, id := range []string{made.RequestID(), opened.RequestID()} {
					if _, twice := requests.LoadOrStore(id, true); twice {
						t.Error("a request id twice")
					}
				}
			}
			// Beside the others, some change the keystore.
			if g%100 == 0 {
				if _, err := client.CreateKeyVersion(cmk); err != nil {
					t.Error(err)
				}
			}
		}(g)
	}
	start.Done()
	group.Wait()
	described, _, err := client.Call("ListKeyVersions", Params{"KeyId": cmk})
	must(t, err)
	var versions struct{ TotalCount int }
	must(t, json.Unmarshal(described, &versions))
	if versions.TotalCount != 1+goroutines/100 {
		t.Errorf("%s", described)
	}
}

func TestCloseWaitsForCallsAndRefusesLaterOnes(t *testing.T) {
	inside, goOn := make(chan bool), make(chan bool)
	var once sync.Once
	client, cmk := inMemory(t, func(o *Options) {
		o.Audit = func(line []byte) error {
			if bytes.Contains(line, []byte(`"GenerateDataKey"`)) {
				once.Do(func() { inside <- true; <-goOn })
			}
			return nil
		}
	})
	called := make(chan error)
	go func() {
		key, err := client.NewDataKey(DataKeyRequest{KeyID: cmk})
		_ = key.Close()
		called <- err
	}()
	<-inside
	closed := make(chan error, 2)
	for range [2]int{} {
		go func() { closed <- client.Close() }()
	}
	// Until Close has begun, calls are done.
	for {
		_, err := client.Describe()
		if errors.Is(err, ErrClosed) {
			break
		}
		must(t, err)
		runtime.Gosched()
	}
	select {
	case <-closed:
		t.Fatal("Close did not wait for the call")
	case <-time.After(20 * time.Millisecond):
	}
	goOn <- true
	must(t, <-called)
	must(t, <-closed)
	must(t, <-closed)
	must(t, client.Close())
}

func TestEveryCallAfterCloseIsRefused(t *testing.T) {
	client, cmk := inMemory(t)
	key := newKey(t, client, cmk, nil)
	must(t, client.Close())
	blob := make([]byte, 142)
	errs := map[string]error{}
	_, errs["GenerateDataKey"] = client.GenerateDataKey(DataKeyRequest{KeyID: cmk}, make([]byte, 32), blob)
	_, errs["GenerateDataKeyWithoutPlaintext"] = client.GenerateDataKeyWithoutPlaintext(DataKeyRequest{KeyID: cmk}, blob)
	_, errs["NewDataKey"] = client.NewDataKey(DataKeyRequest{KeyID: cmk})
	_, errs["Decrypt"] = client.Decrypt(decrypting(cmk, key.Blob, nil), make([]byte, 32))
	_, errs["Encrypt"] = client.Encrypt(EncryptRequest{cmk, []byte("x"), nil}, blob)
	_, errs["ReEncrypt"] = client.ReEncrypt(moving(cmk, key.Blob, nil, cmk, nil), blob)
	_, errs["GenerateDataKeys"] = client.GenerateDataKeys(DataKeyRequest{KeyID: cmk}, 1, make([]byte, 32), blob)
	_, _, _, errs["ReEncryptAll"] = client.ReEncryptAll(
		ReEncryptManyRequest{ExpectedKeyID: cmk, DestinationKeyID: cmk}, [][]byte{key.Blob})
	_, _, errs["Call"] = client.Call("ListKeys", nil)
	_, errs["CreateKey"] = client.CreateKey(nil)
	_, errs["Describe"] = client.Describe()
	for name, err := range errs {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestClosingWhileManyUseIt(t *testing.T) {
	for round := 0; round < 20; round++ {
		client, cmk := inMemory(t)
		var group sync.WaitGroup
		var done atomic.Int64
		for g := 0; g < 16; g++ {
			group.Add(1)
			go func() {
				defer group.Done()
				plaintext, blob := make([]byte, 32), make([]byte, 142)
				for {
					_, err := client.GenerateDataKey(DataKeyRequest{KeyID: cmk}, plaintext, blob)
					if errors.Is(err, ErrClosed) {
						return
					}
					if err != nil {
						t.Error(err)
						return
					}
					done.Add(1)
				}
			}()
		}
		for done.Load() < 50 {
			runtime.Gosched()
		}
		must(t, client.Close())
		group.Wait()
	}
}

func TestAForgottenClientIsClosed(t *testing.T) {
	told := make(chan bool)
	func() {
		audit := func([]byte) error { return nil }
		client, err := Open(Options{Keystore: "memory:", RootKeyBytes: rootKey(), Audit: audit})
		must(t, err)
		runtime.SetFinalizer(client.audit, func(*auditor) { close(told) })
	}()
	// What the client holds becomes free once the client has been freed.
	for range [100]int{} {
		runtime.GC()
		select {
		case <-told:
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
	t.Fatal("the client was not freed")
}

func TestChangesAreOnDiskAndSeenByAnotherClient(t *testing.T) {
	client, cmk, options := onDisk(t)
	key := newKey(t, client, cmk, orders)
	options.ReadOnly, options.RefreshInterval = true, Immediately
	other, err := Open(options)
	must(t, err)
	defer other.Close()
	secret, _, err := other.DecryptToSecret(decrypting(cmk, key.Blob, orders))
	must(t, err)
	must(t, secret.Close())
	must(t, client.DisableKey(cmk))
	_, _, err = other.DecryptToSecret(decrypting(cmk, key.Blob, orders))
	refused(t, err, ErrDisabled)
	if _, err = other.CreateKey(nil); err == nil {
		t.Error("a client that only reads has written")
	}
}

func TestOptionsReachTheLibrary(t *testing.T) {
	dir := private(t)
	root := filepath.Join(dir, "root.key")
	must(t, os.WriteFile(root, bytes.Repeat([]byte{0xA7}, RootKeyLen), 0o600))
	options := Options{
		Keystore: filepath.Join(dir, "keystore"), Create: true, RootKey: "file:" + root,
		Permissions: []string{"CreateKey", "GenerateDataKeyWithoutPlaintext"},
		AuditLog:    filepath.Join(dir, "audit"), KeystoreID: "1234abcd-12ab-44cd-96ef-1234567890ab",
		RefreshInterval: 250 * time.Millisecond, LockTimeout: time.Second, LockedMemoryMax: 65536,
		More: map[string]string{"refresh_interval_ms": "20"},
	}
	client, err := Open(options)
	must(t, err)
	defer client.Close()
	key, err := client.CreateKey(Params{"Description": "for orders & co"})
	must(t, err)
	if key.Description != "for orders & co" || key.KeyState != "Enabled" {
		t.Errorf("%+v", key)
	}
	_, err = client.NewDataKey(DataKeyRequest{KeyID: key.KeyID})
	refused(t, err, ErrNoPermission)
	blind, err := client.NewDataKeyWithoutPlaintext(DataKeyRequest{KeyID: key.KeyID})
	must(t, err)
	audit, err := os.ReadFile(options.AuditLog)
	must(t, err)
	if !strings.Contains(string(audit), blind.RequestID()) {
		t.Errorf("%s", audit)
	}
	described, err := client.Describe()
	must(t, err)
	for _, want := range []string{options.KeystoreID, options.Keystore, Version(), "65536"} {
		if !strings.Contains(string(described), want) {
			t.Errorf("%s is not in %s", want, described)
		}
	}
}

func TestOptionsThatAreRefused(t *testing.T) {
	good := Options{Keystore: "memory:", RootKeyBytes: rootKey()}
	for _, c := range []struct {
		status Status
		says   string
		change func(*Options)
	}{
		{ErrMissingParameter, "keystore", func(o *Options) { o.Keystore = "" }},
		{ErrMissingParameter, "root_key", func(o *Options) { o.RootKeyBytes = nil }},
		{ErrInvalidArgument, "32 bytes", func(o *Options) { o.RootKeyBytes = o.RootKeyBytes[:31] }},
		{ErrInvalidArgument, "32 bytes", func(o *Options) { o.RootKeyBytes = []byte{} }},
		{ErrInvalidOption, "root_key", func(o *Options) { o.RootKey = "env:X" }},
		{ErrInvalidOption, "keystore", func(o *Options) { o.Keystore = "a\x00b" }},
		{ErrInvalidOption, "RefreshInterval", func(o *Options) { o.RefreshInterval = time.Microsecond }},
		{ErrInvalidOption, "lock_timeout_ms", func(o *Options) { o.LockTimeout = -time.Second }},
		{ErrInvalidOption, "refresh_interval_ms", func(o *Options) { o.RefreshInterval = 2 * time.Hour }},
		{ErrInvalidOption, "locked_memory_max", func(o *Options) { o.LockedMemoryMax = -1 }},
		{ErrInvalidOption, "Fly", func(o *Options) { o.Permissions = []string{"Fly"} }},
		{ErrMissingParameter, "permissions", func(o *Options) { o.Permissions = []string{} }},
		{ErrInvalidOption, "unheard_of", func(o *Options) { o.More = map[string]string{"unheard_of": "x"} }},
		{ErrKeystoreNotFound, "nowhere", func(o *Options) { o.Keystore = filepath.Join(private(t), "nowhere") }},
	} {
		options := good
		c.change(&options)
		client, err := Open(options)
		if client != nil {
			t.Fatalf("%s: it was opened", c.says)
		}
		if refusal := refused(t, err, c.status); !strings.Contains(refusal.Message, c.says) {
			t.Errorf("%s: %s", c.says, refusal.Message)
		}
	}
}

func TestAWrongRootKeyAndADamagedKeystore(t *testing.T) {
	client, _, options := onDisk(t)
	must(t, client.Close())
	wrong := options
	wrong.RootKeyBytes = bytes.Repeat([]byte{0x43}, RootKeyLen)
	_, err := Open(wrong)
	refused(t, err, ErrRootKey)
	text, err := os.ReadFile(options.Keystore)
	must(t, err)
	must(t, os.WriteFile(options.Keystore, bytes.Replace(text, []byte("Enabled"), []byte("Enabler"), 1), 0o600))
	_, err = Open(options)
	if !errors.Is(err, ErrKeystoreTampered) && !errors.Is(err, ErrNotAKeystore) {
		t.Error(err)
	}
}
