//! Root keys: each has a slot, in which the store key is sealed under it. One to four slots open the
//! same keystore.
#![forbid(unsafe_code)]

use std::sync::Arc;

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::state::id;
use super::store_key::{KeyBytes, SealedKey, StoreKey, from_base64};
use crate::clock::Timestamp;
use crate::envelope::WrappingKey;
use crate::error::{Error, Result, Status};
use crate::random;
use crate::root_key::RootKey;
use crate::secret::Arena;

const LABEL: &[u8] = b"kmsbox/slot/v1\0";
/// How many root keys a keystore can have.
pub const MOST_SLOTS: usize = 4;

/// The slots of a keystore.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Slots(Vec<Slot>);

/// The store key under one root key.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Slot {
    #[serde(with = "id")]
    slot_id: Uuid,
    kind: Kind,
    created: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    argon2: Option<Stretching>,
    sealed_store_key: SealedKey,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Key,
    Passphrase,
}

/// Argon2id's salt and parameters.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stretching {
    salt: Salt,
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

#[derive(Clone)]
struct Salt([u8; 16]);

/// What can be told of a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootKeySlot {
    /// Its id.
    pub slot_id: Uuid,
    /// `key` or `passphrase`.
    pub kind: &'static str,
    /// When it was made.
    pub created: Timestamp,
    /// Whether the root key that was given, if one was, opens it.
    pub this_one: bool,
}

impl Slots {
    /// The slots of a new keystore: one.
    pub(super) fn new(keystore_id: Uuid, root: &RootKey, store_key: &KeyBytes) -> Result<Self> {
        Ok(Slots(vec![Slot::seal(keystore_id, root, store_key)?]))
    }

    /// What can be told of each; `this_one` is the slot that a root key at hand opens.
    pub fn list(&self, this_one: Option<Uuid>) -> Vec<RootKeySlot> {
        self.0
            .iter()
            .map(|slot| RootKeySlot {
                slot_id: slot.slot_id,
                kind: slot.kind.name(),
                created: slot.created,
                this_one: this_one == Some(slot.slot_id),
            })
            .collect()
    }

    /// The store key, from the first slot that the root key opens.
    pub(super) fn open(&self, keystore_id: Uuid, root: &RootKey) -> Result<KeyBytes> {
        let opened = self.find(keystore_id, root)?;
        opened
            .map(|(_, key)| key)
            .ok_or(Error::new(Status::RootKey))
    }

    /// The first slot that the root key opens.
    pub fn opened_by(&self, keystore_id: Uuid, root: &RootKey) -> Result<Option<Uuid>> {
        let opened = self.find(keystore_id, root)?;
        Ok(opened.map(|(slot_id, _)| slot_id))
    }

    fn find(&self, keystore_id: Uuid, root: &RootKey) -> Result<Option<(Uuid, KeyBytes)>> {
        if self.0.is_empty() || self.0.len() > MOST_SLOTS {
            return Err(Error::constant(
                Status::KeystoreTampered,
                "The keystore has not one to four slots.",
            ));
        }
        for slot in &self.0 {
            if let Some(key) = slot.open(keystore_id, root)? {
                return Ok(Some((slot.slot_id, key)));
            }
        }
        Ok(None)
    }

    /// Adds a slot for another root key; `current` opens one that is there.
    pub fn add(&mut self, keystore_id: Uuid, current: &RootKey, new: &RootKey) -> Result<Uuid> {
        let store_key = self.open(keystore_id, current)?;
        if self.0.len() >= MOST_SLOTS {
            return Err(Error::constant(
                Status::LimitExceeded,
                "The keystore has four root keys; retire one first.",
            ));
        }
        if self.opened_by(keystore_id, new)?.is_some() {
            return Err(Error::invalid_option(
                "root_key",
                "it opens the keystore already",
            ));
        }
        let slot = Slot::seal(keystore_id, new, &store_key)?;
        let slot_id = slot.slot_id;
        self.0.push(slot);
        Ok(slot_id)
    }

    /// Removes a slot, but never the last, and only where `present` opens one that stays: the other
    /// root keys may be lost long since.
    pub fn retire(&mut self, keystore_id: Uuid, slot_id: Uuid, present: &RootKey) -> Result<()> {
        let Some(index) = self.0.iter().position(|slot| slot.slot_id == slot_id) else {
            return Err(Error::invalid_parameter(
                "SlotId",
                "There is no such root key.",
            ));
        };
        if self.0.len() == 1 {
            return Err(Error::constant(
                Status::State,
                "The last root key cannot be retired: nothing would open the keystore.",
            ));
        }
        let retired = self.0.remove(index);
        if self.opened_by(keystore_id, present)?.is_some() {
            return Ok(());
        }
        Err(match retired.open(keystore_id, present)? {
            Some(_) => Error::constant(
                Status::State,
                "The root key given opens only the slot to be retired; give the root key that stays.",
            ),
            None => Error::new(Status::RootKey),
        })
    }

