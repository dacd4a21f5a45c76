//! What a client sees at one moment: the state with its indexes. It never changes once made; a new
//! state makes a new view.
#![forbid(unsafe_code)]

use std::sync::Arc;

use uuid::Uuid;

use super::disk::Signature;
use super::state::{Key, State, Version};
use super::store_key::StoreKey;
use crate::error::{Error, Result, Status};
use crate::maps::HashMap;

/// A state, indexed. Every lookup costs the same however much there is.
pub struct View {
    state: State,
    store_key: Arc<StoreKey>,
    epoch: u64,
    signature: Option<Signature>,
    keys: HashMap<Uuid, usize>,
    aliases: HashMap<String, Uuid>,
    versions: HashMap<Uuid, (usize, Arc<Version>)>,
}

impl View {
    /// Indexes a state. Versions that stand in `previous` too keep their expanded keys.
    pub(super) fn new(
        mut state: State,
        store_key: Arc<StoreKey>,
        epoch: u64,
        signature: Option<Signature>,
        previous: Option<&View>,
    ) -> Result<Self> {
        if let Some(previous) = previous {
            keep_expanded(&mut state, previous);
        }
        let mut keys = HashMap::default();
        keys.try_reserve(state.keys.len())?;
        let mut versions = HashMap::default();
        versions.try_reserve(state.keys.iter().map(|key| key.versions.len()).sum())?;
        let mut aliases = HashMap::default();
        aliases.try_reserve(state.aliases.len())?;
        for (index, key) in state.keys.iter().enumerate() {
            keys.insert(key.key_id, index);
            for version in &key.versions {
                versions.insert(version.key_version_id, (index, Arc::clone(version)));
            }
        }
        for alias in &state.aliases {
            aliases.insert(alias.alias.clone(), alias.key_id);
        }
        Ok(View {
            state,
            store_key,
            epoch,
            signature,
            keys,
            aliases,
            versions,
        })
    }

    /// What is kept, in order of creation.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The key that unseals versions.
    pub fn store_key(&self) -> &Arc<StoreKey> {
        &self.store_key
    }

    /// How many writes the keystore has seen.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Tells of which file it is, where that is known only after it was made.
    pub(super) fn set_signature(&mut self, signature: Signature) {
        self.signature = Some(signature);
    }

    /// Takes over what was counted of the same versions, sealed otherwise, in the view before.
    pub(super) fn take_counts_of(&self, previous: &View) {
        for (id, (_, version)) in &self.versions {
            if let Some((_, old)) = previous.versions.get(id)
                && !Arc::ptr_eq(old, version)
            {
                version.live.unwraps.add(old.live.unwraps.take());
            }
        }
    }

    /// Whether this view is of the file with that signature.
    pub(super) fn is_of(&self, signature: Signature) -> bool {
        self.signature == Some(signature)
    }

    /// The CMKs that are not gone, in order of creation.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.state
            .keys
            .iter()
            .map(Arc::as_ref)
            .filter(|key| !key.is_gone())
    }

    /// The CMK of this id.
    pub fn key(&self, key_id: Uuid) -> Result<&Key> {
        self.keys
            .get(&key_id)
            .map(|index| self.state.keys[*index].as_ref())
            .filter(|key| !key.is_gone())
            .ok_or(Error::new(Status::KeyNotFound))
    }

    /// How many versions there are.
    pub fn versions(&self) -> usize {
        self.versions.len()
    }

    /// Whether there is a version of this id.
    pub(super) fn has(&self, key_version_id: Uuid) -> bool {
        self.versions.contains_key(&key_version_id)
    }

    /// The id of the CMK that an alias points to.
    pub fn alias(&self, name: &str) -> Result<Uuid> {
        self.aliases
            .get(name)
            .copied()
            .ok_or(Error::new(Status::AliasNotFound))
    }

    /// A version of this CMK.
    pub fn version(&self, key: &Key, key_version_id: Uuid) -> Result<&Arc<Version>> {
        match self.versions.get(&key_version_id) {
            Some((index, version)) if self.state.keys[*index].key_id == key.key_id => Ok(version),
            _ => Err(Error::new(Status::KeyVersionNotFound)),
        }
    }
}

/// A file read anew gives new versions; the cache's entries hang on the old ones.
fn keep_expanded(state: &mut State, previous: &View) {
    for key in &mut state.keys {
        let Some(key) = Arc::get_mut(key) else {
            continue;
        };
        for version in &mut key.versions {
            let Some((_, old)) = previous.versions.get(&version.key_version_id) else {
                continue;
            };
            if old.sealed_material == version.sealed_material {
                *version = Arc::clone(old);
            }
        }
    }
}
