//! What the host does with data keys. Each function tells the blobs of the keys that it made.

use std::ffi::CStr;
use std::ptr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kmsbox::error::Status;
use kmsbox::ffi::bulk::{kms_generate_data_keys, kms_re_encrypt_many};
use kmsbox::ffi::data_key::{
    kms_decrypt, kms_generate_data_key, kms_generate_data_key_without_plaintext,
};
use kmsbox::ffi::encrypt::{kms_encrypt, kms_re_encrypt};
use zeroize::Zeroizing;

use super::{KEY, call, client, name, to_hex};

const CONTEXT: &CStr = c"{\"table\":\"orders\"}";
const BLOB: usize = 142;
/// Keys of one bulk call.
const MANY: usize = 40;

/// Room for a data key, wiped when it goes, and for its blob.
struct Made {
    key: Zeroizing<[u8; KEY]>,
    key_len: usize,
    blob: [u8; BLOB],
    blob_len: usize,
}

impl Made {
    fn none() -> Made {
        Made {
            key: Zeroizing::new([0; KEY]),
            key_len: 0,
            blob: [0; BLOB],
            blob_len: 0,
        }
    }
}

fn generate(key_id: &CStr, made: &mut Made) -> i32 {
    // SAFETY: as the header asks.
    unsafe {
        kms_generate_data_key(
            client(),
            key_id.as_ptr(),
            0,
            0,
            CONTEXT.as_ptr(),
            made.key.as_mut_ptr(),
            KEY,
            &mut made.key_len,
            made.blob.as_mut_ptr(),
            BLOB,
            &mut made.blob_len,
            ptr::null_mut(),
        )
    }
}

fn decrypt(expected: &CStr, blob: &[u8], context: &CStr, room: usize) -> i32 {
    let (mut key, mut key_len) = (Zeroizing::new([0; KEY]), 0);
    // SAFETY: as the header asks.
    unsafe {
        kms_decrypt(
            client(),
            expected.as_ptr(),
            blob.as_ptr(),
            blob.len(),
            context.as_ptr(),
            key.as_mut_ptr(),
            room,
            &mut key_len,
            ptr::null_mut(),
        )
    }
}

/// Each function for one key.
pub fn typed(key: &CStr, other: &CStr) -> Vec<String> {
    let mut blobs = Vec::new();
    for _ in 0..3 {
        let mut made = Made::none();
        assert_eq!(generate(key, &mut made), 0);
        assert_eq!(decrypt(key, &made.blob, CONTEXT, KEY), 0);
        blobs.push(made.blob);

        let (mut blob, mut len) = ([0; BLOB], 0);
        // SAFETY: as the header asks.
        let status = unsafe {
            kms_generate_data_key_without_plaintext(
                client(),
                key.as_ptr(),
                0,
                0,
                CONTEXT.as_ptr(),
                blob.as_mut_ptr(),
                BLOB,
                &mut len,
                ptr::null_mut(),
            )
        };
        assert_eq!(status, 0);
        blobs.push(blob);

        let own = Zeroizing::new(random());
        let (mut blob, mut len) = ([0; BLOB], 0);
        // SAFETY: as above.
        let status = unsafe {
            kms_encrypt(
                client(),
                key.as_ptr(),
                own.as_ptr(),
                KEY,
                CONTEXT.as_ptr(),
                blob.as_mut_ptr(),
                BLOB,
                &mut len,
                ptr::null_mut(),
            )
        };
        assert_eq!(status, 0);
        blobs.push(blob);

        let (mut again, mut len) = ([0; BLOB], 0);
        // SAFETY: as above.
        let status = unsafe {
            kms_re_encrypt(
                client(),
                key.as_ptr(),
                blob.as_ptr(),
                BLOB,
                CONTEXT.as_ptr(),
                other.as_ptr(),
                CONTEXT.as_ptr(),
                again.as_mut_ptr(),
                BLOB,
                &mut len,
                ptr::null_mut(),
            )
        };
        assert_eq!(status, 0);
        blobs.push(again);
    }
    done(&blobs)
}

