//go:build cgo

package kmsbox

// A DataKey is a data key with all that an engine stores of it.
type DataKey struct {
	// Plaintext is the key itself, to encrypt with; nil where none was asked for.
	Plaintext *Secret
	// Blob is the wrapped key, to be stored beside the data.
	Blob []byte
	// Result has the id of the CMK, to be stored with the blob and expected at Decrypt.
	Result
}

// Close wipes and frees the plaintext. It may be called more than once, and on nil.
func (k *DataKey) Close() error {
	if k == nil {
		return nil
	}
	return k.Plaintext.Close()
}

// NewDataKey is GenerateDataKey into memory that it allocates: the key comes in a [Secret], to be closed after
// use.
func (c *Client) NewDataKey(request DataKeyRequest) (*DataKey, error) {
	plaintext, err := NewSecret(request.length())
	if err != nil {
		return nil, err
	}
	blob := make([]byte, plaintext.Len()+BlobOverhead)
	result, err := c.GenerateDataKey(request, plaintext.Bytes(), blob)
	if err != nil {
		_ = plaintext.Close()
		return nil, err
	}
	return &DataKey{plaintext, blob, result}, nil
}

// NewDataKeyWithoutPlaintext is GenerateDataKeyWithoutPlaintext into memory that it allocates.
func (c *Client) NewDataKeyWithoutPlaintext(request DataKeyRequest) (*DataKey, error) {
	blob := make([]byte, request.length()+BlobOverhead)
	result, err := c.GenerateDataKeyWithoutPlaintext(request, blob)
	if err != nil {
		return nil, err
	}
	return &DataKey{nil, blob, result}, nil
}

// length is how long the key will be; where the request is one that will be refused, any length.
func (r *DataKeyRequest) length() int {
	switch {
	case r.NumberOfBytes > 0 && r.NumberOfBytes <= DataKeyMax:
		return r.NumberOfBytes
	case r.Spec == AES128:
		return 16
	}
	return 32
}

// DecryptToSecret is Decrypt into memory that it allocates: a [Secret], to be closed after use.
func (c *Client) DecryptToSecret(request DecryptRequest) (*Secret, Result, error) {
	// A blob of a wrong length is refused whatever the room.
	plaintext, err := NewSecret(min(max(len(request.Blob)-BlobOverhead, 1), PlaintextMax))
	if err != nil {
		return nil, Result{}, err
	}
	result, err := c.Decrypt(request, plaintext.Bytes())
	if err != nil {
		_ = plaintext.Close()
		return nil, result, err
	}
	return plaintext, result, nil
}

// EncryptToBlob is Encrypt into memory that it allocates.
func (c *Client) EncryptToBlob(request EncryptRequest) ([]byte, Result, error) {
	blob := make([]byte, min(len(request.Plaintext), PlaintextMax)+BlobOverhead)
	result, err := c.Encrypt(request, blob)
	if err != nil {
		return nil, result, err
	}
	return blob, result, nil
}

// ReEncryptToBlob is ReEncrypt into memory that it allocates.
func (c *Client) ReEncryptToBlob(request ReEncryptRequest) ([]byte, Result, error) {
	rewrapped := make([]byte, min(len(request.Blob), BlobMax))
	result, err := c.ReEncrypt(request, rewrapped)
	if err != nil {
		return nil, result, err
	}
	return rewrapped, result, nil
}
