package kmsbox

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func TestEmptyContextsAreTheSame(t *testing.T) {
	client, cmk := inMemory(t)
	prepared, err := Prepare(nil)
	must(t, err)
	empty := []Context{nil, Pairs(nil), Pairs{}, ContextJSON("{}"), ContextJSON(""), prepared}
	for _, made := range empty {
		key := newKey(t, client, cmk, made)
		for _, opened := range empty {
			secret, _, err := client.DecryptToSecret(decrypting(cmk, key.Blob, opened))
			must(t, err)
			must(t, secret.Close())
		}
	}
	if prepared.JSON() != "{}" {
		t.Error(prepared.JSON())
	}
}

func TestEveryFormOfAContextIsTheSame(t *testing.T) {
	client, cmk := inMemory(t)
	pairs := Pairs{
		"table": "orders", "": "", "b": "\"\\/\b\f\n\r\t\x01\x1f\x7f", "é": "🔑\u2028<&>", "a b": "=+%&",
	}
	standard, err := json.Marshal(pairs)
	must(t, err)
	prepared, err := Prepare(pairs)
	must(t, err)
	preparedJSON, err := Prepare(ContextJSON(standard))
	must(t, err)
	key := newKey(t, client, cmk, pairs)
	for _, form := range []Context{pairs, ContextJSON(standard), prepared, preparedJSON, ContextJSON(prepared.JSON())} {
		secret, _, err := client.DecryptToSecret(decrypting(cmk, key.Blob, form))
		must(t, err)
		must(t, secret.Close())
	}
	for range [20]int{} {
		again, err := Prepare(pairs)
		must(t, err)
		if again.JSON() != prepared.JSON() {
			t.Fatal("the same pairs gave another text")
		}
	}
	var read Pairs
	must(t, json.Unmarshal([]byte(prepared.JSON()), &read))
	if len(read) != len(pairs) || read["b"] != pairs["b"] {
		t.Errorf("%v", read)
	}
}

func TestContextsThatAreRefused(t *testing.T) {
	client, cmk := inMemory(t)
	long := strings.Repeat("x", contextMax)
	for name, context := range map[string]Context{
		"a value that is not UTF-8": Pairs{"a": "\xff"},
		"a key that is not UTF-8":   Pairs{"\xc3": "a"},
		"a lone surrogate":          Pairs{"a": "\xed\xa0\x80"},
		"a NUL in a value":          Pairs{"a": "b\x00c"},
		"a NUL in a key":            Pairs{"a\x00": "b"},
		"too long":                  Pairs{"a": long},
		"a NUL in JSON":             ContextJSON("{}\x00{}"),
		"an escaped NUL in JSON":    ContextJSON(`{"a":"\u0000"}`),
		"no object":                 ContextJSON(`[]`),
		"no texts":                  ContextJSON(`{"a":1}`),
		"a key twice":               ContextJSON(`{"a":"b","a":"b"}`),
	} {
		_, err := client.NewDataKey(DataKeyRequest{KeyID: cmk, Context: context})
		if !errors.Is(err, ErrInvalidParameter) {
			t.Errorf("%s: %v", name, err)
		}
		if _, isPairs := context.(Pairs); isPairs {
			prepared, err := Prepare(context)
			if !errors.Is(err, ErrInvalidParameter) || prepared != nil {
				t.Errorf("%s, prepared: %v", name, err)
			}
		}
	}
	for _, forgotten := range []*PreparedContext{nil, {}} {
		_, err := client.NewDataKey(DataKeyRequest{KeyID: cmk, Context: forgotten})
		refused(t, err, ErrInvalidArgument)
		_, err = Prepare(forgotten)
		refused(t, err, ErrInvalidArgument)
	}
	// The longest there can be: {"a":""} around the value.
	longest := Pairs{"a": long[:contextMax-len(`{"a":""}`)]}
	prepared, err := Prepare(longest)
	must(t, err)
	newKey(t, client, cmk, prepared)
	newKey(t, client, cmk, longest)
	longest["a"] += "é"
	if _, err = Prepare(longest); !errors.Is(err, ErrInvalidParameter) {
		t.Error(err)
	}
}
