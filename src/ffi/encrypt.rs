//! Keys that the engine made itself, and blobs wrapped anew.

use std::ffi::c_char;

use super::args::{bytes, context, handle, text};
use super::boundary::{Outputs, answer};
use super::client::kms_client;
use super::types::{KMS_PLAINTEXT_MAX, kms_response, kms_status};
use crate::blob::{self, Content};
use crate::error::Error;
use crate::kms::{Destination, Source, SourceOf};

/// Wraps bytes that the caller brings, such as a key that an engine made itself.
///
/// client                    an opened client.
/// key_id                    CMK id, key ARN, or alias/NAME.
/// plaintext                 the bytes.
/// plaintext_len             1..KMS_PLAINTEXT_MAX.
/// encryption_context        JSON object of strings, bound to the blob; or NULL.
/// ciphertext_blob           out: the blob; kms_decrypt gives the bytes back.
/// ciphertext_blob_capacity  at least kms_ciphertext_blob_len(plaintext_len).
/// ciphertext_blob_len       out: the length of the blob.
/// response                  may be NULL; gets key_id and key_version_id.
///
/// Needs the permission Encrypt.
///
/// Returns KMS_OK, KMS_ERR_BUFFER_TOO_SMALL, KMS_ERR_INVALID_PARAMETER (the length), and what
/// kms_generate_data_key returns.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kms_encrypt(
    client: *const kms_client,
    key_id: *const c_char,
    plaintext: *const u8,
    plaintext_len: usize,
    encryption_context: *const c_char,
    ciphertext_blob: *mut u8,
    ciphertext_blob_capacity: usize,
    ciphertext_blob_len: *mut usize,
    response: *mut kms_response,
) -> kms_status {
    answer(
        Outputs::new(response)
            .bytes(
                ciphertext_blob,
                ciphertext_blob_capacity,
                ciphertext_blob_len,
            )
            .input(plaintext, plaintext_len),
        |out| {
            // SAFETY: the caller passes what kms_client_open gave.
            let client = unsafe { handle(client) }?;
            // SAFETY: the caller passes NULL or NUL-terminated text that lives through the call.
            let key_id = unsafe { text(key_id) }.required("KeyId")?;
            // SAFETY: the caller passes this many readable bytes, or NULL.
            let plaintext = unsafe { bytes(plaintext, plaintext_len) }?;
            // SAFETY: the caller passes NULL or NUL-terminated text that lives through the call.
            let context = unsafe { context(encryption_context) }?;
            if !(1..=KMS_PLAINTEXT_MAX).contains(&plaintext.len()) {
                return Err(Error::invalid_parameter(
                    "Plaintext",
                    "It has not 1 to 6144 bytes.",
                ));
            }
            out.fit([blob::len(plaintext.len())])?;

            let mut wrapped = vec![0; blob::len(plaintext.len())];
            let used = client.kms().encrypt(
                out.call(),
                key_id,
                &context,
                Content::Bytes,
                plaintext,
                &mut wrapped,
            )?;
            out.put(0, &wrapped);
            out.key(&used);
            Ok(())
        },
    )
}

/// Wraps a blob anew: under the primary version of the destination, bound to another context if
/// wanted. The plaintext never leaves the library, and the new blob is as long as the old one.
///
/// expected_key_id                 id, ARN or alias of the CMK that the source must be under; NULL: any.
/// ciphertext_blob                 the source.
/// ciphertext_blob_len             its length.
/// source_encryption_context       the context it was made with; or NULL.
/// destination_key_id              CMK id, key ARN, or alias/NAME; the source's own for a new version.
/// destination_encryption_context  the new blob's context; or NULL.
/// rewrapped                       out: the new blob.
/// rewrapped_capacity              at least ciphertext_blob_len.
/// rewrapped_len                   out: the length of the new blob.
/// response                        may be NULL; gets the destination's key_id and key_version_id.
///
/// Needs the permissions ReEncryptFrom on the source and ReEncryptTo on the destination.
///
/// Returns what kms_decrypt and kms_generate_data_key return.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kms_re_encrypt(
    client: *const kms_client,
    expected_key_id: *const c_char,
    ciphertext_blob: *const u8,
    ciphertext_blob_len: usize,
    source_encryption_context: *const c_char,
    destination_key_id: *const c_char,
    destination_encryption_context: *const c_char,
    rewrapped: *mut u8,
    rewrapped_capacity: usize,
    rewrapped_len: *mut usize,
    response: *mut kms_response,
) -> kms_status {
    answer(
        Outputs::new(response)
            .bytes(rewrapped, rewrapped_capacity, rewrapped_len)
            .input(ciphertext_blob, ciphertext_blob_len),
        |out| {
            // SAFETY: the caller passes what kms_client_open gave.
            let client = unsafe { handle(client) }?;
            // SAFETY: the caller passes NULL or NUL-terminated text that lives through the call.
            let expected_key_id = unsafe { text(expected_key_id) }.optional("expected_key_id")?;
            // SAFETY: as above.
            let key_id = unsafe { text(destination_key_id) }.required("DestinationKeyId")?;
            // SAFETY: the caller passes this many readable bytes, or NULL.
            let blob = unsafe { bytes(ciphertext_blob, ciphertext_blob_len) }?;
            // SAFETY: the caller passes NULL or NUL-terminated text that lives through the call.
            let source_context = unsafe { context(source_encryption_context) }?;
            // SAFETY: as above.
            let context = unsafe { context(destination_encryption_context) }?;
            let parsed = blob::parse(blob)?;
            out.fit([blob.len()])?;

            let source = Source {
                wrapped: &parsed,
                of: SourceOf {
                    expected_key_id,
                    context: &source_context,
                },
            };
            let destination = Destination {
                key_id,
                context: &context,
            };
            let mut new = vec![0; blob.len()];
            let used = client
                .kms()
                .re_encrypt(out.call(), &source, &destination, &mut new)?;
            out.put(0, &new);
            out.key(&used);
            Ok(())
        },
    )
}
