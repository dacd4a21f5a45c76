//! Where the root key comes from. It opens one slot of the keystore and is then forgotten.
#![forbid(unsafe_code)]

mod encoding;
mod file;

use std::env;
use std::path::{Path, PathBuf};

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
    /// A file of this name in systemd's credentials directory.
    Credential(String),
    /// An environment variable with the key in hex or base64.
    Environment(String),
    /// A file with a passphrase.
    PassphraseFile(PathBuf),
}

impl Source {
    /// Understands the option's value; the error says why not.
    pub fn parse(value: &str) -> Result<Self, String> {
        let (kind, rest) = value.split_once(':').unwrap_or((value, ""));
        let known = ["file", "credential", "env", "passphrase-file"].contains(&kind);
        if !known {
            // It is not quoted: somebody may have given the key itself.
            return Err(
                "it is not file:PATH, credential:NAME, env:NAME or passphrase-file:PATH".to_owned(),
            );
        }
        if rest.is_empty() {
            return Err(format!("nothing stands after \"{kind}:\""));
        }
        if kind == "credential" && (rest.contains('/') || rest == "." || rest == "..") {
            return Err("what stands after \"credential:\" is not a name".to_owned());
        }
        Ok(match kind {
            "file" => Source::File(rest.into()),
            "credential" => Source::Credential(rest.to_owned()),
            "env" => Source::Environment(rest.to_owned()),
            _ => Source::PassphraseFile(rest.into()),
        })
    }

    /// Follows the source.
    pub fn load(&self) -> Result<RootKey> {
        match self {
            Source::File(path) => key_file(path, Readers::OwnerOnly),
            Source::Credential(name) => {
                let Some(directory) = env::var_os("CREDENTIALS_DIRECTORY") else {
                    return Err(refused("CREDENTIALS_DIRECTORY is not set"));
                };
                key_file(
                    &Path::new(&directory).join(name),
                    Readers::GroupAsSystemdShowsIt,
                )
            }
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
        .map_err(|why| refused(format!("{} {why}", path.display())))?;
    Ok(RootKey::Key(key))
}

fn passphrase_file(path: &Path) -> Result<RootKey> {
    let content = file::read(path, LONGEST_PASSPHRASE, Readers::OwnerOnly)?;
    let text = encoding::without_line_end(&content);
    if text.is_empty() {
        return Err(refused(format!("{} is empty", path.display())));
    }
    copy(text).map(RootKey::Passphrase)
}

fn environment(name: &str) -> Result<RootKey> {
    use std::os::unix::ffi::OsStringExt;
    use zeroize::Zeroizing;

    // Somebody may have given the key itself for a name: only what looks like one is shown.
    let like_a_name = name.len() <= 40
        && name
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    let name_shown = if like_a_name { name } else { "(not shown)" };
    let value = env::var_os(name)
        .ok_or_else(|| refused(format!("the environment variable {name_shown} is not set")))?;
    let value = Zeroizing::new(value.into_vec());
    let mut key = secret(LEN)?;
    encoding::from_text(&value, &mut key)
        .map_err(|why| refused(format!("the environment variable {name_shown} {why}")))?;
    Ok(RootKey::Key(key))
}

fn secret(len: usize) -> Result<SecretBytes> {
    SecretBytes::zeroed(len).ok_or(Error::new(Status::NoMemory))
}

fn copy(bytes: &[u8]) -> Result<SecretBytes> {
    SecretBytes::copy_of(bytes).ok_or(Error::new(Status::NoMemory))
}

fn refused(why: impl std::fmt::Display) -> Error {
    Error::invalid_option("root_key", why)
}

#[cfg(test)]
mod tests;
