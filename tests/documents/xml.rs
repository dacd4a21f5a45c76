//! The same answers as XML.

use std::process::Command;

use serde_json::Value;

use crate::client::{Client, form};
use crate::support::{Need, need, run_ok, scratch_dir};

/// An element: its name, and its text or its elements.
#[derive(Debug)]
struct Element {
    name: String,
    text: String,
    inside: Vec<Element>,
}

impl Element {
    /// Reads a document of elements and text, which is all that the API's XML has.
    fn read(document: &str) -> Element {
        let (element, rest) = Element::next(document);
        assert_eq!(rest, "", "one root");
        element
    }

    fn next(text: &str) -> (Element, &str) {
        let (name, mut rest) = text.strip_prefix('<').unwrap().split_once('>').unwrap();
        assert!(
            name.bytes().all(|byte| byte.is_ascii_alphanumeric()),
            "{name}"
        );
        let end = format!("</{name}>");
        let mut element = Element {
            name: name.to_owned(),
            text: String::new(),
            inside: Vec::new(),
        };
        loop {
            if let Some(rest) = rest.strip_prefix(end.as_str()) {
                return (element, rest);
            }
            if rest.starts_with('<') {
                let (inside, after) = Element::next(rest);
                element.inside.push(inside);
                rest = after;
            } else {
                let (text, _) = rest.split_once('<').unwrap();
                assert!(!text.contains('>'));
                element.text = unescape(text);
                rest = &rest[text.len()..];
            }
        }
    }

    /// Whether it says what a JSON value says.
    fn says(&self, value: &Value) -> bool {
        match value {
            Value::Object(object) => {
                let expected: usize = object
                    .values()
                    .map(|value| value.as_array().map_or(1, Vec::len))
                    .sum();
                self.text.is_empty()
                    && self.inside.len() == expected
                    && object.iter().all(|(name, value)| {
                        let named: Vec<_> = self
                            .inside
                            .iter()
                            .filter(|element| element.name == *name)
                            .collect();
                        match value {
                            Value::Array(items) => {
                                named.len() == items.len()
                                    && named
                                        .iter()
                                        .zip(items)
                                        .all(|(element, item)| element.says(item))
                            }
                            value => named.len() == 1 && named[0].says(value),
                        }
                    })
            }
            Value::String(text) => self.inside.is_empty() && self.text == *text,
            other => {
                let shown = other.to_string();
                self.inside.is_empty() && self.text == shown
            }
        }
    }
}

fn unescape(text: &str) -> String {
    for part in text.split('&').skip(1) {
        assert!(
            ["amp;", "lt;", "gt;", "#13;"]
                .iter()
                .any(|known| part.starts_with(known)),
            "{text}"
        );
    }
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&#13;", "\r")
        .replace("&amp;", "&")
}

/// Requests whose answers do not change from one call to the next, but for the RequestId; a refusal too.
fn requests(client: &Client) -> Vec<String> {
    let key_id = client.create_key();
    let described = client.done(&format!(
        "Action=CreateKey&Description={}",
        form("<a href=\"x\">'&amp;' ]]>\r\n\t\u{e9}\u{1f511}")
    ));
    let other = described["KeyMetadata"]["KeyId"].as_str().unwrap();
    let made = client.done(&format!("Action=GenerateDataKey&KeyId={key_id}"));
    let blob = form(made["CiphertextBlob"].as_str().unwrap());
    vec![
        format!("Action=DescribeKey&KeyId={key_id}"),
        format!("Action=DescribeKey&KeyId={other}"),
        "Action=ListKeys".to_owned(),
        "Action=ListKeys&PageSize=1".to_owned(),
        "Action=ListKeys&PageNumber=2".to_owned(),
        format!("Action=EnableKey&KeyId={key_id}"),
        format!("Action=DisableKey&KeyId={other}"),
        format!("Action=Decrypt&CiphertextBlob={blob}"),
        "Action=Fly".to_owned(),
        format!("Action={}", form("<&>\"'")),
        "Action=DescribeKey&KeyId=alias/none".to_owned(),
        "Action=DescribeKey".to_owned(),
    ]
}

