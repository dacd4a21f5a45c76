#![forbid(unsafe_code)]

use super::*;
use crate::error::Status;

fn canonical(json: &str) -> Vec<u8> {
    match Context::parse(json) {
        Ok(context) => context.canonical().to_vec(),
        Err(error) => panic!("{json}: {error:?}"),
    }
}

fn refusal(json: &str) -> String {
    match Context::parse(json) {
        Ok(_) => panic!("accepted: {json}"),
        Err(error) => {
            assert_eq!(error.status(), Status::InvalidParameter);
            assert!(error.message().contains("EncryptionContext"));
            error.message().to_owned()
        }
    }
}

#[test]
fn the_empty_context_has_several_spellings() {
    for json in ["", "{}", " {\n}\t"] {
        assert_eq!(canonical(json), [0; 4]);
    }
    assert!(Context::empty() == Context::parse("{}").unwrap());
    assert!(Context::parse_bytes(b"").unwrap() == Context::empty());
}

#[test]
fn pairs_are_sorted_and_carry_lengths() {
    let expected = b"\0\0\0\x02\0\0\0\x01a\0\0\0\x01x\0\0\0\x02aa\0\0\0\x00";
    assert_eq!(canonical(r#"{"a":"x","aa":""}"#), expected);
    assert_eq!(
        canonical("{ \"aa\" : \"\" ,\n\"\\u0061\":\"\\u0078\"}"),
        expected
    );
    assert_eq!(
        canonical(r#"{"":"v"}"#),
        b"\0\0\0\x01\0\0\0\0\0\0\0\x01v",
        "the empty key is allowed"
    );
    let context = Context::parse(r#"{"aa":"","a":"x"}"#).unwrap();
    assert!(context.pairs().eq([("a", "x"), ("aa", "")]));
}

#[test]
fn the_order_is_that_of_utf8_bytes_not_of_utf16_units() {
    let expected = "\0\0\0\x02\0\0\0\x03\u{e000}\0\0\0\x011\0\0\0\x04\u{10000}\0\0\0\x012";
    assert_eq!(
        canonical("{\"\u{10000}\":\"2\",\"\u{e000}\":\"1\"}"),
        expected.as_bytes()
    );
    assert_eq!(
        canonical(r#"{"\ud800\udc00":"2","\ue000":"1"}"#),
        expected.as_bytes()
    );
}

#[test]
fn contexts_that_look_alike_stay_apart() {
    let different = [
        r#"{}"#,
        r#"{"":""}"#,
        r#"{"a":"b"}"#,
        r#"{"a":"b","":""}"#,
        r#"{"ab":""}"#,
        r#"{"":"ab"}"#,
        r#"{"A":"b"}"#,
        r#"{"a":"1","b":"2"}"#,
        r#"{"a":"1&b=2"}"#,
        "{\"n\":\"\u{e9}\"}",
        "{\"n\":\"e\u{301}\"}",
    ];
    for (at, one) in different.iter().enumerate() {
        for other in &different[at + 1..] {
            assert_ne!(canonical(one), canonical(other), "{one} {other}");
        }
    }
}

#[test]
fn what_is_not_an_object_of_strings_is_refused() {
    let data = "not a JSON object";
    for json in [
        "null",
        "true",
        "1",
        "\"a\"",
        "[]",
        "[[\"a\",\"b\"]]",
        r#"{"a":1}"#,
        r#"{"a":null}"#,
        r#"{"a":true}"#,
        r#"{"a":{}}"#,
        r#"{"a":["b"]}"#,
        r#"{"a":"b","c":1.5}"#,
    ] {
        assert!(refusal(json).contains(data), "{json}");
    }
    let syntax = "not valid JSON";
    for json in [
        " ",
        "{",
        "}",
        "{}x",
        "{}{}",
        "a=b",
        "\u{feff}{}",
        "{'a':'b'}",
        r#"{"a":"b",}"#,
        r#"{"a" "b"}"#,
        r#"{a:"b"}"#,
        r#"{1:"b"}"#,
        r#"{"a":"b"#,
        r#"{"a":"\x41"}"#,
        "{\"a\":\"\n\"}",
        "{\"a\":\"\0\"}",
        r#"{"a":"b"} // c"#,
    ] {
        assert!(refusal(json).contains(syntax), "{json}");
    }
}

#[test]
fn surrogates_come_in_pairs() {
    for json in [
        r#"{"a":"\ud800"}"#,
        r#"{"a":"\udc00"}"#,
        r#"{"\ud800":"a"}"#,
        r#"{"a":"\udc00\ud800"}"#,
        r#"{"a":"\ud800x"}"#,
    ] {
        assert!(refusal(json).contains("not valid JSON"), "{json}");
    }
}

#[test]
fn a_key_twice_or_a_nul_is_found_after_unescaping() {
    for json in [
        r#"{"a":"1","a":"1"}"#,
        r#"{"a":"1","b":"2","\u0061":"3"}"#,
        r#"{"":"1","":"2"}"#,
    ] {
        assert!(refusal(json).contains("twice"), "{json}");
    }
    for json in [r#"{"a":"x\u0000"}"#, r#"{"\u0000":""}"#] {
        assert!(refusal(json).contains("NUL"), "{json}");
    }
}

#[test]
fn bytes_that_are_not_utf8_are_refused() {
    for bytes in [
        &b"{\"a\":\"\xff\"}"[..],
        b"{\"a\":\"\xed\xa0\x80\"}",
        b"\xff",
    ] {
        let error = Context::parse_bytes(bytes).err();
        assert!(error.is_some_and(|e| e.message().contains("UTF-8")));
    }
}

#[test]
fn the_limit_is_on_the_shortest_json() {
    let of = |n: usize, unit: &str| format!(r#"{{"k":"{}"}}"#, unit.repeat(n));
    // 9 characters stand around the value.
    for (unit, width) in [
        ("x", 1),
        ("\u{10000}", 1),
        (r"\u0061", 1),
        ("\u{7f}", 1),
        (r"\/", 1),
        (r"\n", 2),
        (r"\u000a", 2),
        ("\\\"", 2),
        (r"\u0001", 6),
    ] {
        let most = (MAX_CHARACTERS - 8) / width;
        assert!(Context::parse(&of(most, unit)).is_ok(), "{unit}");
        assert!(refusal(&of(most + 1, unit)).contains("8192"), "{unit}");
    }
    let spaced = format!("{{{}}}", " ".repeat(MAX_UNPARSED - 2));
    assert_eq!(canonical(&spaced), [0; 4]);
    assert!(refusal(&format!("{spaced} ")).contains("64 KiB"));
}

#[test]
fn nothing_of_the_context_reaches_a_message() {
    for json in [
        r#"{"hushkey":"hushvalue","hushkey":"hushvalue"}"#,
        r#"{"hushkey":"hushvalue\u0000"}"#,
        r#"{"hushkey":{"hushvalue":"hush"}}"#,
        r#"{"hushkey":"hushvalue" hush}"#,
        r#"["hushvalue"]"#,
        r#""hushvalue""#,
        r#"{"hushkey":"\ud800hush"}"#,
    ] {
        assert!(!refusal(json).contains("hush"), "{json}");
    }
}

#[test]
fn the_wrap_binds_label_header_and_context() {
    let context = Context::parse(r#"{"a":"b"}"#).unwrap();
    let expected = [b"kmsbox/wrap/v1\0", &[9; 38][..], context.canonical()].concat();
    assert_eq!(context.aad(&[9; 38]).unwrap()[..], expected);
}

#[test]
fn json_from_pairs_reads_back_and_keeps_the_order() {
    let pairs = [
        (
            "z",
            "quote \" backslash \\ slash / newline \n bell \u{7} delete \u{7f}",
        ),
        ("", "\u{e9}\u{10000}"),
        ("a", "\u{8}\t\u{c}\r\u{1f}"),
    ];
    let json = json_from_pairs(pairs.into_iter()).unwrap();
    assert_eq!(
        json,
        "{\"z\":\"quote \\\" backslash \\\\ slash / newline \\n bell \\u0007 delete \u{7f}\",\
         \"\":\"\u{e9}\u{10000}\",\"a\":\"\\b\\t\\f\\r\\u001f\"}"
    );
    let read: std::collections::BTreeMap<String, String> = serde_json::from_str(&json).unwrap();
    assert_eq!(read.len(), 3);
    for (key, value) in pairs {
        assert_eq!(read[key], value);
    }
    assert!(Context::parse(&json).is_ok());
    assert_eq!(json_from_pairs([].into_iter()).unwrap(), "{}");
}

#[test]
fn json_from_pairs_refuses_what_parse_refuses() {
    let why = |pairs: &[(&str, &str)]| {
        let error = json_from_pairs(pairs.iter().copied()).unwrap_err();
        assert_eq!(error.status(), Status::InvalidParameter);
        error.message().to_owned()
    };
    assert!(why(&[("a", "1"), ("b", "2"), ("a", "3")]).contains("twice"));
    assert!(why(&[("a", "\0")]).contains("NUL"));
    let fits = "x".repeat(MAX_CHARACTERS - 8);
    let longest = json_from_pairs([("k", fits.as_str())].into_iter()).unwrap();
    assert_eq!(longest.chars().count(), MAX_CHARACTERS);
    assert!(why(&[("kk", &fits)]).contains("8192"));
}

#[test]
fn the_counted_length_is_the_written_length() {
    let texts = [
        "",
        "a",
        "\"",
        "\\",
        "\u{1}",
        "\n",
        "\u{e9}",
        "\u{10000}",
        "\u{7f}",
        "a\u{1f}b",
    ];
    for key in texts {
        for value in texts {
            for pairs in [&[][..], &[(key, value)], &[(key, value), ("zz", key)]] {
                let written = json::write(pairs.iter().copied()).unwrap();
                let counted = json::shortest_len(pairs.iter().copied());
                assert_eq!(written.chars().count(), counted);
            }
        }
    }
}
