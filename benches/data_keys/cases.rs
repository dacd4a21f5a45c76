//! The calls that are measured, each on a key of 32 bytes with a context of 60.

use std::ffi::{CStr, c_char};
use std::hint::black_box;
use std::mem::MaybeUninit;
use std::ptr;

use kmsbox::ffi::data_key::{
    kms_decrypt, kms_generate_data_key, kms_generate_data_key_without_plaintext,
};
use kmsbox::ffi::types::{KMS_KEY_SPEC_DEFAULT, kms_response};

use crate::bare::Bare;
use crate::store::{ALIAS, Client, ok};

/// JSON of 60 characters.
const CONTEXT: &CStr = c"{\"database\":\"web\",\"table\":\"orders\",\"partition\":\"2026-11-30\"}";

const _: () = assert!(CONTEXT.count_bytes() == 60);

/// What is called, and how.
#[derive(Clone, Copy)]
pub struct Case {
    pub name: &'static str,
    call: Call,
    key: Named,
    response: bool,
}

#[derive(Clone, Copy)]
enum Call {
    BareSeal,
    Generate,
    WithoutPlaintext,
    BareOpen,
    Decrypt,
}

/// How the caller names the CMK.
#[derive(Clone, Copy)]
enum Named {
    Id,
    Alias,
    /// Not at all, which kms_decrypt allows.
    Any,
}

impl Case {
    const fn new(name: &'static str, call: Call, key: Named, response: bool) -> Self {
        Case {
            name,
            call,
            key,
            response,
        }
    }
}

/// The cases that are timed.
pub const TIMED: [Case; 8] = {
    use Call::{BareOpen, BareSeal, Decrypt, Generate, WithoutPlaintext};
    use Named::Id;
    [
        Case::new("bare getrandom(56) and aes-gcm seal", BareSeal, Id, false),
        Case::new("kms_generate_data_key", Generate, Id, false),
        Case::new("kms_generate_data_key, response", Generate, Id, true),
        Case::new("..._without_plaintext", WithoutPlaintext, Id, false),
        Case::new(
            "..._without_plaintext, response",
            WithoutPlaintext,
            Id,
            true,
        ),
        Case::new("bare aes-gcm open", BareOpen, Id, false),
        Case::new("kms_decrypt", Decrypt, Id, false),
        Case::new("kms_decrypt, response", Decrypt, Id, true),
    ]
};

/// Those that are only counted: they differ too little for a clock.
pub const COUNTED: [Case; 2] = [
    Case::new(
        "kms_generate_data_key, by alias",
        Call::Generate,
        Named::Alias,
        false,
    ),
    Case::new("kms_decrypt, any CMK", Call::Decrypt, Named::Any, false),
];

/// The case of this name.
pub fn named(name: &str) -> Option<Case> {
    (TIMED.into_iter().chain(COUNTED)).find(|case| case.name == name)
}

/// Generates and decrypts, for one's own loops.
pub const GENERATE: Case = TIMED[1];
pub const DECRYPT: Case = TIMED[6];

/// One thread's buffers, made once as a careful caller does.
pub struct Worker<'a> {
    case: Case,
    client: &'a Client,
    pub key_id: &'a CStr,
    plaintext: [u8; 32],
    plaintext_len: usize,
    pub blob: [u8; 142],
    blob_len: usize,
    response: Option<Box<MaybeUninit<kms_response>>>,
    bare: Bare,
}

impl<'a> Worker<'a> {
    /// Ready to call: what there is to decrypt is made, and the expanded key is in the cache.
    pub fn new(case: Case, client: &'a Client, key_id: &'a CStr) -> Self {
        let mut worker = Worker {
            case,
            client,
            key_id,
            plaintext: [0; 32],
            plaintext_len: 0,
            blob: [0; 142],
            blob_len: 0,
            response: case.response.then(|| Box::new(MaybeUninit::uninit())),
            bare: Bare::new(),
        };
        worker.generate(key_id.as_ptr());
        worker
    }

    /// Calls so many times. Valgrind counts what happens in here: it looks for `Worker` and `run`.
    #[inline(never)]
    pub fn run(&mut self, times: usize) {
        let key_name = match self.case.key {
            Named::Id => self.key_id.as_ptr(),
            Named::Alias => ALIAS.as_ptr(),
            Named::Any => ptr::null(),
        };
        match self.case.call {
            Call::BareSeal => repeat(times, || self.bare.seal()),
            Call::Generate => repeat(times, || self.generate(key_name)),
            Call::WithoutPlaintext => repeat(times, || self.without_plaintext(key_name)),
            Call::BareOpen => repeat(times, || self.bare.open()),
            Call::Decrypt => repeat(times, || self.decrypt(key_name)),
        }
        black_box((&self.plaintext, &self.blob, &self.bare));
    }

    #[inline]
    fn generate(&mut self, key_name: *const c_char) {
        // SAFETY: the client is open, the texts live through the call, and the outputs are ours.
        ok(unsafe {
            kms_generate_data_key(
                self.client.handle(),
                key_name,
                KMS_KEY_SPEC_DEFAULT,
                0,
                CONTEXT.as_ptr(),
                self.plaintext.as_mut_ptr(),
                self.plaintext.len(),
                &raw mut self.plaintext_len,
                self.blob.as_mut_ptr(),
                self.blob.len(),
                &raw mut self.blob_len,
                response(&mut self.response),
            )
        });
    }

    #[inline]
    fn without_plaintext(&mut self, key_name: *const c_char) {
        // SAFETY: as in `generate`.
        ok(unsafe {
            kms_generate_data_key_without_plaintext(
                self.client.handle(),
                key_name,
                KMS_KEY_SPEC_DEFAULT,
                0,
                CONTEXT.as_ptr(),
                self.blob.as_mut_ptr(),
                self.blob.len(),
                &raw mut self.blob_len,
                response(&mut self.response),
            )
        });
    }

    #[inline]
    fn decrypt(&mut self, key_name: *const c_char) {
        // SAFETY: as in `generate`, and the blob is as long as said.
        ok(unsafe {
            kms_decrypt(
                self.client.handle(),
                key_name,
                self.blob.as_ptr(),
                self.blob.len(),
                CONTEXT.as_ptr(),
                self.plaintext.as_mut_ptr(),
                self.plaintext.len(),
                &raw mut self.plaintext_len,
                response(&mut self.response),
            )
        });
    }
}

#[inline]
fn response(response: &mut Option<Box<MaybeUninit<kms_response>>>) -> *mut kms_response {
    match response {
        Some(response) => response.as_mut_ptr(),
        None => ptr::null_mut(),
    }
}

#[inline(always)]
fn repeat(times: usize, mut call: impl FnMut()) {
    for _ in 0..times {
        call();
    }
}
