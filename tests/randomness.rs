//! When the kernel is asked for random bytes: once for a data key and not at all for anything else, and
//! never before it is certain that the key can be handed over.
//!
//! The library finds the `getrandom` of this file before that of the system.
#![allow(
    unsafe_code,
    reason = "stands in for a function of the system and calls the C functions"
)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/client.rs"]
#[macro_use]
mod client;
mod support;

use std::cell::Cell;
use std::ffi::{c_uint, c_void};
use std::ptr;

use client::{Ask, Client, c_text, form};
use kmsbox::error::Status;
use kmsbox::ffi::data_key::{kms_decrypt, kms_generate_data_key};

thread_local! {
    static DRAWN: Cell<usize> = const { Cell::new(0) };
    static BROKEN: Cell<bool> = const { Cell::new(false) };
    /// After so many more draws it breaks.
    static GOOD: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// # Safety
/// As of `getrandom(2)`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn getrandom(to: *mut c_void, len: usize, flags: c_uint) -> isize {
    if BROKEN.get() || GOOD.get() == 0 {
        // SAFETY: the error number of this thread.
        unsafe { *libc::__errno_location() = libc::EIO };
        return -1;
    }
    DRAWN.set(DRAWN.get() + 1);
    GOOD.set(GOOD.get().saturating_sub(1));
    // SAFETY: as promised to this function.
    let written = unsafe { libc::syscall(libc::SYS_getrandom, to, len, flags) };
    isize::try_from(written).unwrap()
}

/// How often the kernel is asked on this thread meanwhile.
fn drawn<R>(work: impl FnOnce() -> R) -> (usize, R) {
    let before = DRAWN.get();
    let result = work();
    (DRAWN.get() - before, result)
}

fn client_with_key() -> (Client, String) {
    let client = Client::in_memory();
    let key_id = client.create_key();
    // What is set up once for each thread is not counted.
    client.data_key(&key_id);
    (client, key_id)
}

fn ask(key_id: &str) -> Ask<'_> {
    Ask {
        key_id,
        ..Ask::default()
    }
}

