//! The API as documents: form-encoded requests in, the documented JSON or XML out.
#![allow(unsafe_code, reason = "calls the C functions")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/client.rs"]
#[macro_use]
mod client;
#[path = "support/hex.rs"]
mod hex;
#[path = "support/known_answers.rs"]
mod known_answers;
mod support;

#[path = "documents/actions.rs"]
mod actions;
#[path = "documents/aliases.rs"]
mod aliases;
#[path = "documents/lists.rs"]
mod lists;
#[path = "documents/requests.rs"]
mod requests;
#[path = "documents/xml.rs"]
mod xml;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// The id of a CMK that no keystore has.
const NO_SUCH_ID: &str = "00000000-0000-4000-8000-000000000000";

/// The names of an object's fields, sorted: their order is not promised.
fn fields(document: &str) -> Vec<String> {
    let Value::Object(object) = serde_json::from_str(document).unwrap() else {
        panic!("not an object: {document}");
    };
    object.keys().cloned().collect()
}

fn decode(base64: &Value) -> Vec<u8> {
    STANDARD.decode(base64.as_str().unwrap()).unwrap()
}

/// `2016-03-25T10:42:40Z`
fn is_date(value: &Value) -> bool {
    let shape: String = (value.as_str().unwrap().chars())
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    shape == "0000-00-00T00:00:00Z"
}
