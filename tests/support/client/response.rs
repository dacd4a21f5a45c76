//! Responses and refusals: whatever is refused, the whole response is checked.

use std::ffi::c_char;

use kmsbox::error::Status;
use kmsbox::ffi::types::{kms_response, kms_status};

use super::DataKey;

/// A failed call.
#[derive(Debug)]
pub struct Refusal {
    pub status: Status,
    pub message: String,
}

/// `kms_response`, full of rubbish before the call.
pub struct Response(pub(super) Box<kms_response>);

impl Response {
    pub fn new() -> Response {
        let rubbish = |byte: u8| c_char::from_ne_bytes([byte]);
        Response(Box::new(kms_response {
            request_id: [rubbish(0xA5); 40],
            key_id: [rubbish(0xA5); 64],
            key_version_id: [rubbish(0xA5); 64],
            error_code: [rubbish(0xA5); 64],
            error_message: [rubbish(0xA5); 256],
            http_status: -1,
            content: -1,
            reserved: [rubbish(0xA5); 528],
        }))
    }

    pub fn raw(&mut self) -> *mut kms_response {
        &mut *self.0
    }

    pub(super) fn outcome(&self, status: kms_status) -> Result<(), Refusal> {
        check_response(&self.0, status);
        match status {
            0 => Ok(()),
            number => Err(Refusal {
                status: Status::from_number(number).expect("a status of the table"),
                message: text(&self.0.error_message),
            }),
        }
    }

    pub(super) fn data_key(&self, plaintext: Vec<u8>, blob: Vec<u8>) -> DataKey {
        DataKey {
            plaintext,
            blob,
            key_id: text(&self.0.key_id),
            key_version_id: text(&self.0.key_version_id),
        }
    }
}

/// Everything that the header promises of a response, whatever the call.
pub fn check_response(response: &kms_response, status: kms_status) {
    let id = text(&response.request_id);
    assert!(is_id(&id), "request_id \"{id}\"");
    let (code, http) = match Status::from_number(status) {
        None => ("", 200),
        Some(status) => (status.code(), status.http()),
    };
    assert_eq!(text(&response.error_code), code);
    assert_eq!(response.http_status, i32::from(http));
    assert_eq!(text(&response.error_message).is_empty(), status == 0);
    assert!([0, 1].contains(&response.content));
    assert!(response.reserved.iter().all(|byte| *byte == 0));
    let made = text(&response.error_message).starts_with("The change was made, but ");
    for id in [text(&response.key_id), text(&response.key_version_id)] {
        assert!(
            id.is_empty() || ((status == 0 || made) && is_id(&id)),
            "{id}"
        );
    }
}

/// A lower-case UUID.
pub fn is_id(text: &str) -> bool {
    let parsed = uuid::Uuid::try_parse(text);
    parsed.is_ok_and(|id| id.hyphenated().to_string() == text)
}

/// The text in a field, which is zero after it.
#[track_caller]
pub fn text(field: &[c_char]) -> String {
    let bytes: Vec<u8> = field.iter().map(|c| c.to_ne_bytes()[0]).collect();
    let end = bytes.iter().position(|byte| *byte == 0).expect("a NUL");
    assert!(bytes[end..].iter().all(|byte| *byte == 0));
    String::from_utf8(bytes[..end].to_vec()).expect("UTF-8")
}
