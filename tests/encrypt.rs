//! What callers bring themselves: text that comes back exactly, keys that an engine made, blobs wrapped
//! anew. Through the documents and the C functions.
#![allow(unsafe_code, reason = "calls the C functions")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/client.rs"]
#[macro_use]
mod client;
#[path = "support/service.rs"]
mod service;
mod support;

#[path = "encrypt/calls.rs"]
mod calls;
#[path = "encrypt/many_blobs.rs"]
mod many_blobs;
#[path = "encrypt/many_keys.rs"]
mod many_keys;

use std::ptr;

use calls::{Encrypt, ReEncrypt};
use client::Client;
use kmsbox::error::Status;
use kmsbox::ffi::types::{KMS_CONTENT_BYTES, KMS_CONTENT_TEXT};
use serde_json::Value;
use service::{encode, from_base64};

/// Texts and whether XML can carry them.
const TEXTS: &[(&str, bool)] = &[
    ("root", true),
    ("123456", true),
    ("plaintext", true),
    ("cm9vdA==", true),
    ("cm9vdA", true),
    (" leading and trailing ", true),
    ("+%&=;#", true),
    ("<a href=\"x\">&amp;</a>", true),
    ("]]>", true),
    ("你好 \u{1F511} é e\u{301} \u{7f} \u{85} \u{2028}", true),
    ("tab\tline\nreturn\r\n\r", true),
    ("\u{1}\u{8}\u{b}\u{1b}\u{1f}", false),
    ("\u{fffe}", false),
    ("\u{ffff}", false),
    ("\u{fffd}\u{feff}", true),
];

#[test]
fn text_comes_back_as_it_was_given() {
    let client = Client::in_memory();
    let key = client.create_key();
    for (text, in_xml) in TEXTS {
        let request = format!("Action=Encrypt&KeyId={key}&Plaintext={}", encode(text));
        let blob = string(&client.done(&request), "CiphertextBlob");
        let decrypt = format!("Action=Decrypt&CiphertextBlob={}", encode(&blob));
        assert_eq!(string(&client.done(&decrypt), "Plaintext"), *text);

        let xml = client.call(&(decrypt + "&Format=XML"));
        match in_xml {
            true => assert_eq!(service::xml::parse(&xml.text)["Plaintext"], *text),
            false => {
                let refusal = xml.outcome.unwrap_err();
                assert_eq!(refusal.status, Status::InvalidParameter, "{text:?}");
                assert!(refusal.message.contains("JSON"), "{}", refusal.message);
            }
        }
        let unwrapped = client.decrypt(None, &from_base64(&blob), None).unwrap();
        assert_eq!(unwrapped.plaintext, text.as_bytes());
        assert_eq!(unwrapped.content, KMS_CONTENT_TEXT);
    }
}

#[test]
fn bytes_come_back_as_bytes_and_in_documents_as_base64() {
    let client = Client::in_memory();
    let key = client.create_key();
    for len in [1, 16, 32, 1024, 6144] {
        let bytes: Vec<u8> = (0..=255).cycle().take(len).collect();
        let blob = Encrypt::of(&client, &key, &bytes).call().unwrap();
        assert_eq!(blob.len(), len + 110);
        let unwrapped = client.decrypt(Some(&key), &blob, None).unwrap();
        assert_eq!(unwrapped.plaintext, bytes);
        assert_eq!(unwrapped.content, KMS_CONTENT_BYTES);
        let decrypt = format!("Action=Decrypt&CiphertextBlob={}", in_form(&blob));
        let plaintext = string(&client.done(&decrypt), "Plaintext");
        assert_eq!(from_base64(&plaintext), bytes);
    }
}

