package kmsbox

// #include "shim.h"
import "C"

import (
	"encoding/json"
	"fmt"
	"sort"
	"unsafe"
)

// Params are the parameters of a request by the names that the API has for them.
type Params map[string]string

// Call performs one request of the API, such as
//
//	client.Call("CreateAlias", kmsbox.Params{"KeyId": id, "AliasName": "alias/orders"})
//
// and answers the documented JSON, or XML with the parameter Format=XML. The Result has the CMK's id and version
// where the answer is about one. docs/api.md lists every action with its parameters. Those on data (Encrypt,
// Decrypt and so on) take and give Plaintext and CiphertextBlob as text: such an answer can be wiped after use,
// a string in Params cannot. The methods of their own need neither.
func (c *Client) Call(action string, params Params) ([]byte, Result, error) {
	request := form(action, params)
	defer Zeroize(request) // It may hold a plaintext.
	defer c.leave()
	if err := c.enter(); err != nil {
		return nil, Result{}, err
	}
	var document *C.char
	var length C.size_t
	answer := C.kmsgo_call(c.handle, (*C.char)(unsafe.Pointer(unsafe.SliceData(request))), &document, &length)
	defer func() { C.kms_document_free(document) }()
	result, err := c.result(&answer)
	if err != nil {
		return nil, result, err
	}
	return []byte(unsafe.String((*byte)(unsafe.Pointer(document)), int(length))), result, nil
}

// do performs a request and reads its answer, unless into is nil.
func (c *Client) do(action string, params Params, into any) error {
	document, _, err := c.Call(action, params)
	if err != nil || into == nil {
		return err
	}
	if err := json.Unmarshal(document, into); err != nil {
		return fmt.Errorf("kmsbox: the answer of %s: %w", action, err)
	}
	return nil
}

// form is the request with a NUL at its end, the parameters in the order of their names. It is allocated
// once, so that there are no other copies of what is in it.
func form(action string, params Params) []byte {
	names := make([]string, 0, len(params))
	room := len("Action=\x00") + 3*len(action)
	for name, value := range params {
		names = append(names, name)
		room += len("&=") + 3*(len(name)+len(value))
	}
	sort.Strings(names)
	request := make([]byte, 0, room)
	request = append(request, "Action="...)
	request = appendEscaped(request, action)
	for _, name := range names {
		request = append(request, '&')
		request = appendEscaped(request, name)
		request = append(request, '=')
		request = appendEscaped(request, params[name])
	}
	return append(request, 0)
}

func appendEscaped(form []byte, s string) []byte {
	const hex = "0123456789ABCDEF"
	for i := 0; i < len(s); i++ {
		switch b := s[i]; {
		case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '0' <= b && b <= '9',
			b == '-', b == '_', b == '.', b == '~':
			form = append(form, b)
		default:
			form = append(form, '%', hex[b>>4], hex[b&15])
		}
	}
	return form
}
