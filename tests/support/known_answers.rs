//! Reads tests/known_answers/blobs-v1.txt; the file says at its beginning how it is written.

// Each test program uses a part of it.
#![allow(dead_code)]

use kmsbox::blob::{Content, Header};

use crate::hex;

pub struct KnownAnswers {
    pub key: [u8; 32],
    pub key_id: [u8; 16],
    pub key_version_id: [u8; 16],
    pub cases: Vec<Case>,
    pub refused_contexts: Vec<String>,
}

pub struct Case {
    pub name: String,
    pub content: Content,
    pub nonce: [u8; 24],
    /// Spellings of one context.
    pub contexts: Vec<String>,
    pub plaintext: Vec<u8>,
    pub blob: Vec<u8>,
}

impl KnownAnswers {
    pub fn header(&self, case: &Case) -> Header {
        Header {
            content: case.content,
            key_id: self.key_id,
            key_version_id: self.key_version_id,
        }
    }
}

pub fn known_answers() -> KnownAnswers {
    let text = include_str!("../known_answers/blobs-v1.txt").replace("\n  ", "");
    let parts: Vec<Part<'_>> = text
        .split("\n\n")
        .map(Part::read)
        .filter(|part| !part.0.is_empty())
        .collect();
    let [under, cases @ .., refused] = &parts[..] else {
        panic!("parts are missing");
    };
    let id = |name| hex::array(&under.one(name).replace('-', ""));
    let known = KnownAnswers {
        key: hex::array(under.one("key")),
        key_id: id("key id"),
        key_version_id: id("key version id"),
        cases: cases.iter().map(Case::read).collect(),
        refused_contexts: refused.all("refused context"),
    };
    assert!(!known.cases.is_empty());
    known
}

impl Case {
    fn read(part: &Part<'_>) -> Self {
        Case {
            name: part.one("case").to_owned(),
            content: match part.one("content") {
                "bytes" => Content::Bytes,
                "text" => Content::Text,
                other => panic!("content {other}"),
            },
            nonce: hex::array(part.one("nonce")),
            contexts: part.all("context"),
            plaintext: match part.one("plaintext").strip_prefix("counting ") {
                Some(count) => (0..=250).cycle().take(count.parse().unwrap()).collect(),
                None => hex::decode(part.one("plaintext")),
            },
            blob: hex::decode(part.one("blob")),
        }
    }
}

/// Field and value, in the file's order.
struct Part<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Part<'a> {
    fn read(text: &'a str) -> Self {
        let lines = text.lines();
        let fields = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        let split = fields.map(|line| line.split_once(':').expect("a colon"));
        Part(
            split
                .map(|(name, value)| (name, value.strip_prefix(' ').unwrap_or(value)))
                .collect(),
        )
    }

    fn all(&self, wanted: &str) -> Vec<String> {
        let values: Vec<_> = (self.0.iter())
            .filter(|(name, _)| *name == wanted)
            .map(|(_, value)| (*value).to_owned())
            .collect();
        assert!(!values.is_empty(), "no {wanted}");
        values
    }

    fn one(&self, wanted: &str) -> &'a str {
        let mut values = self.0.iter().filter(|(name, _)| *name == wanted);
        match (values.next(), values.next()) {
            (Some((_, value)), None) => value,
            _ => panic!("not one {wanted}"),
        }
    }
}