#[test]
fn encrypt_refuses_what_it_cannot_use() {
    let client = Client::in_memory();
    let key = client.create_key();
    let long = [7; 6145];
    type Change = for<'a> fn(&mut Encrypt<'a>);
    let table: &[(&str, Change, Status)] = &[
        (
            "no client",
            |call| call.client = ptr::null(),
            Status::InvalidArgument,
        ),
        (
            "no key id",
            |call| call.key_id = None,
            Status::MissingParameter,
        ),
        (
            "an empty key id",
            |call| call.key_id = Some(""),
            Status::MissingParameter,
        ),
        (
            "an unknown alias",
            |call| call.key_id = Some("alias/none"),
            Status::AliasNotFound,
        ),
        (
            "an unknown id",
            |call| call.key_id = Some("x"),
            Status::KeyNotFound,
        ),
        (
            "no plaintext",
            |call| call.plaintext = (ptr::null(), 32),
            Status::InvalidArgument,
        ),
        (
            "nothing",
            |call| call.plaintext = (ptr::null(), 0),
            Status::InvalidParameter,
        ),
        (
            "an empty plaintext",
            |call| call.plaintext.1 = 0,
            Status::InvalidParameter,
        ),
        (
            "a long plaintext",
            |call| call.plaintext.1 = 6145,
            Status::InvalidParameter,
        ),
        (
            "a wrong context",
            |call| call.context = Some("[]"),
            Status::InvalidParameter,
        ),
        (
            "no length",
            |call| call.no_len = true,
            Status::InvalidArgument,
        ),
        (
            "no buffer",
            |call| call.no_buffer = true,
            Status::InvalidArgument,
        ),
        (
            "too small",
            |call| call.capacity = 6144 + 110 - 1,
            Status::BufferTooSmall,
        ),
        (
            "one buffer for both",
            |call| call.in_place = true,
            Status::InvalidArgument,
        ),
    ];
    for (name, change, status) in table {
        let mut call = Encrypt::of(&client, &key, &long[..6144]);
        change(&mut call);
        assert_eq!(call.call().unwrap_err(), *status, "{name}");
    }
    // What is needed is told where the buffer is too small, and only there.
    let mut query = Encrypt::of(&client, &key, &long[..32]);
    query.capacity = 0;
    assert_eq!(query.call().unwrap_err(), Status::BufferTooSmall);
    assert_eq!(query.told, 142);
}

#[test]
fn wrapped_anew_under_another_version_key_and_context() {
    let client = Client::in_memory();
    let (key, other) = (client.create_key(), client.create_key());
    client.done(&format!(
        "Action=CreateAlias&KeyId={other}&AliasName=alias%2Fother"
    ));
    let text = format!("Action=Encrypt&KeyId={key}&Plaintext=root");
    let text = from_base64(&string(&client.done(&text), "CiphertextBlob"));
    let bytes = Encrypt::of(&client, &key, b"engine key").call().unwrap();
    let old = client.decrypt(None, &bytes, None).unwrap().key_version_id;
    client.done(&format!("Action=CreateKeyVersion&KeyId={key}"));
    for (destination, id) in [
        (key.as_str(), &key),
        (&other, &other),
        ("alias/other", &other),
    ] {
        for (blob, plaintext, content) in [(&text, &b"root"[..], 1), (&bytes, b"engine key", 0)] {
            for context in [None, Some("{\"table\":\"7\"}")] {
                let mut call = ReEncrypt::of(&client, blob, destination);
                call.context = context;
                call.expected = Some(&key);
                let new = call.call().unwrap();
                assert_eq!(new.len(), blob.len());
                assert_ne!(&new, blob);
                let unwrapped = client.decrypt(Some(id), &new, context).unwrap();
                assert_eq!(unwrapped.plaintext, plaintext);
                assert_eq!((unwrapped.content, &unwrapped.key_id), (content, id));
                assert_eq!(
                    call.key,
                    (unwrapped.key_id, unwrapped.key_version_id.clone())
                );
                assert_ne!(unwrapped.key_version_id, old);
                // And back, with the context that it has now.
                let mut back = ReEncrypt::of(&client, &new, &key);
                back.source_context = context;
                assert_eq!(
                    client
                        .decrypt(None, &back.call().unwrap(), None)
                        .unwrap()
                        .plaintext,
                    plaintext
                );
                back.source_context = Some("{\"table\":\"8\"}");
                assert_eq!(back.call().unwrap_err(), Status::CiphertextInvalid);
            }
        }
    }
    // As a document, the same.
    let request = format!(
        "Action=ReEncrypt&CiphertextBlob={}&DestinationKeyId={other}&DestinationEncryptionContext={}",
        in_form(&text),
        encode("{\"a\":\"b\"}")
    );
    let answer = client.done(&request);
    assert_eq!(answer["KeyId"], *other);
    let new = from_base64(&string(&answer, "CiphertextBlob"));
    assert_eq!(
        client
            .decrypt(None, &new, Some("{\"a\":\"b\"}"))
            .unwrap()
            .plaintext,
        b"root"
    );
}

