//! Aliases.
#![forbid(unsafe_code)]

use clap::{Args, Subcommand};
use kmsbox::error::Status;
use kmsbox::request_id::Call;
use serde_json::json;

use super::keys::ALL;
use crate::confirm::confirm;
use crate::failure::{Failure, Result};
use crate::naming;
use crate::open::{Access, Global};
use crate::output;
use crate::table::Table;

/// Set, delete and list aliases, the names of CMKs
#[derive(Args)]
#[command(after_help = "\
Blobs know the CMK that they are under by its id: an alias that moves changes
only what is wrapped from then on. Moving and deleting one ask first: they
change what every engine that uses the name does.

Examples:
  kmsbox alias set alias/orders 5b1c2f6e-8a0d-4c0b-9a58-4f3c8d1e7a90
  kmsbox alias list
  kmsbox alias delete alias/orders")]
pub struct AliasArgs {
    #[command(subcommand)]
    command: Commands,
}

#[derive(Subcommand)]
enum Commands {
    Set(Set),
    Delete(Delete),
    List(List),
}

/// Give a CMK an alias, or move an alias to it
#[derive(Args)]
#[command(after_help = "\
Examples:
  kmsbox alias set alias/orders 5b1c2f6e-8a0d-4c0b-9a58-4f3c8d1e7a90
  kmsbox alias set alias/orders-old alias/orders
  kmsbox alias set alias/orders alias/orders-new --yes    # moves it, unasked")]
struct Set {
    /// The alias
    #[arg(value_name = "alias/NAME")]
    alias: String,

    /// The CMK: its id, its ARN, or another of its aliases
    #[arg(value_name = "KEY")]
    key: String,
}

/// Delete an alias; its CMK stays
#[derive(Args)]
#[command(after_help = "\
Examples:
  kmsbox alias delete alias/orders")]
struct Delete {
    /// The alias
    #[arg(value_name = "alias/NAME")]
    alias: String,
}

/// List the aliases, or those of one CMK
#[derive(Args)]
#[command(after_help = "\
Examples:
  kmsbox alias list
  kmsbox alias list alias/orders    # every name of the CMK behind this one")]
struct List {
    /// The CMK: its id, its ARN, or alias/NAME
    #[arg(value_name = "KEY")]
    key: Option<String>,
}

impl AliasArgs {
    pub fn run(self, global: &Global) -> Result<()> {
        match self.command {
            Commands::Set(args) => args.run(global),
            Commands::Delete(args) => args.run(global),
            Commands::List(args) => args.run(global),
        }
    }
}

impl Set {
    fn run(self, global: &Global) -> Result<()> {
        let kms = global.open(Access::Write)?;
        naming::check_alias(&self.alias)?;
        let id = naming::find(&kms, &self.key)?.key_id.to_string();
        let call = Call::default();
        let old = match kms.describe_key(&call, &self.alias) {
            Ok(old) => Some(old.key_id.to_string()),
            Err(error) if error.status() == Status::AliasNotFound => None,
            Err(error) => return Err(error.into()),
        };
        if let Some(old) = old.as_deref().filter(|old| *old != id) {
            let question = format!(
                "{} stands for {old}; whoever wraps under it would do so under {id} from now on.",
                self.alias
            );
            confirm(global.yes, &question)?;
        }
        match &old {
            Some(_) => kms.update_alias(&call, &id, &self.alias)?,
            None => kms.create_alias(&call, &id, &self.alias)?,
        }
        let moved = match &old {
            Some(old) if *old != id => format!(" (before: {old})"),
            _ => String::new(),
        };
        match global.json {
            true => output::json(&json!({
                "AliasName": self.alias, "KeyId": id, "PreviousKeyId": old,
            })),
            false => output::line(format_args!("{} stands for {id}{moved}.", self.alias)),
        }
        .map_err(Failure::after_the_change)
    }
}

impl Delete {
    fn run(self, global: &Global) -> Result<()> {
        let kms = global.open(Access::Write)?;
        let call = Call::default();
        let stands = match kms.describe_key(&call, &self.alias) {
            Ok(key) => format!(" stands for {}", key.key_id),
            Err(error) if error.status() == Status::AliasNotFound => return Err(error.into()),
            // Deleting may be right all the same.
            Err(_) => String::from(" names a CMK that cannot be shown"),
        };
        let question = format!(
            "{}{stands}; whoever wraps under it would be refused from now on.",
            self.alias
        );
        confirm(global.yes, &question)?;
        kms.delete_alias(&call, &self.alias)?;
        match global.json {
            true => output::json(&json!({"AliasName": self.alias})),
            false => output::line(format_args!("{} is deleted.", self.alias)),
        }
        .map_err(Failure::after_the_change)
    }
}

impl List {
    fn run(self, global: &Global) -> Result<()> {
        let kms = global.open(Access::Read)?;
        let call = Call::default();
        let aliases = match &self.key {
            None => kms.list_aliases(&call, ALL)?,
            Some(key) => {
                let id = naming::find(&kms, key)?.key_id.to_string();
                kms.list_aliases_by_key_id(&call, &id, ALL)?
            }
        };
        if global.json {
            let items = aliases.items.iter().map(|alias| {
                json!({
                    "AliasName": alias.alias,
                    "KeyId": alias.key_id.to_string(),
                    "CreationDate": alias.created.to_string(),
                })
            });
            return output::json(&json!({
                "Aliases": items.collect::<Vec<_>>(), "TotalCount": aliases.total,
            }));
        }
        if aliases.items.is_empty() {
            output::note("There are no aliases.");
            return Ok(());
        }
        let mut table = Table::new(&["ALIAS", "KEY", "CREATED"]);
        for alias in &aliases.items {
            table.row([
                alias.alias.clone(),
                alias.key_id.to_string(),
                alias.created.to_string(),
            ]);
        }
        output::text(table)
    }
}
