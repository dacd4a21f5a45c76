//! Memory for secrets.

use std::collections::HashSet;
use std::ffi::c_void;
use std::ptr;

use kmsbox::error::Status;
use kmsbox::ffi::secret::{kms_secret_alloc, kms_secret_free};

fn alloc(len: usize) -> Result<*mut c_void, Status> {
    let mut secret = ptr::dangling_mut();
    let status = c!(kms_secret_alloc(len, &mut secret));
    assert_eq!(secret.is_null(), status != 0);
    match Status::from_number(status) {
        None => Ok(secret),
        Some(status) => Err(status),
    }
}

#[test]
fn zeroed_aligned_and_writable_to_the_last_byte() {
    for len in [
        1,
        15,
        16,
        17,
        32,
        64,
        65,
        255,
        256,
        1024,
        4096,
        4097,
        100_000,
        1 << 20,
    ] {
        let secret = alloc(len).unwrap();
        assert!(secret.addr().is_multiple_of(16), "{len}");
        let bytes = c!(std::slice::from_raw_parts_mut(secret.cast::<u8>(), len));
        assert!(bytes.iter().all(|byte| *byte == 0), "{len}");
        bytes.fill(0xEE);
        c!(kms_secret_free(secret));
    }
}

#[test]
fn no_two_overlap_and_a_used_one_comes_back_zeroed() {
    let len = 40;
    for _ in 0..3 {
        let secrets: Vec<_> = (0..1000).map(|_| alloc(len).unwrap()).collect();
        let places: HashSet<usize> = secrets.iter().map(|secret| secret.addr() / 16).collect();
        assert_eq!(places.len(), secrets.len());
        for secret in &secrets {
            let bytes = c!(std::slice::from_raw_parts_mut(secret.cast::<u8>(), len));
            assert!(bytes.iter().all(|byte| *byte == 0));
            bytes.fill(0xEE);
        }
        for secret in secrets {
            c!(kms_secret_free(secret));
        }
    }
}

#[test]
fn lengths_that_cannot_be() {
    assert_eq!(alloc(0), Err(Status::InvalidArgument));
    for len in [usize::MAX, isize::MAX.unsigned_abs() + 1, 1 << 40] {
        assert_eq!(alloc(len), Err(Status::NoMemory));
    }
}
