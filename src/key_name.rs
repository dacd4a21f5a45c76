//! How a CMK is named: by id, by ARN, or by alias.
#![forbid(unsafe_code)]

use uuid::Uuid;

use crate::error::{Error, Result, Status};
pub use crate::key_use::KeyUse;

/// What every alias begins with.
pub const ALIAS_PREFIX: &str = "alias/";
const ARN_PREFIX: &str = "acs:";
const LOCAL_KEY: &str = "acs:kms:local:0:key/";
const LOCAL: &str = "acs:kms:local:0:";

/// A CMK's name, as a caller gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyName<'a> {
    /// An alias, with its prefix.
    Alias(&'a str),
    /// An id, given so or in an ARN.
    Id(Uuid),
    /// An ARN of another service, account or region.
    Foreign,
    /// Nothing that could be the id of a CMK here.
    Unknown,
}

impl<'a> KeyName<'a> {
    /// Understands a name; what cannot be a CMK here is simply not found later.
    pub fn parse(text: &'a str) -> Self {
        if text.starts_with(ALIAS_PREFIX) {
            return KeyName::Alias(text);
        }
        if let Some(id) = text.strip_prefix(LOCAL_KEY) {
            return parse_id(id).map_or(KeyName::Unknown, KeyName::Id);
        }
        if text.starts_with(ARN_PREFIX) {
            return KeyName::Foreign;
        }
        parse_id(text).map_or(KeyName::Unknown, KeyName::Id)
    }

    /// Refuses an alias, for the operations that take none.
    pub fn not_an_alias(self) -> Result<Self> {
        match self {
            KeyName::Alias(_) => Err(Error::new(Status::UnsupportedAlias)),
            name => Ok(name),
        }
    }

    /// The id, for the operations that take no alias.
    pub fn id(&self) -> Result<Uuid> {
        match self {
            KeyName::Id(id) => Ok(*id),
            KeyName::Alias(_) => Err(Error::new(Status::UnsupportedAlias)),
            KeyName::Foreign => Err(Error::new(Status::KeyNotFound)),
            KeyName::Unknown => Err(NO_NAME),
        }
    }
}

pub(crate) const NO_NAME: Error = Error::constant(
    Status::KeyNotFound,
    "The specified Key is not found: what was given is no CMK id, ARN or alias/NAME.",
);

/// An id: 36 characters, lower-case. No other spelling of a UUID will do.
pub fn parse_id(text: &str) -> Option<Uuid> {
    let id = Uuid::try_parse(text).ok()?;
    let same = *id.hyphenated().encode_lower(&mut Uuid::encode_buffer()) == *text;
    same.then_some(id)
}

/// The ARN of a CMK.
pub fn key_arn(key_id: Uuid) -> String {
    format!("{LOCAL_KEY}{key_id}")
}

/// The ARN of an alias.
pub fn alias_arn(alias: &str) -> String {
    format!("{LOCAL}{alias}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "1234abcd-12ab-34cd-56ef-1234567890ab";

    #[test]
    fn ids_arns_and_aliases_are_told_apart() {
        let id = parse_id(ID).unwrap();
        assert_eq!(KeyName::parse(ID), KeyName::Id(id));
        assert_eq!(KeyName::parse(&key_arn(id)), KeyName::Id(id));
        assert_eq!(KeyName::parse("alias/a/b"), KeyName::Alias("alias/a/b"));
        for foreign in [
            "acs:kms:cn-hangzhou:123456:key/1234abcd-12ab-34cd-56ef-1234567890ab",
            "acs:kms:local:0:alias/a",
        ] {
            assert_eq!(KeyName::parse(foreign), KeyName::Foreign);
        }
    }

    #[test]
    fn one_spelling_of_an_id() {
        for wrong in [
            "1234ABCD-12ab-34cd-56ef-1234567890ab",
            "1234abcd12ab34cd56ef1234567890ab",
            "{1234abcd-12ab-34cd-56ef-1234567890ab}",
            "urn:uuid:1234abcd-12ab-34cd-56ef-1234567890ab",
            "1234abcd-12ab-34cd-56ef-1234567890ab ",
            "key",
        ] {
            assert_eq!(KeyName::parse(wrong), KeyName::Unknown, "{wrong}");
        }
    }
}
