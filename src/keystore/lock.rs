//! The right to write. Its holder holds the fork gate too.
#![forbid(unsafe_code)]

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use super::refusals::{failed, refuse_writable_by_others};
use super::temporary::sweep;
use crate::error::{Error, Result, Status};
use crate::files::rights::{OWNER_ONLY, Rights};
use crate::files::{self, LOCK, beside, directory};

/// The right to write, shared between processes by `flock` on a file beside the keystore.
pub(super) struct Lock {
    file: File,
}

impl Drop for Lock {
    /// Closing is not enough: a child that the host forked meanwhile (in its audit function) has a copy.
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

impl Lock {
    /// Takes the right; `None` where another writer has it. The lock file stays for ever: removing
    /// it could let two writers in.
    pub(super) fn try_take(path: &Path) -> Result<Option<Lock>> {
        let lock_path = beside(path, LOCK);
        let io = |error: io::Error| failed("lock", &lock_path, &error);
        let directory = directory(path);
        let parent = fs::metadata(directory).map_err(|error| failed("lock", path, &error))?;
        refuse_writable_by_others(directory, &parent)?;
        let rights = match Rights::of(path) {
            Ok(rights) => Some(rights.of_writers()),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(failed("look at", path, &error)),
        };
        let mut options = OpenOptions::new();
        options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(OWNER_ONLY)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
        let file = match files::open(&lock_path, &options) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                return Err(Error::with(
                    Status::KeystoreIo,
                    format!(
                        "Could not lock {}: {error}. It opens for those who may write the keystore; if this \
                         user may, give it the keystore's owner, group and mode.",
                        lock_path.display()
                    ),
                ));
            }
            Err(error) => return Err(io(error)),
        };
        if !file.metadata().map_err(io)?.is_file() {
            return Err(io(ErrorKind::InvalidInput.into()));
        }
        // Before it is held, so that from now on nobody opens it who may not.
        if let Some(rights) = rights {
            // The file of another who may write is for him to bring in line.
            let _ = rights.give_beside(&file);
        }
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(io(error)),
        }
        let held = file.metadata().map_err(io)?;
        let named = fs::metadata(&lock_path).map(|named| (named.dev(), named.ino()));
        if named.ok() != Some((held.dev(), held.ino())) {
            // Somebody removed the file in between: this lock guards nothing.
            return Ok(None);
        }
        sweep(path);
        Ok(Some(Lock { file }))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_copy_of_the_descriptor_does_not_hold_it() {
        let folder = tempfile::tempdir().unwrap();
        let keystore = folder.path().join("keystore");
        let lock = Lock::try_take(&keystore).unwrap().unwrap();
        // As a child has one that is forked meanwhile.
        let _copy = lock.file.try_clone().unwrap();
        assert!(Lock::try_take(&keystore).unwrap().is_none());
        drop(lock);
        assert!(Lock::try_take(&keystore).unwrap().is_some());
    }
}
