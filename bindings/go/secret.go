package kmsbox

// #include "shim.h"
import "C"

import (
	"errors"
	"fmt"
	"sync/atomic"
	"unsafe"
)

const redacted = "[secret]"

// A Secret is memory outside Go's heap for key material: kept out of swap and core dumps where the system
// allows, and wiped when it is closed. Neither fmt nor encoding/json shows what it holds.
//
// It must be closed, and not while its Bytes are in use: after Close that slice is memory that is no longer
// there. There is no finalizer, since a slice of Bytes does not keep its Secret alive.
type Secret struct {
	memory atomic.Pointer[byte]
	length int
}

// NewSecret allocates a secret of a length of 1 or more bytes, all zero.
func NewSecret(length int) (*Secret, error) {
	if length < 1 {
		return nil, refusedHere(ErrInvalidArgument, "A secret has 1 or more bytes.")
	}
	var memory unsafe.Pointer
	if status := C.kms_secret_alloc(C.size_t(length), &memory); status != C.KMS_OK {
		return nil, errorOf(&C.kmsgo_answer{status: status})
	}
	secret := &Secret{length: length}
	secret.memory.Store((*byte)(memory))
	return secret, nil
}

// Bytes is the secret's memory, to be read and written in place; nil after Close. Copies made of it, such as
// by append or a conversion to a string, are the caller's to wipe.
func (s *Secret) Bytes() []byte {
	if s == nil {
		return nil
	}
	memory := s.memory.Load()
	if memory == nil {
		return nil
	}
	return unsafe.Slice(memory, s.length)
}

// Len is how many bytes the secret has, also after Close.
func (s *Secret) Len() int {
	if s == nil {
		return 0
	}
	return s.length
}

// Wipe overwrites the secret with zeros. It can be used again.
func (s *Secret) Wipe() {
	Zeroize(s.Bytes())
}

// Close wipes and frees the secret. It may be called more than once, and on nil.
func (s *Secret) Close() error {
	if s != nil {
		C.kms_secret_free(unsafe.Pointer(s.memory.Swap(nil)))
	}
	return nil
}

// String does not show the secret.
func (s *Secret) String() string { return redacted }

// GoString does not show the secret.
func (s *Secret) GoString() string { return redacted }

// Format does not show the secret, whatever the verb.
func (s *Secret) Format(state fmt.State, _ rune) { _, _ = state.Write([]byte(redacted)) }

// MarshalJSON fails: a secret belongs in no document.
func (s *Secret) MarshalJSON() ([]byte, error) { return nil, errNotMarshalled }

// MarshalText fails, as MarshalJSON does.
func (s *Secret) MarshalText() ([]byte, error) { return nil, errNotMarshalled }

var errNotMarshalled = errors.New("kmsbox: a Secret is not marshalled")

// Zeroize overwrites bytes with zeros, in a way that no compiler leaves out.
func Zeroize(b []byte) {
	if len(b) > 0 {
		C.kmsgo_zeroize(bytesOf(b), lengthOf(b))
	}
}
