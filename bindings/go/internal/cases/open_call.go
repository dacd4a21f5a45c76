package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"kmsbox"
)

func (r *runner) stepOpen(a *asked) *outcome {
	options := kmsbox.Options{More: map[string]string{}}
	if root, found := a.optional("root_key_bytes"); found {
		options.RootKeyBytes = a.unhex("root_key_bytes", root)
	}
	for name, value := range a.values {
		setOption(&options, name, value)
		delete(a.values, name)
	}
	return &outcome{err: r.open(options), facts: map[string]string{}}
}

// setOption sets the field for an option where the value is one that the field can say.
func setOption(options *kmsbox.Options, name, value string) {
	texts := map[string]*string{
		"keystore": &options.Keystore, "root_key": &options.RootKey, "audit_log": &options.AuditLog,
		"keystore_id": &options.KeystoreID,
	}
	truths := map[string]*bool{"create": &options.Create, "read_only": &options.ReadOnly}
	waits := map[string]*time.Duration{
		"refresh_interval_ms": &options.RefreshInterval, "lock_timeout_ms": &options.LockTimeout,
	}
	number, err := strconv.Atoi(value)
	isNumber := err == nil && strconv.Itoa(number) == value && number >= 0
	switch {
	case texts[name] != nil && value != "":
		*texts[name] = value
	case truths[name] != nil && value == "true":
		*truths[name] = true
	case waits[name] != nil && value == "0":
		*waits[name] = kmsbox.Immediately
	case waits[name] != nil && isNumber:
		*waits[name] = time.Duration(number) * time.Millisecond
	case name == "permissions":
		options.Permissions = strings.Split(value, ",")
	case name == "locked_memory_max" && isNumber && number > 0:
		options.LockedMemoryMax = number
	default:
		options.More[name] = value
	}
}

func (r *runner) stepCall(a *asked) *outcome {
	action := a.text("Action")
	params := kmsbox.Params{}
	for name, value := range a.values {
		params[name] = value
		delete(a.values, name)
	}
	document, result, err := r.client.Call(action, params)
	o := outcomeOf(result, nil, nil, err)
	o.members = map[string][]string{}
	if err != nil {
		if document != nil {
			o.left = "a document"
		}
		return o
	}
	if strings.HasPrefix(string(document), "<") {
		told := regexp.MustCompile(`<RequestId>([^<]*)</RequestId>`).FindSubmatch(document)
		if told == nil || string(told[1]) != result.RequestID() {
			o.err = fmt.Errorf("the document has another request id than the result")
		}
		return o
	}
	if err := o.read(document); err != nil {
		o.err = fmt.Errorf("the answer is not JSON: %w", err)
	}
	if told := o.members["RequestId"]; len(told) != 1 || told[0] != result.RequestID() {
		o.err = fmt.Errorf("the document has another request id than the result")
	}
	return o
}

// read takes the members of a JSON document over, in its order and at any depth.
func (o *outcome) read(document []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(document))
	decoder.UseNumber()
	var member func(name string) error
	member = func(name string) error {
		token, err := decoder.Token()
		if err != nil {
			return err
		}
		if token == json.Delim('{') || token == json.Delim('[') {
			for decoder.More() {
				inner := name
				if token == json.Delim('{') {
					key, err := decoder.Token()
					if err != nil {
						return err
					}
					inner = key.(string)
				}
				if err := member(inner); err != nil {
					return err
				}
			}
			_, err = decoder.Token()
			return err
		}
		text := fmt.Sprint(token)
		o.members[name] = append(o.members[name], text)
		if _, isBool := token.(bool); isBool || token == nil {
			return nil
		}
		if _, known := o.gives[name]; !known {
			o.gives[name] = text
		}
		if name == "CiphertextBlob" {
			blob, err := base64.StdEncoding.DecodeString(text)
			if err != nil {
				return err
			}
			o.give("blob", blob)
		}
		return nil
	}
	return member("")
}
