package kmsbox

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
)

func TestCallGivesTheDocumentedAnswer(t *testing.T) {
	client, cmk := inMemory(t)
	document, result, err := client.Call("DescribeKey", Params{"KeyId": cmk})
	must(t, err)
	var answer struct {
		KeyMetadata KeyMetadata
		RequestID   string `json:"RequestId"`
	}
	must(t, json.Unmarshal(document, &answer))
	if answer.KeyMetadata.KeyID != cmk || answer.RequestID != result.RequestID() || result.KeyID != cmk {
		t.Errorf("%s %+v", document, result)
	}
	document, _, err = client.Call("ListKeys", map[string]string{"Format": "XML"})
	must(t, err)
	if !strings.HasPrefix(string(document), "<KMS>") {
		t.Errorf("%s", document)
	}
}

func TestCallRefuses(t *testing.T) {
	client, cmk := inMemory(t)
	for _, c := range []struct {
		status Status
		action string
		params Params
		says   string
	}{
		{ErrUnsupportedOperation, "AsymmetricSign", nil, ""},
		{ErrInvalidParameter, "No\x00thing", nil, "Action"},
		{ErrInvalidParameter, "DescribeKey", Params{"KeyId": cmk + "\x00"}, "KeyId"},
		{ErrMissingParameter, "", nil, "Action"},
		{ErrMissingParameter, "DescribeKey", nil, "KeyId"},
		{ErrKeyNotFound, "DescribeKey", Params{"KeyId": "1234abcd-12ab-34cd-56ef-1234567890ab"}, ""},
		{ErrInvalidParameter, "DescribeKey", Params{"KeyId": cmk, "Colour": "blue"}, "Colour"},
		{ErrInvalidParameter, "ListKeys", Params{"Action": "ListKeys"}, "Action"},
	} {
		document, result, err := client.Call(c.action, c.params)
		refusal := refused(t, err, c.status)
		if document != nil || !strings.Contains(refusal.Message, c.says) || refusal.RequestID != result.RequestID() {
			t.Errorf("%s: %s", c.action, refusal.Message)
		}
	}
}

func TestAnyTextGoesThroughAForm(t *testing.T) {
	client, cmk := inMemory(t)
	text := "a=b&c+d%20 \x01\n\"é🔑"
	must(t, client.do("UpdateKeyDescription", Params{"KeyId": cmk, "Description": text}, nil))
	key, err := client.DescribeKey(cmk)
	must(t, err)
	if key.Description != text {
		t.Errorf("%q", key.Description)
	}
	written := form("Act&ion", Params{"b": text, "a": "\x00\xff"})
	values, err := url.ParseQuery(strings.TrimSuffix(string(written), "\x00"))
	must(t, err)
	if values.Get("Action") != "Act&ion" || values.Get("b") != text || values.Get("a") != "\x00\xff" || len(values) != 3 {
		t.Errorf("%s", written)
	}
}

func TestTheLifeOfACMK(t *testing.T) {
	client, cmk := inMemory(t)
	other, err := client.CreateKey(Params{"Description": "second"})
	must(t, err)
	must(t, client.CreateAlias(cmk, "alias/orders"))
	refused(t, client.CreateAlias(cmk, "alias/orders"), ErrAliasExists)
	state := func(want string) {
		t.Helper()
		key, err := client.DescribeKey("alias/orders")
		must(t, err)
		if key.KeyState != want || key.KeyID != cmk || key.Arn == "" || key.CreationDate == "" {
			t.Fatalf("%+v", key)
		}
	}
	state("Enabled")
	must(t, client.DisableKey(cmk))
	state("Disabled")
	must(t, client.EnableKey(cmk))
	version, err := client.CreateKeyVersion("alias/orders")
	must(t, err)
	key, err := client.DescribeKey(cmk)
	must(t, err)
	if version.KeyID != cmk || key.PrimaryKeyVersion != version.KeyVersionID {
		t.Errorf("%+v", version)
	}
	refused(t, client.ScheduleKeyDeletion(cmk, 6), ErrInvalidParameter)
	must(t, client.ScheduleKeyDeletion(cmk, 7))
	state("PendingDeletion")
	must(t, client.CancelKeyDeletion(cmk))
	must(t, client.UpdateAlias(other.KeyID, "alias/orders"))
	moved, err := client.DescribeKey("alias/orders")
	must(t, err)
	if moved.KeyID != other.KeyID {
		t.Errorf("%+v", moved)
	}
	must(t, client.DeleteAlias("alias/orders"))
	_, err = client.DescribeKey("alias/orders")
	refused(t, err, ErrAliasNotFound)
}
