//! The EncryptionContext against a model: what is taken, and its canonical bytes.
#![no_main]

use std::fmt;

use kmsbox::context::{Context, json_from_pairs};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use serde_json::de::{Deserializer, StrRead};

fuzz_target!(|bytes: &[u8]| {
    let wanted = model(bytes);
    let got = Context::parse_bytes(bytes);
    match (&wanted, &got) {
        (Some(pairs), Ok(context)) => {
            assert_eq!(canonical(pairs), context.canonical());
            let told: Vec<_> = context.pairs().collect();
            assert!(
                told.iter()
                    .copied()
                    .eq(pairs.iter().map(|(key, value)| (&**key, &**value)))
            );
            // Written as JSON it is the same context.
            let json = json_from_pairs(told.iter().copied()).expect("the context was taken");
            assert_eq!(shortest(pairs), json);
            assert!(Context::parse(&json).expect("what is written can be read") == *context);
        }
        (None, Err(error)) => assert_eq!(error.status().name(), "INVALID_PARAMETER"),
        (Some(_), Err(error)) => panic!("refused: {error}"),
        (None, Ok(_)) => panic!("taken"),
    }
});

/// The pairs in the order of their keys, if docs/blob-format.md says that the context is one. JSON itself is
/// read by the same crate as in the library.
fn model(bytes: &[u8]) -> Option<Vec<(String, String)>> {
    let text = std::str::from_utf8(bytes).ok()?;
    if text.len() > 64 * 1024 {
        return None;
    }
    if text.is_empty() {
        return Some(Vec::new());
    }
    let mut pairs = Vec::new();
    for (key, value) in members(text)? {
        pairs.push((key, value.as_str()?.to_owned()));
    }
    pairs.sort_by(|a, b| a.0.as_bytes().cmp(b.0.as_bytes()));
    let twice = pairs.windows(2).any(|two| two[0].0 == two[1].0);
    let nul = pairs
        .iter()
        .any(|(key, value)| key.contains('\0') || value.contains('\0'));
    let long = shortest(&pairs).chars().count() > 8192;
    (!twice && !nul && !long).then_some(pairs)
}

/// The members of the one object that the text is, as they stand.
fn members(text: &str) -> Option<Vec<(String, Value)>> {
    struct Members;
    impl<'de> serde::de::Visitor<'de> for Members {
        type Value = Vec<(String, Value)>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("an object")
        }

        fn visit_map<A: serde::de::MapAccess<'de>>(
            self,
            mut map: A,
        ) -> Result<Self::Value, A::Error> {
            let mut members = Vec::new();
            while let Some(member) = map.next_entry()? {
                members.push(member);
            }
            Ok(members)
        }
    }
    let mut reader = Deserializer::new(StrRead::new(text));
    let members = serde::Deserializer::deserialize_map(&mut reader, Members).ok()?;
    reader.end().ok()?;
    Some(members)
}

fn shortest(pairs: &[(String, String)]) -> String {
    let member = |(key, value): &(String, String)| {
        format!("{}:{}", Value::from(&**key), Value::from(&**value))
    };
    format!(
        "{{{}}}",
        pairs.iter().map(member).collect::<Vec<_>>().join(",")
    )
}

fn canonical(pairs: &[(String, String)]) -> Vec<u8> {
    let length = |length: usize| u32::try_from(length).unwrap().to_be_bytes();
    let mut bytes = length(pairs.len()).to_vec();
    for text in pairs.iter().flat_map(|(key, value)| [key, value]) {
        bytes.extend(length(text.len()));
        bytes.extend(text.as_bytes());
    }
    bytes
}