/// Each function for many.
pub fn bulk(key: &CStr, other: &CStr) -> Vec<String> {
    let mut keys = Zeroizing::new(vec![0; MANY * KEY]);
    let (mut made, mut rewrapped) = (vec![[0; BLOB]; MANY], vec![[0; BLOB]; MANY]);
    let (mut keys_len, mut blobs_len) = (0, 0);
    let mut statuses = [0; MANY];
    // SAFETY: as the header asks.
    unsafe {
        let status = kms_generate_data_keys(
            client(),
            key.as_ptr(),
            0,
            0,
            CONTEXT.as_ptr(),
            MANY,
            keys.as_mut_ptr(),
            keys.len(),
            &mut keys_len,
            made.as_mut_ptr().cast(),
            MANY * BLOB,
            &mut blobs_len,
            ptr::null_mut(),
        );
        assert_eq!(status, 0);
        // One of them does not open.
        let mut given = made.clone();
        given[7][100] ^= 1;
        let status = kms_re_encrypt_many(
            client(),
            given.as_ptr().cast(),
            [BLOB; MANY].as_ptr(),
            MANY,
            key.as_ptr(),
            CONTEXT.as_ptr(),
            other.as_ptr(),
            CONTEXT.as_ptr(),
            rewrapped.as_mut_ptr().cast(),
            MANY * BLOB,
            &mut blobs_len,
            statuses.as_mut_ptr(),
            ptr::null_mut(),
        );
        assert_eq!(status, 0);
    }
    assert_eq!(
        statuses.iter().filter(|status| **status == 0).count(),
        MANY - 1
    );
    rewrapped.remove(7);
    done(&[made, rewrapped].concat())
}

/// What does not open leaves no more behind than what does.
pub fn refused(key: &CStr, other: &CStr) -> Vec<String> {
    let mut made = Made::none();
    assert_eq!(generate(key, &mut made), 0);
    let mut altered = made.blob;
    altered[100] ^= 1;
    let mut uncommitted = made.blob;
    uncommitted[BLOB - 1] ^= 1;
    for (expected, blob, context, room, status) in [
        (key, &altered, CONTEXT, KEY, Status::CiphertextInvalid),
        (key, &uncommitted, CONTEXT, KEY, Status::CiphertextInvalid),
        (key, &made.blob, c"{}", KEY, Status::CiphertextInvalid),
        (other, &made.blob, CONTEXT, KEY, Status::KeyMismatch),
        (key, &made.blob, CONTEXT, KEY - 1, Status::BufferTooSmall),
    ] {
        assert_eq!(decrypt(expected, blob, context, room), status.number());
    }
    done(&[made.blob])
}

/// The same through documents, where keys are in base64.
pub fn documents(key: &str) -> Vec<String> {
    let context = "EncryptionContext=%7B%22table%22%3A%22orders%22%7D";
    let mut blobs = Vec::new();
    for format in ["JSON", "XML"] {
        let rest = format!("&{context}&Format={format}");
        let own = Zeroizing::new(STANDARD.encode(*Zeroizing::new(random())));
        let mut encrypt = Zeroizing::new(String::with_capacity(1024));
        for part in ["Action=Encrypt&KeyId=", key, &rest, "&Plaintext="] {
            encrypt.push_str(part);
        }
        for character in own.chars() {
            match character {
                '+' => encrypt.push_str("%2B"),
                other => encrypt.push(other),
            }
        }
        let generate = format!("Action=GenerateDataKey&KeyId={key}{rest}");
        for request in [encrypt.as_bytes(), generate.as_bytes()] {
            let blob = call(request).pop().unwrap();
            let decrypt = format!(
                "Action=Decrypt&CiphertextBlob={}{rest}",
                blob.replace('+', "%2B")
            );
            assert_eq!(call(decrypt.as_bytes()), ["KMS_OK", ""]);
            blobs.push(STANDARD.decode(blob).unwrap());
        }
    }
    done(&blobs)
}

fn done(blobs: &[impl AsRef<[u8]>]) -> Vec<String> {
    let mut answer = vec![name(0)];
    answer.extend(blobs.iter().map(|blob| to_hex(blob.as_ref())));
    answer
}

fn random() -> [u8; KEY] {
    let mut bytes = [0; KEY];
    kmsbox::random::fill(&mut bytes).unwrap();
    bytes
}
