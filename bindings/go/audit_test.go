package kmsbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
)

func TestTheAuditFunctionGetsEachLine(t *testing.T) {
	var mutex sync.Mutex
	var lines [][]byte
	client, cmk := inMemory(t, func(o *Options) {
		o.Audit = func(line []byte) error {
			mutex.Lock()
			defer mutex.Unlock()
			lines = append(lines, line)
			return nil
		}
	})
	key := newKey(t, client, cmk, orders)
	mutex.Lock()
	defer mutex.Unlock()
	last := lines[len(lines)-1]
	var told struct {
		Action    string `json:"action"`
		RequestID string `json:"request_id"`
		KeyID     string `json:"key_id"`
		Context   Pairs  `json:"encryption_context"`
	}
	must(t, json.Unmarshal(last, &told))
	if told.Action != "GenerateDataKey" || told.RequestID != key.RequestID() || told.KeyID != cmk ||
		told.Context["table"] != "orders" || !bytes.HasSuffix(last, []byte("}\n")) {
		t.Errorf("%s", last)
	}
	if bytes.Contains(bytes.Join(lines, nil), key.Plaintext.Bytes()) {
		t.Error("the key is in the log")
	}
}

func TestALineThatIsNotTakenFailsTheOperation(t *testing.T) {
	errFull := errors.New("the disk is full")
	var fail func() error
	client, cmk := inMemory(t, func(o *Options) {
		o.Audit = func([]byte) error {
			if fail == nil {
				return nil
			}
			return fail()
		}
	})
	plaintext := bytes.Repeat([]byte{0xEE}, 32)
	blob := make([]byte, 142)
	fail = func() error { return errFull }
	_, err := client.GenerateDataKey(DataKeyRequest{KeyID: cmk}, plaintext, blob)
	refused(t, err, ErrAuditFailed)
	if !errors.Is(err, errFull) || !strings.Contains(err.Error(), "the disk is full") {
		t.Error(err)
	}
	if !isZero(plaintext) || !isZero(blob) {
		t.Error("something was released")
	}
	_, err = client.CreateKey(nil)
	refused(t, err, ErrAuditFailed)
	if !errors.Is(err, errFull) {
		t.Error(err)
	}
	fail = func() error { panic("out of order") }
	_, err = client.NewDataKey(DataKeyRequest{KeyID: cmk})
	refused(t, err, ErrAuditFailed)
	if !strings.Contains(err.Error(), "panicked: out of order") {
		t.Error(err)
	}
	fail = func() error { runtime.Goexit(); return nil }
	_, err = client.NewDataKey(DataKeyRequest{KeyID: cmk})
	refused(t, err, ErrAuditFailed)
	if !strings.Contains(err.Error(), "did not return") {
		t.Error(err)
	}
	t.Setenv("GODEBUG", "panicnil=1")
	fail = func() error { panic(nil) }
	_, err = client.NewDataKey(DataKeyRequest{KeyID: cmk})
	refused(t, err, ErrAuditFailed)
	fail = nil
	newKey(t, client, cmk, nil)
	if len(client.audit.refusals) != 0 {
		t.Errorf("kept: %v", client.audit.refusals)
	}
}

func TestAnAuditFunctionThatFailsOnlyLaterLeavesNothing(t *testing.T) {
	var calls int
	client, cmk := inMemory(t, func(o *Options) {
		o.Audit = func(line []byte) error {
			calls++
			if bytes.Contains(line, []byte(`"phase":"result"`)) && bytes.Contains(line, []byte("DisableKey")) {
				return errors.New("too late")
			}
			return nil
		}
	})
	err := client.DisableKey(cmk)
	if err != nil && !errors.Is(err, ErrAuditFailed) {
		t.Error(err)
	}
	if calls < 3 || len(client.audit.refusals) != 0 {
		t.Errorf("%d lines, kept: %v", calls, client.audit.refusals)
	}
}

func TestTheStackMayGrowUnderTheAuditFunction(t *testing.T) {
	var grow func(depth int) byte
	grow = func(depth int) byte {
		var room [1024]byte
		if depth > 0 {
			room[depth%len(room)] = grow(depth - 1)
		}
		return room[0]
	}
	client, cmk := inMemory(t, func(o *Options) {
		o.Audit = func([]byte) error { grow(4000); return nil }
	})
	done := make(chan bool)
	for range [4]int{} {
		go func() {
			defer func() { done <- true }()
			// Local arrays: the call must not write to where they were.
			var plaintext, again [32]byte
			var blob [142]byte
			if _, err := client.GenerateDataKey(DataKeyRequest{KeyID: cmk}, plaintext[:], blob[:]); err != nil {
				t.Error(err)
			}
			if _, err := client.Decrypt(decrypting(cmk, blob[:], nil), again[:]); err != nil {
				t.Error(err)
			}
			if plaintext != again || isZero(plaintext[:]) {
				t.Error("another key")
			}
		}()
	}
	for range [4]int{} {
		<-done
	}
}
