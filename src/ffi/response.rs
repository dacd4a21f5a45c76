//! The `kms_response`: what a call says beyond its status.

use std::ffi::c_char;

use uuid::Uuid;

use super::types::kms_response;
use crate::blob::Content;
use crate::error::Error;
use crate::key_name::KeyUse;
use crate::request_id::Call;

/// What a call has learned so far.
pub(super) struct Answer {
    pub(super) call: Call,
    pub(super) key: Option<KeyUse>,
    pub(super) content: Content,
}

impl Default for Answer {
    fn default() -> Self {
        Answer {
            call: Call::default(),
            key: None,
            content: Content::Bytes,
        }
    }
}

impl Answer {
    pub(super) fn response(&self, error: Option<&Error>) -> kms_response {
        let mut response = kms_response {
            request_id: [0; 40],
            key_id: [0; 64],
            key_version_id: [0; 64],
            error_code: [0; 64],
            error_message: [0; 256],
            http_status: 200,
            content: i32::from(self.content as u8),
            reserved: [0; 528],
        };
        put(&mut response.request_id, self.call.request_id().as_str());
        if let Some(key) = &self.key {
            put_id(&mut response.key_id, key.key_id);
            put_id(&mut response.key_version_id, key.key_version_id);
        }
        if let Some(error) = error {
            put(&mut response.error_code, error.status().code());
            put(&mut response.error_message, error.message());
            response.http_status = i32::from(error.status().http());
        }
        response
    }
}

fn put_id(field: &mut [c_char], id: Uuid) {
    put(
        field,
        id.hyphenated().encode_lower(&mut Uuid::encode_buffer()),
    );
}

/// Copies text and its NUL, cut at a character where it is too long.
fn put(field: &mut [c_char], text: &str) {
    let mut len = text.len().min(field.len() - 1);
    while !text.is_char_boundary(len) {
        len -= 1;
    }
    for (to, from) in field.iter_mut().zip(&text.as_bytes()[..len]) {
        *to = c_char::from_ne_bytes([*from]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_at_a_character() {
        let mut field = [1; 8];
        field.fill(0);
        put(&mut field, "1234567");
        assert_eq!(field[6], 0x37);
        assert_eq!(field[7], 0);
        let mut field = [0; 8];
        put(&mut field, "123456é");
        assert_eq!(field[5], 0x36);
        assert_eq!(field[6], 0);
    }
}