    /// Makes a new store key and seals it in the one slot that is left, which `root` opens.
    pub(crate) fn reseal(
        &mut self,
        keystore_id: Uuid,
        root: &RootKey,
        arena: &Arc<Arena>,
    ) -> Result<StoreKey> {
        self.open(keystore_id, root)?;
        let [slot] = &mut self.0[..] else {
            return Err(Error::constant(
                Status::State,
                "A new store key can be sealed only where one root key is left: retire the others.",
            ));
        };
        let mut bytes = KeyBytes::default();
        random::fill(&mut bytes[..])?;
        *slot = Slot::seal(keystore_id, root, &bytes)?;
        StoreKey::new(keystore_id, &bytes, arena)
    }

    /// Whether these may hold another store key than `old`: a slot never changes, and a new store key
    /// has none of the old slots.
    pub(super) fn may_have_replaced(&self, old: &Slots) -> bool {
        let known = |slot: &Slot| old.0.iter().any(|old| old.slot_id == slot.slot_id);
        !self.0.iter().any(known)
    }
}

impl Slot {
    fn seal(keystore_id: Uuid, root: &RootKey, store_key: &KeyBytes) -> Result<Self> {
        let slot_id = random::uuid()?;
        let argon2 = match root {
            RootKey::Key(_) => None,
            RootKey::Passphrase(_) => Some(Stretching::new()?),
        };
        let key = expand(root, argon2.as_ref())?;
        let kind = Kind::of(root);
        let aad = aad(keystore_id, slot_id, kind, argon2.as_ref());
        Ok(Slot {
            slot_id,
            kind,
            created: Timestamp::now(),
            sealed_store_key: SealedKey::seal(&key, &aad, store_key)?,
            argon2,
        })
    }

    fn open(&self, keystore_id: Uuid, root: &RootKey) -> Result<Option<KeyBytes>> {
        if self.kind != Kind::of(root)
            || self.argon2.is_some() != (self.kind == Kind::Passphrase)
            || self
                .argon2
                .as_ref()
                .is_some_and(|argon2| !argon2.in_bounds())
        {
            return Ok(None);
        }
        let key = expand(root, self.argon2.as_ref())?;
        let aad = aad(keystore_id, self.slot_id, self.kind, self.argon2.as_ref());
        Ok(self.sealed_store_key.open(&key, &aad).ok())
    }
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Kind::Key => "key",
            Kind::Passphrase => "passphrase",
        }
    }

    fn of(root: &RootKey) -> Kind {
        match root {
            RootKey::Key(_) => Kind::Key,
            RootKey::Passphrase(_) => Kind::Passphrase,
        }
    }
}

impl Stretching {
    /// The second choice of RFC 9106: 64 MiB, three passes, four lanes.
    fn new() -> Result<Self> {
        let mut salt = Salt([0; 16]);
        random::fill(&mut salt.0)?;
        Ok(Stretching {
            salt,
            memory_kib: 64 << 10,
            passes: 3,
            lanes: 4,
        })
    }

    /// Looked at before anything is allocated: the file is not yet known to be genuine.
    fn in_bounds(&self) -> bool {
        (19 << 10..=1 << 20).contains(&self.memory_kib)
            && (2..=16).contains(&self.passes)
            && (1..=16).contains(&self.lanes)
    }

    fn stretch(&self, passphrase: &[u8]) -> Result<KeyBytes> {
        let internal = |_| Error::with(Status::Internal, "Argon2id refused its parameters.");
        let params =
            Params::new(self.memory_kib, self.passes, self.lanes, None).map_err(internal)?;
        let blocks = params.block_count();
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let mut memory = Vec::new();
        memory
            .try_reserve_exact(blocks)
            .map_err(|_| Error::new(Status::NoMemory))?;
        memory.resize(blocks, argon2::Block::default());
        let mut memory = Zeroizing::new(memory);
        let mut key = KeyBytes::default();
        argon2
            .hash_password_into_with_memory(passphrase, &self.salt.0, &mut key[..], &mut *memory)
            .map_err(internal)?;
        Ok(key)
    }
}

fn expand(root: &RootKey, argon2: Option<&Stretching>) -> Result<Box<WrappingKey>> {
    let mut key = KeyBytes::default();
    match (root, argon2) {
        (RootKey::Passphrase(passphrase), Some(argon2)) => key = argon2.stretch(passphrase)?,
        (RootKey::Key(bytes), None) => key.copy_from_slice(bytes),
        _ => return Err(Error::new(Status::Internal)),
    }
    Ok(Box::new(WrappingKey::new(&key)))
}

fn aad(keystore_id: Uuid, slot_id: Uuid, kind: Kind, argon2: Option<&Stretching>) -> Vec<u8> {
    let mut aad = [LABEL, keystore_id.as_bytes(), slot_id.as_bytes()].concat();
    aad.push(match kind {
        Kind::Key => 0,
        Kind::Passphrase => 1,
    });
    if let Some(argon2) = argon2 {
        aad.extend_from_slice(&argon2.salt.0);
        for parameter in [argon2.memory_kib, argon2.passes, argon2.lanes] {
            aad.extend_from_slice(&parameter.to_be_bytes());
        }
    }
    aad
}

impl Serialize for Salt {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(self.0))
    }
}

impl<'de> Deserialize<'de> for Salt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <&str>::deserialize(deserializer)?;
        from_base64(text.as_bytes())
            .map(Salt)
            .ok_or_else(|| de::Error::custom("not base64 of 16 bytes"))
    }
}
