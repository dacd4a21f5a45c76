//! The audit log as a file.
#![forbid(unsafe_code)]

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{self, Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::files::rights::{OWNER_ONLY, Rights, shed};
use crate::files::{self, LOCK, USAGE, beside, roles};
use crate::secret::fork;

/// How often, and how far apart, a line without its end is looked at before it counts as torn.
const LOOKS: u32 = 5;
const BETWEEN_LOOKS: Duration = Duration::from_millis(1);

/// A file, opened anew for each line, so that it may be renamed at any time. It is a regular file: a pipe
/// could end the host by a signal, and neither a pipe nor a device can make sure that a line lasts.
#[derive(Clone)]
pub struct Log {
    path: PathBuf,
    /// Whose owner a new log gets. Like the root key's file, it is never taken for a log.
    keystore: Option<PathBuf>,
    root_key: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Durability {
    Written,
    Synced,
}

impl Log {
    pub(super) fn new(path: PathBuf) -> Self {
        Log {
            path,
            keystore: None,
            root_key: None,
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn resolved(
        &self,
        keystore: Option<&Path>,
        root_key: Option<&Path>,
    ) -> Result<Self> {
        let absolute = |path: &Path| path::absolute(path).map_err(|error| refused(path, error));
        let log = Log {
            path: absolute(&self.path)?,
            keystore: keystore.map(absolute).transpose()?,
            root_key: root_key.map(absolute).transpose()?,
        };
        log.check()?;
        Ok(log)
    }

    /// Refuses a place that cannot be a log, before anything is done.
    fn check(&self) -> Result<()> {
        let refused = |why| Err(refused(&self.path, why));
        let directory = match fs::canonicalize(files::directory(&self.path)) {
            Ok(directory) => directory,
            Err(error) => return refused(error),
        };
        match fs::metadata(&self.path) {
            Ok(metadata) if !metadata.is_file() => return refused(not_regular()),
            Err(_) if !directory.is_dir() => return refused(ErrorKind::NotADirectory.into()),
            Err(error) if error.kind() == ErrorKind::NotFound && self.path.is_symlink() => {
                return refused(leads_nowhere());
            }
            _ => {}
        }
        // Such a name is of another file whenever the host redirects a stream.
        match directory == Path::new("/dev") || directory.starts_with("/proc") {
            true => refused(not_regular()),
            false => Ok(()),
        }
    }

    /// One write for the whole line: lines of many processes do not mix.
    pub(super) fn append(&self, line: &[u8], durability: Durability) -> io::Result<()> {
        let _gate = fork::enter();
        let mut file = self.open()?;
        self.refuse_stranger(&file)?;
        let mut whole = Vec::new();
        let line = if is_torn(&file) {
            whole.try_reserve_exact(1 + line.len())?;
            whole.push(b'\n');
            whole.extend_from_slice(line);
            &whole
        } else {
            line
        };
        let written = loop {
            match file.write(line) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                written => break written?,
            }
        };
        if written != line.len() {
            return Err(io::Error::new(
                ErrorKind::WriteZero,
                "the line was not written whole",
            ));
        }
        match durability {
            Durability::Written => Ok(()),
            Durability::Synced => file.sync_data(),
        }
    }

    /// Opens the log to be appended to, and makes it if need be. It is opened for reading too, to see how
    /// it ends; where that is not allowed, for writing alone.
    fn open(&self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options
            .append(true)
            .mode(OWNER_ONLY)
            .custom_flags(libc::O_NOCTTY | libc::O_NONBLOCK);
        match files::open(&self.path, options.clone().read(true)) {
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                files::open(&self.path, &options)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => match self.make() {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                    // Another process was faster, or it is a link.
                    match files::open(&self.path, options.read(true)) {
                        Err(error) if error.kind() == ErrorKind::NotFound => Err(leads_nowhere()),
                        opened => opened,
                    }
                }
                made => made,
            },
            opened => opened,
        }
    }

    /// A new log is for all who may write the keystore, whoever makes it, if it is in a directory of theirs.
    fn make(&self) -> io::Result<File> {
        let directory = files::open_directory(&self.path)?;
        let name = self.path.file_name().unwrap_or_default();
        let file = files::create_in(&directory, name)?;
        shed(&file)?;
        if let Some(keystore) = &self.keystore {
            // Who may not give it away keeps it.
            let _ = Rights::of(keystore)
                .and_then(|rights| rights.of_writers().give_in(&directory, &file));
        }
        // Without its name in the directory, a line that is on disk could not be found.
        files::sync_directory(&directory)?;
        Ok(file)
    }

    /// The name may lead elsewhere than at open.
    fn refuse_stranger(&self, file: &File) -> io::Result<()> {
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(not_regular());
        }
        let keystore = self.keystore.as_deref().map(roles::follow);
        let beside = |end| keystore.as_deref().map(|keystore| beside(keystore, end));
        for (other, what) in [
            (keystore.clone(), "keystore"),
            (beside(LOCK), "keystore's lock"),
            (beside(USAGE), "keystore's counts"),
            (self.root_key.clone(), "root key"),
        ] {
            let Some(Ok(other)) = other.map(fs::metadata) else {
                continue;
            };
            if (other.dev(), other.ino()) == (metadata.dev(), metadata.ino()) {
                return Err(io::Error::other(format!("it is the {what} now")));
            }
        }
        Ok(())
    }
}

fn not_regular() -> io::Error {
    io::Error::other(
        "it is not a regular file; for anything else, take the lines by an audit callback",
    )
}

fn leads_nowhere() -> io::Error {
    io::Error::other(
        "it is a link that leads nowhere, and no log is made through a link; name the log itself",
    )
}

fn refused(path: &Path, why: io::Error) -> Error {
    Error::invalid_option("audit_log", format!("{}: {why}", path.display()))
}

/// Whether the last line has no end, because its writer was killed within it or the disk was full. A
/// line that another process is just writing looks like that too, but not for long; where it takes
/// longer, an empty line comes of it.
fn is_torn(file: &File) -> bool {
    for _ in 0..LOOKS {
        if !ends_within_a_line(file) {
            return false;
        }
        thread::sleep(BETWEEN_LOOKS);
    }
    true
}

/// What cannot be read tells nothing.
fn ends_within_a_line(file: &File) -> bool {
    let len = file.metadata().map_or(0, |metadata| metadata.len());
    let mut last = [b'\n'];
    len > 0 && file.read_at(&mut last, len - 1).is_ok() && last != *b"\n"
}
