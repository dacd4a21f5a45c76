//! Opening files, and syncing the directory that a new one is in.
//!
//! A host may have closed descriptors 0 to 2 and still write to them: a warning to "stderr", say. A
//! keystore must not get one of these numbers.
#![forbid(unsafe_code)]

pub mod rights;
pub mod roles;

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};

use crate::secret::fork;

/// Opens a file; its descriptor is 3 or above.
pub fn open(path: &Path, options: &OpenOptions) -> io::Result<File> {
    // One thread at a time: another could free a number within.
    static OPENING: Mutex<()> = Mutex::new(());
    let _gate = fork::enter();
    let _alone = OPENING.lock().unwrap_or_else(PoisonError::into_inner);
    let _taken = Standard::take()?;
    #[allow(clippy::disallowed_methods, reason = "the only place that opens")]
    options.open(path)
}

/// The directory that a file is in, or is to be in.
pub fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => Path::new("/"),
    }
}

/// Opens that directory for [`sync_directory`]: before anything is changed in it, so that a lack of
/// descriptors is found while the change can still be refused.
pub fn open_directory(path: &Path) -> io::Result<File> {
    open(directory(path), OpenOptions::new().read(true))
}

/// Makes sure that the names in a directory last. Some file systems (FUSE, 9p, network file systems)
/// cannot sync a directory and say so; they make names last in their own way, or not at all.
pub fn sync_directory(directory: &File) -> io::Result<()> {
    match directory.sync_all() {
        Err(error)
            if [Errno::INVAL, Errno::OPNOTSUPP]
                .iter()
                .any(|errno| error.raw_os_error() == Some(errno.raw_os_error())) =>
        {
            Ok(())
        }
        synced => synced,
    }
}

/// Those of the descriptors 0 to 2 that the host has closed, taken for a moment. Like a closed one,
/// none can be read or written.
struct Standard(Vec<OwnedFd>);

impl Standard {
    fn take() -> io::Result<Standard> {
        let mut taken = Standard(Vec::new());
        loop {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let descriptor = retry_on_intr(|| rustix::fs::open("/", flags, Mode::empty()))?;
            if descriptor.as_raw_fd() > 2 {
                return Ok(taken);
            }
            taken.0.push(descriptor);
        }
    }
}

impl Drop for Standard {
    fn drop(&mut self) {
        for descriptor in self.0.drain(..) {
            let flags = rustix::fs::fcntl_getfl(&descriptor);
            // The host may have put a file of its own there meanwhile (dup2): that stays open.
            if !flags.is_ok_and(|flags| flags.contains(OFlags::PATH)) {
                let _ = descriptor.into_raw_fd();
            }
        }
    }
}
