//! How often each version has unwrapped, and when last: lines at the end of a file beside the
//! keystore.
//!
//! A line says how often one version unwrapped in one process since that process last wrote. Nobody
//! waits for anybody: who finds the file taken by another who adds it up keeps his counts for the next
//! time. What a process had counted when it was killed is lost: the sums are lower bounds.
#![forbid(unsafe_code)]

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::state::id;
use crate::clock::Timestamp;
use crate::error::{Error, Result, Status};
use crate::files;
use crate::maps::HashMap;
use crate::secret::fork;

/// A longer file is added up, unless so many versions need one.
const LONG: u64 = 1 << 20;
/// The length of a line, about.
const LINE: u64 = 112;

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
    let mut name = place.into_os_string();
    name.push(".usage");
    name.into()
}

/// Appends what was counted. An error means that nothing of it was written.
pub fn append(keystore: &Path, counted: &[Used], versions: usize) -> io::Result<()> {
    if counted.is_empty() {
        return Ok(());
    }
    let _gate = fork::enter();
    let mut file = open(
        keystore,
        &path_beside(keystore),
        OpenOptions::new().append(true).create(true),
    )?;
    // Whoever adds the lines up has the file alone; nobody waits for that.
    file.try_lock_shared()?;
    if !is_named(&file, &path_beside(keystore))? {
        return Err(io::ErrorKind::WouldBlock.into());
    }
    // What a full disk cuts off is lost: written again, it could count twice.
    file.write(&lines(counted)).map(drop)?;
    drop(file);
    compact(keystore, versions);
    Ok(())
}

/// Adds up all lines. A line that cannot be read, such as one cut short, counts for nothing.
pub fn read(keystore: &Path) -> Result<HashMap<Uuid, Used>> {
    let _gate = fork::enter();
    let path = path_beside(keystore);
    match open(keystore, &path, OpenOptions::new().read(true)).and_then(|file| read_whole(&file)) {
        Ok(text) => Ok(add_up(&text, Timestamp::now())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(HashMap::default()),
        Err(error) => Err(Error::with(
            Status::KeystoreIo,
            format!("Could not read {}: {error}.", path.display()),
        )),
    }
}

/// Writes one line for each version where the file has grown long for so many versions. Nothing hangs
/// on the outcome.
pub(super) fn compact(keystore: &Path, versions: usize) {
    let long = LONG.max(4 * LINE * u64::try_from(versions).unwrap_or(u64::MAX / (4 * LINE)));
    let path = path_beside(keystore);
    if fs::metadata(&path).is_ok_and(|metadata| metadata.len() > long) {
        let _gate = fork::enter();
        let _ = add_up_in_place(keystore, &path);
    }
}

fn add_up_in_place(keystore: &Path, path: &Path) -> io::Result<()> {
    let file = open(keystore, path, OpenOptions::new().read(true).append(true))?;
    file.try_lock()?;
    if !is_named(&file, path)? {
        // Another process has just done it.
        return Ok(());
    }
    let mut sums: Vec<Used> = add_up(&read_whole(&file)?, Timestamp::now())
        .into_values()
        .collect();
    sums.sort_by_key(|used| used.key_version_id);
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(".new");
    let fresh = Path::new(&fresh);
    let mut options = OpenOptions::new();
    open(
        keystore,
        fresh,
        options.write(true).create(true).truncate(true),
    )
    .and_then(|mut file| file.write_all(&lines(&sums)))
    .and_then(|()| fs::rename(fresh, path))
    .inspect_err(|_| {
        let _ = fs::remove_file(fresh);
    })
}

/// Opens a file that belongs to the owner of the keystore, whoever makes it.
fn open(keystore: &Path, path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let keystore = fs::metadata(keystore)?;
    let options = options
        .mode(keystore.mode() & 0o666 | 0o600)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    let file = files::open(path, options)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    if (metadata.uid(), metadata.gid()) != (keystore.uid(), keystore.gid()) {
        let _ = fchown(&file, Some(keystore.uid()), Some(keystore.gid()));
    }
    Ok(file)
}

fn read_whole(mut file: &File) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    Ok(text)
}

/// Whether this is still the file of that name.
fn is_named(file: &File, path: &Path) -> io::Result<bool> {
    let (held, named) = (file.metadata()?, fs::metadata(path)?);
    Ok((held.dev(), held.ino()) == (named.dev(), named.ino()))
}

/// The lines, each on its own also where the last writer was killed within its line.
fn lines(counted: &[Used]) -> Vec<u8> {
    let mut text = b"\n".to_vec();
    for used in counted {
        if serde_json::to_writer(&mut text, used).is_ok() {
            text.push(b'\n');
        }
    }
    text
}

/// A time after `now` was written by a clock that was ahead: it counts only where there is no other.
fn add_up(text: &[u8], now: Timestamp) -> HashMap<Uuid, Used> {
    let mut sums: HashMap<Uuid, Used> = HashMap::default();
    let lines = text.split(|byte| *byte == b'\n');
    let lines = lines.filter(|line| !line.is_empty());
    for used in lines.filter_map(|line| serde_json::from_slice::<Used>(line).ok()) {
        sums.entry(used.key_version_id)
            .and_modify(|sum| {
                sum.unwraps = sum.unwraps.saturating_add(used.unwraps);
                sum.last = [sum.last, used.last]
                    .into_iter()
                    .max_by_key(|last| (*last <= now, *last))
                    .unwrap_or(used.last);
            })
            .or_insert(used);
    }
    sums
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
        };
        let text = [
            &line(3, 20)[..],
            b"{\"key_version",
            b"\nnonsense\n",
            &line(4, 10),
            &line(1, 30),
        ]
        .concat();
        let sums = add_up(&text, Timestamp::from_seconds(25));
        assert_eq!(sums.len(), 1);
        assert_eq!(sums[&version].unwraps, 8);
        assert_eq!(sums[&version].last, Timestamp::from_seconds(20));
    }
}
