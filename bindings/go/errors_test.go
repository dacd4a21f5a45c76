package kmsbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// declared are the constants of type Status in status.go, by name.
func declared(t *testing.T) map[string]Status {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "status.go", nil, parser.ParseComments)
	must(t, err)
	all := map[string]Status{}
	ast.Inspect(file, func(node ast.Node) bool {
		spec, ok := node.(*ast.ValueSpec)
		if !ok {
			return true
		}
		number, err := strconv.Atoi(spec.Values[0].(*ast.BasicLit).Value)
		must(t, err)
		if spec.Type.(*ast.Ident).Name != "Status" || spec.Doc == nil {
			t.Fatalf("%s: of another type, or without a comment", spec.Names[0])
		}
		all[spec.Names[0].Name] = Status(number)
		return true
	})
	return all
}

func TestEveryStatusOfTheHeaderIsThere(t *testing.T) {
	header, err := os.ReadFile("../../include/kmsbox.h")
	must(t, err)
	defines := regexp.MustCompile(`(?m)^#define (KMS_OK|KMS_ERR_\w+) (\d+)`).FindAllSubmatch(header, -1)
	constants := declared(t)
	if len(defines) < 40 || len(defines) != len(constants) {
		t.Fatalf("the header has %d statuses, status.go %d", len(defines), len(constants))
	}
	for _, define := range defines {
		number, err := strconv.Atoi(string(define[2]))
		must(t, err)
		name := "OK"
		for _, word := range strings.Split(string(define[1]), "_")[1:] {
			switch {
			case word == "OK":
			case word == "ERR":
				name = "Err"
			case word == "IO":
				name += word
			default:
				name += word[:1] + strings.ToLower(word[1:])
			}
		}
		if status, found := constants[name]; !found || status != Status(number) {
			t.Errorf("%s is %d, %s is %d", define[1], number, name, status)
		}
		if got := Status(number).String(); got != string(define[1]) {
			t.Errorf("%d is called %s, in the header %s", number, got, define[1])
		}
		if text := Status(number).Error(); len(text) <= len("kmsbox: ") {
			t.Errorf("%d says %q", number, text)
		}
	}
	if got := Status(12345).String(); got != "KMS_ERR_UNKNOWN" {
		t.Errorf("a number that is none is called %s", got)
	}
}

func TestErrorsAreFoundByTheirStatus(t *testing.T) {
	all := declared(t)
	for name, status := range all {
		err := fmt.Errorf("opening the table: %w", &Error{Status: status})
		for other, target := range all {
			if errors.Is(err, target) != (name == other) {
				t.Errorf("errors.Is of %s and %s", name, other)
			}
		}
		var refusal *Error
		if !errors.As(err, &refusal) || refusal.Status != status {
			t.Errorf("errors.As of %s", name)
		}
		var asStatus Status
		if !errors.As(err, &asStatus) || asStatus != status {
			t.Errorf("errors.As of the Status of %s", name)
		}
	}
}

func TestARefusalSaysAllThatTheLibraryDoes(t *testing.T) {
	client, cmk := inMemory(t)
	key := newKey(t, client, cmk, orders)
	must(t, client.DisableKey(cmk))
	_, _, err := client.DecryptToSecret(decrypting(cmk, key.Blob, orders))
	refusal := refused(t, err, ErrDisabled)
	want := Error{
		Status: ErrDisabled, Code: "Rejected.Disabled", HTTPStatus: 409,
		Message: "The request was rejected because the key state is Disabled.", RequestID: refusal.RequestID,
	}
	if refusal.Error() != want.Error() || *refusal != want {
		t.Errorf("%+v", refusal)
	}
	if got := err.Error(); got != "kmsbox: KMS_ERR_DISABLED (Rejected.Disabled): "+want.Message {
		t.Error(got)
	}
	uuid := regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	if !uuid.MatchString(refusal.RequestID) || !uuid.MatchString(key.RequestID()) || refusal.RequestID == key.RequestID() {
		t.Errorf("%q, %q", refusal.RequestID, key.RequestID())
	}
	if err := client.EnableKey("alias/nobody"); !errors.Is(err, ErrUnsupportedAlias) {
		t.Error(err)
	}
}

func TestErrorsHoldNoKeyMaterial(t *testing.T) {
	client, cmk := inMemory(t)
	secret := strings.Repeat("s3cret", 6)
	for _, call := range []func() error{
		func() error {
			_, _, err := client.EncryptToBlob(EncryptRequest{"alias/nobody", []byte(secret), nil})
			return err
		},
		func() error {
			_, _, err := client.Call("Encrypt", Params{"KeyId": "alias/nobody", "Plaintext": secret})
			return err
		},
		func() error {
			_, _, err := client.Call("Encrypt", Params{"KeyId": cmk, "Plaintext": secret, "DryRun": "true"})
			return err
		},
		func() error {
			_, err := Open(Options{Keystore: "memory:", RootKeyBytes: []byte(secret)})
			return err
		},
	} {
		err := call()
		var refusal *Error
		if !errors.As(err, &refusal) {
			t.Fatal(err)
		}
		document, jsonErr := json.Marshal(refusal)
		must(t, jsonErr)
		for _, text := range []string{err.Error(), fmt.Sprintf("%#v %+v", refusal, refusal), string(document)} {
			if strings.Contains(text, "s3cret") {
				t.Error(text)
			}
		}
	}
}
