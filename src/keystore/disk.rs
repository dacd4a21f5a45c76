//! The file on disk: looked at, read, and replaced whole. No descriptor outlives a function of this module.
#![forbid(unsafe_code)]

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{self, Path, PathBuf};

use super::format::{BEGINNING, Labelled, SEAL_ENDS};
use super::lock::Lock;
use super::refusals::{failed, refuse_writable_by_others};
use super::temporary::Temporary;
use crate::error::{Error, Result, Status};
use crate::files::{self, directory};

/// A larger file is not a keystore; it is not even read.
const LARGEST: u64 = 1 << 30;
/// How often a path is followed again where it leads to nothing.
const TRIES: usize = 4;

/// What `stat` says of a file; another file or another content has another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Signature {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Signature {
    /// Looks at the file that the path leads to.
    pub(super) fn of(path: &Path) -> Result<Self> {
        match stat(path) {
            Ok(metadata) => Ok(Self::from_metadata(&metadata)),
            Err(error) => Err(failed("look at", path, &error)),
        }
    }

    fn from_metadata(metadata: &Metadata) -> Self {
        Signature {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// The path in the form that stays right when the process changes its directory. Links in it are not
/// followed: each use follows them anew, so that a link that is switched is seen.
pub(super) fn absolute(path: &Path) -> Result<PathBuf> {
    if path.file_name().is_none() {
        return Err(Error::invalid_option(
            "keystore",
            format!("{} names no file", path.display()),
        ));
    }
    match path::absolute(path) {
        // Without a slash at its end.
        Ok(absolute) => Ok(absolute.components().collect()),
        Err(error) => Err(failed("find the directory of", path, &error)),
    }
}

/// The place that the path leads to now, in which no part is a link: a rename over a link would leave
/// the file behind it as it was.
pub(super) fn resolve(path: &Path) -> Result<PathBuf> {
    match fs::canonicalize(path) {
        Ok(resolved) => return Ok(resolved),
        // A link that leads nowhere is no place for a keystore: creation does not replace it.
        Err(error) if path.is_symlink() && error.kind() == ErrorKind::NotFound => {
            return Err(Error::with(
                Status::KeystoreNotFound,
                format!(
                    "{} is a link that leads nowhere; no keystore is made through it.",
                    path.display()
                ),
            ));
        }
        Err(error) if path.is_symlink() => return Err(failed("follow", path, &error)),
        Err(_) => {}
    }
    let name = path.file_name().unwrap_or_default();
    match fs::canonicalize(directory(path)) {
        Ok(parent) => Ok(parent.join(name)),
        Err(error) => Err(failed("find the directory of", path, &error)),
    }
}

/// What the path leads to. A link may be switched, and what it led to removed, while it is followed: what
/// is not there is looked for again.
fn stat(path: &Path) -> io::Result<Metadata> {
    let mut found = fs::metadata(path);
    for _ in 0..TRIES {
        match &found {
            Err(error) if error.kind() == ErrorKind::NotFound => found = fs::metadata(path),
            _ => break,
        }
    }
    found
}

/// Reads the file that the path leads to; `None` where there is none.
pub(super) fn read(path: &Path) -> Result<Option<(Labelled, Signature)>> {
    let mut tries = 0..TRIES;
    loop {
        let read = resolve(path).and_then(|place| read_at(&place));
        let nothing = match &read {
            Ok(read) => read.is_none(),
            Err(error) => error.status() == Status::KeystoreNotFound,
        };
        // A link may have been switched, and what it led to removed, within.
        if !nothing || tries.next().is_none() || stat(path).is_err() {
            return read;
        }
    }
}

fn read_at(path: &Path) -> Result<Option<(Labelled, Signature)>> {
    let io = |error: io::Error| failed("read", path, &error);
    // Not to hang on a FIFO.
    let mut options = OpenOptions::new();
    options
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
    let mut file = match files::open(path, &options) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io(error)),
    };
    let metadata = file.metadata().map_err(io)?;
    if !metadata.is_file() || metadata.size() > LARGEST {
        return Err(Error::with(
            Status::NotAKeystore,
            format!("{} is not a keystore file.", path.display()),
        ));
    }
    refuse_writable_by_others(path, &metadata)?;
    let directory = directory(path);
    refuse_writable_by_others(directory, &fs::metadata(directory).map_err(io)?)?;

    let size = usize::try_from(metadata.size()).unwrap_or(usize::MAX);
    let mut bytes = Labelled::with_room(BEGINNING.len())?;
    let beginning = BEGINNING.len() as u64;
    Read::by_ref(&mut file)
        .take(beginning)
        .read_to_end(bytes.vec())
        .map_err(io)?;
    // What does not begin as a keystore is refused by the parser, however long it is.
    if bytes.file() == BEGINNING {
        let more = bytes.vec().try_reserve_exact(size + 1);
        more.map_err(|_| Error::new(Status::NoMemory))?;
        // No more than was seen: somebody may be appending.
        file.take(metadata.size())
            .read_to_end(bytes.vec())
            .map_err(io)?;
    }
    Ok(Some((bytes, Signature::from_metadata(&metadata))))
}

