package kmsbox

// #include "shim.h"
import "C"

import (
	"errors"
	"fmt"
	"strconv"
	"unsafe"
)

// ErrClosed is the error of every use of a client after its Close.
var ErrClosed = errors.New("kmsbox: the client is closed")

// An Error is a refusal. No error of this package holds key material.
//
// errors.Is finds its status (errors.Is(err, ErrKeyNotFound)), and where the audit function refused a line,
// the error it gave.
type Error struct {
	// Status is the library's status, more exact than the API's code.
	Status Status
	// Code is the API's code, such as "Forbidden.KeyNotFound".
	Code string
	// HTTPStatus is the status that the API answers with the code.
	HTTPStatus int
	// Message is one sentence for people.
	Message string
	// RequestID is the id of the call, as in the audit log. It is empty where an argument was refused
	// before there was a call.
	RequestID string

	cause error
}

// Error gives the status by its name, the code and the message.
func (e *Error) Error() string {
	text := "kmsbox: " + e.Status.String() + " (" + e.Code + "): " + e.Message
	if e.cause != nil {
		text += ": " + e.cause.Error()
	}
	return text
}

// Unwrap gives the status, and the error of the audit function where that is the reason.
func (e *Error) Unwrap() []error {
	if e.cause == nil {
		return []error{e.Status}
	}
	return []error{e.Status, e.cause}
}

// invalidParameter refuses a field of a request.
func invalidParameter(name, why string) *Error {
	return refusedHere(ErrInvalidParameter, fmt.Sprintf("The specified parameter %q is not valid. %s", name, why))
}

// refusedHere is an error of this package's own, about an argument that C cannot be given.
func refusedHere(status Status, message string) *Error {
	return &Error{Status: status, Code: "InvalidParameter", HTTPStatus: 400, Message: message}
}

// errorOf takes over the refusal in an answer of C, which must be one, and frees it.
func errorOf(answer *C.kmsgo_answer) *Error {
	refused := &Error{
		Status:    Status(answer.status),
		RequestID: idText(&answer.request_id),
	}
	if answer.refusal == nil {
		refused.Code, refused.HTTPStatus = "InternalFailure", 500
		refused.Message = C.GoString(C.kms_status_text(answer.status))
		return refused
	}
	response := answer.refusal
	refused.Code = C.GoString(&response.error_code[0])
	refused.HTTPStatus = int(response.http_status)
	refused.Message = C.GoString(&response.error_message[0])
	C.kmsgo_free(response)
	answer.refusal = nil
	return refused
}

// idText is an id of an answer; one that is not there begins with a NUL.
func idText(id *[C.KMSGO_ID_LEN]C.char) string {
	return string(idBytes(id))
}

func idBytes(id *[C.KMSGO_ID_LEN]C.char) []byte {
	if id[0] == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(id)), len(id))
}

func quoted(text string) string {
	return strconv.QuoteToASCII(text)
}
