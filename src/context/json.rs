//! JSON as a context uses it: an object of strings.

#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::error::Category;
use smallvec::SmallVec;

use super::Pairs;
use crate::error;

/// Reads the pairs as they stand. A lone surrogate is refused here: it is in no Rust string.
pub(super) fn parse(json: &str) -> Result<Pairs<'_>, &'static str> {
    match serde_json::from_str::<Object<'_>>(json) {
        Ok(Object(pairs)) => Ok(pairs),
        // serde_json's own message may quote the text.
        Err(error) => Err(match error.classify() {
            Category::Data => "It is not a JSON object whose values are all strings.",
            Category::Syntax | Category::Eof | Category::Io => "It is not valid JSON.",
        }),
    }
}

struct Object<'a>(Pairs<'a>);

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Object<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object of strings")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                // Not into a map: it would hide a key that is there twice.
                let mut pairs = SmallVec::new();
                while let Some((Text(key), Text(value))) = map.next_entry()? {
                    pairs.push((key, value));
                }
                Ok(Object(pairs))
            }
        }

        deserializer.deserialize_map(Reader)
    }
}

/// A string, borrowed from the JSON unless it has escapes.
struct Text<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Text<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }

        deserializer.deserialize_str(Reader)
    }
}

/// Writes the pairs' shortest JSON: no white space, and only the escapes that JSON demands.
pub(super) fn write<'a>(
    pairs: impl Iterator<Item = (&'a str, &'a str)> + Clone,
) -> error::Result<String> {
    let mut json = String::new();
    // A character has at most four bytes, or is written with six characters of one.
    json.try_reserve_exact(4 * shortest_len(pairs.clone()))?;
    json.push('{');
    for (key, value) in pairs {
        if json.len() > 1 {
            json.push(',');
        }
        write_text(&mut json, key);
        json.push(':');
        write_text(&mut json, value);
    }
    json.push('}');
    Ok(json)
}

fn write_text(json: &mut String, text: &str) {
    json.push('"');
    for character in text.chars() {
        match escape(character) {
            Escape::None => json.push(character),
            Escape::Short(letter) => json.extend(['\\', letter]),
            Escape::Number => json.push_str(&format!("\\u{:04x}", u32::from(character))),
        }
    }
    json.push('"');
}

/// How many characters [`write`] would write.
pub(super) fn shortest_len<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> usize {
    let of_pairs: usize = pairs
        .map(|(key, value)| {
            // Four quotation marks, the colon, and a comma or the closing brace.
            6 + text_len(key) + text_len(value)
        })
        .sum();
    // The opening brace; without a pair the closing one is still to be counted.
    1 + of_pairs.max(1)
}

fn text_len(text: &str) -> usize {
    let of = |character| match escape(character) {
        Escape::None => 1,
        Escape::Short(_) => 2,
        Escape::Number => 6,
    };
    text.chars().map(of).sum()
}

enum Escape {
    None,
    Short(char),
    Number,
}

fn escape(character: char) -> Escape {
    match character {
        '"' | '\\' => Escape::Short(character),
        '\u{8}' => Escape::Short('b'),
        '\t' => Escape::Short('t'),
        '\n' => Escape::Short('n'),
        '\u{c}' => Escape::Short('f'),
        '\r' => Escape::Short('r'),
        '\0'..='\u{1f}' => Escape::Number,
        _ => Escape::None,
    }
}
