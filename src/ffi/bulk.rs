//! Many keys or blobs in one call. They lie one after the other; no struct holds a pointer.

use std::ffi::c_char;

use super::args::{context, handle, many, text};
use super::boundary::{Outputs, answer};
use super::client::kms_client;
use super::data_key::data_key_len;
use super::types::{kms_response, kms_status};
use crate::allocation;
use crate::blob;
use crate::error::{Error, Result, Status};
use crate::kms::{Destination, SourceOf};

/// The most keys or blobs of one call.
pub const KMS_BULK_MAX: usize = 1048576;

/// Makes many data keys of one length under one CMK, bound to one context.
///
/// key_id, key_spec, number_of_bytes, encryption_context  as for kms_generate_data_key.
/// count                      how many keys: 1..KMS_BULK_MAX.
/// plaintexts                 out: key 0, key 1, and so on. Wipe them after use.
/// plaintexts_capacity        at least count * the length of a key.
/// plaintexts_len             out: count * the length of a key. All three NULL, 0, NULL: no plaintext is
///                            wanted, and the permission GenerateDataKeyWithoutPlaintext is enough.
/// ciphertext_blobs           out: blob 0, blob 1, and so on, each as long as
///                            kms_ciphertext_blob_len of a key's length.
/// ciphertext_blobs_capacity  at least count * the length of a blob.
/// ciphertext_blobs_len       out: count * the length of a blob.
/// response                   may be NULL; gets key_id and key_version_id.
///
/// Either all keys are made or none. Returns what kms_generate_data_key returns.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kms_generate_data_keys(
    client: *const kms_client,
    key_id: *const c_char,
    key_spec: i32,
    number_of_bytes: u32,
    encryption_context: *const c_char,
    count: usize,
    plaintexts: *mut u8,
    plaintexts_capacity: usize,
    plaintexts_len: *mut usize,
    ciphertext_blobs: *mut u8,
    ciphertext_blobs_capacity: usize,
    ciphertext_blobs_len: *mut usize,
    response: *mut kms_response,
) -> kms_status {
    answer(
        match plaintexts_len.is_null() {
            true => Outputs::new(response).array(plaintexts, 0),
            false => Outputs::new(response).secrets(
                plaintexts,
                plaintexts_capacity,
                plaintexts_len,
                counted(count).unwrap_or(0),
            ),
        }
        .bytes(
            ciphertext_blobs,
            ciphertext_blobs_capacity,
            ciphertext_blobs_len,
        ),
        |out| {
            // SAFETY: the caller passes what kms_client_open gave.
            let client = unsafe { handle(client) }?;
            // SAFETY: the caller passes NULL or NUL-terminated text that lives through the call.
            let key_id = unsafe { text(key_id) }.required("KeyId")?;
            let key_id = allocation::text(key_id)?;
            let key_len = data_key_len(key_spec, number_of_bytes)?;
            // SAFETY: the caller passes NULL or NUL-terminated text that lives through the call.
            let context = unsafe { context(encryption_context) }?;
            let count = counted(count)?;
            let with_plaintext = !plaintexts_len.is_null();
            if !with_plaintext && (!plaintexts.is_null() || plaintexts_capacity > 0) {
                // Somebody waits for keys there.
                return Err(Error::invalid_argument(
                    "plaintexts_len is NULL, but plaintexts is not.",
                ));
            }
            let keys_len = if with_plaintext { count * key_len } else { 0 };
            let lens = [keys_len, count * blob::len(key_len)];
            out.fit(lens)?;

            let call = std::mem::take(out.call_mut());
            let [keys, blobs] = out.lend(lens);
            let keys = with_plaintext.then_some(keys);
            let used = client
                .kms()
                .generate_data_keys(&call, &key_id, &context, key_len, keys, blobs);
            *out.call_mut() = call;
            out.key(&used?);
            Ok(())
        },
    )
}

