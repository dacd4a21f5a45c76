//! The C functions as tests use them: handles that free themselves, a keystore in a scratch directory,
//! every refusal with its whole response checked.

// Every test program compiles this file for itself and uses only a part of it.
#![allow(dead_code, unused_imports)]

#[path = "client/place.rs"]
mod place;
#[path = "client/response.rs"]
mod response;

use std::ffi::{CStr, CString, c_char};
use std::fmt;
use std::ptr;

use kmsbox::error::Status;
use kmsbox::ffi::call::{kms_call, kms_document_free};
use kmsbox::ffi::client::{kms_client, kms_client_describe, kms_client_free, kms_client_open};
use kmsbox::ffi::data_key::{
    kms_decrypt, kms_generate_data_key, kms_generate_data_key_without_plaintext,
};
use kmsbox::ffi::options::{
    kms_options, kms_options_free, kms_options_new, kms_options_set, kms_options_set_root_key,
};
use kmsbox::ffi::types::{KMS_DATA_KEY_BLOB_MAX, KMS_PLAINTEXT_MAX};
use serde_json::Value;

pub use place::Place;
pub use response::{Refusal, Response, check_response, is_id, text};

/// 32 bytes that are not printable text.
pub const ROOT_KEY: [u8; 32] = [0xA7; 32];

/// Calls a C function.
macro_rules! c {
    ($call:expr) => {{
        // SAFETY: each test passes what the header asks for, or what the header says is refused.
        unsafe { $call }
    }};
}

/// `kms_options`, freed with the value.
pub struct Options(*mut kms_options);

impl Options {
    pub fn new() -> Options {
        let mut options = ptr::null_mut();
        assert_eq!(c!(kms_options_new(&mut options)), 0);
        assert!(!options.is_null());
        Options(options)
    }

    pub fn raw(&self) -> *mut kms_options {
        self.0
    }

    /// Sets an option that must be accepted.
    #[track_caller]
    pub fn set(&mut self, name: &str, value: &str) {
        self.try_set(name, value).unwrap();
    }

    pub fn try_set(&mut self, name: &str, value: &str) -> Result<(), Refusal> {
        let (name, value) = (c_text(name), c_text(value));
        let mut response = Response::new();
        let status = c!(kms_options_set(
            self.0,
            name.as_ptr(),
            value.as_ptr(),
            response.raw()
        ));
        response.outcome(status)
    }

    #[track_caller]
    pub fn root_key(&mut self, key: &[u8]) {
        self.try_root_key(key).unwrap();
    }

    pub fn try_root_key(&mut self, key: &[u8]) -> Result<(), Refusal> {
        let mut response = Response::new();
        let status = c!(kms_options_set_root_key(
            self.0,
            key.as_ptr(),
            key.len(),
            response.raw()
        ));
        response.outcome(status)
    }

    pub fn open(&self) -> Result<Client, Refusal> {
        let mut client = ptr::dangling_mut();
        let mut response = Response::new();
        let status = c!(kms_client_open(self.0, &mut client, response.raw()));
        assert_eq!(client.is_null(), status != 0, "*client by the outcome");
        response.outcome(status)?;
        Ok(Client(client))
    }
}

impl Drop for Options {
    fn drop(&mut self) {
        c!(kms_options_free(self.0));
    }
}

/// `kms_client`, freed with the value.
pub struct Client(*mut kms_client);

/// What a data key call is asked for.
#[derive(Clone, Copy, Default)]
pub struct Ask<'a> {
    pub key_id: &'a str,
    pub key_spec: i32,
    pub number_of_bytes: u32,
    pub context: Option<&'a str>,
}

/// What a data key call answers. Without plaintext it is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataKey {
    pub plaintext: Vec<u8>,
    pub blob: Vec<u8>,
    pub key_id: String,
    pub key_version_id: String,
}

/// What `kms_decrypt` answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unwrapped {
    pub plaintext: Vec<u8>,
    pub key_id: String,
    pub key_version_id: String,
    pub content: i32,
}

/// What `kms_call` answers, accepted or refused.
#[derive(Debug)]
pub struct Document {
    pub text: String,
    pub outcome: Result<(), Refusal>,
    pub request_id: String,
    pub key_id: String,
    pub key_version_id: String,
}

impl Client {
    /// A keystore in memory.
    pub fn in_memory() -> Client {
        Client::in_memory_with(&[])
    }

    pub fn in_memory_with(more: &[(&str, &str)]) -> Client {
        let mut options = Options::new();
        options.root_key(&ROOT_KEY);
        options.set("keystore", "memory:");
        for (name, value) in more {
            options.set(name, value);
        }
        options.open().unwrap()
    }

    pub fn raw(&self) -> *const kms_client {
        self.0
    }

    pub fn generate(&self, ask: Ask<'_>) -> Result<DataKey, Refusal> {
        let (key_id, context) = (c_text(ask.key_id), ask.context.map(c_text));
        let (mut key, mut blob) = (vec![0xEE; 1024], vec![0xEE; KMS_DATA_KEY_BLOB_MAX]);
        let (mut key_len, mut blob_len) = (usize::MAX, usize::MAX);
        let mut response = Response::new();
        let status = c!(kms_generate_data_key(
            self.0,
            key_id.as_ptr(),
            ask.key_spec,
            ask.number_of_bytes,
            optional(context.as_ref()),
            key.as_mut_ptr(),
            key.len(),
            &mut key_len,
            blob.as_mut_ptr(),
            blob.len(),
            &mut blob_len,
            response.raw(),
        ));
        if status != 0 {
            assert!(key.iter().all(|byte| *byte == 0), "the plaintext is wiped");
            assert_eq!((key_len, blob_len), (0, 0));
        }
        response.outcome(status)?;
        key.truncate(key_len);
        blob.truncate(blob_len);
        Ok(response.data_key(key, blob))
    }