#[test]
fn a_data_key_takes_one_draw() {
    let (client, key_id) = client_with_key();
    for number_of_bytes in [0, 1, 16, 1024] {
        let ask = Ask {
            number_of_bytes,
            context: Some(r#"{"a":"b"}"#),
            ..ask(&key_id)
        };
        assert_eq!(drawn(|| client.generate(ask).unwrap()).0, 1);
        assert_eq!(
            drawn(|| client.generate_without_plaintext(ask).unwrap()).0,
            1
        );
    }
}

#[test]
fn unwrapping_and_reading_take_none() {
    let (client, key_id) = client_with_key();
    let made = client.data_key(&key_id);
    assert_eq!(
        drawn(|| client.decrypt(None, &made.blob, None).unwrap()).0,
        0
    );
    assert_eq!(drawn(|| client.done("Action=ListKeys")).0, 0);
}

#[test]
fn what_is_refused_takes_none() {
    let (client, key_id) = client_with_key();
    client.done(&format!("Action=DisableKey&KeyId={key_id}"));
    let no_such = "00000000-0000-4000-8000-000000000000";
    for refused in [key_id.as_str(), no_such, "alias/none", "x"] {
        let (count, outcome) = drawn(|| client.generate(ask(refused)));
        assert!(outcome.is_err());
        assert_eq!(count, 0, "{refused}");
    }
}

#[test]
fn a_buffer_too_small_takes_none() {
    let (client, key_id) = client_with_key();
    let key_id = c_text(&key_id);
    let (mut key, mut blob) = ([7; 32], [7; 142]);
    for (key_room, blob_room) in [(31, 142), (32, 141), (0, 0)] {
        let (mut key_len, mut blob_len) = (0, 0);
        let (count, status) = drawn(|| {
            c!(kms_generate_data_key(
                client.raw(),
                key_id.as_ptr(),
                0,
                0,
                ptr::null(),
                key.as_mut_ptr(),
                key_room,
                &mut key_len,
                blob.as_mut_ptr(),
                blob_room,
                &mut blob_len,
                ptr::null_mut(),
            ))
        });
        assert_eq!(status, Status::BufferTooSmall.number());
        assert_eq!((key_len, blob_len), (32, 142));
        assert_eq!((key, blob), ([7; 32], [7; 142]));
        assert_eq!(count, 0);
    }
    let made = client.data_key(key_id.to_str().unwrap());
    let mut len = 0;
    let (count, status) = drawn(|| {
        c!(kms_decrypt(
            client.raw(),
            ptr::null(),
            made.blob.as_ptr(),
            made.blob.len(),
            ptr::null(),
            key.as_mut_ptr(),
            31,
            &mut len,
            ptr::null_mut(),
        ))
    });
    assert_eq!(status, Status::BufferTooSmall.number());
    assert_eq!((len, count, key), (32, 0, [7; 32]));
}

#[test]
fn without_random_bytes_there_is_no_key() {
    let (client, key_id) = client_with_key();
    let made = client.data_key(&key_id);
    let epoch = client.epoch();
    BROKEN.set(true);
    // The helpers check that the plaintext is wiped and every length 0.
    let outcomes = [
        client.generate(ask(&key_id)).map(|_| ()),
        client.generate_without_plaintext(ask(&key_id)).map(|_| ()),
        client.call("Action=CreateKey").outcome,
        client
            .call(&format!("Action=CreateKeyVersion&KeyId={key_id}"))
            .outcome,
    ];
    for outcome in outcomes {
        assert_eq!(outcome.unwrap_err().status, Status::Random);
    }
    // What needs none goes on.
    let again = client.decrypt(None, &made.blob, None).unwrap();
    BROKEN.set(false);
    assert_eq!(again.plaintext, made.plaintext);
    assert_eq!(client.epoch(), epoch);
    client.data_key(&key_id);
}

/// However far it has come: RSA's arithmetic cannot be told that there are no random bytes.
#[test]
fn without_random_bytes_there_are_no_parameters_for_import() {
    let client = Client::in_memory();
    let made = client.done("Action=CreateKey&Origin=EXTERNAL");
    let key_id = made["KeyMetadata"]["KeyId"].as_str().unwrap();
    let offered = "WrappingAlgorithm=RSAES_OAEP_SHA_256&WrappingKeySpec=RSA_2048";
    let request = format!("Action=GetParametersForImport&KeyId={key_id}&{offered}");
    let answered = |good: usize| {
        GOOD.set(good);
        let answer = client.call(&request);
        GOOD.set(usize::MAX);
        answer
    };
    let (failed, made) = (0..)
        .find_map(|good| {
            let answer = answered(good);
            match &answer.outcome {
                Ok(()) => Some((good, answer.json())),
                Err(refusal) => {
                    assert_eq!(refusal.status, Status::Random, "after {good} draws");
                    None
                }
            }
        })
        .unwrap();
    assert!(failed >= 2, "one draw for each prime at least: {failed}");

    // Unwrapping draws a blinding factor.
    let field = |name: &str| form(made[name].as_str().unwrap());
    let (token, encrypted) = (field("ImportToken"), form(&"AAAA".repeat(85)));
    let import = format!("Action=ImportKeyMaterial&KeyId={key_id}&ImportToken={token}");
    let import = format!("{import}&EncryptedKeyMaterial={encrypted}AA==");
    let statuses: Vec<_> = [0, 1, 2, usize::MAX]
        .into_iter()
        .map(|good| {
            GOOD.set(good);
            let status = client.refused(&import);
            GOOD.set(usize::MAX);
            status
        })
        .collect();
    assert!(statuses.contains(&Status::Random), "{statuses:?}");
    assert_eq!(statuses[3], Status::InvalidKeyMaterial);
}