/// Wraps many blobs anew, as kms_re_encrypt does one. A blob that does not open does not stop the rest.
///
/// ciphertext_blobs                blob 0, blob 1, and so on.
/// ciphertext_blob_lens            the length of each.
/// count                           how many: 1..KMS_BULK_MAX.
/// expected_key_id                 id, ARN or alias of the CMK that each must be under; NULL: any.
/// source_encryption_context       the context that all were made with; or NULL.
/// destination_key_id              CMK id, key ARN, or alias/NAME.
/// destination_encryption_context  the new blobs' context; or NULL.
/// rewrapped                       out: the new blobs, each where its source lies in ciphertext_blobs and
///                                 as long; zeros where a blob did not open.
/// rewrapped_capacity              at least the sum of the lengths.
/// rewrapped_len                   out: the sum of the lengths.
/// statuses                        out: count statuses, one for each blob, as kms_re_encrypt returns it.
/// response                        may be NULL; gets the destination of the last blob that opened.
///
/// Returns KMS_OK when every blob was looked at, whatever its status: a destination that cannot be used
/// is told by each. Else what is wrong with the whole call, such as KMS_ERR_NO_MEMORY, and then statuses
/// are not written.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kms_re_encrypt_many(
    client: *const kms_client,
    ciphertext_blobs: *const u8,
    ciphertext_blob_lens: *const usize,
    count: usize,
    expected_key_id: *const c_char,
    source_encryption_context: *const c_char,
    destination_key_id: *const c_char,
    destination_encryption_context: *const c_char,
    rewrapped: *mut u8,
    rewrapped_capacity: usize,
    rewrapped_len: *mut usize,
    statuses: *mut kms_status,
    response: *mut kms_response,
) -> kms_status {
    answer(
        Outputs::new(response)
            .bytes(rewrapped, rewrapped_capacity, rewrapped_len)
            .array(statuses, counted(count).unwrap_or(0))
            .input(ciphertext_blobs, 0),
        |out| {
            // SAFETY: the caller passes what kms_client_open gave.
            let client = unsafe { handle(client) }?;
            let count = counted(count)?;
            // SAFETY: the caller passes count lengths and as many bytes as they add up to.
            let blobs = unsafe { many(ciphertext_blobs, ciphertext_blob_lens, count) }?;
            let total = blobs.iter().map(|blob| blob.len()).sum();
            out.also_input(ciphertext_blobs, total)?;
            out.also_input(ciphertext_blob_lens, count * size_of::<usize>())?;
            // SAFETY: the caller passes NULL or NUL-terminated text that lives through the call.
            let expected = unsafe { text(expected_key_id) }.optional("expected_key_id")?;
            let expected = expected.map(allocation::text).transpose()?;
            // SAFETY: as above.
            let key_id = unsafe { text(destination_key_id) }.required("DestinationKeyId")?;
            let key_id = allocation::text(key_id)?;
            // SAFETY: as above.
            let source_context = unsafe { context(source_encryption_context) }?;
            // SAFETY: as above.
            let context = unsafe { context(destination_encryption_context) }?;
            out.fit([total])?;

            let source = SourceOf {
                expected_key_id: expected.as_deref(),
                context: &source_context,
            };
            let destination = Destination {
                key_id: &key_id,
                context: &context,
            };
            let mut outcomes = allocation::room(count)?;
            let mut last = None;
            let call = std::mem::take(out.call_mut());
            let [room] = out.lend([total]);
            let outcome = client.kms().re_encrypt_many(
                &call,
                &blobs,
                source,
                &destination,
                room,
                |_, outcome| {
                    outcomes.push(outcome.as_ref().err().map_or(0, |e| e.status().number()));
                    last = outcome.ok().or(last);
                },
            );
            *out.call_mut() = call;
            outcome?;
            for (index, status) in outcomes.into_iter().enumerate() {
                out.put_item(1, index, status);
            }
            if let Some(used) = &last {
                out.key(used);
            }
            Ok(())
        },
    )
}

fn counted(count: usize) -> Result<usize> {
    match count {
        1..=KMS_BULK_MAX => Ok(count),
        _ => Err(Error::with(
            Status::InvalidParameter,
            "The specified parameter \"count\" is not valid. It is not within 1 and 1048576.",
        )),
    }
}
