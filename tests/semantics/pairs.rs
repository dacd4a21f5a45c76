//! `kms_encryption_context`: JSON from pairs, so that no caller quotes by hand.

use std::ffi::{CString, c_char};
use std::ptr;

use kmsbox::error::Status;
use kmsbox::ffi::context::kms_encryption_context;

use super::{ask, with_alias};
use crate::client::{Ask, text};

/// The JSON of these pairs.
fn json_of(pairs: &[(&str, &str)]) -> Result<String, Status> {
    let texts: Vec<CString> = pairs
        .iter()
        .flat_map(|(key, value)| [*key, *value])
        .map(|text| CString::new(text).unwrap())
        .collect();
    let pointers: Vec<*const c_char> = texts.iter().map(|text| text.as_ptr()).collect();
    let call = |json: *mut c_char, capacity: usize| {
        let mut len = usize::MAX;
        let status = c!(kms_encryption_context(
            pointers.as_ptr(),
            pairs.len(),
            json,
            capacity,
            &mut len
        ));
        (Status::from_number(status), len)
    };
    let (status, needed) = call(ptr::null_mut(), 0);
    if status != Some(Status::BufferTooSmall) {
        assert_eq!(needed, 0);
        return Err(status.unwrap());
    }
    let mut json = vec![0x55; needed];
    assert_eq!(
        call(json.as_mut_ptr(), needed - 1),
        (Some(Status::BufferTooSmall), needed)
    );
    assert_eq!(call(json.as_mut_ptr(), needed), (None, needed - 1));
    Ok(text(&json))
}

const PAIRS: &[&[(&str, &str)]] = &[
    &[],
    &[("table", "orders")],
    &[("", "")],
    &[("b", "2"), ("a", "1")],
    &[("quote \"", "back\\slash"), ("/", "slash/")],
    &[("control", "\u{1}\u{8}\t\n\u{b}\u{c}\r\u{1f}\u{7f}\u{80}")],
    &[("d\u{fc}", "\u{4f60}\u{597d} \u{1f511} \u{10ffff} \u{fffe}")],
    &[("\u{2028}", "\u{2029}"), ("<script>", "&amp;'")],
    &[("{\"a\":\"b\"}", "\",\"c\":\"d")],
];

#[test]
fn any_pairs_come_back() {
    for pairs in PAIRS {
        let json = json_of(pairs).unwrap();
        let read: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&json).unwrap();
        assert_eq!(read.len(), pairs.len());
        for (key, value) in *pairs {
            assert_eq!(read[*key], *value, "{json}");
        }
    }
}

#[test]
fn the_shortest_json_in_the_order_given() {
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[], "{}"),
        (&[("b", "2"), ("a", "1")], r#"{"b":"2","a":"1"}"#),
        (
            &[("\"\\/", "\u{8}\t\n\u{c}\r\u{1}\u{7f}\u{e9}")],
            "{\"\\\"\\\\/\":\"\\b\\t\\n\\f\\r\\u0001\u{7f}\u{e9}\"}",
        ),
    ];
    for (pairs, expected) in cases {
        assert_eq!(json_of(pairs).unwrap(), *expected);
    }
}

#[test]
fn a_key_wrapped_with_pairs_opens_with_them_in_any_order() {
    let (client, key_id) = with_alias("alias/pairs");
    for pairs in PAIRS {
        let made = client.generate(Ask {
            context: Some(&json_of(pairs).unwrap()),
            ..ask(&key_id)
        });
        let reversed: Vec<_> = pairs.iter().rev().copied().collect();
        let context = json_of(&reversed).unwrap();
        let blob = made.unwrap().blob;
        client.decrypt(None, &blob, Some(&context)).unwrap();
    }
}

#[test]
fn what_is_refused() {
    let longest = "x".repeat(8184);
    assert_eq!(json_of(&[("k", &longest)]).unwrap().len(), 8192);
    let too_long = "x".repeat(8185);
    let many: Vec<String> = (0..1500).map(|number| format!("{number}")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|key| (key.as_str(), "")).collect();
    let cases: &[&[(&str, &str)]] = &[
        &[("a", "1"), ("a", "1")],
        &[("a", "1"), ("b", ""), ("a", "2")],
        &[("", "1"), ("", "2")],
        &[("k", &too_long)],
        &[(&too_long, "v")],
        &many,
    ];
    for pairs in cases {
        let outcome = json_of(pairs).map(|json| json.len());
        assert_eq!(outcome, Err(Status::InvalidParameter));
    }
}
