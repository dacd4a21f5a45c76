//! Root keys: a keystore has one to four.
#![forbid(unsafe_code)]

use std::ffi::OsString;

use clap::{Args, Subcommand};
use kmsbox::error::{Error, Status};
use kmsbox::key_name::parse_id;
use kmsbox::keystore::root_keys::MOST_SLOTS;
use kmsbox::kms::Kms;
use kmsbox::request_id::Call;
use kmsbox::root_key::RootKey;
use serde_json::json;

use super::keystore::make_root_key;
use crate::confirm::confirm;
use crate::failure::{Failure, Result};
use crate::open::{Access, Global, source_of};
use crate::output;
use crate::table::Table;

/// Add, list and retire root keys
#[derive(Args)]
#[command(after_help = "\
A keystore has one to four root keys, and each of them opens it. To replace
one: add the new one, give it to every process, then retire the old one.
Nothing stops meanwhile.

Examples:
  kmsbox root-key add file:/etc/orders/root.key.2027 --make
  kmsbox root-key list
  kmsbox root-key retire SLOT --root-key file:/etc/orders/root.key.2027")]
pub struct RootKeyArgs {
    #[command(subcommand)]
    command: Commands,
}

#[derive(Subcommand)]
enum Commands {
    Add(Add),
    List(List),
    Retire(Retire),
}

/// Add a root key
#[derive(Args)]
#[command(after_help = "\
Examples:
  kmsbox root-key add file:/etc/orders/root.key.2027 --make
  kmsbox root-key add passphrase-file:/etc/orders/passphrase")]
struct Add {
    /// Where the new root key is: file:PATH, credential:NAME, env:NAME, passphrase-file:PATH
    #[arg(value_name = "SOURCE")]
    source: OsString,

    /// Make it first: 32 random bytes, in the new file that file:PATH names
    #[arg(long)]
    make: bool,
}

/// List the root keys, by the slots that they open
#[derive(Args)]
#[command(after_help = "\
The root key that the command was given opens the slot with \"this one\" beside
it.

Examples:
  kmsbox root-key list")]
struct List {}

/// Retire a root key, never the last
#[derive(Args)]
#[command(after_help = "\
--root-key must be one that stays: the root key that the command is given is
never the one that it retires. \"root-key list\" shows which it is.

Retiring alone does not lock out someone who has the old root key and an old
copy of the keystore: what seals the CMKs has not changed. --reseal changes
it. It needs --root-key to be the only root key that is left, and processes
that were given their root key as bytes must open the keystore again.

Examples:
  kmsbox root-key retire 0d7c52f7-5a0e-4b7e-9f0a-0c2f4f6f7c11
  kmsbox root-key retire 0d7c52f7-5a0e-4b7e-9f0a-0c2f4f6f7c11 --reseal
  kmsbox root-key retire --reseal   # retire none, only seal everything anew")]
struct Retire {
    /// The slot, as "root-key list" shows it
    #[arg(value_name = "SLOT", required_unless_present = "reseal")]
    slot: Option<String>,

    /// Seal everything anew, so that the retired root key opens nothing that is made from now on
    #[arg(long)]
    reseal: bool,
}

impl RootKeyArgs {
    pub fn run(self, global: &Global) -> Result<()> {
        match self.command {
            Commands::Add(args) => args.run(global),
            Commands::List(args) => args.run(global),
            Commands::Retire(args) => args.run(global),
        }
    }
}

impl Add {
    fn run(self, global: &Global) -> Result<()> {
        let source = source_of(&self.source)?;
        let kms = global.open_beside(Access::Write, &[("SOURCE", source.path().as_deref())])?;
        let current = global.options(Access::Write)?.root_key()?;
        if self.make && kms.root_keys(None)?.len() >= MOST_SLOTS {
            return Err(Error::with(
                Status::LimitExceeded,
                "The keystore has four root keys; retire one first. None was made.",
            )
            .into());
        }
        let made = match self.make {
            true => Some(make_root_key(&source, "SOURCE")?),
            false => None,
        };
        let new = source.load()?;
        let added = kms.add_root_key(&Call::default(), &current, &new);
        if let Some(made) = made
            && (added.is_ok() || may_open(&kms, &new))
        {
            made.keep();
        }
        let slot = added.map_err(|error| match error.status() {
            Status::InvalidOption => Failure::Refused(error),
            _ => error.into(),
        })?;
        match global.json {
            true => output::json(&json!({"SlotId": slot.to_string()})),
            false => output::line(format_args!("Added the root key in the slot {slot}.")),
        }
        .map_err(Failure::after_the_change)
    }
}

/// Whether this root key opens the keystore although adding it failed: the change may have been made
/// before something else went wrong.
fn may_open(kms: &Kms, root: &RootKey) -> bool {
    match kms.root_keys(Some(root)) {
        Ok(slots) => slots.iter().any(|slot| slot.this_one),
        // Who cannot be sure keeps it.
        Err(_) => true,
    }
}

impl List {
    fn run(self, global: &Global) -> Result<()> {
        let kms = global.open(Access::Read)?;
        let present = global.options(Access::Read)?.root_key()?;
        let slots = kms.root_keys(Some(&present))?;
        if global.json {
            let slots = slots.iter().map(|slot| {
                json!({
                    "SlotId": slot.slot_id.to_string(),
                    "Kind": slot.kind,
                    "CreationDate": slot.created.to_string(),
                    "ThisOne": slot.this_one,
                })
            });
            return output::json(&json!({"RootKeys": slots.collect::<Vec<_>>()}));
        }
        let mut table = Table::new(&["SLOT", "KIND", "CREATED", "ROOT KEY"]);
        for slot in slots {
            table.row([
                slot.slot_id.to_string(),
                slot.kind.to_owned(),
                slot.created.to_string(),
                (if slot.this_one { "this one" } else { "" }).to_owned(),
            ]);
        }
        output::text(table)
    }
}

impl Retire {
    fn run(self, global: &Global) -> Result<()> {
        let slot = match &self.slot {
            None => None,
            Some(text) => Some(parse_id(text).ok_or_else(|| {
                Error::invalid_parameter("SlotId", "It is not a lower-case UUID.")
            })?),
        };
        let kms = global.open(Access::Write)?;
        let present = global.options(Access::Write)?.root_key()?;
        let what = match (slot, self.reseal) {
            (Some(slot), false) => {
                format!("The root key in the slot {slot} will open this keystore no more.")
            }
            (Some(slot), true) => format!(
                "The root key in the slot {slot} will open this keystore no more, and everything is \
                 sealed anew."
            ),
            (None, _) => "Everything in this keystore is sealed anew.".to_owned(),
        };
        confirm(global.yes, &what)?;
        let call = Call::default();
        match slot {
            Some(slot) if !self.reseal => kms.retire_root_key(&call, slot, &present)?,
            _ => kms.reseal(&call, slot, &present)?,
        }
        self.show(global, &kms, slot)
            .map_err(Failure::after_the_change)
    }

    fn show(&self, global: &Global, kms: &Kms, slot: Option<uuid::Uuid>) -> Result<()> {
        let left = kms.root_keys(None)?.len();
        if global.json {
            return output::json(&json!({
                "SlotId": slot.map(|slot| slot.to_string()),
                "Resealed": self.reseal,
                "RootKeysLeft": left,
            }));
        }
        let done = match (slot, self.reseal) {
            (Some(_), false) => "Retired",
            (Some(_), true) => "Retired, and everything sealed anew",
            (None, _) => "Everything sealed anew",
        };
        output::line(format_args!("{done}; root keys left: {left}."))
    }
}
