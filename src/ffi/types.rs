//! The plain types and numbers of the C interface.

use std::ffi::c_char;

/// 0 is KMS_OK; everything else is one of KMS_ERR_*.
pub type kms_status = i32;

/// No KeySpec: 32 bytes, as KMS_KEY_SPEC_AES_256.
pub const KMS_KEY_SPEC_DEFAULT: i32 = 0;
/// A data key of 32 bytes.
pub const KMS_KEY_SPEC_AES_256: i32 = 1;
/// A data key of 16 bytes.
pub const KMS_KEY_SPEC_AES_128: i32 = 2;

/// What a decrypted blob holds: bytes, such as a data key.
pub const KMS_CONTENT_BYTES: i32 = 0;
/// What a decrypted blob holds: UTF-8 text, as given to the API's Encrypt.
pub const KMS_CONTENT_TEXT: i32 = 1;

/// The length of a root key, in bytes.
pub const KMS_ROOT_KEY_LEN: usize = 32;
/// The longest data key, in bytes.
pub const KMS_DATA_KEY_MAX: usize = 1024;
/// The longest CiphertextBlob of a data key: kms_ciphertext_blob_len(KMS_DATA_KEY_MAX).
pub const KMS_DATA_KEY_BLOB_MAX: usize = 1134;
/// The longest plaintext of any blob, in bytes (the API's Encrypt).
pub const KMS_PLAINTEXT_MAX: usize = 6144;
/// The longest CiphertextBlob: kms_ciphertext_blob_len(KMS_PLAINTEXT_MAX).
pub const KMS_CIPHERTEXT_BLOB_MAX: usize = 6254;

/// What a CiphertextBlob has beyond its plaintext, in bytes.
pub const KMS_CIPHERTEXT_BLOB_OVERHEAD: usize = 110;
/// Room enough for any result of kms_encryption_context, in bytes, the NUL included: 8192 characters
/// of up to four bytes.
pub const KMS_ENCRYPTION_CONTEXT_MAX: usize = 32769;

/// What a call says beyond its status. 1024 bytes, owned by the caller; NULL is allowed wherever it
/// is taken. Every field is set at every call, so nothing need be cleared before.
#[repr(C)]
pub struct kms_response {
    /// Lower-case UUID of this call, unique across threads, processes and forks.
    pub request_id: [c_char; 40],
    /// The CMK's id, never the alias; "" where the answer has none. After a failure it is there only where
    /// what was asked is done all the same; error_message then begins "The change was made, but" or
    /// "The request was performed, but".
    pub key_id: [c_char; 64],
    /// The version of the CMK that wrapped or unwrapped; "" where the answer has none.
    pub key_version_id: [c_char; 64],
    /// The API's code, such as "Forbidden.KeyNotFound"; "" on success.
    pub error_code: [c_char; 64],
    /// One sentence for people; "" on success. Never holds key material.
    pub error_message: [c_char; 256],
    /// 200, or the API's HTTP status for the error.
    pub http_status: i32,
    /// kms_decrypt: what the blob holds, KMS_CONTENT_BYTES or KMS_CONTENT_TEXT.
    pub content: i32,
    /// Zero.
    pub reserved: [c_char; 528],
}

// The header needs literal numbers; these keep them those of the code.
const _: () = {
    assert!(KMS_ROOT_KEY_LEN == crate::root_key::LEN);
    assert!(KMS_DATA_KEY_MAX == crate::kms::DATA_KEY_MAX);
    assert!(KMS_DATA_KEY_BLOB_MAX == crate::blob::len(KMS_DATA_KEY_MAX));
    assert!(KMS_PLAINTEXT_MAX == crate::blob::MAX_TEXT);
    assert!(KMS_CIPHERTEXT_BLOB_MAX == crate::blob::len(KMS_PLAINTEXT_MAX));
    assert!(KMS_CIPHERTEXT_BLOB_OVERHEAD == crate::blob::OVERHEAD);
    assert!(size_of::<kms_response>() == 1024);
};
