package kmsbox

// #include "shim.h"
import "C"

import "math"

// KeySpec is the length of a data key by its name in the API.
type KeySpec int32

// The lengths of data keys that have names.
const (
	// KeySpecDefault is AES256.
	KeySpecDefault KeySpec = C.KMS_KEY_SPEC_DEFAULT
	// AES256 is a data key of 32 bytes.
	AES256 KeySpec = C.KMS_KEY_SPEC_AES_256
	// AES128 is a data key of 16 bytes.
	AES128 KeySpec = C.KMS_KEY_SPEC_AES_128
)

// Sizes, in bytes.
const (
	// DataKeyMax is the longest data key.
	DataKeyMax = C.KMS_DATA_KEY_MAX
	// DataKeyBlobMax is the longest blob of a data key.
	DataKeyBlobMax = C.KMS_DATA_KEY_BLOB_MAX
	// PlaintextMax is the longest plaintext of any blob.
	PlaintextMax = C.KMS_PLAINTEXT_MAX
	// BlobMax is the longest blob.
	BlobMax = C.KMS_CIPHERTEXT_BLOB_MAX
	// BlobOverhead is what a blob has beyond its plaintext.
	BlobOverhead = C.KMS_CIPHERTEXT_BLOB_OVERHEAD
	// BulkMax is the most keys or blobs of one call.
	BulkMax = C.KMS_BULK_MAX
	// RootKeyLen is the length of a root key.
	RootKeyLen = C.KMS_ROOT_KEY_LEN
)

// BlobLen is the length of the blob of a plaintext of this many bytes, or 0 where there can be none.
func BlobLen(plaintextLen int) int {
	if plaintextLen < 0 {
		return 0
	}
	return int(C.kms_ciphertext_blob_len(C.size_t(plaintextLen)))
}

// A DataKeyRequest says which data key to make.
type DataKeyRequest struct {
	// KeyID is the id, ARN or alias of the CMK.
	KeyID string
	// Spec is the key's length by its name; not looked at where NumberOfBytes is given.
	Spec KeySpec
	// NumberOfBytes is the key's length, 1 to DataKeyMax; 0: not given.
	NumberOfBytes int
	// Context is bound to the blob.
	Context Context
}

// A DecryptRequest says which blob to open.
type DecryptRequest struct {
	// ExpectedKeyID is the id, ARN or alias of the CMK that the blob must be under: the id that was stored when
	// the blob was made. Another CMK's blob is refused with [ErrKeyMismatch]. A blob names its CMK itself, and
	// whoever can write blobs chooses it: so an empty id is an error, not a wish for any CMK.
	ExpectedKeyID string
	// Blob is the blob.
	Blob []byte
	// Context is what the blob was bound to.
	Context Context
	// AnyKey, with an empty ExpectedKeyID, accepts a blob under any CMK of the keystore.
	AnyKey bool
}

// An EncryptRequest says what to wrap.
type EncryptRequest struct {
	// KeyID is the id, ARN or alias of the CMK.
	KeyID string
	// Plaintext is 1 to PlaintextMax bytes, such as a key that an engine made itself.
	Plaintext []byte
	// Context is bound to the blob.
	Context Context
}

// A ReEncryptRequest says which blob to wrap anew.
type ReEncryptRequest struct {
	// ExpectedKeyID is what it is for [DecryptRequest].
	ExpectedKeyID string
	// Blob is the blob.
	Blob []byte
	// SourceContext is what the blob was bound to.
	SourceContext Context
	// DestinationKeyID is the id, ARN or alias of the CMK to wrap under, the source's own for a new version.
	DestinationKeyID string
	// DestinationContext is bound to the new blob.
	DestinationContext Context
	// AnyKey is what it is for [DecryptRequest].
	AnyKey bool
}

// checked is a request's text for C, and the number of bytes.
func (r *DataKeyRequest) checked() (context string, bytes C.uint32_t, err error) {
	if err = noNUL("KeyID", r.KeyID); err != nil {
		return "", 0, err
	}
	if r.NumberOfBytes < 0 || int64(r.NumberOfBytes) > math.MaxUint32 {
		return "", 0, invalidParameter("NumberOfBytes", "It must be 1 to 1024.")
	}
	context, err = contextText("Context", r.Context)
	return context, C.uint32_t(r.NumberOfBytes), err
}

// begin checks the arguments of a call and begins it; leave must follow in any case. After a refusal no
// plaintext slice holds what it held.
func (c *Client) begin(checked error, plaintext []byte) error {
	err := c.enter()
	if checked != nil {
		err = checked
	}
	if err != nil {
		Zeroize(plaintext)
	}
	return err
}

