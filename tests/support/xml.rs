//! The XML that the service writes, read strictly: elements and text, nothing else. What it does not
//! understand fails the test.

#![allow(dead_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use serde_json::{Map, Value};

/// An answer's fields: an element with elements is an object, one with text a string, repeated ones an
/// array.
pub fn parse(text: &str) -> Value {
    let mut rest = text;
    let (name, value) = element(&mut rest);
    assert_eq!((name, rest), ("KMS", ""), "{text}");
    value
}

fn element<'a>(rest: &mut &'a str) -> (&'a str, Value) {
    let (name, after) = rest
        .strip_prefix('<')
        .and_then(|rest| rest.split_once('>'))
        .unwrap_or_else(|| panic!("no element: {rest}"));
    let plain = |byte: u8| byte.is_ascii_alphanumeric();
    assert!(!name.is_empty() && name.bytes().all(plain), "<{name}>");
    *rest = after;
    let mut fields = Map::new();
    while rest.starts_with('<') && !rest.starts_with("</") {
        let (name, value) = element(rest);
        match fields.get_mut(name) {
            None => {
                fields.insert(name.to_owned(), value);
            }
            Some(Value::Array(items)) => items.push(value),
            Some(one) => *one = Value::Array(vec![one.take(), value]),
        }
    }
    let (text, after) = rest.split_once("</").expect("the element is closed");
    *rest = after
        .strip_prefix(name)
        .and_then(|after| after.strip_prefix('>'))
        .unwrap_or_else(|| panic!("<{name}> is closed by {after}"));
    if fields.is_empty() {
        return (name, Value::String(unescape(text)));
    }
    assert_eq!(text, "", "text beside elements in <{name}>");
    (name, Value::Object(fields))
}

fn unescape(text: &str) -> String {
    let mut parts = text.split('&');
    let mut plain = parts.next().unwrap().to_owned();
    for part in parts {
        let (name, after) = part.split_once(';').expect("an entity ends");
        plain.push(match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "#13" => '\r',
            other => panic!("&{other};"),
        });
        plain.push_str(after);
    }
    plain
}
