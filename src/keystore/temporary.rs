//! A file that is written beside another one, and then put in its place.
#![forbid(unsafe_code)]

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::refusals::failed;
use crate::error::{Error, Result, Status};
use crate::files::rights::{OWNER_ONLY, Rights, shed};
use crate::files::{self, TEMPORARY, beside, directory};
use crate::random;

/// A file beside the keystore, on its way to replace it; removed if it does not get there.
pub(super) struct Temporary {
    path: PathBuf,
    pub(super) file: File,
    in_place: bool,
}

impl Temporary {
    /// Makes an empty file for all whom these rights serve; without them, for its owner alone.
    pub(super) fn create(keystore: &Path, rights: Option<&Rights>) -> Result<Self> {
        let mut random = [0; 8];
        random::fill(&mut random)?;
        let name = format!("{TEMPORARY}{:016x}", u64::from_ne_bytes(random));
        let path = beside(keystore, &name);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(OWNER_ONLY);
        let file = files::open(&path, &options).map_err(|error| failed("write", &path, &error))?;
        let temporary = Temporary {
            path,
            file,
            in_place: false,
        };
        let io = |error: io::Error| failed("set the rights of", &temporary.path, &error);
        shed(&temporary.file).map_err(io)?;
        let Some(rights) = rights else {
            return Ok(temporary);
        };
        match rights.give(&temporary.file) {
            Err(error) if error.kind() != ErrorKind::PermissionDenied => return Err(io(error)),
            _ => {}
        }
        let directory = fs::metadata(directory(keystore)).map_err(io)?;
        match rights.are_of(&temporary.file, &directory).map_err(io)? {
            true => Ok(temporary),
            false => Err(not_ours(keystore)),
        }
    }

    pub(super) fn write(keystore: &Path, bytes: &[u8], old: Option<&Metadata>) -> Result<Self> {
        let rights = old.map(|_| Rights::of(keystore)).transpose();
        let rights = rights.map_err(|error| failed("look at", keystore, &error))?;
        let mut temporary = Self::create(keystore, rights.as_ref())?;
        let filled = temporary.fill(bytes, old);
        filled.map_err(|error| failed("write", &temporary.path, &error))?;
        Ok(temporary)
    }

    fn fill(&mut self, bytes: &[u8], old: Option<&Metadata>) -> io::Result<()> {
        self.file.write_all(bytes)?;
        if let Some(old) = old {
            self.file.set_modified(after(old))?;
        }
        self.file.sync_all()
    }

    /// Gives the file a name that nothing has. There are two ways, and many file systems have but one.
    pub(super) fn name_new(&mut self, path: &Path) -> io::Result<()> {
        let renamed = renameat_with(CWD, &self.path, CWD, path, RenameFlags::NOREPLACE);
        match renamed {
            // EPERM: of a filter of system calls that is older than this one.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::PERM) => {}
            renamed => {
                self.in_place = renamed.is_ok();
                return Ok(renamed?);
            }
        }
        fs::hard_link(&self.path, path).map_err(|error| match Errno::from_io_error(&error) {
            Some(Errno::PERM | Errno::NOSYS | Errno::OPNOTSUPP | Errno::MLINK) => {
                io::Error::new(ErrorKind::Unsupported, NO_WAY_TO_CREATE)
            }
            _ => error,
        })
    }

    /// Puts it in the place of another file.
    pub(super) fn replace(&mut self, path: &Path) -> io::Result<()> {
        fs::rename(&self.path, path)?;
        self.in_place = true;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.in_place {
            // What cannot be removed is swept by the next writer.
            let _ = fs::remove_file(&self.path);
        }
    }
}

const NO_WAY_TO_CREATE: &str = "this file system has neither a rename that replaces nothing nor hard \
                                links, and a keystore or backup is never put in the place of another";

/// Removes what killed writers left. The caller has the lock and has made no such file yet. Two kinds are
/// made without the lock: counts that are added up, and a backup that is opened as a keystore at that
/// moment. If one is swept away, its writer cannot rename it: the counts stay as they are, the backup fails.
pub(super) fn sweep(keystore: &Path) {
    let prefix = beside(keystore, TEMPORARY);
    let prefix = prefix.file_name().unwrap_or_default().as_bytes();
    let Ok(entries) = fs::read_dir(directory(keystore)) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let random = name.as_bytes().strip_prefix(prefix);
        if random.is_some_and(|hex| hex.len() == 16 && hex.iter().all(u8::is_ascii_hexdigit)) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// A time that `old` does not have. Clocks of file systems tick in milliseconds and inodes are used
/// again, so two quick writes could otherwise have one signature.
fn after(old: &Metadata) -> SystemTime {
    let now = SystemTime::now();
    match old.modified() {
        Ok(old) if now <= old => old.checked_add(Duration::from_nanos(1)).unwrap_or(now),
        _ => now,
    }
}

/// A new file of this process would shut somebody out.
fn not_ours(keystore: &Path) -> Error {
    Error::with(
        Status::KeystoreIo,
        format!(
            "{} belongs to another user or group, and a new file of this process would not serve all who \
             use it. Change it as its owner, or let a group share it: mode 0660, in a directory of that \
             group with mode 2770.",
            keystore.display()
        ),
    )
}
