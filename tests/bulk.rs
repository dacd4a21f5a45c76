//! What the bulk calls leave in the caller's buffers when they fail.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(
    unsafe_code,
    reason = "the C functions are called as a C program calls them"
)]

mod support;

use std::ffi::CString;
use std::fs;
use std::path::Path;
use std::ptr;

use kmsbox::error::Status;
use kmsbox::ffi::bulk::{kms_generate_data_keys, kms_re_encrypt_many};
use kmsbox::ffi::call::{kms_call, kms_document_free};
use kmsbox::ffi::client::{kms_client, kms_client_free, kms_client_open};
use kmsbox::ffi::options::{
    kms_options_free, kms_options_new, kms_options_set, kms_options_set_root_key,
};
use support::scratch_dir;

const KEY: usize = 32;
const BLOB: usize = 142;

struct Client(*mut kms_client);

impl Client {
    fn open(directory: &Path, audit_log: &Path) -> Self {
        let (mut options, mut client) = (ptr::null_mut(), ptr::null_mut());
        let keystore = directory.join("keystore");
        // SAFETY: as the header asks.
        unsafe {
            assert_eq!(kms_options_new(&mut options), 0);
            for (name, value) in [
                ("keystore", keystore.to_str().unwrap()),
                ("create", "true"),
                ("audit_log", audit_log.to_str().unwrap()),
            ] {
                let (name, value) = (text(name), text(value));
                let set = kms_options_set(options, name.as_ptr(), value.as_ptr(), ptr::null_mut());
                assert_eq!(set, 0);
            }
            let root = [9; 32];
            assert_eq!(
                kms_options_set_root_key(options, root.as_ptr(), 32, ptr::null_mut()),
                0
            );
            assert_eq!(kms_client_open(options, &mut client, ptr::null_mut()), 0);
            kms_options_free(options);
        }
        Client(client)
    }

    fn create_key(&self) -> CString {
        let request = text("Action=CreateKey");
        let (mut document, mut len) = (ptr::null_mut(), 0);
        // SAFETY: as the header asks; the document is freed once.
        unsafe {
            let status = kms_call(
                self.0,
                request.as_ptr(),
                &mut document,
                &mut len,
                ptr::null_mut(),
            );
            assert_eq!(status, 0);
            let json = std::ffi::CStr::from_ptr(document)
                .to_str()
                .unwrap()
                .to_owned();
            kms_document_free(document);
            let json: serde_json::Value = serde_json::from_str(&json).unwrap();
            text(json["KeyMetadata"]["KeyId"].as_str().unwrap())
        }
    }

    fn generate(
        &self,
        key_id: &CString,
        context: Option<&CString>,
        count: usize,
        keys: Option<&mut [u8]>,
        blobs: &mut [u8],
    ) -> (i32, usize, usize) {
        let (mut keys_len, mut blobs_len) = (7, 7);
        let (at, capacity, len) = match keys {
            Some(keys) => (keys.as_mut_ptr(), keys.len(), &raw mut keys_len),
            None => (ptr::null_mut(), 0, ptr::null_mut()),
        };
        // SAFETY: as the header asks.
        let status = unsafe {
            kms_generate_data_keys(
                self.0,
                key_id.as_ptr(),
                0,
                0,
                context.map_or(ptr::null(), |context| context.as_ptr()),
                count,
                at,
                capacity,
                len,
                blobs.as_mut_ptr(),
                blobs.len(),
                &mut blobs_len,
                ptr::null_mut(),
            )
        };
        (status, keys_len, blobs_len)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // SAFETY: opened once, freed once.
        unsafe { kms_client_free(self.0) };
    }
}

fn text(text: &str) -> CString {
    CString::new(text).unwrap()
}

#[test]
fn what_cannot_be_audited_is_not_released() {
    let scratch = scratch_dir();
    let logs = scratch.path().join("logs");
    fs::create_dir(&logs).unwrap();
    let client = Client::open(scratch.path(), &logs.join("audit"));
    let key_id = client.create_key();
    let mut good = vec![0; 3 * BLOB];
    assert_eq!(client.generate(&key_id, None, 3, None, &mut good).0, 0);

    fs::remove_dir_all(&logs).unwrap();
    let failed = Status::AuditFailed.number();
    let (mut keys, mut blobs) = (vec![1; 3 * KEY], vec![1; 3 * BLOB]);
    let outcome = client.generate(&key_id, None, 3, Some(&mut keys), &mut blobs);
    assert_eq!(outcome, (failed, 0, 0));
    assert!(keys.iter().chain(&blobs).all(|byte| *byte == 0));

    let mut blobs = vec![1; 3 * BLOB];
    assert_eq!(
        client.generate(&key_id, None, 3, None, &mut blobs).0,
        failed
    );
    assert!(blobs.iter().all(|byte| *byte == 0));

    let (mut new, mut new_len, mut statuses) = (vec![1; 3 * BLOB], 7, [77; 3]);
    // SAFETY: as the header asks.
    let status = unsafe {
        kms_re_encrypt_many(
            client.0,
            good.as_ptr(),
            [BLOB; 3].as_ptr(),
            3,
            ptr::null(),
            ptr::null(),
            key_id.as_ptr(),
            ptr::null(),
            new.as_mut_ptr(),
            new.len(),
            &mut new_len,
            statuses.as_mut_ptr(),
            ptr::null_mut(),
        )
    };
    assert_eq!((status, new_len), (failed, 0));
    assert!(new.iter().all(|byte| *byte == 0));
    assert_eq!(statuses, [77; 3], "statuses are written on success alone");
}

#[test]
fn a_buffer_used_again_is_wiped_whole() {
    const COUNT: usize = 1000;
    let scratch = scratch_dir();
    let client = Client::open(scratch.path(), &scratch.path().join("audit"));
    let key_id = client.create_key();
    let (mut keys, mut blobs) = (vec![0; COUNT * KEY], vec![0; COUNT * BLOB]);
    let made = client.generate(&key_id, None, COUNT, Some(&mut keys), &mut blobs);
    assert_eq!(made, (0, COUNT * KEY, COUNT * BLOB));
    let no_json = text("[]");
    let outcome = client.generate(&key_id, Some(&no_json), COUNT, Some(&mut keys), &mut blobs);
    assert_eq!(outcome, (Status::InvalidParameter.number(), 0, 0));
    assert!(keys.iter().all(|byte| *byte == 0));
}

#[test]
fn a_forgotten_length_is_not_taken_for_no_plaintext_wanted() {
    let scratch = scratch_dir();
    let client = Client::open(scratch.path(), &scratch.path().join("audit"));
    let key_id = client.create_key();
    let (mut keys, mut blobs, mut blobs_len) = ([1; KEY], [1; BLOB], 7);
    // SAFETY: as the header asks, but for the length.
    let status = unsafe {
        kms_generate_data_keys(
            client.0,
            key_id.as_ptr(),
            0,
            0,
            ptr::null(),
            1,
            keys.as_mut_ptr(),
            KEY,
            ptr::null_mut(),
            blobs.as_mut_ptr(),
            BLOB,
            &mut blobs_len,
            ptr::null_mut(),
        )
    };
    assert_eq!((status, blobs_len), (Status::InvalidArgument.number(), 0));
    assert_eq!(blobs, [1; BLOB]);
}