/// Whether the file's closing seal is this one.
pub(super) fn ends_with(path: &Path, seal: &[u8]) -> Result<bool> {
    let io = |error: io::Error| failed("read", path, &error);
    let mut file = files::open(path, OpenOptions::new().read(true)).map_err(io)?;
    let len = seal.len() + SEAL_ENDS.len();
    let mut end = vec![0; len];
    let from_end = i64::try_from(len).unwrap_or(i64::MAX);
    let read = file
        .seek(SeekFrom::End(-from_end))
        .and_then(|_| file.read_exact(&mut end));
    // A shorter file is another file.
    Ok(read.is_ok() && end.starts_with(seal))
}

/// Puts a file where none is. `false`: another process was faster, and its file stands.
pub(super) fn create(path: &Path, bytes: &[u8], _lock: &Lock) -> Result<bool> {
    place_new(path, bytes)
}

/// The same for a file that no process changes later, and so none has to lock. Should it become a
/// keystore at this very moment, its writer may sweep the temporary away, which fails this.
pub(super) fn place_new(path: &Path, bytes: &[u8]) -> Result<bool> {
    let directory = directory(path);
    let parent = fs::metadata(directory).map_err(|error| failed("create", path, &error))?;
    refuse_writable_by_others(directory, &parent)?;
    let parent = files::open_directory(path).map_err(|error| failed("create", path, &error))?;
    let mut temporary = Temporary::write(path, bytes, None)?;
    match temporary.name_new(path) {
        Ok(()) => {
            sync(&parent, path).map_err(may_not_last)?;
            Ok(true)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(failed("create", path, &error)),
    }
}

/// Replaces the file; when this returns, the new one lasts. An error says where it may not, although it
/// is in place.
pub(super) fn replace(path: &Path, bytes: &[u8], _lock: &Lock) -> Result<Signature> {
    if u64::try_from(bytes.len()).map_or(true, |len| len > LARGEST) {
        return Err(Error::constant(
            Status::LimitExceeded,
            "The keystore would be larger than 1 GiB, which no client reads.",
        ));
    }
    let old = fs::metadata(path).map_err(|error| failed("look at", path, &error))?;
    let parent = files::open_directory(path).map_err(|error| failed("replace", path, &error))?;
    let mut temporary = Temporary::write(path, bytes, Some(&old))?;
    let replaced = temporary.replace(path);
    replaced.map_err(|error| failed("replace", path, &error))?;
    sync(&parent, path).map_err(may_not_last)?;
    let written = temporary.file.metadata();
    let written = written.map_err(|error| may_not_last(failed("look at", path, &error)))?;
    Ok(Signature::from_metadata(&written))
}

fn may_not_last(error: Error) -> Error {
    error.after_the_change("may not survive a power cut")
}

fn sync(parent: &File, path: &Path) -> Result<()> {
    files::sync_directory(parent).map_err(|error| failed("sync the directory of", path, &error))
}
