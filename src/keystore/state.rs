//! What a keystore keeps, in the words of its file.
#![forbid(unsafe_code)]

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arc_swap::ArcSwapOption;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::store_key::SealedKey;
use crate::clock::Timestamp;
use crate::envelope::WrappingKey;
use crate::error::{Error, Result, Status};
use crate::secret::Secret;

/// CMKs and aliases, each in order of creation.
#[derive(Clone, Default)]
pub struct State {
    /// The CMKs.
    pub keys: Vec<Arc<Key>>,
    /// The aliases.
    pub aliases: Vec<Arc<Alias>>,
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
    /// Whether it may be used.
    pub state: KeyState,
    /// The operator's words, at most 8192 characters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
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
    /// Its material.
    pub sealed_material: SealedKey,
    /// Its material ready for use, where the cache holds it.
    #[serde(skip)]
    pub(super) expanded: ArcSwapOption<Secret<WrappingKey>>,
    /// Whether it was used since the cache last went round.
    #[serde(skip)]
    pub(super) recent: AtomicBool,
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

impl State {
    /// The CMK of this id, to be changed.
    pub fn key_mut(&mut self, key_id: Uuid) -> Result<&mut Key> {
        self.keys
            .iter_mut()
            .find(|key| key.key_id == key_id)
            .map(Arc::make_mut)
            .ok_or(Error::new(Status::KeyNotFound))
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
    /// Refuses a CMK that may not be used for cryptography.
    pub fn usable(&self) -> Result<()> {
        match self.state {
            KeyState::Enabled => Ok(()),
            KeyState::Disabled => Err(Error::new(Status::Disabled)),
        }
    }
}

impl KeyState {
    /// As the API writes it.
    pub const fn name(self) -> &'static str {
        match self {
            KeyState::Enabled => "Enabled",
            KeyState::Disabled => "Disabled",
        }
    }
}

impl Version {
    /// A version with this material.
    pub fn new(key_version_id: Uuid, created: Timestamp, sealed_material: SealedKey) -> Self {
        Version {
            key_version_id,
            created,
            sealed_material,
            expanded: ArcSwapOption::const_empty(),
            recent: AtomicBool::new(false),
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
        crate::kms::key_name::parse_id(text)
            .ok_or_else(|| de::Error::custom("not a lower-case UUID"))
    }
}
