//! How CMKs are named on the command line, and what blobs are bound to.
#![forbid(unsafe_code)]

use clap::Args;
use kmsbox::context::{Context, json_from_pairs};
use kmsbox::error::Error;
use kmsbox::keystore::state::Key;
use kmsbox::kms::Kms;
use kmsbox::request_id::Call;

use crate::failure::{Failure, Result};

/// The CMK that a command is about.
#[derive(Args)]
pub struct KeyArg {
    /// The CMK: its id, its ARN, or alias/NAME
    #[arg(value_name = "KEY")]
    pub key: String,
}

/// Finds a CMK. Commands take aliases also where the API wants an id; from here on the id is used,
/// so that an alias that moves meanwhile changes nothing.
pub fn find(kms: &Kms, name: &str) -> Result<Key> {
    Ok(kms.describe_key(&Call::default(), name)?)
}

/// The encryption context.
#[derive(Args)]
pub struct ContextArgs {
    /// A pair of the encryption context; may be repeated
    #[arg(short = 'c', long = "context", value_name = "NAME=VALUE")]
    pairs: Vec<String>,

    /// The whole encryption context as a JSON object of strings
    #[arg(long, value_name = "JSON", conflicts_with = "pairs")]
    context_json: Option<String>,
}

impl ContextArgs {
    /// The context; empty where none is given.
    pub fn context(&self) -> Result<Context> {
        context(&self.pairs, self.context_json.as_deref())
    }
}

/// The context of pairs, or of JSON.
pub fn context(pairs: &[String], json: Option<&str>) -> Result<Context> {
    if let Some(json) = json {
        return Ok(Context::parse(json)?);
    }
    let pairs: Vec<_> = pairs
        .iter()
        .map(|pair| split(pair, "--context"))
        .collect::<Result<_>>()?;
    Ok(Context::parse(&json_from_pairs(pairs.iter().copied())?)?)
}

/// `NAME=VALUE`, taken apart at the first sign.
pub fn split<'a>(pair: &'a str, option: &str) -> Result<(&'a str, &'a str)> {
    pair.split_once('=').ok_or_else(|| {
        Failure::Usage(format!(
            "{option} wants NAME=VALUE, and \"{}\" has no \"=\".",
            crate::table::printable(pair)
        ))
    })
}

/// Refuses what cannot be an alias, before anything is made that it would stand for. The service has
/// the last word.
pub fn check_alias(alias: &str) -> Result<()> {
    let name = alias.strip_prefix("alias/").unwrap_or_default();
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-/".contains(&byte);
    let reserved = alias.starts_with("alias/acs");
    if (1..=255).contains(&name.len()) && name.bytes().all(allowed) && !reserved {
        return Ok(());
    }
    Err(Error::invalid_parameter(
        "AliasName",
        "It is alias/NAME, where NAME has 1 to 255 letters, digits, \"_\", \"-\" and \"/\" and does \
         not begin with \"acs\".",
    )
    .into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_and_json_are_one_context() {
        let pairs = ["b=2=3".to_owned(), "a=1".to_owned()];
        let from_pairs = context(&pairs, None).unwrap();
        let from_json = context(&[], Some(r#"{"a":"1","b":"2=3"}"#)).unwrap();
        assert_eq!(from_pairs.canonical(), from_json.canonical());
        assert!(matches!(
            context(&["a".to_owned()], None),
            Err(Failure::Usage(_))
        ));
        assert!(context(&["a=1".to_owned(), "a=2".to_owned()], None).is_err());
        assert_eq!(
            context(&[], None).unwrap().canonical(),
            Context::empty().canonical()
        );
    }

    #[test]
    fn aliases_have_a_form() {
        assert!(check_alias("alias/Orders_2-x/y").is_ok());
        for wrong in ["orders", "alias/", "alias/a b", "alias/acs/x", "alias/é"] {
            assert!(check_alias(wrong).is_err(), "{wrong}");
        }
    }
}
