//! What a keystore keeps, in the words of its file.
#![forbid(unsafe_code)]

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use arc_swap::ArcSwapOption;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::counter::Counter;
use super::store_key::{MaterialCheck, SealedKey};
use crate::allocation;
use crate::clock::Timestamp;
use crate::envelope::WrappingKey;
use crate::error::{Error, Result, Status};
use crate::secret::Secret;

/// CMKs and aliases, each in order of creation.
pub struct State {
    /// The CMKs.
    pub keys: Vec<Arc<Key>>,
    /// The aliases.
    pub aliases: Vec<Arc<Alias>>,
    /// The clock believed last: deletion is judged by it.
    pub clock: Timestamp,
    /// The clock at the last write, believed or not.
    pub written: Timestamp,
}

/// A customer master key.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// Its id.
    #[serde(with = "id")]
    pub key_id: Uuid,
    /// When it was made.
    pub created: Timestamp,
    /// The state it was put in; [`Key::state`] is the one it is in now.
    #[serde(rename = "state")]
    pub put_in: KeyState,
    /// Where its material comes from.
    #[serde(default, skip_serializing_if = "Origin::is_made_here")]
    pub origin: Origin,
    /// The operator's words, at most 8192 characters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// When it will be gone, once its deletion is scheduled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete_date: Option<Timestamp>,
    /// Why it may not be deleted; there while deletion protection is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_protection: Option<String>,
    /// When it gets a new version by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<Rotation>,
    /// Names and values, at most 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
    /// What is known of imported material.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imported: Option<Imported>,
    /// The version that wraps; any version unwraps.
    #[serde(with = "id")]
    pub primary_version: Uuid,
    /// Its versions, in order of creation.
    pub versions: Vec<Arc<Version>>,
}

/// Whether a CMK may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyState {
    /// For everything.
    Enabled,
    /// For nothing, until it is enabled.
    Disabled,
    /// For nothing, and gone when its window ends.
    PendingDeletion,
    /// For nothing, until its material is imported.
    PendingImport,
}

/// Where material comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    /// Made here.
    #[default]
    #[serde(rename = "Aliyun_KMS")]
    MadeHere,
    /// Imported by its owner.
    #[serde(rename = "EXTERNAL")]
    External,
}

/// Automatic rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rotation {
    /// Seconds from one version to the next.
    pub interval_seconds: u64,
    /// When the next one is due.
    pub next: Timestamp,
}

/// A name and a value that an operator gives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tag {
    /// The name.
    pub key: String,
    /// The value.
    pub value: String,
}

/// What is known of imported material.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Imported {
    /// Tells whether material imported again is the first one's.
    pub check: MaterialCheck,
    /// When it expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
}

/// One version of a CMK: its own key material, sealed under the store key.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Version {
    /// Its id.
    #[serde(with = "id")]
    pub key_version_id: Uuid,
    /// When it was made.
    pub created: Timestamp,
    /// Its material; not there while it waits to be imported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed_material: Option<SealedKey>,
    /// What is known of it only in memory.
    #[serde(skip)]
    pub(crate) live: Live,
}

/// What a client knows of a version beyond the file.
#[derive(Default)]
pub(crate) struct Live {
    /// Its material ready for use, where the cache holds it.
    pub(super) expanded: ArcSwapOption<Secret<WrappingKey>>,
    /// Whether it was used since the cache last went round.
    pub(super) recent: AtomicBool,
    /// How often it has unwrapped since that was last written down.
    pub(crate) unwraps: Counter,
    /// When this client last tried a rotation that was due, in seconds since 1970.
    pub(crate) rotation_tried: AtomicU64,
}

/// A name that points to a CMK.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alias {
    /// The name, with its prefix `alias/`.
    pub alias: String,
    /// The CMK that it points to.
    #[serde(with = "id")]
    pub key_id: Uuid,
    /// When it was made.
    pub created: Timestamp,
}

impl Default for State {
    fn default() -> Self {
        let now = Timestamp::now();
        State {
            keys: Vec::new(),
            aliases: Vec::new(),
            clock: now,
            written: now,
        }
    }
}

impl State {
    /// A copy to be changed, with room for one more of each.
    pub fn copied(&self) -> Result<State> {
        let mut keys = allocation::room(self.keys.len() + 1)?;
        keys.extend_from_slice(&self.keys);
        let mut aliases = allocation::room(self.aliases.len() + 1)?;
        aliases.extend_from_slice(&self.aliases);
        Ok(State {
            keys,
            aliases,
            clock: self.clock,
            written: self.written,
        })
    }

