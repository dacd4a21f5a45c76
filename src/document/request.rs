//! A request: form-encoded text, taken apart strictly.
#![forbid(unsafe_code)]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::allocation;
use crate::error::{Error, Result, Status};
use crate::kms::PageOf;

/// A larger request holds nothing that an action could accept. The header has it too.
const LARGEST: usize = 1 << 20;

/// Parameters that every action of the API takes. In process they mean nothing, so that text written
/// for the service can be used as it is.
const COMMON: &[&str] = &[
    "Action",
    "Format",
    "Version",
    "RegionId",
    "AccessKeyId",
    "SecurityToken",
    "Signature",
    "SignatureMethod",
    "SignatureType",
    "SignatureVersion",
    "SignatureNonce",
    "Timestamp",
];
/// No action knows nearly as many.
const MOST_PARAMETERS: usize = 64;
const API_VERSION: &str = "2016-01-20";

/// The form of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Xml,
}

/// Parameters by name. Values may be secrets; they are wiped when dropped.
pub(super) struct Request {
    parameters: Vec<(Zeroizing<String>, Zeroizing<String>)>,
}

impl Request {
    /// Takes the text apart: `name=value` joined by `&`, with `+` and `%XX`.
    pub(super) fn parse(text: &[u8]) -> Result<Self> {
        if text.len() > LARGEST {
            return Err(Error::invalid_parameter(
                "request",
                "It is longer than 1 MiB.",
            ));
        }
        let mut parameters = Vec::new();
        for part in text
            .split(|byte| *byte == b'&')
            .filter(|part| !part.is_empty())
        {
            let equals = part.iter().position(|byte| *byte == b'=');
            let (name, value) = part.split_at(equals.unwrap_or(part.len()));
            let name = decode(name)?.ok_or_else(|| {
                Error::invalid_parameter("request", "A name is not form-encoded.")
            })?;
            let value = decode(value.strip_prefix(b"=").unwrap_or(value))?.ok_or_else(|| {
                Error::invalid_parameter(
                    shown(&name),
                    "It is not form-encoded UTF-8, or holds a NUL.",
                )
            })?;
            if parameters.iter().any(|(known, _)| *known == name) {
                return Err(Error::invalid_parameter(shown(&name), "It is given twice."));
            }
            if parameters.len() == MOST_PARAMETERS {
                return Err(Error::invalid_parameter(
                    "request",
                    "It has more than 64 parameters.",
                ));
            }
            parameters.push((name, value));
        }
        Ok(Request { parameters })
    }

    /// The form that the answer shall have.
    pub(super) fn format(&self) -> Result<Format> {
        match self.optional("Format") {
            None => Ok(Format::Json),
            Some(name) if name.eq_ignore_ascii_case("JSON") => Ok(Format::Json),
            Some(name) if name.eq_ignore_ascii_case("XML") => Ok(Format::Xml),
            Some(_) => Err(Error::invalid_parameter(
                "Format",
                "It is neither JSON nor XML.",
            )),
        }
    }

    /// Refuses parameters that an action does not know: a misspelt one must not be passed over.
    pub(super) fn know_only(&self, parameters: &[&str]) -> Result<()> {
        if let Some(version) = self.optional("Version")
            && version != API_VERSION
        {
            return Err(Error::invalid_parameter("Version", "It is not 2016-01-20."));
        }
        for (name, _) in &self.parameters {
            if !COMMON.contains(&name.as_str()) && !parameters.contains(&name.as_str()) {
                return Err(Error::invalid_parameter(
                    shown(name),
                    "The action has no such parameter.",
                ));
            }
        }
        Ok(())
    }

    /// A parameter that may be absent; an empty one counts as absent.
    pub(super) fn optional(&self, name: &str) -> Option<&str> {
        self.given(name).filter(|value| !value.is_empty())
    }

    /// A parameter that must be there and not be empty.
    pub(super) fn required(&self, name: &str) -> Result<&str> {
        self.optional(name)
            .ok_or_else(|| Error::missing_parameter(name))
    }

    /// A whole number within a range.
    pub(super) fn number(&self, name: &str, least: u64, most: u64) -> Result<Option<u64>> {
        let Some(text) = self.optional(name) else {
            return Ok(None);
        };
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse() {
            Ok(number) if digits && (least..=most).contains(&number) => Ok(Some(number)),
            _ => Err(Error::invalid_parameter(
                name,
                &format!("It is not a whole number from {least} to {most}."),
            )),
        }
    }

