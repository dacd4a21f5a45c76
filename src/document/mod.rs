//! The API as documents: a form-encoded request in, the documented JSON or XML out.
//!
//! ```text
//! action   the table: each action, its parameters, what it does
//! data     the handlers of the data plane
//! keys, versions, aliases, tags, import   the handlers of the management plane
//! request  the form-encoded text, taken apart and checked
//! ```
#![forbid(unsafe_code)]

mod action;
mod aliases;
mod data;
mod import;
mod keys;
mod request;
mod tags;
mod versions;

use std::borrow::Cow;

use crate::error::{Error, Result, Status};
use crate::kms::{KeyUse, Kms, PageOf};
use crate::request_id::Call;
use crate::tree::{Fields, Node, Text, named, object};
pub use action::actions;
use request::{Format, Request};

/// What came of a call.
pub struct Answer {
    /// The documented answer, or the documented error; an error where there is no memory for it.
    pub document: Result<Text>,
    /// Whether it is the one or the other.
    pub outcome: Result<()>,
    /// The CMK and version that the answer names, or that a change was made on before it failed.
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
            fields: named(fields),
            key: None,
        }
    }

    /// One page of a list, wrapped as the API wraps every list.
    fn list(
        outer: &'static str,
        inner: &'static str,
        items: impl Iterator<Item = Node>,
        total: usize,
        page: PageOf,
    ) -> Self {
        Reply::new([
            (outer, object([(inner, Node::List(items.collect()))])),
            ("TotalCount", Node::count(total)),
            ("PageNumber", Node::count(page.number)),
            ("PageSize", Node::count(page.size)),
        ])
    }

    fn using(mut self, key: KeyUse) -> Self {
        self.key = Some(key);
        self
    }
}

/// Performs one request.
pub fn perform(kms: &Kms, call: &Call, request: &[u8]) -> Answer {
    // A request that cannot be read is refused in the default format.
    let (format, reply) = match Request::parse(request) {
        Ok(request) => match request.format() {
            Ok(format) => (format, action::perform(kms, call, &request)),
            Err(error) => (Format::Json, Err(error)),
        },
        Err(error) => (Format::Json, Err(error)),
    };
    let request_id = call.request_id();
    let request_id = (
        "RequestId".into(),
        Node::text(request_id.as_str().to_owned()),
    );
    let (fields, outcome, key) = match reply {
        Ok(mut reply) => {
            reply.fields.push(request_id);
            (reply.fields, Ok(()), reply.key)
        }
        Err(error) => {
            let made = error.made();
            (error_fields(&error, request_id), Err(error), made)
        }
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

fn error_fields(error: &Error, request_id: (Cow<'static, str>, Node)) -> Fields {
    let mut fields = named([
        ("HttpStatus", Node::number(error.status().http().into())),
        ("Code", Node::text(error.status().code())),
        ("Message", Node::text(error.message().to_owned())),
    ]);
    fields.push(request_id);
    fields
}

/// What the API's error table says of an action that is not there.
fn unsupported(name: &str) -> Error {
    Error::with(
        Status::UnsupportedOperation,
        format!(
            "This action is not supported: \"{}\".",
            name.chars().take(64).collect::<String>()
        ),
    )
}
