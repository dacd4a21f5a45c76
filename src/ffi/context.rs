//! The encryption context, built from pairs.

use std::ffi::c_char;

use super::args::texts;
use super::boundary::{Outputs, answer};
use super::types::kms_status;
use crate::context::json_from_pairs;

/// Builds the JSON of an encryption context, so that no caller quotes by hand.
///
/// pairs          key, value, key, value, and so on: 2 * pair_count texts. Values may be empty.
/// pair_count     how many pairs; 0 gives "{}".
/// json           out: the JSON, NUL-terminated.
/// json_capacity  its room, with the NUL; KMS_ENCRYPTION_CONTEXT_MAX is always enough.
/// json_len       out: strlen(json); after KMS_ERR_BUFFER_TOO_SMALL the capacity needed, NUL included.
///
/// Returns KMS_OK, KMS_ERR_BUFFER_TOO_SMALL, KMS_ERR_INVALID_PARAMETER (a key twice, not UTF-8, over
/// 8192 characters), KMS_ERR_INVALID_ARGUMENT (a NULL among them), KMS_ERR_NO_MEMORY.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kms_encryption_context(
    pairs: *const *const c_char,
    pair_count: usize,
    json: *mut c_char,
    json_capacity: usize,
    json_len: *mut usize,
) -> kms_status {
    answer(
        Outputs::new(std::ptr::null_mut()).bytes(json.cast(), json_capacity, json_len),
        |out| {
            // SAFETY: the caller passes 2 * pair_count texts that live through the call.
            let texts = unsafe { texts(pairs, pair_count) }?;
            let json = json_from_pairs(texts.chunks_exact(2).map(|pair| (pair[0], pair[1])))?;
            out.put_text(0, &json)
        },
    )
}
