//! One file, one role: a log must not be written into a keystore.
#![forbid(unsafe_code)]

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result, Status};
use crate::files::{LOCK, TEMPORARY, USAGE, beside, directory};

/// A keystore and what stands beside it, by the ends of the names.
const BESIDE: [(&str, &str); 4] = [
    ("", "the keystore"),
    (LOCK, "the lock of the keystore"),
    (USAGE, "the counts of the keystore"),
    (TEMPORARY, "a temporary file of the keystore"),
];

/// Refuses two roles that name one file. `named` are options, or arguments, and their files.
pub fn keep_apart(keystore: Option<&Path>, named: &[(&str, &Path)]) -> Result<()> {
    for (at, (name, path)) in named.iter().enumerate() {
        let place = Place::of(path);
        let other = match keystore.and_then(|keystore| part_of(keystore, path, &place)) {
            Some(what) => format!("{what} that \"keystore\" names"),
            None => match named[..at]
                .iter()
                .find(|(_, other)| Place::of(other) == place)
            {
                Some((other, _)) => format!("what \"{other}\" names"),
                None => continue,
            },
        };
        return Err(Error::with(
            Status::InvalidOption,
            format!(
                "\"{name}\" names {}, which is {other}. Name another file.",
                path.display()
            ),
        ));
    }
    Ok(())
}

/// What a path is, or would be, of this keystore.
fn part_of(keystore: &Path, path: &Path, place: &Place) -> Option<&'static str> {
    let keystore = follow(keystore);
    let path = follow(path);
    let is = |end: &str| {
        let named = beside(&keystore, end);
        match end {
            TEMPORARY => path.parent() == named.parent() && begins_with(&path, &named),
            _ => Place::of(&named) == *place,
        }
    };
    let found = BESIDE.iter().find(|(end, _)| is(end));
    found.map(|(_, what)| *what)
}

fn begins_with(path: &Path, with: &Path) -> bool {
    let [path, with] = [path, with].map(|path| path.as_os_str().as_encoded_bytes());
    path.starts_with(with)
}

/// Where a file is, or would be.
#[derive(PartialEq, Eq)]
enum Place {
    There { device: u64, inode: u64 },
    NotYet(PathBuf),
}

impl Place {
    fn of(path: &Path) -> Self {
        match fs::metadata(path) {
            Ok(metadata) => Place::There {
                device: metadata.dev(),
                inode: metadata.ino(),
            },
            Err(_) => Place::NotYet(follow(path)),
        }
    }
}

/// Where a path leads, also where nothing is there yet.
pub fn follow(path: &Path) -> PathBuf {
    const LINKS_MAX: usize = 40;
    let mut path = path.to_owned();
    for _ in 0..LINKS_MAX {
        if let Ok(path) = fs::canonicalize(&path) {
            return path;
        }
        match fs::read_link(&path) {
            Ok(target) => path = directory(&path).join(target),
            Err(_) => break,
        }
    }
    match (fs::canonicalize(directory(&path)), path.file_name()) {
        (Ok(directory), Some(name)) => directory.join(name),
        _ => path,
    }
}
