//! The EncryptionContext: given at wrapping, it must be given at unwrapping, in whatever spelling.

use kmsbox::error::Status;

use super::{ask, with_alias};
use crate::client::{Ask, Client};

fn wrap(client: &Client, key_id: &str, context: Option<&str>) -> Result<Vec<u8>, Status> {
    let ask = Ask {
        context,
        ..ask(key_id)
    };
    match client.generate(ask) {
        Ok(made) => Ok(made.blob),
        Err(refusal) => Err(refusal.status),
    }
}

/// Spellings of one context in a row; no two rows are the same.
const SAME: &[&[Option<&str>]] = &[
    &[None, Some(""), Some("{}"), Some(" {\n} \t")],
    &[
        Some(r#"{"a":"1","b":"2"}"#),
        Some(r#"{"b":"2","a":"1"}"#),
        Some("\n{ \"b\" : \"2\" ,\r\n\t\"a\":\"1\" }\n"),
        Some(r#"{"\u0061":"\u0031","b":"2"}"#),
    ],
    &[Some(r#"{"a":"1&b=2"}"#)],
    &[Some(r#"{"a":"1"}"#)],
    &[Some(r#"{"A":"1"}"#)],
    &[Some(r#"{"a":"1 "}"#)],
    &[Some(r#"{"a":""}"#)],
    &[Some(r#"{"":"a"}"#)],
    &[Some(r#"{"":""}"#)],
    &[Some(r#"{"ab":"c"}"#)],
    &[Some(r#"{"a":"bc"}"#)],
    // A letter with its accent and the two characters are not the same: nothing is normalised.
    &[
        Some("{\"a\":\"\u{e9}\"}"),
        Some(r#"{"a":"\u00e9"}"#),
        Some(r#"{"a":"\u00E9"}"#),
    ],
    &[Some("{\"a\":\"e\u{301}\"}")],
    &[
        Some("{\"a\":\"\u{1f511}\"}"),
        Some(r#"{"a":"\ud83d\udd11"}"#),
    ],
    &[
        Some(r#"{"a":"\n\t\"\\\/"}"#),
        Some(r#"{"a":"\u000a\u0009\u0022\u005c\u002f"}"#),
    ],
    // Sorted by UTF-8 bytes, which UTF-16 sorts the other way.
    &[
        Some("{\"\u{ff5e}\":\"1\",\"\u{10000}\":\"2\"}"),
        Some("{\"\u{10000}\":\"2\",\"\u{ff5e}\":\"1\"}"),
    ],
];

#[test]
fn a_context_opens_in_every_spelling_and_no_other_does() {
    let (client, key_id) = with_alias("alias/contexts");
    for (row, spellings) in SAME.iter().enumerate() {
        for wrapped_with in *spellings {
            let blob = wrap(&client, &key_id, *wrapped_with).unwrap();
            for (other, contexts) in SAME.iter().enumerate() {
                for context in *contexts {
                    let outcome = client.decrypt(None, &blob, *context);
                    if row == other {
                        outcome.unwrap();
                    } else {
                        let status = outcome.unwrap_err().status;
                        assert_eq!(status, Status::CiphertextInvalid, "{context:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn what_is_no_context() {
    let wrong = [
        " ",
        "null",
        "[]",
        "\"a\"",
        "1",
        "{",
        "}",
        "{}{}",
        "{},",
        r#"{"a"}"#,
        r#"{"a":1}"#,
        r#"{"a":null}"#,
        r#"{"a":true}"#,
        r#"{"a":["b"]}"#,
        r#"{"a":{"b":"c"}}"#,
        r#"{a:"b"}"#,
        r#"{'a':'b'}"#,
        r#"{"a":"b",}"#,
        r#"{"a":"b" "c":"d"}"#,
        r#"{"a":"b"} x"#,
        r#"{"a":"1","a":"1"}"#,
        r#"{"a":"1","\u0061":"2"}"#,
        r#"{"a":"\u0000"}"#,
        r#"{"\u0000":"a"}"#,
        r#"{"a":"\ud83d"}"#,
        r#"{"a":"\udd11\ud83d"}"#,
        r#"{"a":"\x"}"#,
        "{\"a\":\"\n\"}",
        "\u{feff}{}",
        "a=b",
    ];
    let (client, key_id) = with_alias("alias/refused");
    let blob = client.data_key(&key_id).blob;
    let deep = format!("{}{}", "{\"a\":".repeat(5000), "}".repeat(5000));
    for context in wrong.into_iter().chain([deep.as_str()]) {
        let ask = Ask {
            context: Some(context),
            ..ask(&key_id)
        };
        let refusals = [
            client.generate(ask).unwrap_err(),
            client.generate_without_plaintext(ask).unwrap_err(),
            client.decrypt(None, &blob, Some(context)).unwrap_err(),
        ];
        for refusal in refusals {
            assert_eq!(refusal.status, Status::InvalidParameter, "{context}");
            assert!(refusal.message.contains("\"EncryptionContext\""));
        }
    }
}

/// A context whose shortest JSON has so many characters.
fn of_length(characters: usize, with: char) -> String {
    let value: String = std::iter::repeat_n(with, characters - r#"{"k":""}"#.len()).collect();
    format!("{{\"k\":\"{value}\"}}")
}

#[test]
fn how_long_a_context_may_be() {
    let (client, key_id) = with_alias("alias/long");
    // Characters are counted, not bytes.
    for with in ['x', '\u{e9}', '\u{1f511}'] {
        let longest = of_length(8192, with);
        let blob = wrap(&client, &key_id, Some(&longest)).unwrap();
        client.decrypt(None, &blob, Some(&longest)).unwrap();
        // White space does not count.
        let spaced = format!(" {}\n", longest.replace(':', " :\t"));
        client.decrypt(None, &blob, Some(&spaced)).unwrap();

        let too_long = of_length(8193, with);
        let refused = wrap(&client, &key_id, Some(&too_long));
        assert_eq!(refused, Err(Status::InvalidParameter));
        let refusal = client.decrypt(None, &blob, Some(&too_long)).unwrap_err();
        assert_eq!(refusal.status, Status::InvalidParameter);
    }
    // Nor do escapes that JSON does not demand.
    let escaped = format!("{{\"k\":\"{}\"}}", "\\u0078".repeat(8184));
    let blob = wrap(&client, &key_id, Some(&escaped)).unwrap();
    client
        .decrypt(None, &blob, Some(&of_length(8192, 'x')))
        .unwrap();
    // Those that it does demand count.
    let quotes = format!("{{\"k\":\"{}\"}}", "\\\"".repeat(4092));
    wrap(&client, &key_id, Some(&quotes)).unwrap();
    let quotes = format!("{{\"k\":\"{}\"}}", "\\\"".repeat(4093));
    assert_eq!(
        wrap(&client, &key_id, Some(&quotes)),
        Err(Status::InvalidParameter)
    );
}

#[test]
fn a_text_over_64_kib_is_not_even_parsed() {
    let (client, key_id) = with_alias("alias/huge");
    let padded = |len: usize| format!("{{}}{}", " ".repeat(len - 2));
    assert!(wrap(&client, &key_id, Some(&padded(64 << 10))).is_ok());
    let refused = wrap(&client, &key_id, Some(&padded((64 << 10) + 1)));
    assert_eq!(refused, Err(Status::InvalidParameter));
}

/// No value of a context can reach a log through a message.
#[test]
fn messages_do_not_quote_the_context() {
    let (client, key_id) = with_alias("alias/quiet");
    let blob = client.data_key(&key_id).blob;
    for context in [
        r#"{"tenant-4711":1}"#,
        r#"{"a":"tenant-4711","a":""}"#,
        r#"{"a":"tenant-4711"#,
        r#"{"a":"tenant-4711"}"#,
    ] {
        let refusal = client.decrypt(None, &blob, Some(context)).unwrap_err();
        assert!(!refusal.message.contains("4711"), "{refusal:?}");
    }
}

#[test]
fn many_pairs() {
    let (client, key_id) = with_alias("alias/pairs");
    let pairs: Vec<String> = (0..600).map(|n| format!("\"k{n}\":\"v\"")).collect();
    let forward = format!("{{{}}}", pairs.join(","));
    let backward = {
        let pairs: Vec<_> = pairs.iter().rev().cloned().collect();
        format!("{{{}}}", pairs.join(","))
    };
    let blob = wrap(&client, &key_id, Some(&forward)).unwrap();
    client.decrypt(None, &blob, Some(&backward)).unwrap();
    let one_less = format!("{{{}}}", pairs[1..].join(","));
    assert!(client.decrypt(None, &blob, Some(&one_less)).is_err());
}
