//! The second door: the API as documents.

use std::ffi::c_char;

use super::args::{handle, text};
use super::boundary::{Outputs, answer, boundary};
use super::client::kms_client;
use super::document;
use super::types::{kms_response, kms_status};
use crate::document::perform;
use crate::error::Error;

/// What was made must not be taken for refused.
const DONE: &str = "The request was performed, but there is no memory for its answer.";

/// Performs one API request, given as the form-encoded text that the API documents.
///
/// request       of at most 1 MiB, such as "Action=CreateAlias&KeyId=ID&AliasName=alias%2Forders".
///               "Format=XML" answers in XML, the default is JSON. A parameter that the action does not
///               know, or that is given twice, is refused.
/// document      out: the documented answer, or the documented error; NUL-terminated, to be freed with
///               kms_document_free. NULL only after KMS_ERR_INVALID_ARGUMENT, a NULL request,
///               KMS_ERR_NO_MEMORY or KMS_ERR_INTERNAL.
/// document_len  out: its length without the NUL.
/// response      may be NULL; key_id and key_version_id are filled where the answer has them, also where
///               the call failed but what was asked is done.
///
/// Every management operation goes through here: CreateKey, DescribeKey, ListKeys, CreateAlias,
/// CreateKeyVersion, DisableKey, ScheduleKeyDeletion, TagResource, ImportKeyMaterial and all others that
/// docs/api.md lists with their parameters; and Encrypt, Decrypt, ReEncrypt, GenerateDataKey and
/// GenerateDataKeyWithoutPlaintext with Plaintext and CiphertextBlob in base64.
///
/// Where a change is on disk and something fails after it (its result in the audit log:
/// KMS_ERR_AUDIT_FAILED; the file system, so that it may not survive a power cut: KMS_ERR_KEYSTORE_IO), the
/// message of response and document begins "The change was made, but". Where there is no memory for the
/// document of what was performed, be it a change or not, KMS_ERR_NO_MEMORY has a message that begins
/// "The request was performed, but". Repeat no change after either; key_id names the CMK, also a new one.
/// After KMS_ERR_INTERNAL look before a change is repeated. Any other failure has changed nothing.
///
/// Returns KMS_OK or any status of the header; KMS_ERR_UNSUPPORTED_OPERATION for an action that is
/// not offered, or that was left out when the library was built; KMS_ERR_CLOCK where the clock cannot be
/// right: a deletion would come early, or the year is beyond 9999.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kms_call(
    client: *const kms_client,
    request: *const c_char,
    document: *mut *mut c_char,
    document_len: *mut usize,
    response: *mut kms_response,
) -> kms_status {
    answer(
        Outputs::new(response).document(document, document_len),
        |out| {
            // SAFETY: the caller passes what kms_client_open gave.
            let client = unsafe { handle(client) }?;
            // SAFETY: the caller passes NULL or NUL-terminated text that lives through the call.
            let request = unsafe { text(request) }.bytes("request")?;
            let answer = perform(client.kms(), out.call(), request);
            if let Some(key) = &answer.key {
                out.key(key);
            }
            let told = answer.document.and_then(|text| out.put_document(text));
            answer.outcome?;
            told.map_err(|error| Error::with(error.status(), DONE))
        },
    )
}

/// Frees a document and wipes it. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kms_document_free(document: *mut c_char) {
    boundary((), || {
        // SAFETY: the caller gives up what kms_call or kms_client_describe gave, or NULL.
        unsafe { document::free(document) }
    })
}
