//! How what the system refuses is told, and a place that is not safe is refused.
#![forbid(unsafe_code)]

use std::fs::Metadata;
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::error::{Error, Result, Status};

const WRITABLE_BY_OTHERS: u32 = 0o002;

/// A file or directory that anybody may write is no place for a keystore.
pub(super) fn refuse_writable_by_others(path: &Path, metadata: &Metadata) -> Result<()> {
    if metadata.permissions().mode() & WRITABLE_BY_OTHERS == 0 {
        return Ok(());
    }
    Err(Error::with(
        Status::KeystoreIo,
        format!(
            "{} may be written by others; a keystore is safe only in a directory, and as a file, that \
             others cannot write (mkdir -m 700).",
            path.display()
        ),
    ))
}

/// What could not be done, with which file, and why.
pub(super) fn failed(what: &str, path: &Path, error: &io::Error) -> Error {
    let status = match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => Status::KeystoreNotFound,
        _ => Status::KeystoreIo,
    };
    Error::with(
        status,
        format!("Could not {what} {}: {error}.", path.display()),
    )
}
