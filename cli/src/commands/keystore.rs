//! The keystore as a whole: made, verified, backed up and restored.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};

use clap::Args;
use kmsbox::keystore::backup::{self, Copy};
use kmsbox::kms::Kms;
use kmsbox::random;
use kmsbox::root_key::Source;
use serde_json::{Value, json};

use crate::failure::{Failure, Result};
use crate::new_file::NewFile;
use crate::open::{Access, Global};
use crate::{output, table};

/// Make a keystore
#[derive(Args)]
#[command(after_help = "\
The keystore's directory must be there, and nobody but its owner should be
able to write to it. Keep the root key apart from the keystore and from its
backups: whoever has both has every key, and whoever loses the root key has
lost them.

Examples:
  mkdir -m 700 /var/lib/orders
  kmsbox init --keystore /var/lib/orders/keystore \\
      --root-key file:/etc/orders/root.key --make-root-key
  kmsbox init --root-key passphrase-file:/etc/orders/passphrase")]
pub struct Init {
    /// Make the root key first: 32 random bytes, in the new file that --root-key file:PATH names
    #[arg(long)]
    make_root_key: bool,

    /// The id that the keystore gets, instead of a random one
    #[arg(long, value_name = "UUID")]
    keystore_id: Option<String>,
}

impl Init {
    pub fn run(self, global: &Global) -> Result<()> {
        let path = global.keystore()?;
        let mut options = global.options(Access::Write)?;
        options.create = true;
        // A keystore that another process makes meanwhile has another id, and is not taken for ours.
        let id = match &self.keystore_id {
            Some(id) => id.clone(),
            None => random::uuid()?.to_string(),
        };
        options
            .set("keystore_id", &id)
            .map_err(|error| Failure::Usage(error.message().to_owned()))?;
        if path.symlink_metadata().is_ok() {
            let why = match path.exists() {
                true => "is there already; it is not replaced",
                false => "is a link that leads nowhere; no keystore is made through it",
            };
            return Err(Failure::Files(format!("{} {why}.", path.display())));
        }
        options.keep_apart(&[])?;
        let made = match self.make_root_key {
            true => Some(make_root_key(&global.root_key()?, "--root-key")?),
            false => None,
        };
        let opened = Kms::open(&options);
        // A root key that opens nothing is taken away again; one whose keystore came into being is not,
        // whatever went wrong after that.
        if let Some(made) = made
            && (opened.is_ok() || path.symlink_metadata().is_ok())
        {
            made.keep();
        }
        drop(opened?);
        let shown = path.display().to_string();
        match global.json {
            true => output::json(&json!({"Keystore": shown, "KeystoreId": id})),
            false => output::line(format_args!("Made the keystore {shown}; its id is {id}.")),
        }
        .map_err(Failure::after_the_change)
    }
}

/// Makes a root key in the file that a source names; the caller keeps it as soon as it opens something.
/// It is text, so that it can be printed and typed.
pub fn make_root_key(source: &Source, option: &str) -> Result<NewFile> {
    use std::fmt::Write;
    use zeroize::Zeroizing;

    let Source::File(path) = source else {
        return Err(Failure::Usage(format!(
            "A root key is made as a file: give {option} file:PATH."
        )));
    };
    let mut key = Zeroizing::new([0; kmsbox::root_key::LEN]);
    random::fill(&mut key[..])?;
    let mut text = Zeroizing::new(String::with_capacity(2 * key.len() + 1));
    for byte in key.iter() {
        let _ = write!(text, "{byte:02x}");
    }
    text.push('\n');
    let mut file = NewFile::create(path)?;
    file.write(text.as_bytes())?;
    file.sync()?;
    Ok(file)
}

/// Open the keystore and unseal every version in it
#[derive(Args)]
#[command(after_help = "\
Opening proves that no byte of the file was changed without the root key.
Unsealing each version proves that every blob made under it still opens.

Examples:
  kmsbox verify
  kmsbox verify --keystore /mnt/backup/keystore && echo good")]