    /// The CMK of this id, to be changed.
    pub fn key_mut(&mut self, key_id: Uuid) -> Result<&mut Key> {
        let mut keys = self.keys.iter_mut();
        let key = keys
            .find(|key| key.key_id == key_id && !key.is_gone())
            .ok_or(Error::new(Status::KeyNotFound))?;
        key.ask_for_a_copy()?;
        Ok(Arc::make_mut(key))
    }

    /// The alias of this name.
    pub fn alias(&self, name: &str) -> Option<&Alias> {
        self.aliases
            .iter()
            .map(Arc::as_ref)
            .find(|alias| alias.alias == name)
    }
}

impl Key {
    /// The state it is in now. The clock is asked only where the answer may depend on it.
    pub fn state(&self) -> KeyState {
        match (&self.imported, self.put_in) {
            (Some(imported), KeyState::Enabled | KeyState::Disabled)
                if imported.expires.is_some_and(is_past) =>
            {
                KeyState::PendingImport
            }
            (_, state) => state,
        }
    }

    /// Whether its deletion window has ended.
    pub fn is_gone(&self) -> bool {
        self.delete_date.is_some_and(is_past)
    }

    /// Refuses a CMK that may not be used for cryptography.
    pub fn usable(&self) -> Result<()> {
        Err(Error::new(match self.state() {
            KeyState::Enabled => return Ok(()),
            KeyState::Disabled => Status::Disabled,
            KeyState::PendingDeletion => Status::PendingDeletion,
            KeyState::PendingImport => Status::PendingImport,
        }))
    }

    /// Asks for the memory that a copy of it takes, with one more version.
    pub fn ask_for_a_copy(&self) -> Result<()> {
        let versions = 2 * (self.versions.len() + 1) * size_of::<Arc<Version>>();
        let protection = self.deletion_protection.as_ref().map_or(0, String::len);
        allocation::ask(versions + self.description.len() + protection)
    }

    /// The version that wraps.
    pub fn primary(&self) -> Option<&Version> {
        self.versions
            .iter()
            .map(Arc::as_ref)
            .rfind(|version| version.key_version_id == self.primary_version)
    }
}

fn is_past(time: Timestamp) -> bool {
    time <= Timestamp::now()
}

impl KeyState {
    /// All four.
    pub const ALL: [KeyState; 4] = [
        KeyState::Enabled,
        KeyState::Disabled,
        KeyState::PendingDeletion,
        KeyState::PendingImport,
    ];

    /// As the API writes it.
    pub const fn name(self) -> &'static str {
        match self {
            KeyState::Enabled => "Enabled",
            KeyState::Disabled => "Disabled",
            KeyState::PendingDeletion => "PendingDeletion",
            KeyState::PendingImport => "PendingImport",
        }
    }
}

impl Origin {
    /// Both.
    pub const ALL: [Origin; 2] = [Origin::MadeHere, Origin::External];

    /// As the API writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Origin::MadeHere => "Aliyun_KMS",
            Origin::External => "EXTERNAL",
        }
    }

    /// The byte that a version's seal binds.
    pub const fn byte(self) -> u8 {
        match self {
            Origin::MadeHere => 0,
            Origin::External => 1,
        }
    }

    fn is_made_here(&self) -> bool {
        *self == Origin::MadeHere
    }
}

impl Version {
    /// A version with this material.
    pub fn new(
        key_version_id: Uuid,
        created: Timestamp,
        sealed_material: Option<SealedKey>,
    ) -> Self {
        Version {
            key_version_id,
            created,
            sealed_material,
            live: Live::default(),
        }
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Version")
            .field("key_version_id", &self.key_version_id)
            .field("created", &self.created)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Imported {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Imported")
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

/// UUIDs in the file: 36 characters, lower-case.
pub(super) mod id {
    use serde::{Deserialize, Deserializer, Serializer, de};
    use uuid::Uuid;

    pub(crate) fn serialize<S: Serializer>(id: &Uuid, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(id.hyphenated().encode_lower(&mut Uuid::encode_buffer()))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Uuid, D::Error> {
        let text = <&str>::deserialize(deserializer)?;
        crate::key_name::parse_id(text).ok_or_else(|| de::Error::custom("not a lower-case UUID"))
    }
}
