//! What changes the state of a CMK: rotation, disabling, deletion.
#![forbid(unsafe_code)]

use clap::{Args, ValueEnum};
use kmsbox::kms::Kms;
use kmsbox::request_id::Call;
use serde_json::json;
use uuid::Uuid;

use super::keys::{about, interval};
use crate::confirm::confirm;
use crate::failure::{Failure, Result};
use crate::naming::{self, KeyArg};
use crate::open::{Access, Global};
use crate::{output, table};

/// Make a new version of a CMK, or set how often that happens by itself
#[derive(Args)]
#[command(after_help = "\
The new version wraps from now on. Every old version goes on unwrapping what
was wrapped under it, so nothing has to be rewritten; \"kmsbox re-encrypt\"
moves blobs to the new version where that is wanted. A rotation that is due
happens at the next use of the CMK.

Examples:
  kmsbox rotate alias/orders
  kmsbox rotate alias/orders --every 90d    # by itself; makes no version now
  kmsbox rotate alias/orders --never        # from now on only when asked")]
pub struct Rotate {
    #[command(flatten)]
    key: KeyArg,

    /// Rotate by itself after so long: 7d to 730d
    #[arg(long, value_name = "TIME", value_parser = interval, conflicts_with = "never")]
    every: Option<u64>,

    /// Do not rotate by itself any more
    #[arg(long)]
    never: bool,
}

impl Rotate {
    pub fn run(self, global: &Global) -> Result<()> {
        let kms = global.open(Access::Write)?;
        let id = naming::find(&kms, &self.key.key)?.key_id.to_string();
        if self.every.is_some() || self.never {
            kms.update_rotation_policy(&Call::default(), &id, self.every)?;
            let said = match self.never {
                true => "rotates only when asked",
                false => "rotates by itself",
            };
            return show(global, &kms, &id, said);
        }
        let (key, version) = kms.create_key_version(&Call::default(), &id)?;
        let (version, count) = (version.key_version_id.to_string(), key.versions.len());
        match global.json {
            true => output::json(&json!({
                "KeyId": id, "KeyVersionId": version, "VersionCount": count,
            })),
            false => output::line(format_args!(
                "The CMK {id} wraps under its new version {version}; it has {count} versions."
            )),
        }
        .map_err(Failure::after_the_change)
    }
}

/// Disable a CMK: no use of it succeeds until it is enabled
#[derive(Args)]
#[command(after_help = "\
Every process that has the keystore open sees it within its refresh interval
(1 second).

Examples:
  kmsbox disable alias/orders")]
pub struct Disable {
    #[command(flatten)]
    key: KeyArg,
}

impl Disable {
    pub fn run(self, global: &Global) -> Result<()> {
        change(global, &self.key.key, "is disabled", |kms, id| {
            kms.disable_key(&Call::default(), id)
        })
    }
}

/// Enable a CMK that was disabled
#[derive(Args)]
#[command(after_help = "\
Examples:
  kmsbox enable alias/orders")]
pub struct Enable {
    #[command(flatten)]
    key: KeyArg,
}

impl Enable {
    pub fn run(self, global: &Global) -> Result<()> {
        change(global, &self.key.key, "is enabled", |kms, id| {
            kms.enable_key(&Call::default(), id)
        })
    }
}

/// Stop all use of a CMK now, and delete it after a window
#[derive(Args)]
#[command(after_help = "\
Until the window ends the deletion can be cancelled. After it the CMK is gone,
and every blob under it can never be opened again. \"kmsbox usage KEY\" tells
whether it is still needed.

Examples:
  kmsbox schedule-deletion alias/orders --days 30
  kmsbox schedule-deletion alias/orders --days 7 --yes")]
pub struct ScheduleDeletion {
    #[command(flatten)]
    key: KeyArg,

    /// The window: 7 to 366 days
    #[arg(long, value_name = "DAYS", default_value_t = 30)]
    days: u64,
}

impl ScheduleDeletion {
    pub fn run(self, global: &Global) -> Result<()> {
        let kms = global.open(Access::Write)?;
        let key = naming::find(&kms, &self.key.key)?;
        let id = key.key_id.to_string();
        let unwraps: u64 = kms
            .usage(Some(&id))?
            .iter()
            .filter_map(|v| v.used)
            .fold(0, |sum, (unwraps, _)| sum.saturating_add(unwraps));
        let question = format!(
            "The CMK {id}{} will serve for nothing from now on; after {} days it is gone with its {} \
             version(s), and no blob under it opens again. It has unwrapped at least {unwraps} time(s).",
            described(&key.description),
            self.days,
            key.versions.len(),
        );
        confirm(global.yes, &question)?;
        let gone = kms.schedule_key_deletion(&Call::default(), &id, self.days)?;
        show(
            global,
            &kms,
            &id,
            &format!("is pending deletion, gone at {gone}"),
        )
    }
}

