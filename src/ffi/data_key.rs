//! The hot path: data keys made and unwrapped.

use std::ffi::c_char;

use super::args::{bytes, context, handle, text};
use super::boundary::{Outputs, answer};
use super::client::kms_client;
use super::types::{
    KMS_KEY_SPEC_AES_128, KMS_KEY_SPEC_AES_256, KMS_KEY_SPEC_DEFAULT, kms_response, kms_status,
};
use crate::blob;
use crate::error::{Error, Result};
use crate::kms::{DATA_KEY_MAX, KeySpec};
use crate::secret::Scratch;

/// Makes a data key and wraps it under the primary version of a CMK.
///
/// client                    an opened client.
/// key_id                    CMK id, key ARN, or alias/NAME.
/// key_spec                  one of KMS_KEY_SPEC_*; not looked at where number_of_bytes is given.
/// number_of_bytes           0: not given; else 1..KMS_DATA_KEY_MAX, the length of the key.
/// encryption_context        JSON object of strings, at most 8192 characters, bound to the blob and
///                           not stored in it; or NULL.
/// plaintext                 out: the key. Wipe it after use (kms_zeroize).
/// plaintext_capacity        at least the length of the key.
/// plaintext_len             out: the length of the key.
/// ciphertext_blob           out: the wrapped key, to be stored.
/// ciphertext_blob_capacity  at least kms_ciphertext_blob_len of the key's length.
/// ciphertext_blob_len       out: the length of the blob.
/// response                  may be NULL; gets key_id and key_version_id.
///
/// Needs the permission GenerateDataKey.
///
/// Returns KMS_OK, KMS_ERR_BUFFER_TOO_SMALL, KMS_ERR_KEY_NOT_FOUND, KMS_ERR_ALIAS_NOT_FOUND,
/// KMS_ERR_DISABLED and the other states, KMS_ERR_NO_PERMISSION, KMS_ERR_MISSING_PARAMETER,
/// KMS_ERR_INVALID_PARAMETER, KMS_ERR_INVALID_ARGUMENT, KMS_ERR_KEYSTORE_*, KMS_ERR_ROOT_KEY,
/// KMS_ERR_ROOT_KEY_SOURCE, KMS_ERR_AUDIT_FAILED, KMS_ERR_RANDOM, KMS_ERR_NO_MEMORY.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kms_generate_data_key(
    client: *const kms_client,
    key_id: *const c_char,
    key_spec: i32,
    number_of_bytes: u32,
    encryption_context: *const c_char,
    plaintext: *mut u8,
    plaintext_capacity: usize,
    plaintext_len: *mut usize,
    ciphertext_blob: *mut u8,
    ciphertext_blob_capacity: usize,
    ciphertext_blob_len: *mut usize,
    response: *mut kms_response,
) -> kms_status {
    answer(
        Outputs::new(response)
            .secret(plaintext, plaintext_capacity, plaintext_len)
            .bytes(
                ciphertext_blob,
                ciphertext_blob_capacity,
                ciphertext_blob_len,
            ),
        |out| {
            // SAFETY: the caller passes what kms_client_open gave.
            let client = unsafe { handle(client) }?;
            // SAFETY: the caller passes NULL or NUL-terminated text that lives through the call.
            let key_id = unsafe { text(key_id) }.required("KeyId")?;
            let key_len = data_key_len(key_spec, number_of_bytes)?;
            // SAFETY: the caller passes NULL or NUL-terminated text that lives through the call.
            let context = unsafe { context(encryption_context) }?;
            out.fit([key_len, blob::len(key_len)])?;

            let mut key = Scratch::zeroed(key_len);
            let mut wrapped = [0; BLOB_MAX];
            let wrapped = &mut wrapped[..blob::len(key_len)];
            let used =
                client
                    .kms()
                    .generate_data_key(out.call(), key_id, &context, &mut key, wrapped)?;
            out.put(0, &key);
            out.put(1, wrapped);
            out.key(&used);
            Ok(())
        },
    )
}

/// Makes a data key that nobody sees yet: only the blob comes out, for a later kms_decrypt.
///
/// As kms_generate_data_key, but needs the permission GenerateDataKeyWithoutPlaintext.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kms_generate_data_key_without_plaintext(
    client: *const kms_client,
    key_id: *const c_char,
    key_spec: i32,
    number_of_bytes: u32,
    encryption_context: *const c_char,
    ciphertext_blob: *mut u8,
    ciphertext_blob_capacity: usize,
    ciphertext_blob_len: *mut usize,
    response: *mut kms_response,
) -> kms_status {
    answer(
        Outputs::new(response).bytes(
            ciphertext_blob,
            ciphertext_blob_capacity,
            ciphertext_blob_len,
        ),
        |out| {
            // SAFETY: the caller passes what kms_client_open gave.
            let client = unsafe { handle(client) }?;
            // SAFETY: the caller passes NULL or NUL-terminated text that lives through the call.
            let key_id = unsafe { text(key_id) }.required("KeyId")?;
            let key_len = data_key_len(key_spec, number_of_bytes)?;
            // SAFETY: the caller passes NULL or NUL-terminated text that lives through the call.
            let context = unsafe { context(encryption_context) }?;
            out.fit([blob::len(key_len)])?;

            let mut wrapped = [0; BLOB_MAX];
            let wrapped = &mut wrapped[..blob::len(key_len)];
            let used = client.kms().generate_data_key_without_plaintext(
                out.call(),
                key_id,
                &context,
                wrapped,
            )?;
            out.put(0, wrapped);
            out.key(&used);
            Ok(())
        },
    )
}