    /// `true` or `false`.
    pub(super) fn boolean(&self, name: &str) -> Result<Option<bool>> {
        match self.optional(name) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(Error::invalid_parameter(
                name,
                "It is neither true nor false.",
            )),
        }
    }

    /// PageNumber from 1, PageSize from 1 to 100.
    pub(super) fn page(&self) -> Result<PageOf> {
        let number = self.number("PageNumber", 1, u32::MAX.into())?.unwrap_or(1);
        let size = self.number("PageSize", 1, 100)?.unwrap_or(10);
        let usize = |number| usize::try_from(number).unwrap_or(usize::MAX);
        Ok(PageOf {
            number: usize(number),
            size: usize(size),
        })
    }

    /// A parameter of which only some values are known; `other` says how the rest is refused.
    pub(super) fn one_of(
        &self,
        name: &str,
        values: &[&str],
        other: impl FnOnce(&str) -> Error,
    ) -> Result<()> {
        match self.optional(name) {
            Some(value) if !values.contains(&value) => Err(other(value)),
            _ => Ok(()),
        }
    }

    /// A required parameter in base64, of at most so many bytes. A longer one is refused by its length alone.
    pub(super) fn base64(&self, name: &str, longest: usize, status: Status) -> Result<Vec<u8>> {
        let text = self.required(name)?;
        let refuse = |why| {
            let text = Error::invalid_parameter(name, why);
            Error::with(status, text.message().to_owned())
        };
        if text.len() > longest.div_ceil(3) * 4 {
            return Err(refuse("It is too long."));
        }
        STANDARD
            .decode(text)
            .map_err(|_| refuse("It is not base64."))
    }

    /// A parameter as it was given, perhaps empty.
    pub(super) fn given(&self, name: &str) -> Option<&str> {
        self.parameters
            .iter()
            .find(|(known, _)| known.as_str() == name)
            .map(|(_, value)| value.as_str())
    }
}

/// Asks for the memory that the parser of a list of texts takes: a text in it has three characters at least,
/// and 24 bytes beside its own, in a list that grows by doubling.
pub(super) fn ask_for_texts(json: &str) -> Result<()> {
    allocation::ask(16 * json.len())
}

/// A name that may stand in an error. What does not look like one may be a piece of somebody's value,
/// cut off by a `&` that was not escaped.
pub(super) fn shown(name: &str) -> &str {
    let letters = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.';
    if name.len() <= 64 && name.bytes().all(letters) {
        name
    } else {
        "(not shown)"
    }
}

/// Decodes one name or value into memory that does not grow; `None` where it is malformed.
fn decode(text: &[u8]) -> Result<Option<Zeroizing<String>>> {
    let mut decoded = Zeroizing::new(allocation::room(text.len())?);
    if decode_into(text, &mut decoded).is_none()
        || std::str::from_utf8(&decoded).is_err()
        || decoded.contains(&0)
    {
        return Ok(None);
    }
    let decoded = String::from_utf8(std::mem::take(&mut *decoded));
    Ok(decoded.ok().map(Zeroizing::new))
}

fn decode_into(text: &[u8], decoded: &mut Vec<u8>) -> Option<()> {
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        decoded.push(match first {
            b'+' => b' ',
            b'%' => {
                let (high, after) = rest.split_first()?;
                let (low, after) = after.split_first()?;
                rest = after;
                digit(*high)? << 4 | digit(*low)?
            }
            other => *other,
        });
    }
    Some(())
}

fn digit(character: u8) -> Option<u8> {
    char::from(character)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plus_and_percent_are_decoded() {
        let request = Request::parse(b"A=x+y%2Bz%e4%bd%a0&&B=&C").unwrap();
        assert_eq!(request.optional("A"), Some("x y+z你"));
        assert_eq!(request.optional("B"), None);
        assert_eq!(request.optional("C"), None);
        assert_eq!(
            request.required("B").unwrap_err().message(),
            "The parameter \"B\" is needed but not provided."
        );
    }

    #[test]
    fn what_is_malformed_is_named() {
        for (text, named) in [
            (&b"KeyId=%"[..], "KeyId"),
            (b"KeyId=%4", "KeyId"),
            (b"KeyId=%zz", "KeyId"),
            (b"KeyId=%ff", "KeyId"),
            (b"KeyId=%00", "KeyId"),
            (b"KeyId=\xff", "KeyId"),
            (b"%ff=1", "request"),
            (b"KeyId=1&KeyId=1", "KeyId"),
            (b"KeyId=1&K%65yId=2", "KeyId"),
        ] {
            let error = Request::parse(text).err().unwrap();
            assert!(error.message().contains(named), "{}", error.message());
        }
        assert!(Request::parse(&vec![b'&'; LARGEST + 1]).is_err());
    }

    #[test]
    fn unknown_parameters_are_refused_and_common_ones_are_not() {
        let request = Request::parse(b"Action=X&RegionId=r&Version=2016-01-20&KeyId=1").unwrap();
        assert_eq!(request.know_only(&["KeyId"]), Ok(()));
        let error = request.know_only(&[]).unwrap_err();
        assert!(error.message().contains("KeyId"));
        let request = Request::parse(b"Version=2015-01-01").unwrap();
        assert!(request.know_only(&[]).is_err());
    }

    #[test]
    fn numbers_are_within_their_range() {
        let number = |text: &str| {
            Request::parse(format!("N={text}").as_bytes())
                .unwrap()
                .number("N", 1, 1024)
        };
        assert_eq!(number("1"), Ok(Some(1)));
        assert_eq!(number("1024"), Ok(Some(1024)));
        assert_eq!(number(""), Ok(None));
        for wrong in [
            "0",
            "1025",
            "-1",
            "%2B1",
            "1.0",
            "0x10",
            "x",
            "99999999999999999999999",
        ] {
            assert!(number(wrong).is_err(), "{wrong}");
        }
    }
}
