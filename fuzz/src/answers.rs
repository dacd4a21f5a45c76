//! Requests asked, and what must hold for every answer.

use kmsbox::document::{Answer, perform};
use kmsbox::error::Status;
use kmsbox::kms::Kms;
use kmsbox::request_id::Call;
use serde_json::{Map, Value};

/// Why a request was refused.
pub type Refused = Status;

/// Asks for an action with these parameters, in JSON.
pub fn ask(kms: &Kms, action: &str, parameters: &[(&str, &str)]) -> Result<Value, Refused> {
    let mut request = format!("Action={action}");
    for (name, value) in parameters {
        request.push_str(&format!("&{name}={}", escaped(value)));
    }
    judge(&perform(kms, &Call::default(), request.as_bytes()))
}

/// Form-encoded, all but letters and digits.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        match byte {
            b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => escaped.push(byte.into()),
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

/// Reads an answer, which must be one: a document that says how it ended, and no fault of the library's.
pub fn judge(answer: &Answer) -> Result<Value, Refused> {
    let text = std::str::from_utf8(document(answer)).expect("documents are UTF-8");
    // A request that cannot be taken apart is refused in JSON, whatever it asks for.
    let mut document = match text.starts_with('<') {
        false => serde_json::from_str(text).expect("documents are JSON"),
        true => {
            let document = roxmltree::Document::parse(text).expect("documents are XML");
            assert!(document.root_element().has_tag_name("KMS"), "{text}");
            from_xml(document.root_element())
        }
    };
    let fields: &mut Map<String, Value> = document.as_object_mut().expect("documents are objects");
    let request_id = fields
        .remove("RequestId")
        .expect("documents have a RequestId");
    assert_eq!(request_id.as_str().map(str::len), Some(36));
    match &answer.outcome {
        Ok(()) => Ok(document),
        Err(error) => {
            assert_ne!(error.status(), Status::Internal, "{error}");
            assert_eq!(document["Code"], error.status().code());
            assert_eq!(document["Message"], error.message());
            Err(error.status())
        }
    }
}

/// A document is missing only where memory is, and that is no input's doing.
fn document(answer: &Answer) -> &[u8] {
    let document = answer.document.as_ref();
    document.expect("there is a document").as_bytes()
}

/// Elements as fields; a name that is there more than once is a list.
fn from_xml(node: roxmltree::Node<'_, '_>) -> Value {
    let mut fields = Map::new();
    for child in node.children().filter(roxmltree::Node::is_element) {
        let value = from_xml(child);
        match fields.get_mut(child.tag_name().name()) {
            None => {
                fields.insert(child.tag_name().name().to_owned(), value);
            }
            Some(Value::Array(list)) => list.push(value),
            Some(one) => *one = Value::Array(vec![one.take(), value]),
        }
    }
    match fields.is_empty() {
        true => node.text().unwrap_or_default().into(),
        false => Value::Object(fields),
    }
}

/// Everything that a client can be told of its keystore.
pub fn whole(kms: &Kms) -> Vec<Value> {
    let mut told = Vec::new();
    let keys = all_pages(kms, "ListKeys", &[], &["Keys", "Key"]);
    for key in &keys {
        let id = key["KeyId"].as_str().expect("a CMK has an id");
        told.push(
            ask(kms, "DescribeKey", &[("KeyId", id)]).expect("a CMK that is listed is there"),
        );
        told.push(ask(kms, "ListResourceTags", &[("KeyId", id)]).expect("it has tags, or none"));
        told.extend(all_pages(
            kms,
            "ListKeyVersions",
            &[("KeyId", id)],
            &["KeyVersions", "KeyVersion"],
        ));
        told.extend(all_pages(
            kms,
            "ListAliasesByKeyId",
            &[("KeyId", id)],
            &["Aliases", "Alias"],
        ));
    }
    told.extend(all_pages(kms, "ListAliases", &[], &["Aliases", "Alias"]));
    told
}

fn all_pages(
    kms: &Kms,
    action: &str,
    parameters: &[(&str, &str)],
    place: &[&str; 2],
) -> Vec<Value> {
    let mut items = Vec::new();
    for page in 1.. {
        let page = page.to_string();
        let more = [
            parameters,
            &[("PageNumber", &page[..]), ("PageSize", "100")],
        ]
        .concat();
        let answer = ask(kms, action, &more).expect("a list is given");
        let of_page = answer[place[0]][place[1]]
            .as_array()
            .expect("a list is a list");
        items.extend(of_page.iter().cloned());
        if of_page.len() < 100 {
            assert_eq!(answer["TotalCount"], items.len());
            break;
        }
    }
    items
}