/// Cancel a scheduled deletion: the CMK is enabled again
#[derive(Args)]
#[command(after_help = "\
Examples:
  kmsbox cancel-deletion alias/orders")]
pub struct CancelDeletion {
    #[command(flatten)]
    key: KeyArg,
}

impl CancelDeletion {
    pub fn run(self, global: &Global) -> Result<()> {
        change(
            global,
            &self.key.key,
            "stays: its deletion is cancelled",
            |kms, id| kms.cancel_key_deletion(&Call::default(), id),
        )
    }
}

/// Protect a CMK from deletion, or no longer
#[derive(Args)]
#[command(after_help = "\
Examples:
  kmsbox protect alias/orders on --reason 'ledger of 2026'
  kmsbox protect alias/orders off")]
pub struct Protect {
    #[command(flatten)]
    key: KeyArg,

    /// Whether it is protected
    #[arg(value_enum, value_name = "on|off", hide_possible_values = true)]
    switch: Switch,

    /// Why; shown by describe
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    reason: String,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

impl Protect {
    pub fn run(self, global: &Global) -> Result<()> {
        let protection = (self.switch == Switch::On).then_some(self.reason.as_str());
        let said = match protection {
            Some(_) => "is protected from deletion",
            None => "is not protected from deletion",
        };
        change(global, &self.key.key, said, |kms, id| {
            kms.set_deletion_protection(&Call::default(), id, protection)
        })
    }
}

/// Drop the sealed bytes of CMKs whose deletion window has ended
#[derive(Args)]
#[command(after_help = "\
Such a CMK cannot be used any more in any case; its sealed bytes leave the
file with the next change to the keystore, or with this. Backups, snapshots
and freed blocks of the disk still have them.

Nothing is purged while the clock is behind the one believed last or more than
30 days ahead of it, since a wrong clock could end a window too early. For the
same reason no deletion is scheduled while it is more than a day behind.

Examples:
  kmsbox purge
  kmsbox purge --confirm-clock --yes        # the clock is right: believe it")]
pub struct Purge {
    /// Believe the clock although it is behind the one believed last, or far ahead of it
    #[arg(long)]
    confirm_clock: bool,
}

impl Purge {
    pub fn run(self, global: &Global) -> Result<()> {
        let kms = global.open(Access::Write)?;
        let gone: Vec<_> = kms.gone_keys()?.iter().map(ToString::to_string).collect();
        if !gone.is_empty() {
            let question = format!(
                "The material of {} CMK(s) will leave the keystore for good: {}.",
                gone.len(),
                gone.join(", ")
            );
            confirm(global.yes, &question)?;
        } else if !self.confirm_clock {
            return show_purged(global, &[]);
        }
        // Where nothing is gone, the clock is believed from now on all the same.
        let purged = kms.purge(&Call::default(), self.confirm_clock)?;
        show_purged(global, &purged).map_err(Failure::after_the_change)
    }
}

fn show_purged(global: &Global, purged: &[Uuid]) -> Result<()> {
    if global.json {
        let ids: Vec<_> = purged.iter().map(ToString::to_string).collect();
        return output::json(&json!({"Purged": ids}));
    }
    match purged.len() {
        0 => output::line("There is nothing to purge."),
        count => output::line(format_args!("Purged {count} CMK(s).")),
    }
}

/// Changes one CMK and shows how it stands then.
fn change(
    global: &Global,
    name: &str,
    said: &str,
    change: impl FnOnce(&Kms, &str) -> kmsbox::error::Result<()>,
) -> Result<()> {
    let kms = global.open(Access::Write)?;
    let id = naming::find(&kms, name)?.key_id.to_string();
    change(&kms, &id)?;
    show(global, &kms, &id, said)
}

/// Shows how a CMK stands after a change.
pub fn show(global: &Global, kms: &Kms, id: &str, said: &str) -> Result<()> {
    try_to_show(global, kms, id, said).map_err(Failure::after_the_change)
}

fn try_to_show(global: &Global, kms: &Kms, id: &str, said: &str) -> Result<()> {
    if !global.json {
        return output::line(format_args!("The CMK {id} {said}."));
    }
    let page = kms.list_aliases_by_key_id(&Call::default(), id, super::keys::ALL)?;
    let aliases: Vec<_> = page.items.iter().map(|alias| alias.alias.clone()).collect();
    output::json(&about(&naming::find(kms, id)?, &aliases))
}

/// A description within a sentence.
pub fn described(description: &str) -> String {
    match description {
        "" => String::new(),
        text => format!(" (\"{}\")", table::printable(text)),
    }
}
