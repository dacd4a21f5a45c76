//! How often each version has unwrapped, and when last: lines at the end of a file beside the
//! keystore.
//!
//! A line says how often one version unwrapped in one process since that process last wrote. Nobody
//! waits for anybody: who finds the file taken by another who adds it up keeps his counts for the next
//! time. What a process had counted when it was killed is lost: the sums are lower bounds.
#![forbid(unsafe_code)]

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::state::id;
use super::temporary::Temporary;
use super::view::View;
use crate::clock::Timestamp;
use crate::error::{Error, Result, Status};
use crate::files;
use crate::files::rights::{OWNER_ONLY, Rights};
use crate::maps::HashMap;
use crate::secret::fork;

/// A longer file is added up, unless so many versions need one.
const LONG: u64 = 1 << 20;
/// The length of a line, about.
const LINE: u64 = 112;
/// A longer line is none of ours.
const LONGEST_LINE: usize = 512;
/// No more of a file is read: what is larger is none of ours.
const MOST_READ: u64 = 1 << 30;

/// What is known of a version's use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    /// The version.
    #[serde(with = "id")]
    pub key_version_id: Uuid,
    /// How often it has unwrapped, at least.
    pub unwraps: u64,
    /// When it was last known to: it was not long before this.
    pub last: Timestamp,
}

/// The usage file of a keystore: beside the file itself, where the path is a link to it.
pub fn path_beside(keystore: &Path) -> PathBuf {
    let place = fs::canonicalize(keystore).unwrap_or_else(|_| keystore.to_owned());
    files::beside(&place, files::USAGE)
}

/// Appends what was counted. An error means that nothing of it was written.
pub fn append(keystore: &Path, counted: &[Used], versions: usize) -> io::Result<()> {
    if counted.is_empty() {
        return Ok(());
    }
    let _gate = fork::enter();
    let path = path_beside(keystore);
    let lines = lines(counted)?;
    let mut file = open(&path, OpenOptions::new().append(true).create(true))?;
    // Who may not bring it in line, may still be allowed to write.
    let _ = Rights::of(keystore).and_then(|rights| rights.and_owner_writes().give_beside(&file));
    // Whoever adds the lines up has the file alone; nobody waits for that.
    file.try_lock_shared()?;
    let metadata = file.metadata()?;
    if !is_named(&metadata, &path)? || is_strangers(&metadata) {
        drop(file);
        compact(keystore, versions);
        return Err(ErrorKind::WouldBlock.into());
    }
    // What a full disk cuts off is lost: written again, it could count twice.
    file.write(&lines).map(drop)?;
    drop(file);
    compact(keystore, versions);
    Ok(())
}

/// Adds up all lines about the versions in this view. A line that cannot be read, such as one cut short,
/// counts for nothing.
pub fn read(keystore: &Path, view: &View) -> Result<HashMap<Uuid, Used>> {
    let _gate = fork::enter();
    let path = path_beside(keystore);
    let sums = open(&path, OpenOptions::new().read(true))
        .and_then(|file| add_up(&file, Some(view), view.versions(), Timestamp::now()));
    match sums {
        Ok(sums) => Ok(sums),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(HashMap::default()),
        Err(error) if error.kind() == ErrorKind::OutOfMemory => Err(Error::new(Status::NoMemory)),
        Err(error) => Err(Error::with(
            Status::KeystoreIo,
            format!("Could not read {}: {error}.", path.display()),
        )),
    }
}

/// Writes one line for each version where the file has grown long for so many versions, or has another
/// name too. Nothing hangs on the outcome.
pub(super) fn compact(keystore: &Path, versions: usize) {
    let long = LONG.max(4 * LINE * u64::try_from(versions).unwrap_or(u64::MAX / (4 * LINE)));
    let path = path_beside(keystore);
    let metadata = fs::symlink_metadata(&path);
    if metadata.is_ok_and(|metadata| metadata.len() > long || is_strangers(&metadata)) {
        let _gate = fork::enter();
        let _ = add_up_in_place(keystore, &path, versions);
    }
}

