//! An answer as JSON.
#![forbid(unsafe_code)]

use std::io::{self, Write};

use super::{Node, Sink};

pub(super) fn write(node: &Node, out: &mut dyn Sink) {
    match node {
        Node::Text(text) => string(text, out),
        Node::Secret(text) => string(text, out),
        Node::Number(number) => out.put(number.to_string().as_bytes()),
        Node::Bool(true) => out.put(b"true"),
        Node::Bool(false) => out.put(b"false"),
        Node::Object(fields) => {
            let mut before: &[u8] = b"{";
            for (name, value) in fields {
                out.put(before);
                string(name, out);
                out.put(b":");
                write(value, out);
                before = b",";
            }
            out.put(if fields.is_empty() { b"{}" } else { b"}" });
        }
        Node::List(items) => {
            let mut before: &[u8] = b"[";
            for item in items {
                out.put(before);
                write(item, out);
                before = b",";
            }
            out.put(if items.is_empty() { b"[]" } else { b"]" });
        }
    }
}

fn string(text: &str, out: &mut dyn Sink) {
    struct Writer<'a>(&'a mut dyn Sink);
    impl Write for Writer<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.put(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    // Neither text nor this writer can fail.
    let _ = serde_json::to_writer(Writer(out), text);
}

#[cfg(test)]
mod tests {
    use crate::tree::{Node, object};

    #[test]
    fn every_kind_of_node() {
        let node = object([
            ("Text", Node::text("a\"b\\\n\u{1}é")),
            ("Secret", Node::secret_base64(&[255, 254]).unwrap()),
            ("Number", Node::number(7)),
            ("Bool", Node::Bool(true)),
            ("Empty", object([])),
            ("None", Node::List(vec![])),
            ("List", Node::List(vec![Node::text("x"), Node::Bool(false)])),
        ]);
        assert_eq!(
            String::from_utf8(node.to_json().unwrap().as_bytes().to_vec()).unwrap(),
            "{\"Text\":\"a\\\"b\\\\\\n\\u0001é\",\"Secret\":\"//4=\",\"Number\":7,\"Bool\":true,\
             \"Empty\":{},\"None\":[],\"List\":[\"x\",false]}"
        );
    }
}
