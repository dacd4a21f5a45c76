package main

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"kmsbox"
)

// asked are the arguments of a step. What is left when the step is done, it does not know.
type asked struct {
	values map[string]string
	err    error
	hadNUL bool
}

func (a *asked) unreadable() error {
	for name := range a.values {
		return fmt.Errorf("unknown argument %q", name)
	}
	return a.err
}

func (a *asked) optional(name string) (string, bool) {
	value, found := a.values[name]
	delete(a.values, name)
	return value, found
}

func (a *asked) text(name string) string {
	value, _ := a.optional(name)
	return value
}

// expected is the CMK that a blob must be under, which may be left out.
func (a *asked) expected() (keyID string, anyKey bool) {
	value, found := a.optional("expected_key_id")
	return value, !found
}

func (a *asked) number(name string) (int, bool) {
	value, found := a.optional(name)
	if !found {
		return 0, false
	}
	number, err := strconv.Atoi(value)
	if err != nil {
		a.err = fmt.Errorf("%s: %w", name, err)
	}
	return number, true
}

func (a *asked) bytes(name string) []byte {
	return a.unhex(name, a.text(name))
}

func (a *asked) unhex(name, value string) []byte {
	decoded, err := hex.DecodeString(value)
	if err != nil {
		a.err = fmt.Errorf("%s: %w", name, err)
	}
	return decoded
}

// blob is a blob, altered as the step says.
func (a *asked) blob() []byte {
	blob := a.bytes("blob")
	if at, found := a.number("flip"); found {
		if at < 0 || at >= len(blob) {
			a.err = fmt.Errorf("flip: the blob has no byte %d", at)
		} else {
			blob[at] ^= 1
		}
	}
	if cut, found := a.number("cut"); found {
		if cut < 0 || cut > len(blob) {
			a.err = fmt.Errorf("cut: the blob has no %d bytes", cut)
		} else {
			blob = blob[:len(blob)-cut]
		}
	}
	return blob
}

// context is a context as pairs or as JSON; name is "context", "source_context" or "destination_context".
func (a *asked) context(name string) kmsbox.Context {
	json, asJSON := a.optional(name + "_json")
	pairs := kmsbox.Pairs{}
	for argument, value := range a.values {
		if key, found := strings.CutPrefix(argument, name+"."); found {
			pairs[key] = value
			delete(a.values, argument)
		}
	}
	switch {
	case asJSON && len(pairs) > 0:
		a.err = fmt.Errorf("%s both as pairs and as JSON", name)
	case asJSON:
		return kmsbox.ContextJSON(json)
	case len(pairs) > 0:
		return pairs
	}
	return nil
}

func (a *asked) dataKey() kmsbox.DataKeyRequest {
	request := kmsbox.DataKeyRequest{KeyID: a.text("key_id"), Context: a.context("context")}
	request.NumberOfBytes, _ = a.number("number_of_bytes")
	switch spec, found := a.optional("key_spec"); {
	case !found:
	case spec == "AES_256":
		request.Spec = kmsbox.AES256
	case spec == "AES_128":
		request.Spec = kmsbox.AES128
	default:
		number, err := strconv.ParseInt(spec, 10, 32)
		if err != nil {
			a.err = fmt.Errorf("key_spec: %w", err)
		}
		request.Spec = kmsbox.KeySpec(number)
	}
	return request
}

// A buffer is one of the caller's, filled before the call so that what is left in it can be seen.
type buffer []byte

const filling = 0xEE

func newBuffer(capacity int) buffer {
	b := make(buffer, max(capacity, 0))
	for i := range b {
		b[i] = filling
	}
	return b
}

// touched: something else than zeros was written.
func (b buffer) touched() bool {
	for _, c := range b {
		if c != filling && c != 0 {
			return true
		}
	}
	return false
}
