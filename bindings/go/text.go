package kmsbox

// #include "shim.h"
import "C"

import (
	"strings"
	"unsafe"
)

var empty C.char

// text hands text to the shim, which copies it. It must have been checked by noNUL.
func text(s string) (*C.char, C.size_t) {
	if s == "" {
		return &empty, 0
	}
	return (*C.char)(unsafe.Pointer(unsafe.StringData(s))), C.size_t(len(s))
}

// expected is text, or nothing where any CMK will do.
func expected(s string, anyKey bool) (*C.char, C.size_t) {
	if anyKey {
		return nil, 0
	}
	return text(s)
}

// checkedExpected refuses what says two things at once.
func checkedExpected(s string, anyKey bool) error {
	if anyKey && s != "" {
		return refusedHere(ErrInvalidArgument, "Both ExpectedKeyID and AnyKey are given.")
	}
	return noNUL("ExpectedKeyID", s)
}

// noNUL refuses text that C would take for a shorter one.
func noNUL(name, s string) error {
	if strings.IndexByte(s, 0) >= 0 {
		return invalidParameter(name, "It holds a NUL.")
	}
	return nil
}

func bytesOf(b []byte) *C.uint8_t {
	return (*C.uint8_t)(unsafe.SliceData(b))
}

func lengthOf(b []byte) C.size_t {
	return C.size_t(len(b))
}

// contextOf hands a context's JSON, which has its NUL, to C; "" is none.
func contextOf(terminated string) *C.char {
	if terminated == "" {
		return nil
	}
	return (*C.char)(unsafe.Pointer(unsafe.StringData(terminated)))
}
