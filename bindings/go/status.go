package kmsbox

// #include "shim.h"
import "C"

// Status is what came of a call, as include/kmsbox.h numbers it. Every Err constant is one. Compare by errors.Is:
//
//	if errors.Is(err, kmsbox.ErrDisabled) { ... }
//
// New ones may appear: take an unknown one for a failure.
type Status int32

// The statuses. Those of one hundred are of one kind; a number is never used again.
const (
	// OK is no error: it is in what ReEncryptMany tells of each blob.
	OK Status = 0

	// ErrInvalidArgument: An argument is not usable: a NULL handle or output, a wrong length, or buffers that overlap. (InvalidParameter, 400)
	ErrInvalidArgument Status = 100
	// ErrBufferTooSmall: An output buffer is too small; every length now says what is needed. (InvalidParameter, 400)
	ErrBufferTooSmall Status = 101
	// ErrInvalidOption: An option or its value is not valid. (InvalidParameter, 400)
	ErrInvalidOption Status = 102
	// ErrMissingParameter: A required parameter is not given. (MissingParameter, 400)
	ErrMissingParameter Status = 103
	// ErrInvalidParameter: The specified parameter is not valid. (InvalidParameter, 400)
	ErrInvalidParameter Status = 104
	// ErrUnsupportedOperation: This action is not supported. (UnsupportedOperation, 400)
	ErrUnsupportedOperation Status = 105
	// ErrUnsupportedAlias: Alias is not valid for this api. (Unsupported.Alias, 400)
	ErrUnsupportedAlias Status = 106
	// ErrUnsupportedProtectionLevel: This protection level is not valid for this region. (Unsupported.ProtectionLevel, 400)
	ErrUnsupportedProtectionLevel Status = 107
	// ErrUnsupportedKey: Unsupported operation. (Rejected.UnsupportedOperation, 400)
	ErrUnsupportedKey Status = 108
	// ErrUnsupportedOrigin: This key origin is not valid for this api. (Unsupported.Origin, 400)
	ErrUnsupportedOrigin Status = 109
	// ErrKeyNotFound: The specified Key is not found. (Forbidden.KeyNotFound, 404)
	ErrKeyNotFound Status = 200
	// ErrAliasNotFound: The specified Alias is not found. (Forbidden.AliasNotFound, 404)
	ErrAliasNotFound Status = 201
	// ErrKeyVersionNotFound: The specified Key version is not found. (Forbidden.KeyVersionNotFound, 404)
	ErrKeyVersionNotFound Status = 202
	// ErrDisabled: The request was rejected because the key state is Disabled. (Rejected.Disabled, 409)
	ErrDisabled Status = 210
	// ErrPendingDeletion: The request was rejected because the key state is PendingDeletion. (Rejected.PendingDeletion, 409)
	ErrPendingDeletion Status = 211
	// ErrPendingImport: The request was rejected because the key state is PendingImport. (Rejected.PendingImport, 409)
	ErrPendingImport Status = 212
	// ErrState: Keystate modified failed. (Rejected.StateModifiedFailed, 409)
	ErrState Status = 213
	// ErrAliasExists: AliasName Already Exists. (AliasAlreadyExists, 400)
	ErrAliasExists Status = 220
	// ErrLimitExceeded: The request was rejected because user create resource limit was exceeded. (Rejected.LimitExceeded, 400)
	ErrLimitExceeded Status = 221
	// ErrInvalidKeyMaterial: Key material is invalid. (InvalidKeyMaterial, 400)
	ErrInvalidKeyMaterial Status = 222
	// ErrInvalidImportToken: Import token is invalid. (InvalidImportToken, 400)
	ErrInvalidImportToken Status = 223
	// ErrExpiredImportToken: Import token is expired. (ExpiredImportToken, 400)
	ErrExpiredImportToken Status = 224
	// ErrNoPermission: This operation is forbidden by permission system. (Forbidden.NoPermission, 403)
	ErrNoPermission Status = 230
	// ErrDryRun: The request would have succeeded, but DryRun is set. (DryRunOperationError, 400)
	ErrDryRun Status = 240
	// ErrDryRunInvalid: The request would have failed. (ValidationError, 400)
	ErrDryRunInvalid Status = 241
	// ErrDryRunDenied: The request would have been forbidden by permission system. (AccessDeniedError, 403)
	ErrDryRunDenied Status = 242
	// ErrNotABlob: The CiphertextBlob is not one of kmsbox: its length or first bytes are wrong. (InvalidParameter, 400)
	ErrNotABlob Status = 300
	// ErrKeyMismatch: The CiphertextBlob is not under the expected CMK. (InvalidParameter, 400)
	ErrKeyMismatch Status = 301
	// ErrCiphertextInvalid: The blob was altered, or the EncryptionContext is not the one it was made with. (InvalidParameter, 400)
	ErrCiphertextInvalid Status = 302
	// ErrKeystoreNotFound: There is no keystore at this path. (InternalFailure, 500)
	ErrKeystoreNotFound Status = 400
	// ErrNotAKeystore: The file is not a keystore that this version can read. (InternalFailure, 500)
	ErrNotAKeystore Status = 401
	// ErrKeystoreTampered: The keystore was altered, cut short or put back by someone without its root key. (InternalFailure, 500)
	ErrKeystoreTampered Status = 402
	// ErrKeystoreBusy: Another process is writing the keystore; try again. (ServiceUnavailableTemporary, 503)
	ErrKeystoreBusy Status = 403
	// ErrKeystoreIO: The keystore could not be read or written. (InternalFailure, 500)
	ErrKeystoreIO Status = 404
	// ErrAuditFailed: The audit log could not be written; nothing was released, and the message says if a change was made. (InternalFailure, 500)
	ErrAuditFailed Status = 405
	// ErrClock: The clock may be wrong: it is behind the one believed last, far ahead of it, or beyond the year 9999. (InternalFailure, 500)
	ErrClock Status = 406
	// ErrRootKey: The root key opens no slot of the keystore: it is another key, or the slot is damaged. (InternalFailure, 500)
	ErrRootKey Status = 410
	// ErrRootKeySource: The root key's source is missing or cannot be read, or it holds no root key. (InternalFailure, 500)
	ErrRootKeySource Status = 411
	// ErrNoMemory: Memory could not be allocated. (InternalFailure, 500)
	ErrNoMemory Status = 900
	// ErrRandom: The system gave no random bytes. (InternalFailure, 500)
	ErrRandom Status = 901
	// ErrInternal: An error inside kmsbox; the client remains usable. (InternalFailure, 500)
	ErrInternal Status = 902
)

// Error is the sentence that says what the status means.
func (s Status) Error() string {
	return "kmsbox: " + C.GoString(C.kms_status_text(C.kms_status(s)))
}

// String is the status's name as include/kmsbox.h spells it, such as "KMS_ERR_DISABLED".
func (s Status) String() string {
	return C.GoString(C.kms_status_name(C.kms_status(s)))
}
