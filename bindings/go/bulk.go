package kmsbox

// #include "shim.h"
import "C"

import "unsafe"

// GenerateDataKeys makes count data keys of one length under one CMK, bound to one context: key 0, key 1 and so
// on into plaintexts, which is to be wiped after use, and their blobs, each [BlobLen] of a key's length, into
// blobs. Either all are made or none.
//
// It needs the permission GenerateDataKey.
func (c *Client) GenerateDataKeys(request DataKeyRequest, count int, plaintexts, blobs []byte) (Result, error) {
	return c.generateDataKeys(request, count, true, plaintexts, blobs)
}

// GenerateDataKeysWithoutPlaintext makes only the blobs.
//
// It needs the permission GenerateDataKeyWithoutPlaintext.
func (c *Client) GenerateDataKeysWithoutPlaintext(request DataKeyRequest, count int, blobs []byte) (Result, error) {
	return c.generateDataKeys(request, count, false, nil, blobs)
}

func (c *Client) generateDataKeys(request DataKeyRequest, count int, withPlaintext bool, plaintexts, blobs []byte) (Result, error) {
	context, bytes, err := request.checked()
	if err == nil {
		err = checkedCount(count)
	}
	defer c.leave()
	if err := c.begin(err, plaintexts); err != nil {
		return Result{}, err
	}
	var wanted C.int
	if withPlaintext {
		wanted = 1
	}
	key, keyLen := text(request.KeyID)
	answer := C.kmsgo_generate_data_keys(c.handle, key, keyLen, C.int32_t(request.Spec), bytes,
		contextOf(context), C.size_t(count), wanted, bytesOf(plaintexts), lengthOf(plaintexts),
		bytesOf(blobs), lengthOf(blobs))
	return c.result(&answer)
}

// A ReEncryptManyRequest says which blobs to wrap anew. The fields but Blobs and Lens are as for
// [ReEncryptRequest].
type ReEncryptManyRequest struct {
	ExpectedKeyID string
	// Blobs are the blobs, one after the other.
	Blobs []byte
	// Lens is the length of each.
	Lens               []int
	SourceContext      Context
	DestinationKeyID   string
	DestinationContext Context
	AnyKey             bool
}

// ReEncryptMany wraps many blobs anew, as ReEncrypt does one. A blob that does not open does not stop the rest:
// statuses, as long as Lens, gets [OK] or what is wrong for each. The new blobs are written to rewrapped, each
// where its source lies in Blobs and as long; zeros where a blob did not open.
//
// The error is about the whole call, and then statuses are not written. Without one, the Result's KeyID and
// KeyVersionID are those of the last blob that opened.
func (c *Client) ReEncryptMany(request ReEncryptManyRequest, rewrapped []byte, statuses []Status) (Result, error) {
	source, destination, err := checkedReEncrypt(&ReEncryptRequest{
		ExpectedKeyID: request.ExpectedKeyID, AnyKey: request.AnyKey, SourceContext: request.SourceContext,
		DestinationKeyID: request.DestinationKeyID, DestinationContext: request.DestinationContext,
	})
	if err == nil {
		err = request.checkedLens(len(statuses))
	}
	defer c.leave()
	if err := c.begin(err, nil); err != nil {
		return Result{}, err
	}
	from, fromLen := expected(request.ExpectedKeyID, request.AnyKey)
	to, toLen := text(request.DestinationKeyID)
	answer := C.kmsgo_re_encrypt_many(c.handle, bytesOf(request.Blobs),
		(*C.size_t)(unsafe.Pointer(unsafe.SliceData(request.Lens))), C.size_t(len(request.Lens)),
		from, fromLen, contextOf(source), to, toLen, contextOf(destination),
		bytesOf(rewrapped), lengthOf(rewrapped), (*C.kms_status)(unsafe.SliceData(statuses)))
	return c.result(&answer)
}

// checkedLens keeps the library from reading past the slices, and negative lengths from being large ones.
func (r *ReEncryptManyRequest) checkedLens(statuses int) error {
	if statuses != len(r.Lens) {
		return refusedHere(ErrInvalidArgument, "There must be as many statuses as lengths of blobs.")
	}
	left := len(r.Blobs)
	for _, length := range r.Lens {
		if length < 0 || length > left {
			return refusedHere(ErrInvalidArgument, "The lengths of the blobs are not those of Blobs.")
		}
		left -= length
	}
	if left != 0 {
		return refusedHere(ErrInvalidArgument, "The lengths of the blobs are not those of Blobs.")
	}
	return nil
}

// ReEncryptAll is ReEncryptMany for blobs that lie apart; ReEncryptManyRequest's Blobs and Lens are not looked
// at. Of a blob that did not open, the new one is nil and the error says why.
func (c *Client) ReEncryptAll(request ReEncryptManyRequest, blobs [][]byte) (rewrapped [][]byte, refusals []error, result Result, err error) {
	request.Blobs, request.Lens = nil, make([]int, len(blobs))
	for i, blob := range blobs {
		request.Blobs = append(request.Blobs, blob...)
		request.Lens[i] = len(blob)
	}
	statuses := make([]Status, len(blobs))
	together := make([]byte, len(request.Blobs))
	if result, err = c.ReEncryptMany(request, together, statuses); err != nil {
		return nil, nil, result, err
	}
	rewrapped, refusals = make([][]byte, len(blobs)), make([]error, len(blobs))
	for i, length := range request.Lens {
		if statuses[i] == OK {
			rewrapped[i] = together[:length:length]
		} else {
			refusals[i] = statuses[i]
		}
		together = together[length:]
	}
	return rewrapped, refusals, result, nil
}

func checkedCount(count int) error {
	if count < 0 {
		return refusedHere(ErrInvalidArgument, "The count is negative.")
	}
	return nil
}
