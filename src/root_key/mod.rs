//! Where the root key comes from. It opens one slot of the keystore and is then forgotten.
#![forbid(unsafe_code)]

mod encoding;
mod file;

use std::env;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{self, Path, PathBuf};

use zeroize::Zeroizing;

use crate::error::{Error, Result, Status};
use crate::secret::heap::SecretBytes;
use file::Readers;

/// The length of a root key.
pub const LEN: usize = 32;

/// The most that a passphrase may have, so that a wrong path does not fill the memory.
const LONGEST_PASSPHRASE: usize = 4096;

/// What opens a slot: a key, or a passphrase that Argon2id makes into one.
pub enum RootKey {
    /// 32 bytes.
    Key(SecretBytes),
    /// Text, at least one byte.
    Passphrase(SecretBytes),
}

impl RootKey {
    /// Takes a copy of 32 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        if bytes.len() != LEN {
            return Err(Error::invalid_argument(
                "The root key must have exactly 32 bytes.",
            ));
        }
        copy(bytes).map(RootKey::Key)
    }
}

/// The option `root_key`, understood but not yet followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file with the key.
    File(PathBuf),
    /// A file in systemd's credentials directory: its name, or its absolute path.
    Credential(PathBuf),
    /// An environment variable with the key in hex or base64.
    Environment(OsString),
    /// A file with a passphrase.
    PassphraseFile(PathBuf),
}

impl Source {
    /// Understands the option's value; the error says why not.
    pub fn parse(value: impl AsRef<OsStr>) -> Result<Self, String> {
        let mut parts = value.as_ref().as_bytes().splitn(2, |byte| *byte == b':');
        let kind = parts.next().unwrap_or_default();
        let rest = OsStr::from_bytes(parts.next().unwrap_or_default());
        let source = match kind {
            b"file" => Source::File(rest.into()),
            b"credential" => Source::Credential(rest.into()),
            b"env" => Source::Environment(rest.into()),
            b"passphrase-file" => Source::PassphraseFile(rest.into()),
            // It is not quoted: somebody may have given the key itself.
            _ => {
                return Err(
                    "it is not file:PATH, credential:NAME, env:NAME or passphrase-file:PATH"
                        .to_owned(),
                );
            }
        };
        if rest.is_empty() {
            let kind = String::from_utf8_lossy(kind);
            return Err(format!("nothing stands after \"{kind}:\""));
        }
        let is_name = rest != "." && rest != ".." && !rest.as_bytes().contains(&b'/');
        if kind == b"credential" && !is_name {
            return Err("what stands after \"credential:\" is not a name".to_owned());
        }
        Ok(source)
    }

    /// The same source, wherever the process goes and whatever becomes of `CREDENTIALS_DIRECTORY`.
    pub fn absolute(&self) -> Result<Self> {
        let absolute = |path: &Path| {
            path::absolute(path).map_err(|error| unusable(format!("{}: {error}", path.display())))
        };
        Ok(match self {
            Source::File(path) => Source::File(absolute(path)?),
            Source::PassphraseFile(path) => Source::PassphraseFile(absolute(path)?),
            Source::Credential(name) if !name.is_absolute() => {
                let directory = env::var_os("CREDENTIALS_DIRECTORY")
                    .ok_or_else(|| unusable("CREDENTIALS_DIRECTORY is not set"))?;
                Source::Credential(absolute(&Path::new(&directory).join(name))?)
            }
            Source::Credential(_) | Source::Environment(_) => self.clone(),
        })
    }

    /// The file that it names, if it names one.
    pub fn path(&self) -> Option<PathBuf> {
        match self {
            Source::File(path) | Source::PassphraseFile(path) => Some(path.clone()),
            Source::Credential(name) => env::var_os("CREDENTIALS_DIRECTORY")
                .map(|directory| Path::new(&directory).join(name)),
            Source::Environment(_) => None,
        }
    }

    /// Follows the source.
    pub fn load(&self) -> Result<RootKey> {
        match &self.absolute()? {
            Source::File(path) => key_file(path, Readers::OwnerOnly),
            Source::Credential(path) => key_file(path, Readers::GroupAsSystemdShowsIt),
            Source::Environment(name) => environment(name),
            Source::PassphraseFile(path) => passphrase_file(path),
        }
    }
}

fn key_file(path: &Path, readers: Readers) -> Result<RootKey> {
    // Hex is the longest form: 64 characters and a line end.
    let content = file::read(path, 66, readers)?;
    let mut key = secret(LEN)?;
    encoding::from_file(&content, &mut key)
        .map_err(|why| unusable(format!("{} {why}", path.display())))?;
    Ok(RootKey::Key(key))
}

fn passphrase_file(path: &Path) -> Result<RootKey> {
    let content = file::read(path, LONGEST_PASSPHRASE, Readers::OwnerOnly)?;
    let text = encoding::without_line_end(&content);
    if text.is_empty() {
        return Err(unusable(format!("{} is empty", path.display())));
    }
    copy(text).map(RootKey::Passphrase)
}

fn environment(name: &OsStr) -> Result<RootKey> {
    // Somebody may have given the key itself for a name: only what looks like one is shown.
    let like_a_name = name.len() <= 40
        && name
            .as_bytes()
            .iter()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_');
    let name_shown = match like_a_name {
        true => name.to_string_lossy(),
        false => "(not shown)".into(),
    };
    let value = env::var_os(name)
        .ok_or_else(|| unusable(format!("the environment variable {name_shown} is not set")))?;
    let value = Zeroizing::new(value.into_vec());
    let mut key = secret(LEN)?;
    encoding::from_text(&value, &mut key)
        .map_err(|why| unusable(format!("the environment variable {name_shown} {why}")))?;
    Ok(RootKey::Key(key))
}

fn secret(len: usize) -> Result<SecretBytes> {
    SecretBytes::zeroed(len).ok_or(Error::new(Status::NoMemory))
}

fn copy(bytes: &[u8]) -> Result<SecretBytes> {
    SecretBytes::copy_of(bytes).ok_or(Error::new(Status::NoMemory))
}

/// What the source names is not there, cannot be read, or is no root key.
fn unusable(why: impl std::fmt::Display) -> Error {
    Error::with(
        Status::RootKeySource,
        format!("The root key cannot be read from its source: {why}."),
    )
}

#[cfg(test)]
mod tests;