fn add_up_in_place(
    keystore: &Path,
    path: &Path,
    versions: usize,
) -> Result<(), Box<dyn std::error::Error>> {
    let file = open(path, OpenOptions::new().read(true))?;
    file.try_lock()?;
    if !is_named(&file.metadata()?, path)? {
        // Another process has just done it.
        return Ok(());
    }
    // There may be newer versions than this process knows; ids that somebody made up may not fill the memory.
    let sums = add_up(&file, None, 2 * versions + 10_000, Timestamp::now())?;
    let rights = Rights::of(keystore)?.and_owner_writes();
    let mut fresh = Temporary::create(keystore, Some(&rights))?;
    let mut text = BufWriter::new(&fresh.file);
    for used in sums.values() {
        text.write_all(&lines(&[*used])?)?;
    }
    text.flush()?;
    drop(text);
    fresh.replace(path)?;
    Ok(())
}

fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let options = options
        .mode(OWNER_ONLY)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    let file = files::open(path, options)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(ErrorKind::InvalidInput.into()),
    }
}

/// Whether the file has another name too: it may be anybody's, and is not written to.
fn is_strangers(metadata: &Metadata) -> bool {
    metadata.nlink() > 1
}

/// Whether this is still the file of that name.
fn is_named(held: &Metadata, path: &Path) -> io::Result<bool> {
    let named = fs::metadata(path)?;
    Ok((held.dev(), held.ino()) == (named.dev(), named.ino()))
}

/// The lines, each on its own also where the last writer was killed within its line.
fn lines(counted: &[Used]) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    text.try_reserve(1 + 128 * counted.len())
        .map_err(|_| ErrorKind::OutOfMemory)?;
    text.push(b'\n');
    for used in counted {
        serde_json::to_writer(&mut text, used)?;
        text.push(b'\n');
    }
    Ok(text)
}

/// Adds up the lines of a file, of those versions that a view has where one is given, and of no more than
/// `most`. A time after `now` was written by a clock that was ahead: it counts only where there is no other.
fn add_up(
    file: impl Read,
    view: Option<&View>,
    most: usize,
    now: Timestamp,
) -> io::Result<HashMap<Uuid, Used>> {
    let mut sums: HashMap<Uuid, Used> = HashMap::default();
    let mut file = BufReader::new(file.take(MOST_READ));
    let mut line = Vec::with_capacity(LONGEST_LINE);
    let mut is_begin = true;
    loop {
        let buffered = file.fill_buf()?;
        let blank = buffered.iter().take_while(|byte| **byte == b'\n').count();
        if blank > 0 {
            file.consume(blank);
            is_begin = true;
            continue;
        }
        line.clear();
        let longest = u64::try_from(LONGEST_LINE).unwrap_or(u64::MAX);
        if file.by_ref().take(longest).read_until(b'\n', &mut line)? == 0 {
            return Ok(sums);
        }
        let used = match is_begin {
            true => serde_json::from_slice::<Used>(&line).ok(),
            false => None,
        };
        is_begin = line.ends_with(b"\n");
        let Some(used) = used.filter(|used| view.is_none_or(|view| view.has(used.key_version_id)))
        else {
            continue;
        };
        if let Some(sum) = sums.get_mut(&used.key_version_id) {
            sum.unwraps = sum.unwraps.saturating_add(used.unwraps);
            let times = [sum.last, used.last].into_iter();
            let last = times.max_by_key(|last| (*last <= now, *last));
            sum.last = last.unwrap_or(used.last);
        } else if sums.len() < most {
            sums.try_reserve(1).map_err(|_| ErrorKind::OutOfMemory)?;
            sums.insert(used.key_version_id, used);
        } else {
            return Err(ErrorKind::FileTooLarge.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_add_up_and_torn_ones_count_for_nothing() {
        let version = Uuid::from_bytes([7; 16]);
        let line = |unwraps, seconds| {
            lines(&[Used {
                key_version_id: version,
                unwraps,
                last: Timestamp::from_seconds(seconds),
            }])
            .unwrap()
        };
        let text = [
            &line(3, 20)[..],
            b"{\"key_version",
            b"\nnonsense\n",
            &[b' '; LONGEST_LINE],
            &line(4, 30)[1..],
            &line(4, 10),
            &line(1, 30),
        ]
        .concat();
        let sums = add_up(&text[..], None, 1, Timestamp::from_seconds(25)).unwrap();
        assert_eq!(sums.len(), 1);
        assert_eq!(sums[&version].unwraps, 8);
        assert_eq!(sums[&version].last, Timestamp::from_seconds(20));
    }
}