/// Unwraps a blob: gives back the data key, or whatever the API's Encrypt was given.
///
/// client               an opened client.
/// expected_key_id      id, ARN or alias of the CMK that the blob must be under. Pass the id that was
///                      stored when the blob was made: a blob names its own key, and whoever can
///                      write blobs chooses it. NULL: any CMK of this client, but "" is
///                      KMS_ERR_MISSING_PARAMETER. An id that is not the blob's is
///                      KMS_ERR_KEY_MISMATCH, an alias that is not there KMS_ERR_ALIAS_NOT_FOUND.
/// ciphertext_blob      the blob.
/// ciphertext_blob_len  its length.
/// encryption_context   the pairs given when the blob was made, in any order; or NULL.
/// plaintext            out: the key. Wipe it after use (kms_zeroize).
/// plaintext_capacity   at least the blob's length less KMS_CIPHERTEXT_BLOB_OVERHEAD. Where only keys of
///                      one length are expected, KMS_ERR_BUFFER_TOO_SMALL means a blob of another.
/// plaintext_len        out: the length of the key.
/// response             may be NULL; gets key_id, key_version_id and content.
///
/// Needs the permission Decrypt.
///
/// Returns KMS_OK, KMS_ERR_BUFFER_TOO_SMALL, KMS_ERR_NOT_A_BLOB, KMS_ERR_KEY_MISMATCH,
/// KMS_ERR_CIPHERTEXT_INVALID (altered, or another context: not told apart), KMS_ERR_KEY_NOT_FOUND,
/// KMS_ERR_KEY_VERSION_NOT_FOUND, KMS_ERR_ALIAS_NOT_FOUND, KMS_ERR_DISABLED and the other states,
/// KMS_ERR_NO_PERMISSION, KMS_ERR_INVALID_PARAMETER, KMS_ERR_INVALID_ARGUMENT, KMS_ERR_KEYSTORE_*,
/// KMS_ERR_ROOT_KEY, KMS_ERR_ROOT_KEY_SOURCE, KMS_ERR_AUDIT_FAILED, KMS_ERR_NO_MEMORY.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kms_decrypt(
    client: *const kms_client,
    expected_key_id: *const c_char,
    ciphertext_blob: *const u8,
    ciphertext_blob_len: usize,
    encryption_context: *const c_char,
    plaintext: *mut u8,
    plaintext_capacity: usize,
    plaintext_len: *mut usize,
    response: *mut kms_response,
) -> kms_status {
    answer(
        Outputs::new(response)
            .secret(plaintext, plaintext_capacity, plaintext_len)
            .input(ciphertext_blob, ciphertext_blob_len),
        |out| {
            // SAFETY: the caller passes what kms_client_open gave.
            let client = unsafe { handle(client) }?;
            // SAFETY: the caller passes NULL or NUL-terminated text that lives through the call.
            let expected = unsafe { text(expected_key_id) }.optional("expected_key_id")?;
            // SAFETY: the caller passes this many readable bytes, or NULL.
            let wrapped = unsafe { bytes(ciphertext_blob, ciphertext_blob_len) }?;
            // SAFETY: the caller passes NULL or NUL-terminated text that lives through the call.
            let context = unsafe { context(encryption_context) }?;
            let parsed = blob::parse(wrapped)?;
            out.fit([parsed.ciphertext.len()])?;

            let mut key = Scratch::zeroed(parsed.ciphertext.len());
            let used = client
                .kms()
                .decrypt(out.call(), expected, &parsed, &context, &mut key)?;
            out.put(0, &key);
            out.key(&used);
            out.content(parsed.header.content);
            Ok(())
        },
    )
}

/// The longest blob of a data key.
const BLOB_MAX: usize = blob::len(DATA_KEY_MAX);

/// The length that KeySpec and NumberOfBytes ask for.
pub(super) fn data_key_len(key_spec: i32, number_of_bytes: u32) -> Result<usize> {
    let number_of_bytes = (number_of_bytes != 0).then_some(u64::from(number_of_bytes));
    KeySpec::data_key_len(number_of_bytes, || match key_spec {
        KMS_KEY_SPEC_DEFAULT => Ok(None),
        KMS_KEY_SPEC_AES_256 => Ok(Some(KeySpec::Aes256)),
        KMS_KEY_SPEC_AES_128 => Ok(Some(KeySpec::Aes128)),
        _ => Err(Error::invalid_parameter("KeySpec", "")),
    })
}
