//! Options: one table of names, each with what it accepts.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::time::Duration;

use uuid::Uuid;

use crate::action::Permissions;
use crate::allocation;
use crate::audit;
use crate::error::{Error, Result, Status};
use crate::files::roles;
use crate::key_name::parse_id;
use crate::root_key::{self, RootKey, Source};
use crate::secret::heap::SecretBytes;

/// A longer value holds nothing that an option could accept.
const LONGEST_VALUE: usize = 64 << 10;

/// What a client is opened with.
pub struct Options {
    /// Where the keystore is.
    pub keystore: Option<Place>,
    /// Whether to make the keystore if it is missing.
    pub create: bool,
    /// What this client will perform.
    pub permissions: Permissions,
    /// Whether this client never writes.
    pub read_only: bool,
    /// How stale the view of another process's change may be.
    pub refresh_interval: Duration,
    /// How long a change waits for another writer.
    pub lock_timeout: Duration,
    /// Bytes of locked memory for expanded keys.
    pub locked_memory_max: usize,
    /// The id that the keystore must have, and gets if it is made.
    pub keystore_id: Option<Uuid>,
    /// Where each operation is written down.
    pub audit: Option<audit::Sink>,
    root_key: Option<Source>,
    root_key_bytes: Option<SecretBytes>,
}

/// Where a keystore lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the client's own memory.
    Memory,
    /// In this file.
    File(PathBuf),
}

impl Default for Options {
    fn default() -> Self {
        Options {
            keystore: None,
            create: false,
            permissions: Permissions::ALL,
            read_only: false,
            refresh_interval: Duration::from_secs(1),
            lock_timeout: Duration::from_secs(5),
            locked_memory_max: 1 << 20,
            keystore_id: None,
            audit: None,
            root_key: None,
            root_key_bytes: None,
        }
    }
}

type Setter = fn(&mut Options, &str) -> Result<(), String>;

const TABLE: &[(&str, Setter)] = &[
    ("keystore", |options, value| {
        options.keystore = Some(match value {
            "memory:" => Place::Memory,
            other if other.starts_with("memory:") => {
                return Err("nothing may stand after \"memory:\"".to_owned());
            }
            path => Place::File(PathBuf::from(path)),
        });
        Ok(())
    }),
    ("create", |options, value| {
        options.create = boolean(value)?;
        Ok(())
    }),
    ("root_key", |options, value| {
        options.root_key = Some(Source::parse(value)?);
        Ok(())
    }),
    ("permissions", |options, value| {
        options.permissions = Permissions::parse(value)?;
        Ok(())
    }),
    ("read_only", |options, value| {
        options.read_only = boolean(value)?;
        Ok(())
    }),
    ("keystore_id", |options, value| {
        let id = parse_id(value).ok_or("it is not a lower-case UUID")?;
        options.keystore_id = Some(id);
        Ok(())
    }),
    ("audit_log", |options, value| {
        options.audit = Some(audit::Sink::file(value));
        Ok(())
    }),
    ("refresh_interval_ms", |options, value| {
        options.refresh_interval = Duration::from_millis(number(value, 0, 3_600_000)?);
        Ok(())
    }),
    ("lock_timeout_ms", |options, value| {
        options.lock_timeout = Duration::from_millis(number(value, 0, 3_600_000)?);
        Ok(())
    }),
    ("locked_memory_max", |options, value| {
        let bytes = number(value, 16 << 10, 1 << 30)?;
        options.locked_memory_max = usize::try_from(bytes).map_err(|error| error.to_string())?;
        Ok(())
    }),
];

