//! Reading a small secret file.
#![forbid(unsafe_code)]

use std::fs::OpenOptions;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use super::{secret, unusable};
use crate::error::{Error, Result, Status};
use crate::files;
use crate::secret::fork;
use crate::secret::heap::SecretBytes;

/// Who else may be able to read a file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Readers {
    /// Nobody.
    OwnerOnly,
    /// systemd lets a service read its credentials by an access list, whose mask looks like the bits
    /// of the group.
    GroupAsSystemdShowsIt,
}

/// Reads a file that nobody else may read or change, of at most `most` bytes.
pub(super) fn read(path: &Path, most: usize, readers: Readers) -> Result<SecretBytes> {
    let shown = path.display();
    let io = |error: std::io::Error| unusable(format!("{shown}: {error}"));
    let _gate = fork::enter();
    // Not to hang on a FIFO, nor to take a terminal for our own.
    let mut options = OpenOptions::new();
    options
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
    let mut file = files::open(path, &options).map_err(io)?;
    let metadata = file.metadata().map_err(io)?;
    if !metadata.is_file() {
        return Err(unusable(format!("{shown} is not a regular file")));
    }
    let mode = metadata.permissions().mode();
    let forbidden = match readers {
        Readers::OwnerOnly => 0o077,
        Readers::GroupAsSystemdShowsIt => 0o037,
    };
    if mode & forbidden != 0 {
        return Err(unusable(format!(
            "{shown} may be used by group or others (mode {:04o}); make it 0600 or 0400",
            mode & 0o7777
        )));
    }
    // One byte more than allowed shows that there is more.
    let mut bytes = secret(most + 1)?;
    let mut len = 0;
    while len < bytes.len() {
        match file.read(&mut bytes[len..]) {
            Ok(0) => break,
            Ok(more) => len += more,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(io(error)),
        }
    }
    if len > most {
        return Err(unusable(format!("{shown} has more than {most} bytes")));
    }
    if len == 0 {
        return Err(unusable(format!("{shown} is empty")));
    }
    SecretBytes::copy_of(&bytes[..len]).ok_or(Error::new(Status::NoMemory))
}
