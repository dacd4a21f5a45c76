//! What is told, before it is written: answers, descriptions and audit lines, the same for JSON and XML.
#![forbid(unsafe_code)]

mod json;
pub(crate) mod xml;

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::allocation;
use crate::error::{Error, Result, Status};

/// A written document: made once in its exact size, wiped when dropped.
pub struct Text(Zeroizing<Vec<u8>>);

impl Text {
    /// The document without a NUL.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The fields of an object, in the order they are written.
pub type Fields = Vec<(Cow<'static, str>, Node)>;

/// A value of an answer.
pub enum Node {
    /// Text that is no secret.
    Text(Cow<'static, str>),
    /// Text that is one; wiped when dropped.
    Secret(Zeroizing<String>),
    /// A whole number.
    Number(u64),
    /// True or false.
    Bool(bool),
    /// Named values.
    Object(Fields),
    /// Values in a row. In XML the name of the field is repeated for each.
    List(Vec<Node>),
}

impl Node {
    /// Text that is no secret.
    pub fn text(text: impl Into<Cow<'static, str>>) -> Self {
        Node::Text(text.into())
    }

    /// An id.
    pub fn id(id: Uuid) -> Self {
        Node::Text(id.to_string().into())
    }

    /// A whole number.
    pub fn number(number: u64) -> Self {
        Node::Number(number)
    }

    /// How many of something.
    pub fn count(count: usize) -> Self {
        Node::Number(u64::try_from(count).unwrap_or(u64::MAX))
    }

    /// Bytes that are no secret, in base64.
    pub fn base64(bytes: &[u8]) -> Self {
        Node::Text(STANDARD.encode(bytes).into())
    }

    /// Bytes that are one, in base64, encoded into memory of the exact size.
    pub fn secret_base64(bytes: &[u8]) -> Result<Self> {
        let internal = || Error::new(Status::Internal);
        let len = bytes.len().div_ceil(3) * 4;
        let mut text = Zeroizing::new(vec![0; len]);
        let written = STANDARD
            .encode_slice(bytes, &mut text[..])
            .map_err(|_| internal())?;
        if written != len {
            return Err(internal());
        }
        String::from_utf8(std::mem::take(&mut *text))
            .map(|text| Node::Secret(Zeroizing::new(text)))
            .map_err(|_| internal())
    }

    /// Text that is a secret, copied once.
    pub fn secret_text(bytes: &[u8]) -> Result<Self> {
        std::str::from_utf8(bytes)
            .map(|text| Node::Secret(Zeroizing::new(text.to_owned())))
            .map_err(|_| Error::new(Status::CiphertextInvalid))
    }

    /// Written as JSON.
    pub fn to_json(&self) -> Result<Text> {
        write_exactly(|out| json::write(self, out))
    }

    /// Written as JSON and ended by a line feed.
    pub fn to_line(&self) -> Result<Text> {
        write_exactly(|out| {
            json::write(self, out);
            out.put(b"\n");
        })
    }

    /// Written as XML with the root element that the API documents.
    pub fn to_xml(&self) -> Result<Text> {
        write_exactly(|out| xml::write("KMS", self, out))
    }
}

/// An object of these fields.
pub fn object(fields: impl IntoIterator<Item = (&'static str, Node)>) -> Node {
    Node::Object(named(fields))
}

/// Fields of these names.
pub fn named(fields: impl IntoIterator<Item = (&'static str, Node)>) -> Fields {
    fields
        .into_iter()
        .map(|(name, node)| (Cow::Borrowed(name), node))
        .collect()
}

/// Where a document is written to.
pub(super) trait Sink {
    fn put(&mut self, bytes: &[u8]);
}

/// Counts first and then writes into memory of that size: a buffer that grows would leave copies of
/// secrets behind.
fn write_exactly(write: impl Fn(&mut dyn Sink)) -> Result<Text> {
    struct Counter(usize);
    impl Sink for Counter {
        fn put(&mut self, bytes: &[u8]) {
            self.0 += bytes.len();
        }
    }
    struct Exact(Zeroizing<Vec<u8>>);
    impl Sink for Exact {
        fn put(&mut self, bytes: &[u8]) {
            assert!(self.0.len() + bytes.len() <= self.0.capacity());
            self.0.extend_from_slice(bytes);
        }
    }
    let mut counter = Counter(0);
    write(&mut counter);
    let mut exact = Exact(Zeroizing::new(allocation::room(counter.0)?));
    write(&mut exact);
    Ok(Text(exact.0))
}
