//! The file on disk: looked at, read, replaced whole, and locked against other writers.
//!
//! No descriptor outlives a function of this module but that of [`Lock`], and its holder holds
//! the fork gate.
#![forbid(unsafe_code)]

use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{self, Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::format::{BEGINNING, Labelled, SEAL_ENDS};
use crate::error::{Error, Result, Status};
use crate::files::rights::{OWNER_ONLY, Rights, shed};
use crate::files::{self, directory};
use crate::random;

/// A larger file is not a keystore; it is not even read.
const LARGEST: u64 = 1 << 30;
const READ_TRIES: usize = 4;
const WRITABLE_BY_OTHERS: u32 = 0o002;

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
        match fs::metadata(path) {
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

/// Reads the file that the path leads to; `None` where there is none.
pub(super) fn read(path: &Path) -> Result<Option<(Labelled, Signature)>> {
    let mut tries = 0..READ_TRIES;
    loop {
        let read = resolve(path).and_then(|place| read_at(&place));
        let nothing = match &read {
            Ok(read) => read.is_none(),
            Err(error) => error.status() == Status::KeystoreNotFound,
        };
        // A link may have been switched, and what it led to removed, within.
        if !nothing || tries.next().is_none() || !path.exists() {
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

/// The right to write, shared between processes by `flock` on a file beside the keystore.
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the right; `None` where another writer has it. The lock file stays for ever: removing
    /// it could let two writers in.
    pub(super) fn try_take(path: &Path) -> Result<Option<Lock>> {
        let lock_path = beside(path, ".lock");
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
        Ok(Some(Lock { _file: file }))
    }
}

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

    fn write(keystore: &Path, bytes: &[u8], old: Option<&Metadata>) -> Result<Self> {
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
    fn name_new(&mut self, path: &Path) -> io::Result<()> {
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

const TEMPORARY: &str = ".tmp-";
const NO_WAY_TO_CREATE: &str = "this file system has neither a rename that replaces nothing nor hard \
                                links, and a keystore or backup is never put in the place of another";

/// Removes what killed writers left. Only the holder of the lock makes such files.
fn sweep(keystore: &Path) {
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

fn refuse_writable_by_others(path: &Path, metadata: &Metadata) -> Result<()> {
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

fn sync(parent: &File, path: &Path) -> Result<()> {
    files::sync_directory(parent).map_err(|error| failed("sync the directory of", path, &error))
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

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn failed(what: &str, path: &Path, error: &io::Error) -> Error {
    let status = match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => Status::KeystoreNotFound,
        _ => Status::KeystoreIo,
    };
    Error::with(
        status,
        format!("Could not {what} {}: {error}.", path.display()),
    )
}
