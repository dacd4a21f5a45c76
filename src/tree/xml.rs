//! An answer as XML.
#![forbid(unsafe_code)]

use super::{Node, Sink};

/// Writes an element; a list becomes one element of this name for each item.
pub(super) fn write(name: &str, node: &Node, out: &mut dyn Sink) {
    if let Node::List(items) = node {
        for item in items {
            write(name, item, out);
        }
        return;
    }
    tag("<", name, out);
    match node {
        Node::Text(text) => escaped(text, out),
        Node::Secret(text) => escaped(text, out),
        Node::Number(number) => out.put(number.to_string().as_bytes()),
        Node::Bool(value) => out.put(if *value { b"true" } else { b"false" }),
        Node::Object(fields) => {
            for (name, value) in fields {
                write(name, value, out);
            }
        }
        Node::List(_) => {}
    }
    tag("</", name, out);
}

/// Whether this UTF-8 comes back from XML as it was.
pub(crate) fn carries(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| !text.chars().any(has_no_place))
}

/// Characters that XML 1.0 cannot write, not even escaped.
fn has_no_place(character: char) -> bool {
    matches!(character, '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}')
        && !matches!(character, '\t' | '\n' | '\r')
}

fn tag(start: &str, name: &str, out: &mut dyn Sink) {
    for part in [start, name, ">"] {
        out.put(part.as_bytes());
    }
}

/// Carriage returns would be read as line feeds; what has no place in XML becomes U+FFFD.
fn escaped(text: &str, out: &mut dyn Sink) {
    let mut buffer = [0; 4];
    for character in text.chars() {
        out.put(match character {
            '&' => b"&amp;",
            '<' => b"&lt;",
            '>' => b"&gt;",
            '\r' => b"&#13;",
            other if has_no_place(other) => "\u{fffd}".as_bytes(),
            _ => character.encode_utf8(&mut buffer).as_bytes(),
        });
    }
}

#[cfg(test)]
mod tests {
    use crate::tree::{Node, object};

    #[test]
    fn every_kind_of_node() {
        let node = object([
            ("Text", Node::text("a<b>&\"\r\n\u{1}é")),
            ("Secret", Node::secret_base64(&[255, 254]).unwrap()),
            ("Number", Node::number(7)),
            (
                "Keys",
                object([(
                    "Key",
                    Node::List(vec![
                        object([("KeyId", Node::text("1"))]),
                        object([("KeyId", Node::text("2"))]),
                    ]),
                )]),
            ),
            ("None", object([("Key", Node::List(vec![]))])),
        ]);
        assert_eq!(
            String::from_utf8(node.to_xml().unwrap().as_bytes().to_vec()).unwrap(),
            "<KMS><Text>a&lt;b&gt;&amp;\"&#13;\n\u{fffd}é</Text><Secret>//4=</Secret>\
             <Number>7</Number><Keys><Key><KeyId>1</KeyId></Key><Key><KeyId>2</KeyId></Key></Keys>\
             <None></None></KMS>"
        );
    }
}
