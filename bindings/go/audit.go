package kmsbox

// #include <stddef.h>
// #include <stdint.h>
import "C"

import (
	"bytes"
	"errors"
	"fmt"
	"runtime/cgo"
	"sync"
	"unsafe"
)

// An auditor hands lines of the audit log to the function in the options, and keeps what that says against a
// line until the operation has failed of it.
type auditor struct {
	take func(line []byte) error

	mutex    sync.Mutex
	refusals map[string]error // by the request's id
}

//export kmsboxTakeAuditLine
func kmsboxTakeAuditLine(handle C.uintptr_t, line *C.char, length C.size_t) C.int32_t {
	audit := cgo.Handle(handle).Value().(*auditor)
	if audit.kept(bytes.Clone(unsafe.Slice((*byte)(unsafe.Pointer(line)), length))) {
		return 0
	}
	return 1
}

func (a *auditor) kept(line []byte) bool {
	request := requestOf(line)
	err := a.call(line)
	if err == nil {
		return true
	}
	a.mutex.Lock()
	defer a.mutex.Unlock()
	a.refusals[request] = err
	return false
}

// call has a goroutine of its own for the function: a panic and runtime.Goexit end there. On the goroutine that
// called C they would skip the library's frames, and what these hold would be held for ever.
func (a *auditor) call(line []byte) error {
	answer := make(chan error)
	go func() {
		err := errors.New("the audit function did not return")
		defer func() {
			if reason := recover(); reason != nil {
				err = fmt.Errorf("the audit function panicked: %v", reason)
			}
			answer <- err
		}()
		err = a.take(line)
	}()
	return <-answer
}

// refusal is what the function said against the lines of a request, if anything. It is asked at the end of
// every call, so that nothing stays.
func (a *auditor) refusal(request []byte) error {
	if a == nil {
		return nil
	}
	a.mutex.Lock()
	defer a.mutex.Unlock()
	if len(a.refusals) == 0 {
		return nil
	}
	err := a.refusals[string(request)]
	delete(a.refusals, string(request))
	return err
}

// requestOf finds the id of the request, which is before anything that a caller has chosen.
func requestOf(line []byte) string {
	_, after, _ := bytes.Cut(line, []byte(`"request_id":"`))
	id, _, _ := bytes.Cut(after, []byte(`"`))
	return string(id)
}
