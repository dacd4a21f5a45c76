package kmsbox

// #include "shim.h"
import "C"

import (
	"runtime"
	"runtime/cgo"
	"sync"
	"sync/atomic"
	"unsafe"
)

// A Client is an opened keystore. Any number of goroutines may use it at once.
//
// A Client that is forgotten is closed when the garbage collector finds it; that is a safety net, and says
// nothing about when keys are wiped.
type Client struct {
	handle *C.kms_client
	audit  *auditor
	told   cgo.Handle // of the auditor, or 0
	ids    idCache

	// calls is how many calls are running, and closing is added to it once.
	calls atomic.Int64
	idle  chan struct{}
	close sync.Once
}

const closing = 1 << 62

// Open opens a keystore.
func Open(options Options) (*Client, error) {
	var settings *C.kms_options
	if status := C.kms_options_new(&settings); status != C.KMS_OK {
		return nil, errorOf(&C.kmsgo_answer{status: status})
	}
	defer func() { C.kms_options_free(settings) }()

	client := &Client{idle: make(chan struct{}, 1)}
	if options.Audit != nil {
		client.audit = &auditor{take: options.Audit, refusals: map[string]error{}}
		client.told = cgo.NewHandle(client.audit)
	}
	err := options.apply(settings, client.told)
	if err == nil {
		answer := C.kmsgo_open(settings, &client.handle)
		err = client.outcome(&answer)
	}
	if err != nil {
		client.free()
		return nil, err
	}
	runtime.SetFinalizer(client, (*Client).free)
	return client, nil
}

// Close closes the client and wipes its keys. Calls that are running are waited for; any later one is refused
// with [ErrClosed]. It may be called more than once, and on nil, and always returns nil. Called by the audit
// function it would wait for itself.
func (c *Client) Close() error {
	if c == nil {
		return nil
	}
	c.close.Do(func() {
		for running := c.calls.Add(closing); running != closing; running = c.calls.Load() {
			<-c.idle
		}
		runtime.SetFinalizer(c, nil)
		c.free()
	})
	return nil
}

func (c *Client) free() {
	C.kms_client_free(c.handle)
	c.handle = nil
	if c.told != 0 {
		c.told.Delete()
		c.told = 0
	}
}

// enter begins a call, which must end with leave; where it is refused, too.
func (c *Client) enter() error {
	if c.calls.Add(1) >= closing {
		return ErrClosed
	}
	return nil
}

func (c *Client) leave() {
	if c.calls.Add(-1) == closing {
		select {
		case c.idle <- struct{}{}:
		default: // Close has been told already, and looks again.
		}
	}
}

// Describe tells what the client is and how it stands, as JSON for people and monitoring: library version,
// keystore, its id and epoch, number of CMKs, permissions, locked memory and whether the system granted it,
// hardware AES. No secret is in it.
func (c *Client) Describe() ([]byte, error) {
	defer c.leave()
	if err := c.enter(); err != nil {
		return nil, err
	}
	var document *C.char
	var length C.size_t
	if status := C.kms_client_describe(c.handle, &document, &length); status != C.KMS_OK {
		return nil, errorOf(&C.kmsgo_answer{status: status})
	}
	defer C.kms_document_free(document)
	return C.GoBytes(unsafe.Pointer(document), C.int(length)), nil
}

// outcome is the error in an answer of C, if it has one.
func (c *Client) outcome(answer *C.kmsgo_answer) error {
	cause := c.audit.refusal(idBytes(&answer.request_id))
	if answer.status == C.KMS_OK {
		return nil
	}
	refused := errorOf(answer)
	refused.cause = cause
	return refused
}

// Version is the version of the library that runs, such as "0.1.0".
func Version() string {
	return C.GoString(C.kms_version())
}
