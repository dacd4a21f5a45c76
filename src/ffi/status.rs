//! Names and texts of statuses, the version, and sizes as functions.

use std::ffi::{CStr, c_char};

use super::boundary::boundary;
use super::types::kms_status;
use crate::blob;
use crate::error::Status;

/// The name of a status as the header spells it, such as "KMS_ERR_DISABLED".
///
/// Never NULL, never to be freed; "KMS_ERR_UNKNOWN" for a number that is not in the header.
#[unsafe(no_mangle)]
pub extern "C" fn kms_status_name(status: kms_status) -> *const c_char {
    boundary(c"KMS_ERR_UNKNOWN".as_ptr(), || name(status).as_ptr())
}

/// A sentence that says what a status means. Never NULL, never to be freed.
#[unsafe(no_mangle)]
pub extern "C" fn kms_status_text(status: kms_status) -> *const c_char {
    boundary(c"".as_ptr(), || text(status).as_ptr())
}

/// The version of the library that runs, such as "0.1.0"; KMS_VERSION_STRING is the header's.
#[unsafe(no_mangle)]
pub extern "C" fn kms_version() -> *const c_char {
    boundary(c"".as_ptr(), || version().as_ptr())
}

/// The length of the CiphertextBlob of a plaintext of this many bytes.
///
/// plaintext_len  1..KMS_PLAINTEXT_MAX; for any other the answer is 0.
#[unsafe(no_mangle)]
pub extern "C" fn kms_ciphertext_blob_len(plaintext_len: usize) -> usize {
    boundary(0, || blob::len(plaintext_len))
}

fn name(status: kms_status) -> &'static CStr {
    match status {
        0 => c"KMS_OK",
        number => Status::from_number(number).map_or(c"KMS_ERR_UNKNOWN", Status::c_name),
    }
}

fn text(status: kms_status) -> &'static CStr {
    match status {
        0 => c"Success.",
        number => Status::from_number(number).map_or(
            c"A status that this version of kmsbox does not know.",
            Status::c_text,
        ),
    }
}

fn version() -> &'static CStr {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    CStr::from_bytes_with_nul(VERSION.as_bytes()).unwrap_or(c"")
}