    pub fn generate_without_plaintext(&self, ask: Ask<'_>) -> Result<DataKey, Refusal> {
        let (key_id, context) = (c_text(ask.key_id), ask.context.map(c_text));
        let mut blob = vec![0xEE; KMS_DATA_KEY_BLOB_MAX];
        let mut blob_len = usize::MAX;
        let mut response = Response::new();
        let status = c!(kms_generate_data_key_without_plaintext(
            self.0,
            key_id.as_ptr(),
            ask.key_spec,
            ask.number_of_bytes,
            optional(context.as_ref()),
            blob.as_mut_ptr(),
            blob.len(),
            &mut blob_len,
            response.raw(),
        ));
        if status != 0 {
            assert_eq!(blob_len, 0);
        }
        response.outcome(status)?;
        blob.truncate(blob_len);
        Ok(response.data_key(Vec::new(), blob))
    }

    /// Asks for 32 bytes without a context.
    #[track_caller]
    pub fn data_key(&self, key_id: &str) -> DataKey {
        let ask = Ask {
            key_id,
            ..Ask::default()
        };
        self.generate(ask).unwrap()
    }

    pub fn decrypt(
        &self,
        expected: Option<&str>,
        blob: &[u8],
        context: Option<&str>,
    ) -> Result<Unwrapped, Refusal> {
        let (expected, context) = (expected.map(c_text), context.map(c_text));
        let mut key = vec![0xEE; KMS_PLAINTEXT_MAX];
        let mut key_len = usize::MAX;
        let mut response = Response::new();
        let status = c!(kms_decrypt(
            self.0,
            optional(expected.as_ref()),
            blob.as_ptr(),
            blob.len(),
            optional(context.as_ref()),
            key.as_mut_ptr(),
            key.len(),
            &mut key_len,
            response.raw(),
        ));
        if status != 0 {
            assert!(key.iter().all(|byte| *byte == 0), "the plaintext is wiped");
            assert_eq!(key_len, 0);
        }
        response.outcome(status)?;
        key.truncate(key_len);
        Ok(Unwrapped {
            plaintext: key,
            key_id: text(&response.0.key_id),
            key_version_id: text(&response.0.key_version_id),
            content: response.0.content,
        })
    }

    /// One API request.
    pub fn call(&self, request: &str) -> Document {
        let request = c_text(request);
        let mut document = ptr::dangling_mut();
        let mut len = usize::MAX;
        let mut response = Response::new();
        let status = c!(kms_call(
            self.0,
            request.as_ptr(),
            &mut document,
            &mut len,
            response.raw()
        ));
        let text_there = take_document(document, len);
        Document {
            text: text_there,
            request_id: text(&response.0.request_id),
            key_id: text(&response.0.key_id),
            key_version_id: text(&response.0.key_version_id),
            outcome: response.outcome(status),
        }
    }

    /// A request that must be accepted, answered in JSON.
    #[track_caller]
    pub fn done(&self, request: &str) -> Value {
        let answer = self.call(request);
        answer.outcome.as_ref().unwrap();
        answer.json()
    }

    /// A request that must be refused.
    #[track_caller]
    pub fn refused(&self, request: &str) -> Status {
        self.call(request).outcome.unwrap_err().status
    }

    /// Makes a CMK and tells its id.
    #[track_caller]
    pub fn create_key(&self) -> String {
        let made = self.done("Action=CreateKey");
        made["KeyMetadata"]["KeyId"].as_str().unwrap().to_owned()
    }

    /// `kms_client_describe`.
    pub fn describe(&self) -> Value {
        let mut document = ptr::dangling_mut();
        let mut len = usize::MAX;
        assert_eq!(c!(kms_client_describe(self.0, &mut document, &mut len)), 0);
        serde_json::from_str(&take_document(document, len)).unwrap()
    }

    /// How many writes the keystore has seen.
    pub fn epoch(&self) -> u64 {
        self.describe()["Epoch"].as_u64().unwrap()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        c!(kms_client_free(self.0));
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

impl Document {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }
}

/// Copies a document of the library and frees it.
pub fn take_document(document: *mut c_char, len: usize) -> String {
    assert!(!document.is_null(), "there is a document");
    let text = c!(CStr::from_ptr(document)).to_str().unwrap().to_owned();
    assert_eq!(text.len(), len, "document_len is without the NUL");
    c!(kms_document_free(document));
    text
}

pub fn c_text(text: &str) -> CString {
    CString::new(text).unwrap()
}

fn optional(text: Option<&CString>) -> *const c_char {
    text.map_or(ptr::null(), |text| text.as_ptr())
}

/// Encodes a value for a form.
pub fn form(value: &str) -> String {
    let unreserved = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(byte);
    let encode = |byte: u8| match unreserved(&byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    value.bytes().map(encode).collect()
}
