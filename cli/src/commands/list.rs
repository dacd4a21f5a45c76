//! CMKs listed, and the filters of the list.
#![forbid(unsafe_code)]

use std::collections::HashMap;

use clap::Args;
use kmsbox::error::Status;
use kmsbox::keystore::state::{Key, KeyState, Origin};
use kmsbox::kms::{Filter, Kms};
use kmsbox::request_id::Call;
use serde_json::json;
use uuid::Uuid;

use super::keys::{ALL, about};
use crate::failure::{Failure, Result};
use crate::naming;
use crate::open::{Access, Global};
use crate::output;
use crate::table::{self, Table};

/// List the CMKs
#[derive(Args)]
#[command(after_help = "\
Filters: state=STATE,…    Enabled, Disabled, PendingDeletion, PendingImport
         origin=ORIGIN,…  Aliyun_KMS, EXTERNAL
         tag:NAME=VALUE
Where several are given, a CMK must pass each.

Examples:
  kmsbox list
  kmsbox list --filter state=Disabled,PendingDeletion
  kmsbox list --filter tag:team=billing --json")]
pub struct List {
    /// Only CMKs of which this holds; may be repeated
    #[arg(long = "filter", value_name = "WHAT=VALUE")]
    filters: Vec<String>,
}

impl List {
    pub fn run(self, global: &Global) -> Result<()> {
        let mut filters = Vec::new();
        let mut tags = Vec::new();
        for filter in &self.filters {
            match parse_filter(filter)? {
                Wanted::Filter(filter) => filters.push(filter),
                Wanted::Tag(name, value) => tags.push((name, value)),
            }
        }
        let kms = global.open(Access::Read)?;
        let mut keys = Vec::new();
        for id in kms.list_keys(&Call::default(), &filters, ALL)?.items {
            match kms.describe_key(&Call::default(), &id.to_string()) {
                Ok(key) => keys.push(key),
                // Its deletion window has just ended.
                Err(error) if error.status() == Status::KeyNotFound => {}
                Err(error) => return Err(error.into()),
            }
        }
        let has = |key: &Key, name, value| {
            key.tags
                .iter()
                .any(|tag| tag.key == name && tag.value == value)
        };
        keys.retain(|key| tags.iter().all(|(name, value)| has(key, *name, *value)));
        let aliases = aliases(&kms)?;
        let of = |key: &Key| aliases.get(&key.key_id).map_or(&[][..], Vec::as_slice);
        if global.json {
            let keys: Vec<_> = keys.iter().map(|key| about(key, of(key))).collect();
            return output::json(&json!({"Keys": keys, "TotalCount": keys.len()}));
        }
        if keys.is_empty() {
            output::note("There are no CMKs.");
            return Ok(());
        }
        let mut table = Table::new(&[
            "KEY",
            "STATE",
            "VERSIONS",
            "CREATED",
            "ALIASES",
            "DESCRIPTION",
        ]);
        for key in &keys {
            table.row([
                key.key_id.to_string(),
                key.state().name().to_owned(),
                key.versions.len().to_string(),
                key.created.to_string(),
                of(key).join(","),
                key.description.clone(),
            ]);
        }
        output::text(table)
    }
}

enum Wanted<'a> {
    Filter(Filter),
    Tag(&'a str, &'a str),
}

fn parse_filter(filter: &str) -> Result<Wanted<'_>> {
    let (what, value) = naming::split(filter, "--filter")?;
    let values = |known: Vec<&str>| {
        let values: Vec<_> = value.split(',').map(str::to_owned).collect();
        match values.iter().find(|value| !known.contains(&value.as_str())) {
            Some(other) => Err(Failure::Usage(format!(
                "--filter {what}: \"{}\" is none of {}.",
                table::printable(other),
                known.join(", ")
            ))),
            None => Ok(values),
        }
    };
    match what {
        "state" => {
            let known = KeyState::ALL.iter().map(|state| state.name()).collect();
            values(known).map(|names| Wanted::Filter(Filter::states(&names)))
        }
        "origin" => {
            let known = Origin::ALL.map(|origin| origin.name());
            values(known.to_vec()).map(|names| Wanted::Filter(Filter::origins(&names)))
        }
        _ => match what.strip_prefix("tag:") {
            Some(name) => Ok(Wanted::Tag(name, value)),
            None => Err(Failure::Usage(format!(
                "--filter knows state=, origin= and tag:NAME=, not \"{}\".",
                table::printable(what)
            ))),
        },
    }
}

fn aliases(kms: &Kms) -> Result<HashMap<Uuid, Vec<String>>> {
    let mut of_key: HashMap<Uuid, Vec<String>> = HashMap::new();
    for alias in kms.list_aliases(&Call::default(), ALL)?.items {
        of_key
            .entry(alias.key_id)
            .or_default()
            .push(alias.alias.clone());
    }
    Ok(of_key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_named() {
        assert!(parse_filter("state=Enabled,Disabled").is_ok());
        assert!(parse_filter("origin=EXTERNAL").is_ok());
        assert!(matches!(
            parse_filter("tag:a=b=c"),
            Ok(Wanted::Tag("a", "b=c"))
        ));
        for wrong in ["state", "state=enabled", "state=", "origin=x", "size=1"] {
            assert!(
                matches!(parse_filter(wrong), Err(Failure::Usage(_))),
                "{wrong}"
            );
        }
    }
}