// GenerateDataKey makes a data key: the key into plaintext, which is to be wiped after use, and the key wrapped
// under the primary version of the CMK into blob, which is to be stored.
//
// It needs the permission GenerateDataKey.
func (c *Client) GenerateDataKey(request DataKeyRequest, plaintext, blob []byte) (Result, error) {
	context, bytes, err := request.checked()
	defer c.leave()
	if err := c.begin(err, plaintext); err != nil {
		return Result{}, err
	}
	key, keyLen := text(request.KeyID)
	answer := C.kmsgo_generate_data_key(c.handle, key, keyLen, C.int32_t(request.Spec), bytes,
		contextOf(context), bytesOf(plaintext), lengthOf(plaintext), bytesOf(blob), lengthOf(blob))
	return c.result(&answer)
}

// GenerateDataKeyWithoutPlaintext makes a data key that nobody sees yet: only the blob comes out.
//
// It needs the permission GenerateDataKeyWithoutPlaintext.
func (c *Client) GenerateDataKeyWithoutPlaintext(request DataKeyRequest, blob []byte) (Result, error) {
	context, bytes, err := request.checked()
	defer c.leave()
	if err := c.begin(err, nil); err != nil {
		return Result{}, err
	}
	key, keyLen := text(request.KeyID)
	answer := C.kmsgo_generate_data_key_without_plaintext(c.handle, key, keyLen,
		C.int32_t(request.Spec), bytes, contextOf(context), bytesOf(blob), lengthOf(blob))
	return c.result(&answer)
}

// Decrypt opens a blob into plaintext, which is to be wiped after use. A blob that was altered and one that was
// bound to another context are both [ErrCiphertextInvalid].
//
// It needs the permission Decrypt.
func (c *Client) Decrypt(request DecryptRequest, plaintext []byte) (Result, error) {
	err := checkedExpected(request.ExpectedKeyID, request.AnyKey)
	var context string
	if err == nil {
		context, err = contextText("Context", request.Context)
	}
	defer c.leave()
	if err := c.begin(err, plaintext); err != nil {
		return Result{}, err
	}
	key, keyLen := expected(request.ExpectedKeyID, request.AnyKey)
	answer := C.kmsgo_decrypt(c.handle, key, keyLen, bytesOf(request.Blob), lengthOf(request.Blob),
		contextOf(context), bytesOf(plaintext), lengthOf(plaintext))
	return c.result(&answer)
}

// Encrypt wraps bytes that the caller brings into blob; Decrypt gives them back.
//
// It needs the permission Encrypt.
func (c *Client) Encrypt(request EncryptRequest, blob []byte) (Result, error) {
	err := noNUL("KeyID", request.KeyID)
	var context string
	if err == nil {
		context, err = contextText("Context", request.Context)
	}
	defer c.leave()
	if err := c.begin(err, nil); err != nil {
		return Result{}, err
	}
	key, keyLen := text(request.KeyID)
	answer := C.kmsgo_encrypt(c.handle, key, keyLen, bytesOf(request.Plaintext), lengthOf(request.Plaintext),
		contextOf(context), bytesOf(blob), lengthOf(blob))
	return c.result(&answer)
}

// ReEncrypt wraps a blob anew, under the primary version of the destination and bound to another context if
// wanted, into rewrapped, which gets as long a blob. The plaintext never leaves the library.
//
// It needs the permissions ReEncryptFrom on the source and ReEncryptTo on the destination.
func (c *Client) ReEncrypt(request ReEncryptRequest, rewrapped []byte) (Result, error) {
	source, destination, err := checkedReEncrypt(&request)
	defer c.leave()
	if err := c.begin(err, nil); err != nil {
		return Result{}, err
	}
	from, fromLen := expected(request.ExpectedKeyID, request.AnyKey)
	to, toLen := text(request.DestinationKeyID)
	answer := C.kmsgo_re_encrypt(c.handle, from, fromLen, bytesOf(request.Blob), lengthOf(request.Blob),
		contextOf(source), to, toLen, contextOf(destination), bytesOf(rewrapped), lengthOf(rewrapped))
	return c.result(&answer)
}

// checkedReEncrypt are the two contexts.
func checkedReEncrypt(r *ReEncryptRequest) (source, destination string, err error) {
	if err = checkedExpected(r.ExpectedKeyID, r.AnyKey); err != nil {
		return "", "", err
	}
	if err = noNUL("DestinationKeyID", r.DestinationKeyID); err != nil {
		return "", "", err
	}
	if source, err = contextText("SourceContext", r.SourceContext); err != nil {
		return "", "", err
	}
	destination, err = contextText("DestinationContext", r.DestinationContext)
	return source, destination, err
}
