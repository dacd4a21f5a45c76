//! Opening files, and syncing the directory that a new one is in.
//!
//! A host may have closed descriptors 0 to 2 and still write to them: a warning to "stderr", say. A
//! keystore must not get one of these numbers.
#![forbid(unsafe_code)]

pub mod rights;
pub mod roles;

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, fcntl_dupfd_cloexec, retry_on_intr};

use crate::secret::fork;

/// What stands beside a keystore has its name and one of these ends. After the last come letters by chance.
pub const LOCK: &str = ".lock";
/// See [`LOCK`].
pub const USAGE: &str = ".usage";
/// See [`LOCK`].
pub const TEMPORARY: &str = ".tmp-";

/// The path with something at the end of its name.
pub fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// Opens a file; its descriptor is 3 or above. (`read_dir` need not come here: nobody can write to the
/// descriptor of a directory.)
pub fn open(path: &Path, options: &OpenOptions) -> io::Result<File> {
    let _gate = fork::enter();
    let _taken = Standard::take()?;
    #[allow(clippy::disallowed_methods, reason = "the only place that opens")]
    let file = options.open(path)?;
    above_standard(file)
}

/// Makes a file to be read and appended to, for its owner alone, in a directory that is open: so what was
/// seen of the directory holds for the place of the file. The name is new; nothing is made through a link.
pub fn create_in(directory: &File, name: &OsStr) -> io::Result<File> {
    let _gate = fork::enter();
    let _taken = Standard::take()?;
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::APPEND | OFlags::CLOEXEC;
    let mode = Mode::RUSR | Mode::WUSR;
    let file = retry_on_intr(|| rustix::fs::openat(directory, name, flags, mode))?;
    above_standard(file.into())
}

/// The host may close one of 0 to 2 just before the file is opened.
fn above_standard(file: File) -> io::Result<File> {
    match file.as_raw_fd() {
        0..=2 => Ok(fcntl_dupfd_cloexec(&file, 3)?.into()),
        _ => Ok(file),
    }
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
struct Standard {
    taken: Vec<OwnedFd>,
    /// One thread at a time: another could free a number within.
    _alone: MutexGuard<'static, ()>,
}

impl Standard {
    fn take() -> io::Result<Standard> {
        static OPENING: Mutex<()> = Mutex::new(());
        let mut standard = Standard {
            taken: Vec::new(),
            _alone: OPENING.lock().unwrap_or_else(PoisonError::into_inner),
        };
        loop {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let descriptor = retry_on_intr(|| rustix::fs::open("/", flags, Mode::empty()))?;
            if descriptor.as_raw_fd() > 2 {
                return Ok(standard);
            }
            standard.taken.push(descriptor);
        }
    }
}

impl Drop for Standard {
    fn drop(&mut self) {
        for descriptor in self.taken.drain(..) {
            let flags = rustix::fs::fcntl_getfl(&descriptor);
            // The host may have put a file of its own there meanwhile (dup2): that stays open.
            if !flags.is_ok_and(|flags| flags.contains(OFlags::PATH)) {
                let _ = descriptor.into_raw_fd();
            }
        }
    }
}
