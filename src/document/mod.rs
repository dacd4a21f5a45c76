//! The API as documents: a form-encoded request in, the documented JSON or XML out.
//!
//! ```text
//! action   the table: each action, its parameters, what it does
//! data     the handlers of the data plane
//! keys     the handlers of CMKs, versions and aliases
//! request  the form-encoded text, taken apart and checked
//! tree     an answer, before it is JSON or XML
//! json, xml   how it is written
//! ```
#![forbid(unsafe_code)]

mod action;
mod data;
mod json;
mod keys;
mod request;
pub mod tree;
mod xml;

use zeroize::Zeroizing;

use crate::error::{Error, Result, Status};
use crate::kms::{KeyUse, Kms};
use crate::request_id::RequestId;
use request::{Format, Request};
use tree::{Fields, Node};

/// A written document: made once in its exact size, wiped when dropped.
pub struct Text(Zeroizing<Vec<u8>>);

impl Text {
    /// The document without a NUL.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// What came of a call.
pub struct Answer {
    /// The documented answer, or the documented error.
    pub document: Text,
    /// Whether it is the one or the other.
    pub outcome: Result<()>,
    /// The CMK and version that the answer names.
    pub key: Option<KeyUse>,
}

/// What an action answers with.
struct Reply {
    fields: Fields,
    key: Option<KeyUse>,
}

impl Reply {
    fn new(fields: impl IntoIterator<Item = (&'static str, Node)>) -> Self {
        Reply {
            fields: fields.into_iter().collect(),
            key: None,
        }
    }

    fn using(mut self, key: KeyUse) -> Self {
        self.key = Some(key);
        self
    }
}

/// Performs one request.
pub fn call(kms: &Kms, request: &[u8], request_id: RequestId) -> Answer {
    // A request that cannot be read is refused in the default format.
    let (format, reply) = match Request::parse(request) {
        Ok(request) => match request.format() {
            Ok(format) => (format, action::perform(kms, &request)),
            Err(error) => (Format::Json, Err(error)),
        },
        Err(error) => (Format::Json, Err(error)),
    };
    let request_id = ("RequestId", Node::text(request_id.as_str().to_owned()));
    let (fields, outcome, key) = match reply {
        Ok(mut reply) => {
            reply.fields.push(request_id);
            (reply.fields, Ok(()), reply.key)
        }
        Err(error) => (error_fields(&error, request_id), Err(error), None),
    };
    let node = Node::Object(fields);
    Answer {
        document: match format {
            Format::Json => node.to_json(),
            Format::Xml => node.to_xml(),
        },
        outcome,
        key,
    }
}

fn error_fields(error: &Error, request_id: (&'static str, Node)) -> Fields {
    vec![
        ("HttpStatus", Node::number(error.status().http().into())),
        ("Code", Node::text(error.status().code())),
        ("Message", Node::text(error.message().to_owned())),
        request_id,
    ]
}

/// What the API's error table says of an action that is not there.
fn unsupported(name: &str) -> Error {
    Error::with(
        Status::UnsupportedOperation,
        format!("This action is not supported: \"{name}\"."),
    )
}
