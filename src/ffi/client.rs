//! The client: one opened keystore.

use std::ffi::c_char;
use std::mem::offset_of;

use super::args::{Handle, Marked, free, handle};
use super::boundary::{Outputs, answer, boundary};
use super::options::kms_options;
use super::types::{kms_response, kms_status};
use crate::kms::Kms;

/// An opened keystore, opaque. Made by kms_client_open, freed by kms_client_free. Any number of
/// threads may use one at once.
pub struct kms_client {
    marked: Marked<Kms>,
}

const _: () = assert!(offset_of!(kms_client, marked) == 0);

impl Handle for kms_client {
    const MARK: u64 = 0x6b6d_735f_636c_6965;
}

impl kms_client {
    pub(super) fn kms(&self) -> &Kms {
        &self.marked.value
    }
}

/// Opens a keystore with a set of options.
///
/// options   as set; needs at least "keystore" and a root key. May be freed afterwards.
/// client    out: to be freed with kms_client_free; NULL on failure.
/// response  may be NULL; says which file or option failed, and why.
///
/// Returns KMS_OK, KMS_ERR_MISSING_PARAMETER, KMS_ERR_INVALID_OPTION, KMS_ERR_KEYSTORE_NOT_FOUND,
/// KMS_ERR_NOT_A_KEYSTORE, KMS_ERR_KEYSTORE_TAMPERED, KMS_ERR_KEYSTORE_BUSY, KMS_ERR_KEYSTORE_IO,
/// KMS_ERR_ROOT_KEY, KMS_ERR_ROOT_KEY_SOURCE, KMS_ERR_CLOCK (create, beyond the year 9999),
/// KMS_ERR_NO_MEMORY, KMS_ERR_RANDOM, KMS_ERR_INVALID_ARGUMENT. Where the keystore was made but could not be
/// opened after that, error_message begins "The change was made, but".
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kms_client_open(
    options: *const kms_options,
    client: *mut *mut kms_client,
    response: *mut kms_response,
) -> kms_status {
    answer(Outputs::new(response).handle(client), |out| {
        // SAFETY: the caller passes what kms_options_new gave.
        let options = unsafe { handle(options) }?;
        out.put_handle(kms_client {
            marked: Marked::of::<kms_client>(Kms::open(options.options())?),
        })
    })
}

/// Tells what a client is and how it stands, as JSON for people and monitoring: library version,
/// keystore, its id and epoch, number of CMKs, permissions, locked memory and whether the system
/// granted it, hardware AES. No secret is in it.
///
/// document      out: to be freed with kms_document_free; NULL on failure.
/// document_len  out: its length without the terminating NUL.
///
/// Returns KMS_OK, KMS_ERR_INVALID_ARGUMENT, KMS_ERR_NO_MEMORY.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kms_client_describe(
    client: *const kms_client,
    document: *mut *mut c_char,
    document_len: *mut usize,
) -> kms_status {
    answer(
        Outputs::new(std::ptr::null_mut()).document(document, document_len),
        |out| {
            // SAFETY: the caller passes what kms_client_open gave.
            let client = unsafe { handle(client) }?;
            out.put_document(client.kms().describe()?)
        },
    )
}

/// Closes a client and wipes its keys. NULL is allowed. No other thread may be using it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kms_client_free(client: *mut kms_client) {
    boundary((), || {
        // SAFETY: as for `free` below.
        let arena = unsafe { handle(client.cast_const()) }.map(|client| client.kms().arena());
        // SAFETY: the caller gives up what kms_client_open gave, or NULL.
        unsafe { free(client) };
        if let Ok(arena) = arena {
            // SAFETY: no other thread uses the client, so what is still held in its arena is held by
            // threads that a fork left behind.
            unsafe { arena.wipe_all() };
        }
    })
}