#[test]
fn re_encrypt_refuses_what_it_cannot_use() {
    let client = Client::in_memory();
    let (key, disabled) = (client.create_key(), client.create_key());
    let blob = client.data_key(&key).blob;
    let under_disabled = client.data_key(&disabled).blob;
    client.done(&format!("Action=DisableKey&KeyId={disabled}"));
    type Change = for<'a> fn(&mut ReEncrypt<'a>);
    let table: &[(&str, Change, Status)] = &[
        (
            "no client",
            |call| call.client = ptr::null(),
            Status::InvalidArgument,
        ),
        (
            "no destination",
            |call| call.destination = None,
            Status::MissingParameter,
        ),
        (
            "an empty destination",
            |call| call.destination = Some(""),
            Status::MissingParameter,
        ),
        (
            "an empty expectation",
            |call| call.expected = Some(""),
            Status::MissingParameter,
        ),
        (
            "no blob",
            |call| call.blob.0 = ptr::null(),
            Status::InvalidArgument,
        ),
        ("nothing", |call| call.blob.1 = 0, Status::NotABlob),
        ("a short blob", |call| call.blob.1 = 110, Status::NotABlob),
        (
            "a cut blob",
            |call| call.blob.1 = 141,
            Status::CiphertextInvalid,
        ),
        (
            "an unknown destination",
            |call| call.destination = Some("alias/none"),
            Status::AliasNotFound,
        ),
        (
            "another expectation",
            |call| call.expected = Some("x"),
            Status::KeyMismatch,
        ),
        (
            "a wrong context",
            |call| call.context = Some("7"),
            Status::InvalidParameter,
        ),
        (
            "a wrong source context",
            |call| call.source_context = Some("7"),
            Status::InvalidParameter,
        ),
        (
            "another source context",
            |call| call.source_context = Some("{\"a\":\"\"}"),
            Status::CiphertextInvalid,
        ),
        (
            "no length",
            |call| call.no_len = true,
            Status::InvalidArgument,
        ),
        (
            "no buffer",
            |call| call.no_buffer = true,
            Status::InvalidArgument,
        ),
        (
            "too small",
            |call| call.capacity = 141,
            Status::BufferTooSmall,
        ),
        (
            "one buffer for both",
            |call| call.in_place = true,
            Status::InvalidArgument,
        ),
    ];
    for (name, change, status) in table {
        let mut call = ReEncrypt::of(&client, &blob, &key);
        change(&mut call);
        assert_eq!(call.call().unwrap_err(), *status, "{name}");
    }
    for (blob, destination) in [(&under_disabled, &key), (&blob, &disabled)] {
        let refused = ReEncrypt::of(&client, blob, destination).call();
        assert_eq!(refused.unwrap_err(), Status::Disabled);
    }
}

#[test]
fn each_function_needs_its_permissions() {
    let place = client::Place::new();
    let all = place.create();
    let key = all.create_key();
    let blob = all.data_key(&key).blob;
    let forbidden = Err(Status::NoPermission);
    for (permissions, encrypt, re_encrypt) in [
        ("Encrypt", Ok(()), forbidden),
        ("ReEncrypt", forbidden, Ok(())),
        ("ReEncryptFrom,ReEncryptTo", forbidden, Ok(())),
        ("ReEncryptFrom,Encrypt,Decrypt", Ok(()), forbidden),
        ("ReEncryptTo", forbidden, forbidden),
        ("GenerateDataKey,Decrypt", forbidden, forbidden),
    ] {
        let client = place.open_with(&[("permissions", permissions)]).unwrap();
        let done = Encrypt::of(&client, &key, b"x").call();
        assert_eq!(done.map(drop), encrypt, "{permissions}");
        let done = ReEncrypt::of(&client, &blob, &key).call();
        assert_eq!(done.map(drop), re_encrypt, "{permissions}");
    }
}

fn string(document: &Value, field: &str) -> String {
    document[field].as_str().unwrap().to_owned()
}

fn in_form(blob: &[u8]) -> String {
    use base64::Engine as _;
    encode(&base64::engine::general_purpose::STANDARD.encode(blob))
}
