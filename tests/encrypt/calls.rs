//! kms_encrypt and kms_re_encrypt with each argument to be changed.

use std::ptr;

use kmsbox::error::Status;
use kmsbox::ffi::client::kms_client;
use kmsbox::ffi::encrypt::{kms_encrypt, kms_re_encrypt};
use kmsbox::ffi::types::kms_status;

use crate::client::{Client, Response, c_text, check_response, text};

/// Fills buffers, so that what is written shows.
pub const RUBBISH: u8 = 0xEE;

/// A call of `kms_encrypt`.
pub struct Encrypt<'a> {
    pub client: *const kms_client,
    pub key_id: Option<&'a str>,
    pub plaintext: (*const u8, usize),
    pub context: Option<&'a str>,
    pub capacity: usize,
    pub no_len: bool,
    pub no_buffer: bool,
    /// The plaintext lies in the output buffer.
    pub in_place: bool,
    /// What the length said after the call.
    pub told: usize,
}

impl<'a> Encrypt<'a> {
    pub fn of(client: &Client, key_id: &'a str, plaintext: &'a [u8]) -> Self {
        Encrypt {
            client: client.raw(),
            key_id: Some(key_id),
            plaintext: (plaintext.as_ptr(), plaintext.len()),
            context: None,
            capacity: 6254,
            no_len: false,
            no_buffer: false,
            in_place: false,
            told: 0,
        }
    }

    pub fn call(&mut self) -> Result<Vec<u8>, Status> {
        let (key_id, context) = (self.key_id.map(c_text), self.context.map(c_text));
        let mut out = Out::new(self.capacity);
        let plaintext = match self.in_place {
            true => out.buffer.as_ptr(),
            false => self.plaintext.0,
        };
        let mut response = Response::new();
        let status = c!(kms_encrypt(
            self.client,
            key_id.as_ref().map_or(ptr::null(), |text| text.as_ptr()),
            plaintext,
            self.plaintext.1,
            context.as_ref().map_or(ptr::null(), |text| text.as_ptr()),
            out.buffer_unless(self.no_buffer),
            self.capacity,
            out.len_unless(self.no_len),
            response.raw(),
        ));
        // An overlap leaves the response as it was.
        if !self.in_place {
            check_response(c!(&*response.raw()), status);
        }
        self.told = out.len;
        out.outcome(status, self.no_len)
    }
}

/// A call of `kms_re_encrypt`.
pub struct ReEncrypt<'a> {
    pub client: *const kms_client,
    pub expected: Option<&'a str>,
    pub blob: (*const u8, usize),
    pub source_context: Option<&'a str>,
    pub destination: Option<&'a str>,
    pub context: Option<&'a str>,
    pub capacity: usize,
    pub no_len: bool,
    pub no_buffer: bool,
    /// The blob lies in the output buffer.
    pub in_place: bool,
    /// The CMK and version that the response named after the call.
    pub key: (String, String),
}

impl<'a> ReEncrypt<'a> {
    pub fn of(client: &Client, blob: &'a [u8], destination: &'a str) -> Self {
        ReEncrypt {
            client: client.raw(),
            expected: None,
            blob: (blob.as_ptr(), blob.len()),
            source_context: None,
            destination: Some(destination),
            context: None,
            capacity: blob.len(),
            no_len: false,
            no_buffer: false,
            in_place: false,
            key: Default::default(),
        }
    }

    pub fn call(&mut self) -> Result<Vec<u8>, Status> {
        let texts = [
            self.expected,
            self.source_context,
            self.destination,
            self.context,
        ];
        let texts = texts.map(|text| text.map(c_text));
        let [expected, source_context, destination, context] =
            [0, 1, 2, 3].map(|n| texts[n].as_ref().map_or(ptr::null(), |text| text.as_ptr()));
        let mut out = Out::new(self.capacity);
        let blob = match self.in_place {
            true => out.buffer.as_ptr(),
            false => self.blob.0,
        };
        let mut response = Response::new();
        let status = c!(kms_re_encrypt(
            self.client,
            expected,
            blob,
            self.blob.1,
            source_context,
            destination,
            context,
            out.buffer_unless(self.no_buffer),
            self.capacity,
            out.len_unless(self.no_len),
            response.raw(),
        ));
        if !self.in_place {
            let response = c!(&*response.raw());
            check_response(response, status);
            self.key = (text(&response.key_id), text(&response.key_version_id));
        }
        out.outcome(status, self.no_len)
    }
}

/// An output buffer with room behind it that must stay as it is.
pub struct Out {
    pub buffer: Vec<u8>,
    pub capacity: usize,
    pub len: usize,
}

impl Out {
    pub fn new(capacity: usize) -> Out {
        Out {
            buffer: vec![RUBBISH; capacity + 64],
            capacity,
            len: usize::MAX,
        }
    }

    pub fn buffer_unless(&mut self, none: bool) -> *mut u8 {
        if none {
            ptr::null_mut()
        } else {
            self.buffer.as_mut_ptr()
        }
    }

    pub fn len_unless(&mut self, none: bool) -> *mut usize {
        if none { ptr::null_mut() } else { &mut self.len }
    }

    /// What was written, or why nothing was.
    pub fn outcome(mut self, status: kms_status, no_len: bool) -> Result<Vec<u8>, Status> {
        let behind = match status {
            0 => self.len,
            _ => self.capacity,
        };
        assert!(
            self.buffer[behind..].iter().all(|byte| *byte == RUBBISH),
            "written too far"
        );
        let Some(status) = Status::from_number(status) else {
            assert_eq!(status, 0);
            self.buffer.truncate(self.len);
            return Ok(self.buffer);
        };
        if !no_len && status != Status::BufferTooSmall {
            assert_eq!(self.len, 0);
        }
        Err(status)
    }
}