#[test]
fn xml_says_what_json_says() {
    let client = Client::in_memory();
    for request in requests(&client) {
        let mut json = client.call(&request).json();
        for format in ["XML", "xml", "Xml"] {
            let answer = client.call(&format!("{request}&Format={format}"));
            let xml = Element::read(&answer.text);
            assert_eq!(xml.name, "KMS");
            json["RequestId"] = answer.request_id.into();
            assert!(xml.says(&json), "{}\n{json}", answer.text);
        }
    }
}

#[test]
fn what_is_made_has_the_same_form_in_xml() {
    let client = Client::in_memory();
    let key_id = client.create_key();
    let names = |request: &str| {
        let answer = client.call(request);
        answer.outcome.unwrap();
        let read = Element::read(&answer.text);
        let mut names: Vec<_> = read
            .inside
            .iter()
            .map(|element| element.name.clone())
            .collect();
        names.sort();
        names
    };
    for (request, expected) in [
        ("Action=CreateKey", &["KeyMetadata", "RequestId"][..]),
        (
            "Action=CreateKeyVersion&KeyId=KEY",
            &["KeyVersion", "RequestId"],
        ),
        (
            "Action=CreateAlias&KeyId=KEY&AliasName=alias/xml",
            &["RequestId"],
        ),
        (
            "Action=GenerateDataKey&KeyId=KEY",
            &[
                "CiphertextBlob",
                "KeyId",
                "KeyVersionId",
                "Plaintext",
                "RequestId",
            ],
        ),
        (
            "Action=GenerateDataKeyWithoutPlaintext&KeyId=KEY",
            &["CiphertextBlob", "KeyId", "KeyVersionId", "RequestId"],
        ),
    ] {
        let request = request.replace("KEY", &key_id);
        assert_eq!(names(&format!("{request}&Format=XML")), expected);
    }
}

/// A character that XML cannot hold does not break the document.
#[test]
fn what_xml_cannot_hold_is_replaced() {
    let client = Client::in_memory();
    let description = "a\u{1}\u{8}\u{b}\u{1f}\u{7f}\u{85}\u{fffe}\u{ffff}\u{fffd}\u{10ffff}z";
    let made = client.done(&format!(
        "Action=CreateKey&Description={}",
        form(description)
    ));
    assert_eq!(made["KeyMetadata"]["Description"], description);
    let key_id = made["KeyMetadata"]["KeyId"].as_str().unwrap();
    let xml = client
        .call(&format!("Action=DescribeKey&KeyId={key_id}&Format=XML"))
        .text;
    let r = '\u{fffd}';
    let expected = format!("a{r}{r}{r}{r}\u{7f}\u{85}{r}{r}{r}\u{10ffff}z");
    assert!(
        xml.contains(&format!("<Description>{expected}</Description>")),
        "{xml}"
    );
    well_formed(&xml);
}

#[test]
fn xmllint_reads_every_document() {
    let client = Client::in_memory();
    let documents: Vec<String> = (requests(&client).iter())
        .map(|request| client.call(&format!("{request}&Format=XML")).text)
        .collect();
    well_formed(&documents.join("\n"));
}

/// xmllint accepts each line that begins a document.
fn well_formed(documents: &str) {
    if !need(Need::XmlLint) {
        return;
    }
    let place = scratch_dir();
    let mut command = Command::new("xmllint");
    command.args(["--noout", "--nonet"]);
    for (number, document) in documents.split("\n<KMS>").enumerate() {
        let file = place.path().join(format!("{number}.xml"));
        let start = if number == 0 { "" } else { "<KMS>" };
        std::fs::write(&file, format!("{start}{document}")).unwrap();
        command.arg(file);
    }
    run_ok(&mut command);
}
