package kmsbox

// #include "shim.h"
import "C"

import (
	"fmt"
	"runtime/cgo"
	"sort"
	"strconv"
	"strings"
	"time"
)

// Options say what [Open] opens. Keystore and one of RootKey and RootKeyBytes are needed; the zero value of
// every other field is the library's default.
type Options struct {
	// Keystore is the path of the keystore file, or "memory:" for one that lives with the client.
	Keystore string
	// Create makes the keystore if it is missing.
	Create bool
	// RootKey tells where the root key is: "file:PATH" (32 raw bytes, or hex or base64 of 32; not readable by
	// group or others), "credential:NAME" (a file in $CREDENTIALS_DIRECTORY), "env:NAME" (hex or base64) or
	// "passphrase-file:PATH" (through Argon2id).
	RootKey string
	// RootKeyBytes is the root key itself, 32 random bytes. It is copied into locked memory: wipe yours.
	RootKeyBytes []byte
	// Permissions are the API's actions that the client will perform, such as "Decrypt" or, on one CMK,
	// "Decrypt@alias/orders". Nil: all of them.
	Permissions []string
	// AuditLog is the path of a file that gets one line of JSON for each operation.
	AuditLog string
	// Audit gets each line instead, with its line feed. Where it returns an error, panics or ends its goroutine
	// (runtime.Goexit), the operation fails with [ErrAuditFailed] and releases nothing. Each call has a goroutine
	// of its own, several at once, for which the operation waits. It must not use the client.
	Audit func(line []byte) error
	// KeystoreID is the id that the keystore must have, and gets if it is made: a lower-case UUID.
	KeystoreID string
	// ReadOnly: never write.
	ReadOnly bool
	// RefreshInterval is how stale the view of another process's change may be, in whole milliseconds up to an
	// hour; 0 is a second. [Immediately] looks at every call.
	RefreshInterval time.Duration
	// LockTimeout is how long a management call waits for another writer, in whole milliseconds up to an
	// hour; 0 is five seconds. [Immediately] does not wait.
	LockTimeout time.Duration
	// LockedMemoryMax is how many bytes of locked memory expanded keys may take; 0 is 1 MiB.
	LockedMemoryMax int
	// More are further options by the names in include/kmsbox.h. They replace those above.
	More map[string]string
}

// Immediately is an interval or a timeout of nothing, where 0 stands for the default.
const Immediately time.Duration = -1

// Format leaves out the root key, whatever the verb.
func (o Options) Format(state fmt.State, _ rune) {
	given := "none"
	if o.RootKeyBytes != nil {
		given = redacted
	}
	settings, err := o.settings()
	if err != nil {
		settings = nil
	}
	_, _ = fmt.Fprintf(state, "kmsbox.Options{%q, RootKeyBytes: %s}", settings, given)
}

type setting struct{ name, value string }

// settings are the options by the library's names, in an order that is always the same.
func (o *Options) settings() ([]setting, error) {
	var all []setting
	set := func(name, value string) { all = append(all, setting{name, value}) }
	text := func(name, value string) {
		if value != "" {
			set(name, value)
		}
	}
	text("keystore", o.Keystore)
	text("root_key", o.RootKey)
	text("audit_log", o.AuditLog)
	text("keystore_id", o.KeystoreID)
	if o.Create {
		set("create", "true")
	}
	if o.ReadOnly {
		set("read_only", "true")
	}
	if o.Permissions != nil {
		set("permissions", strings.Join(o.Permissions, ","))
	}
	if o.LockedMemoryMax != 0 {
		set("locked_memory_max", strconv.Itoa(o.LockedMemoryMax))
	}
	for _, wait := range []struct {
		field, name string
		value       time.Duration
	}{
		{"RefreshInterval", "refresh_interval_ms", o.RefreshInterval},
		{"LockTimeout", "lock_timeout_ms", o.LockTimeout},
	} {
		switch {
		case wait.value == Immediately:
			set(wait.name, "0")
		case wait.value%time.Millisecond != 0:
			why := fmt.Sprintf("The option %s is %v, which is not a whole number of milliseconds.", wait.field, wait.value)
			return nil, refusedHere(ErrInvalidOption, why)
		case wait.value != 0:
			set(wait.name, strconv.FormatInt(wait.value.Milliseconds(), 10))
		}
	}
	names := make([]string, 0, len(o.More))
	for name := range o.More {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		set(name, o.More[name])
	}
	return all, nil
}

// apply sets them all.
func (o *Options) apply(to *C.kms_options, audit cgo.Handle) error {
	settings, err := o.settings()
	if err != nil {
		return err
	}
	for _, s := range settings {
		for _, part := range []string{s.name, s.value} {
			if strings.IndexByte(part, 0) >= 0 {
				return refusedHere(ErrInvalidOption, "The option "+quoted(s.name)+" holds a NUL.")
			}
		}
		name, nameLen := text(s.name)
		value, valueLen := text(s.value)
		if answer := C.kmsgo_option(to, name, nameLen, value, valueLen); answer.status != C.KMS_OK {
			return errorOf(&answer)
		}
	}
	if o.RootKeyBytes != nil {
		answer := C.kmsgo_root_key(to, bytesOf(o.RootKeyBytes), lengthOf(o.RootKeyBytes))
		if answer.status != C.KMS_OK {
			return errorOf(&answer)
		}
	}
	if audit != 0 {
		if answer := C.kmsgo_audit(to, C.uintptr_t(audit)); answer.status != C.KMS_OK {
			return errorOf(&answer)
		}
	}
	return nil
}
