//! One file, one role: a log must not be written into a keystore.
#![forbid(unsafe_code)]

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::files::directory;

/// What stands beside a keystore, by the ends of the names. A name that goes on after the last is swept.
const BESIDE: [(&str, &str); 4] = [
    ("", "the keystore"),
    (".lock", "the keystore's lock"),
    (".usage", "the keystore's counts"),
    (TEMPORARY, "a temporary file of the keystore"),
];
const TEMPORARY: &str = ".tmp-";

/// Refuses two roles that name one file. `named` are options, or arguments, and their files.
pub fn keep_apart(keystore: Option<&Path>, named: &[(&str, &Path)]) -> Result<()> {
    for (at, (name, path)) in named.iter().enumerate() {
        let place = Place::of(path);
        let other = match keystore.and_then(|keystore| beside(keystore, path, &place)) {
            Some(what) => format!("{what}, which the option \"keystore\" names"),
            None => match named[..at]
                .iter()
                .find(|(_, other)| Place::of(other) == place)
            {
                Some((other, _)) => format!("what \"{other}\" names"),
                None => continue,
            },
        };
        return Err(Error::invalid_option(
            name,
            format!("{} is {other} too; name another file", path.display()),
        ));
    }
    Ok(())
}

/// What a path would be beside this keystore.
fn beside(keystore: &Path, path: &Path, place: &Place) -> Option<&'static str> {
    let keystore = follow(keystore);
    let with = |end: &str| {
        let mut name = keystore.clone().into_os_string();
        name.push(end);
        PathBuf::from(name)
    };
    let swept = with(TEMPORARY).into_os_string();
    let path = follow(path).into_os_string();
    let is = |end: &str| match end {
        TEMPORARY => path
            .as_encoded_bytes()
            .starts_with(swept.as_encoded_bytes()),
        end => Place::of(&with(end)) == *place,
    };
    let found = BESIDE.iter().find(|(end, _)| is(end));
    found.map(|(_, what)| *what)
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
fn follow(path: &Path) -> PathBuf {
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
