//! The functions that cannot fail.

use std::ffi::{CStr, CString, c_char};
use std::ptr;

use kmsbox::error::Status;
use kmsbox::ffi::call::kms_document_free;
use kmsbox::ffi::client::{kms_client, kms_client_describe, kms_client_free};
use kmsbox::ffi::options::{kms_options, kms_options_free};
use kmsbox::ffi::secret::{kms_secret_alloc, kms_secret_free, kms_zeroize};
use kmsbox::ffi::status::{kms_ciphertext_blob_len, kms_status_name, kms_status_text, kms_version};
use kmsbox::ffi::types::{
    KMS_CIPHERTEXT_BLOB_MAX, KMS_DATA_KEY_BLOB_MAX, KMS_DATA_KEY_MAX, KMS_PLAINTEXT_MAX,
};

use super::table::Fixture;

pub const FUNCTIONS: &[(&str, fn())] = &[
    ("kms_options_free", options_free),
    ("kms_client_free", client_free),
    ("kms_document_free", document_free),
    ("kms_secret_free", secret_free),
    ("kms_zeroize", zeroize),
    ("kms_status_name", status_name),
    ("kms_status_text", status_text),
    ("kms_version", version),
    ("kms_ciphertext_blob_len", ciphertext_blob_len),
];

#[test]
fn the_functions_that_cannot_fail() {
    for (_, check) in FUNCTIONS {
        check();
    }
}

/// NULL is nothing to free, and what is not of the kind is left alone.
fn options_free() {
    let fixture = Fixture::new();
    c!(kms_options_free(ptr::null_mut()));
    c!(kms_options_free(
        fixture.client.raw().cast_mut().cast::<kms_options>()
    ));
    fixture.client.data_key(super::table::ALIAS);
}

fn client_free() {
    let fixture = Fixture::new();
    c!(kms_client_free(ptr::null_mut()));
    c!(kms_client_free(fixture.options.raw().cast::<kms_client>()));
    fixture.options.open().unwrap();
}

fn document_free() {
    c!(kms_document_free(ptr::null_mut()));
    let fixture = Fixture::new();
    for _ in 0..100 {
        let (mut document, mut len) = (ptr::null_mut(), 0);
        let client = fixture.client.raw();
        assert_eq!(c!(kms_client_describe(client, &mut document, &mut len)), 0);
        // The caller may have cut it: the length is the library's own.
        c!(document.write(0));
        c!(kms_document_free(document));
    }
}

fn secret_free() {
    c!(kms_secret_free(ptr::null_mut()));
    let mut secret = ptr::null_mut();
    assert_eq!(c!(kms_secret_alloc(100, &mut secret)), 0);
    let inside = secret.wrapping_byte_add(16);
    let bytes: *mut u8 = secret.cast();
    c!(bytes.write_bytes(7, 100));
    // A pointer that kms_secret_alloc did not give is left alone.
    let mut other = 5_u8;
    c!(kms_secret_free(inside));
    c!(kms_secret_free((&raw mut other).cast()));
    let kept = c!(std::slice::from_raw_parts(bytes, 100));
    assert!(kept.iter().all(|byte| *byte == 7));
    c!(kms_secret_free(secret));
    c!(kms_secret_free(secret));
}

fn zeroize() {
    let mut bytes = [1_u8; 64];
    c!(kms_zeroize(ptr::null_mut(), 10));
    c!(kms_zeroize(bytes.as_mut_ptr().cast(), 0));
    for impossible in [usize::MAX, isize::MAX.unsigned_abs() + 1] {
        c!(kms_zeroize(bytes.as_mut_ptr().cast(), impossible));
    }
    assert_eq!(bytes, [1; 64]);
    c!(kms_zeroize(bytes[3..].as_mut_ptr().cast(), 57));
    assert_eq!(bytes[..3], [1; 3]);
    assert_eq!(bytes[3..60], [0; 57]);
    assert_eq!(bytes[60..], [1; 4]);
}

fn status_name() {
    assert_eq!(text(kms_status_name(0)), "KMS_OK");
    for status in Status::ALL {
        let name = format!("KMS_ERR_{}", status.name());
        assert_eq!(text(kms_status_name(status.number())), name);
    }
    for unknown in [-1, 1, 99, 110, 903, i32::MIN, i32::MAX] {
        assert_eq!(text(kms_status_name(unknown)), "KMS_ERR_UNKNOWN");
    }
}

fn status_text() {
    for status in Status::ALL {
        assert_eq!(text(kms_status_text(status.number())), status.text());
    }
    for other in [0, -1, 1, i32::MIN, i32::MAX] {
        assert!(!text(kms_status_text(other)).is_empty());
    }
}

fn version() {
    assert_eq!(text(kms_version()), env!("CARGO_PKG_VERSION"));
}

fn ciphertext_blob_len() {
    for len in 1..=KMS_PLAINTEXT_MAX {
        assert_eq!(kms_ciphertext_blob_len(len), 110 + len);
    }
    for none in [0, KMS_PLAINTEXT_MAX + 1, 1 << 32, usize::MAX] {
        assert_eq!(kms_ciphertext_blob_len(none), 0);
    }
    assert_eq!(
        kms_ciphertext_blob_len(KMS_DATA_KEY_MAX),
        KMS_DATA_KEY_BLOB_MAX
    );
    assert_eq!(
        kms_ciphertext_blob_len(KMS_PLAINTEXT_MAX),
        KMS_CIPHERTEXT_BLOB_MAX
    );
}

fn text(at: *const c_char) -> String {
    CString::from(c!(CStr::from_ptr(at))).into_string().unwrap()
}