impl Options {
    /// Sets one option; a later value replaces an earlier one.
    pub fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let Some((_, set)) = TABLE.iter().find(|(known, _)| *known == name) else {
            let known: Vec<_> = TABLE.iter().map(|(known, _)| *known).collect();
            // Somebody may have mixed up name and value: what is as long as a key is not shown.
            let shown = if name.len() <= 32 {
                name
            } else {
                "(not shown)"
            };
            return Err(Error::invalid_option(
                shown,
                format!("there is no such option; there are {}", known.join(", ")),
            ));
        };
        if value.len() > LONGEST_VALUE {
            return Err(Error::invalid_option(name, "it is longer than 65536 bytes"));
        }
        // What the setters make of it.
        allocation::ask(8 * value.len())?;
        if name == "root_key" && self.root_key_bytes.is_some() {
            return Err(two_root_keys());
        }
        if name == "audit_log" && matches!(self.audit, Some(audit::Sink::Host(_))) {
            return Err(two_audit_logs());
        }
        set(self, value).map_err(|why| Error::invalid_option(name, why))
    }

    /// Says where the root key comes from, as the option `root_key` does.
    pub fn set_root_key_source(&mut self, source: Source) -> Result<()> {
        if self.root_key_bytes.is_some() {
            return Err(two_root_keys());
        }
        self.root_key = Some(source);
        Ok(())
    }

    /// Gives the root key as bytes.
    pub fn set_root_key(&mut self, root_key: &[u8; root_key::LEN]) -> Result<()> {
        if self.root_key.is_some() {
            return Err(two_root_keys());
        }
        let bytes = SecretBytes::copy_of(root_key).ok_or(Error::new(Status::NoMemory))?;
        self.root_key_bytes = Some(bytes);
        Ok(())
    }

    /// Has the lines of the audit log taken by the host; `None`: no longer.
    pub fn set_audit_host(&mut self, host: Option<audit::Host>) -> Result<()> {
        if !matches!(self.audit, Some(audit::Sink::File(_))) {
            self.audit = host.map(audit::Sink::Host);
        } else if host.is_some() {
            return Err(two_audit_logs());
        }
        Ok(())
    }

    /// Refuses two options that name one file, or an option and one of `more`: arguments of a command.
    pub fn keep_apart(&self, more: &[(&str, &Path)]) -> Result<()> {
        let root_key = self.root_key_file()?;
        let mut named = Vec::with_capacity(2 + more.len());
        named.extend(root_key.as_deref().map(|path| ("root_key", path)));
        if let Some(audit::Sink::File(log)) = &self.audit {
            named.push(("audit_log", log.path()));
        }
        named.extend(more);
        roles::keep_apart(self.keystore_file(), &named)
    }

    /// The file that the root key comes from, unless it comes from elsewhere.
    pub fn root_key_file(&self) -> Result<Option<PathBuf>> {
        Ok(self.root_key_source()?.as_ref().and_then(Source::path))
    }

    /// The keystore's file, unless it is in memory.
    pub fn keystore_file(&self) -> Option<&Path> {
        match &self.keystore {
            Some(Place::File(path)) => Some(path),
            _ => None,
        }
    }

    /// Where the root key comes from, as an absolute path, unless it was given as bytes.
    pub fn root_key_source(&self) -> Result<Option<Source>> {
        self.root_key.as_ref().map(Source::absolute).transpose()
    }

    /// Fetches the root key from where the options say.
    pub fn root_key(&self) -> Result<RootKey> {
        match (&self.root_key, &self.root_key_bytes) {
            (Some(source), None) => source.load(),
            (None, Some(bytes)) => RootKey::from_bytes(bytes),
            (None, None) => Err(Error::missing_parameter("root_key")),
            (Some(_), Some(_)) => Err(two_root_keys()),
        }
    }
}

fn two_root_keys() -> Error {
    Error::invalid_option(
        "root_key",
        "the root key was given as bytes too; give it in one way",
    )
}

fn two_audit_logs() -> Error {
    Error::invalid_option(
        "audit_log",
        "the lines were to go to a function of the host too; give them one place",
    )
}

fn boolean(value: &str) -> Result<bool, String> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        other => Err(format!("\"{other}\" is neither true nor false")),
    }
}

fn number(value: &str, least: u64, most: u64) -> Result<u64, String> {
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    match value.parse() {
        Ok(number) if digits && (least..=most).contains(&number) => Ok(number),
        _ => Err(format!(
            "\"{value}\" is not a whole number from {least} to {most}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(name: &str, value: &str) -> String {
        let error = Options::default().set(name, value).unwrap_err();
        assert_eq!(error.status(), Status::InvalidOption);
        error.message().to_owned()
    }

    #[test]
    fn a_wrong_name_or_value_is_named() {
        assert!(refused("keystor", "x").contains("keystor"));
        assert!(refused("create", "yes").contains("yes"));
        assert!(refused("read_only", "TRUE").contains("TRUE"));
        assert!(refused("permissions", "Decrypt,Fly").contains("Fly"));
        assert!(refused("root_key", "floppy:A").contains("file:PATH"));
        for wrong in [
            "-1",
            "",
            "3600001",
            "1e3",
            "+5",
            " 5",
            "99999999999999999999",
        ] {
            assert!(refused("refresh_interval_ms", wrong).contains(wrong));
        }
        assert!(refused("locked_memory_max", "16383").contains("16384"));
        let longest = "/".repeat(LONGEST_VALUE);
        Options::default().set("keystore", &longest).unwrap();
        assert!(refused("keystore", &format!("{longest}x")).contains("65536"));
    }

    #[test]
    fn a_later_value_replaces_an_earlier_one() {
        let mut options = Options::default();
        options.set("keystore", "/a").unwrap();
        options.set("keystore", "memory:").unwrap();
        assert_eq!(options.keystore, Some(Place::Memory));
        options.set("refresh_interval_ms", "0").unwrap();
        assert_eq!(options.refresh_interval, Duration::ZERO);
        options.set("locked_memory_max", "1073741824").unwrap();
        assert_eq!(options.locked_memory_max, 1 << 30);
    }

    #[test]
    fn a_root_key_is_given_in_one_way() {
        let mut options = Options::default();
        assert_eq!(
            options.root_key().err().map(|error| error.status()),
            Some(Status::MissingParameter)
        );
        options.set_root_key(&[1; 32]).unwrap();
        assert!(options.root_key().is_ok());
        let error = options.set("root_key", "env:X").unwrap_err();
        assert_eq!(error.status(), Status::InvalidOption);
    }
}
