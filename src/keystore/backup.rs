//! Copies of the file: a backup is one, verified; a restore makes a keystore of one.
#![forbid(unsafe_code)]

use std::path::Path;

use uuid::Uuid;

use super::disk;
use super::lock::Lock;
use super::opening::{not_found, unlock};
use crate::clock::Timestamp;
use crate::error::{Error, Result, Status};
use crate::options::Options;
use crate::secret::{Arena, fork};

/// What a copy holds.
#[derive(Clone, Debug)]
pub struct Copy {
    /// The keystore's id.
    pub keystore_id: Uuid,
    /// How many writes it has seen.
    pub epoch: u64,
    /// When it was last written.
    pub written: Timestamp,
    /// How many CMKs are in it.
    pub keys: usize,
    /// How many aliases are in it.
    pub aliases: usize,
}

/// Copies the keystore's file to a place where nothing is.
pub(crate) fn backup(keystore: &Path, to: &Path, options: &Options) -> Result<Copy> {
    copy(keystore, to, options, Run::Backup)
}

/// Makes a keystore of a backup, in a place where none is; a dry run says what it would do.
pub fn restore(from: &Path, to: &Path, options: &Options, dry_run: bool) -> Result<Copy> {
    let run = if dry_run { Run::Dry } else { Run::Restore };
    copy(from, to, options, run)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Run {
    Dry,
    Backup,
    Restore,
}

/// Nothing is copied that the root key does not open whole; what is copied is what was opened.
fn copy(from: &Path, to: &Path, options: &Options, run: Run) -> Result<Copy> {
    let from = disk::absolute(from)?;
    let to = disk::resolve(&disk::absolute(to)?)?;
    let read = {
        let _gate = fork::enter();
        disk::read(&from)?
    };
    let (file, _) = read.ok_or_else(|| not_found(&from))?;
    let arena = Arena::new(0)?;
    let (unverified, _, state) = unlock(&from, &file, options, &options.root_key()?, &arena)?;
    let header = unverified.header();
    let copy = Copy {
        keystore_id: header.keystore_id,
        epoch: header.epoch,
        written: unverified.written(),
        keys: state.keys.iter().filter(|key| !key.is_gone()).count(),
        aliases: state.aliases.len(),
    };
    let taken = || {
        Error::with(
            Status::KeystoreIo,
            format!("{} is there already; it is not replaced.", to.display()),
        )
    };
    if to.symlink_metadata().is_ok() {
        return Err(taken());
    }
    let _gate = fork::enter();
    let placed = match run {
        Run::Dry => true,
        // Nobody writes to a backup, so nothing is left beside it to lock.
        Run::Backup => disk::place_new(&to, file.file())?,
        Run::Restore => {
            let lock = Lock::try_take(&to)?.ok_or(Error::new(Status::KeystoreBusy))?;
            disk::create(&to, file.file(), &lock)?
        }
    };
    match placed {
        true => Ok(copy),
        false => Err(taken()),
    }
}
