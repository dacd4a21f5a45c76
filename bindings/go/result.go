package kmsbox

// #include "shim.h"
import "C"

import "sync/atomic"

// Content is what a blob holds.
type Content int32

// What a blob holds.
const (
	// ContentBytes: bytes, such as a data key.
	ContentBytes Content = C.KMS_CONTENT_BYTES
	// ContentText: UTF-8 text, as given to the API's Encrypt.
	ContentText Content = C.KMS_CONTENT_TEXT
)

// A Result is what a call answers beside what it has written into the caller's slices.
type Result struct {
	// KeyID is the id of the CMK, never the alias. Store it with the blob, and expect it at Decrypt.
	KeyID string
	// KeyVersionID is the version of the CMK that wrapped or unwrapped.
	KeyVersionID string
	// PlaintextLen is how many bytes of the plaintext slice were written, or after [ErrBufferTooSmall] would
	// have to be there.
	PlaintextLen int
	// BlobLen is the same of the slice for the blob.
	BlobLen int
	// Content is what the blob holds, told by Decrypt.
	Content Content

	request [C.KMSGO_ID_LEN]C.char
}

// RequestID is the id of the call, as in the audit log.
func (r Result) RequestID() string {
	return idText(&r.request)
}

// result takes over an answer of C.
func (c *Client) result(answer *C.kmsgo_answer) (Result, error) {
	result := Result{
		PlaintextLen: int(answer.plaintext_len),
		BlobLen:      int(answer.blob_len),
		Content:      Content(answer.content),
		request:      answer.request_id,
	}
	if err := c.outcome(answer); err != nil {
		return result, err
	}
	result.KeyID, result.KeyVersionID = c.ids.texts(&answer.key_id, &answer.key_version_id)
	return result, nil
}

// An idCache remembers ids that calls have answered, so that each is allocated once.
type idCache [64]atomic.Pointer[idPair]

type idPair struct{ key, version string }

func (cache *idCache) texts(key, version *[C.KMSGO_ID_LEN]C.char) (string, string) {
	// The last characters of a version's id are random.
	place := &cache[(uint8(version[34])*7+uint8(version[35]))%uint8(len(cache))]
	known := place.Load()
	if known == nil || known.key != string(idBytes(key)) || known.version != string(idBytes(version)) {
		known = &idPair{idText(key), idText(version)}
		place.Store(known)
	}
	return known.key, known.version
}