pub struct Verify {}

impl Verify {
    pub fn run(self, global: &Global) -> Result<()> {
        let kms = global.open(Access::Read)?;
        let (keys, versions) = kms.verify()?;
        let about: Value = serde_json::from_slice(kms.describe()?.as_bytes()).unwrap_or_default();
        let (id, epoch) = (&about["KeystoreId"], &about["Epoch"]);
        if global.json {
            return output::json(&json!({
                "Keystore": about["Keystore"], "KeystoreId": id, "Epoch": epoch,
                "Keys": keys, "KeyVersions": versions,
            }));
        }
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        output::text(table::pairs(&[
            ("Keystore", text(&about["Keystore"])),
            ("Keystore id", text(id)),
            ("Epoch", epoch.to_string()),
            ("CMKs", keys.to_string()),
            ("Versions", format!("{versions}, all unsealed")),
        ]))
    }
}

/// Copy the keystore to a new file, verified
#[derive(Args)]
#[command(after_help = "\
The copy is the keystore's file as it stands: sealed, and opened by the same
root keys. What is deleted later stays in it.

Examples:
  kmsbox backup /mnt/backup/keystore.2026-11-21")]
pub struct Backup {
    /// Where the copy goes; nothing may be there
    #[arg(value_name = "FILE")]
    to: PathBuf,
}

impl Backup {
    pub fn run(self, global: &Global) -> Result<()> {
        let kms = global.open_beside(Access::Read, &[("FILE", Some(&self.to))])?;
        let copy = kms.backup(&global.options(Access::Read)?, &self.to)?;
        report(
            global,
            "Backed up",
            global.keystore()?,
            &self.to,
            &copy,
            false,
        )
        .map_err(Failure::after_the_change)
    }
}

/// Make a keystore of a backup, where none is
#[derive(Args)]
#[command(after_help = "\
The backup is verified first, and nothing is ever replaced. The restored
keystore is the old one as it was then: CMKs made since are not in it, and
CMKs deleted since are back.

Examples:
  kmsbox restore /mnt/backup/keystore.2026-11-21 --dry-run
  kmsbox restore /mnt/backup/keystore.2026-11-21 --keystore ./keystore")]
pub struct Restore {
    /// The backup
    #[arg(value_name = "FILE")]
    from: PathBuf,

    /// Verify the backup and say what would be done, without doing it
    #[arg(long)]
    dry_run: bool,
}

impl Restore {
    pub fn run(self, global: &Global) -> Result<()> {
        let to = global.keystore()?;
        let options = global.options(Access::Read)?;
        options.keep_apart(&[("FILE", &self.from)])?;
        let copy = backup::restore(&self.from, to, &options, self.dry_run)?;
        match self.dry_run {
            true => report(global, "Would restore", &self.from, to, &copy, true),
            false => report(global, "Restored", &self.from, to, &copy, false)
                .map_err(Failure::after_the_change),
        }
    }
}

fn report(
    global: &Global,
    done: &str,
    from: &Path,
    to: &Path,
    copy: &Copy,
    dry_run: bool,
) -> Result<()> {
    if global.json {
        return output::json(&json!({
            "From": from.display().to_string(),
            "To": to.display().to_string(),
            "DryRun": dry_run,
            "KeystoreId": copy.keystore_id.to_string(),
            "Epoch": copy.epoch,
            "Written": copy.written.to_string(),
            "Keys": copy.keys,
            "Aliases": copy.aliases,
        }));
    }
    output::text(table::pairs(&[
        (done, from.display().to_string()),
        ("To", to.display().to_string()),
        ("Keystore id", copy.keystore_id.to_string()),
        ("Epoch", copy.epoch.to_string()),
        ("Last written", copy.written.to_string()),
        ("CMKs", copy.keys.to_string()),
        ("Aliases", copy.aliases.to_string()),
    ]))?;
    match dry_run {
        true => output::line("Nothing was written."),
        false => Ok(()),
    }
}
