//! Wiping, and memory that is made for secrets.

use std::ffi::c_void;

use super::boundary::{Outputs, answer, boundary};
use super::types::kms_status;
use crate::error::{Error, Status};
use crate::secret::{heap, wipe};

/// Overwrites bytes with zeros, in a way that no compiler leaves out.
///
/// bytes  may be NULL, then nothing happens.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kms_zeroize(bytes: *mut c_void, len: usize) {
    boundary((), || {
        if !bytes.is_null() && len <= isize::MAX.unsigned_abs() {
            // SAFETY: the caller owns this many writable bytes.
            wipe(unsafe { std::slice::from_raw_parts_mut(bytes.cast(), len) });
        }
    })
}

/// Allocates memory for a secret: zeroed, aligned to 16, kept out of swap and core dumps where the
/// system allows, wiped when freed.
///
/// len     1 or more bytes.
/// secret  out: the memory, to be freed with kms_secret_free; NULL on failure.
///
/// Returns KMS_OK, KMS_ERR_INVALID_ARGUMENT (a length of 0), KMS_ERR_NO_MEMORY.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn kms_secret_alloc(len: usize, secret: *mut *mut c_void) -> kms_status {
    answer(Outputs::new(std::ptr::null_mut()).handle(secret), |out| {
        if len == 0 {
            return Err(Error::invalid_argument("A secret has at least one byte."));
        }
        let memory = heap::alloc(len).ok_or(Error::new(Status::NoMemory))?;
        out.put_pointer(memory.as_ptr().cast());
        Ok(())
    })
}

/// Wipes and frees memory of kms_secret_alloc. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kms_secret_free(secret: *mut c_void) {
    boundary((), || heap::free(secret.cast()))
}
