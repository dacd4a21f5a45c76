//! The CiphertextBlob against the known answers, which another program made, and against damage.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use kmsbox::blob::{self, Content, Header};
use kmsbox::context::Context;
use kmsbox::envelope::{Closing, WrappingKey};
use kmsbox::error::Status;

#[path = "support/hex.rs"]
mod hex;
#[path = "support/known_answers.rs"]
mod known_answers;

use known_answers::{Case, known_answers};

#[test]
fn sealing_gives_the_known_blobs() {
    let (known, key) = key();
    for case in &known.cases {
        for context in &case.contexts {
            let context = Context::parse(context).expect("an allowed context");
            let sealed = seal(&key, &known.header(case), case, &context);
            assert_eq!(sealed, case.blob, "{}", case.name);
        }
    }
}

#[test]
fn the_known_blobs_open() {
    let (known, key) = key();
    for case in &known.cases {
        for context in &case.contexts {
            let context = Context::parse(context).expect("an allowed context");
            let parsed = blob::parse(&case.blob).expect("a blob");
            assert_eq!(parsed.header, known.header(case), "{}", case.name);
            assert_eq!(*parsed.nonce, case.nonce, "{}", case.name);
            let opened = open(&key, &case.blob, &context);
            assert_eq!(opened.as_ref(), Some(&case.plaintext), "{}", case.name);
        }
    }
}

#[test]
fn a_known_blob_opens_under_no_other_context() {
    let (known, key) = key();
    let contexts: Vec<_> = known
        .cases
        .iter()
        .map(|case| Context::parse(&case.contexts[0]).expect("an allowed context"))
        .collect();
    for (case, its_own) in known.cases.iter().zip(&contexts) {
        for other in &contexts {
            let opened = open(&key, &case.blob, other).is_some();
            assert_eq!(opened, its_own == other, "{}", case.name);
        }
    }
}

#[test]
fn the_known_refusals_are_refused() {
    for context in known_answers().refused_contexts {
        let refused = Context::parse(&context).map(|_| ()).unwrap_err();
        assert_eq!(refused.status(), Status::InvalidParameter, "{context}");
    }
}

#[test]
fn no_bit_of_a_blob_can_be_flipped() {
    let (known, key) = key();
    for case in known.cases.iter().filter(|case| case.blob.len() < 200) {
        let context = Context::parse(&case.contexts[0]).expect("an allowed context");
        let mut blob = case.blob.clone();
        for bit in 0..8 * blob.len() {
            blob[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(open(&key, &blob, &context), None, "{} bit {bit}", case.name);
            blob[bit / 8] ^= 1 << (bit % 8);
        }
        assert!(open(&key, &blob, &context).is_some());
    }
}

#[test]
fn a_blob_cannot_be_cut_or_extended() {
    let (known, key) = key();
    for case in &known.cases {
        let context = Context::parse(&case.contexts[0]).expect("an allowed context");
        let mut cuts: Vec<_> = (0..case.blob.len()).map(|len| &case.blob[..len]).collect();
        cuts.extend((1..case.blob.len()).map(|start| &case.blob[start..]));
        for cut in cuts {
            assert_eq!(open(&key, cut, &context), None, "{}", case.name);
        }
        for more in [&[0][..], &[0; 16], &[0; 32], &[0xff; 200]] {
            let longer = [&case.blob, more].concat();
            assert_eq!(open(&key, &longer, &context), None, "{}", case.name);
        }
    }
}

#[test]
fn content_and_ids_are_bound() {
    let (known, key) = key();
    let case = &known.cases[0];
    let context = Context::parse(&case.contexts[0]).expect("an allowed context");
    let right = known.header(case);
    let others = [
        Header {
            content: Content::Text,
            ..right
        },
        Header {
            key_id: right.key_version_id,
            ..right
        },
        Header {
            key_version_id: right.key_id,
            ..right
        },
    ];
    for other in others {
        let mut blob = case.blob.clone();
        blob[..blob::HEADER_LEN].copy_from_slice(&other.bytes());
        assert_eq!(blob::parse(&blob).unwrap().header, other);
        assert_eq!(open(&key, &blob, &context), None);
    }
}

fn key() -> (known_answers::KnownAnswers, WrappingKey) {
    let known = known_answers();
    let key = WrappingKey::new(&known.key);
    (known, key)
}

/// The blob as docs/blob-format.md composes it.
fn seal(key: &WrappingKey, header: &Header, case: &Case, context: &Context) -> Vec<u8> {
    let header = header.bytes();
    let mut text = case.plaintext.clone();
    let closing = key.seal(&case.nonce, &context.aad(&header).unwrap(), &mut text);
    let blob = [
        &header[..],
        &case.nonce,
        &text,
        &closing.tag,
        &closing.commitment,
    ]
    .concat();
    assert_eq!(blob.len(), blob::len(text.len()));
    blob
}

fn open(key: &WrappingKey, blob: &[u8], context: &Context) -> Option<Vec<u8>> {
    let parsed = blob::parse(blob).ok()?;
    let closing = Closing {
        tag: *parsed.tag,
        commitment: *parsed.commitment,
    };
    let aad = context.aad(parsed.header_bytes).unwrap();
    let mut text = parsed.ciphertext.to_vec();
    match key.open(parsed.nonce, &aad, &mut text, &closing) {
        Ok(()) => Some(text),
        Err(_) => {
            assert!(text.iter().all(|byte| *byte == 0));
            None
        }
    }
}
