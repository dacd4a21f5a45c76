//! What operators do to a whole keystore: root keys, backup, and reading the usage.
#![forbid(unsafe_code)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use uuid::Uuid;

use super::Kms;
use crate::action::Action;
use crate::audit::Event;
use crate::clock::Timestamp;
use crate::error::{Error, Result, Status};
use crate::keystore::Patience;
use crate::keystore::backup::{self, Copy};
use crate::keystore::root_keys::{RootKeySlot, Slots};
use crate::keystore::state::{Key, KeyState, Version};
use crate::keystore::store_key::VersionName;
use crate::keystore::usage::{self, Used};
use crate::maps::HashMap;
use crate::options::Options;
use crate::request_id::Call;
use crate::root_key::RootKey;

/// Seconds between two writes of one client to the usage file.
const USAGE_INTERVAL: u64 = 60;

/// How many counts are written at once: what that takes stays small.
const USED_AT_ONCE: usize = 100;

/// What audit lines call the slot of a root key.
const SLOT_ID: &str = "slot_id";

/// When the usage was last written down.
pub(super) struct UsageClock {
    born: Instant,
    written: AtomicU64,
}

/// What is known of the use of one version.
#[derive(Clone, Debug)]
pub struct VersionUsage {
    /// The CMK.
    pub key_id: Uuid,
    /// The version.
    pub key_version_id: Uuid,
    /// Whether it is the one that wraps.
    pub primary: bool,
    /// Whether the CMK can be used at all.
    pub state: KeyState,
    /// When the version was made.
    pub created: Timestamp,
    /// How often it has unwrapped, at least, and when it was last known to.
    pub used: Option<(u64, Timestamp)>,
}

impl Kms {
    /// The root keys that open the keystore; the slot that `present` opens is marked.
    pub fn root_keys(&self, present: Option<&RootKey>) -> Result<Vec<RootKeySlot>> {
        let keystore_id = self.keystore.look()?.store_key().keystore_id();
        let slots = self.keystore.root_keys().ok_or_else(no_root_keys)?;
        let this_one = match present {
            Some(root) => slots.opened_by(keystore_id, root)?,
            None => None,
        };
        Ok(slots.list(this_one))
    }

    /// Adds a root key; `current` is one that opens the keystore.
    pub fn add_root_key(&self, call: &Call, current: &RootKey, new: &RootKey) -> Result<Uuid> {
        let event = Event::new(Action::AddRootKey);
        self.change(call, &event, Patience::Configured, |draft| {
            let keystore_id = draft.store_key.keystore_id();
            let slots = draft.root_keys.as_mut().ok_or_else(no_root_keys)?;
            let slot_id = slots.add(keystore_id, current, new)?;
            event.note(SLOT_ID, slot_id.to_string());
            Ok((slot_id, None))
        })
    }

    /// Retires a root key, but never the last; `present` is one that stays.
    pub fn retire_root_key(&self, call: &Call, slot_id: Uuid, present: &RootKey) -> Result<()> {
        let event = Event::new(Action::RetireRootKey).noting(SLOT_ID, slot_id.to_string());
        self.change(call, &event, Patience::Configured, |draft| {
            draft.retire(slot_id, present)?;
            Ok(((), None))
        })
    }

    /// Seals a new store key under `present`, the one root key that is left when the one in the slot
    /// `retired` is gone: that one, and a copy of the file from before, then open nothing that is made
    /// later.
    pub fn reseal(&self, call: &Call, retired: Option<Uuid>, present: &RootKey) -> Result<()> {
        let mut event = Event::new(Action::RetireRootKey).noting("resealed", "true");
        if let Some(slot_id) = retired {
            event = event.noting(SLOT_ID, slot_id.to_string());
        }
        self.change(call, &event, Patience::Configured, |draft| {
            if let Some(slot_id) = retired {
                draft.retire(slot_id, present)?;
            }
            draft.reseal(present, self.expanded.arena())?;
            Ok(((), None))
        })
    }

    /// Copies the keystore's file to a place where nothing is. `options` open the keystore.
    pub fn backup(&self, options: &Options, to: &Path) -> Result<Copy> {
        let path = self.keystore.path().ok_or(Error::constant(
            Status::UnsupportedOperation,
            "A keystore in memory has no file to copy.",
        ))?;
        backup::backup(path, to, options)
    }

    /// Unseals the material of every version, which opening the keystore does not; tells how many CMKs
    /// and versions there are.
    pub fn verify(&self) -> Result<(usize, usize)> {
        let view = self.keystore.look()?;
        let mut versions = 0;
        for key in view.keys() {
            for version in &key.versions {
                if let Some(sealed) = &version.sealed_material {
                    let name = VersionName {
                        key_id: key.key_id,
                        key_version_id: version.key_version_id,
                        origin: key.origin,
                    };
                    view.store_key().material(name, sealed)?;
                }
                versions += 1;
            }
        }
        Ok((view.keys().count(), versions))
    }

    /// How often each version has unwrapped, at least, and when last. `key_id` limits it to one CMK.
    pub fn usage(&self, key_id: Option<&str>) -> Result<Vec<VersionUsage>> {
        self.write_usage();
        let name = key_id.map(crate::key_name::KeyName::parse);
        self.on_view(|view| {
            let one = name.as_ref().map(|name| name.find(view)).transpose()?;
            let sums = match self.keystore.path() {
                Some(path) => usage::read(path, view)?,
                None => HashMap::default(),
            };
            let wanted = |key: &&Key| one.is_none_or(|one| one.key_id == key.key_id);
            let of_key = |key: &Key| {
                let told = |version: &Arc<Version>| tell(key, version, &sums);
                key.versions.iter().map(told).collect::<Vec<_>>()
            };
            Ok(view.keys().filter(wanted).flat_map(of_key).collect())
        })
    }

    /// Now and then writes down what was counted; called where a look at the keystore was made.
    pub(super) fn write_usage_if_due(&self) {
        let now = self.usage_clock.born.elapsed().as_secs();
        let written = &self.usage_clock.written;
        let last = written.load(Ordering::Relaxed);
        if now.saturating_sub(last) >= USAGE_INTERVAL
            && written
                .compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
        {
            self.write_usage();
        }
    }

    /// Writes down what was counted, a piece at a time; what cannot be written is counted again.
    pub(super) fn write_usage(&self) {
        let (false, Some(path)) = (self.read_only, self.keystore.path()) else {
            return;
        };
        let view = self.keystore.loaded();
        let now = Timestamp::now();
        let versions = view.state().keys.iter().flat_map(|key| &key.versions);
        let mut counters = versions
            .map(|version| (&version.live.unwraps, version.key_version_id))
            .filter(|(counter, _)| counter.get() > 0);
        loop {
            let some = counters.by_ref().take(USED_AT_ONCE);
            let (counters, counted): (Vec<_>, Vec<_>) = some
                .map(|(counter, key_version_id)| {
                    let used = Used {
                        key_version_id,
                        unwraps: counter.take(),
                        last: now,
                    };
                    (counter, used)
                })
                .unzip();
            if counted.is_empty() {
                return;
            }
            if usage::append(path, &counted, view.versions()).is_err() {
                for (counter, used) in counters.into_iter().zip(counted) {
                    counter.add(used.unwraps);
                }
                return;
            }
        }
    }
}

impl Drop for Kms {
    fn drop(&mut self) {
        self.write_usage();
    }
}

impl UsageClock {
    pub(super) fn new() -> Self {
        UsageClock {
            born: Instant::now(),
            written: AtomicU64::new(0),
        }
    }
}

impl crate::keystore::Draft {
    fn retire(&mut self, slot_id: Uuid, present: &RootKey) -> Result<()> {
        let keystore_id = self.store_key.keystore_id();
        let slots: &mut Slots = self.root_keys.as_mut().ok_or_else(no_root_keys)?;
        slots.retire(keystore_id, slot_id, present)
    }

    /// Seals everything under a new store key, in the one slot that `root` opens.
    fn reseal(&mut self, root: &RootKey, arena: &Arc<crate::secret::Arena>) -> Result<()> {
        let slots = self.root_keys.as_mut().ok_or_else(no_root_keys)?;
        let old = Arc::clone(&self.store_key);
        let new = slots.reseal(old.keystore_id(), root, arena)?;
        for key in &mut self.state.keys {
            let key = Arc::make_mut(key);
            if let Some(imported) = &mut key.imported {
                imported.check = old.reseal_check(&imported.check, key.key_id, &new)?;
            }
            for version in &mut key.versions {
                let name = VersionName {
                    key_id: key.key_id,
                    key_version_id: version.key_version_id,
                    origin: key.origin,
                };
                let sealed = match &version.sealed_material {
                    Some(sealed) => {
                        let material = old.material(name, sealed)?;
                        Some(new.seal_material(name, &material)?)
                    }
                    None => None,
                };
                *version = Version::new(version.key_version_id, version.created, sealed).into();
            }
        }
        self.store_key = Arc::new(new);
        Ok(())
    }
}

fn tell(key: &Key, version: &Version, sums: &HashMap<Uuid, Used>) -> VersionUsage {
    VersionUsage {
        key_id: key.key_id,
        key_version_id: version.key_version_id,
        primary: version.key_version_id == key.primary_version,
        state: key.state(),
        created: version.created,
        used: sums
            .get(&version.key_version_id)
            .map(|used| (used.unwraps, used.last.min(Timestamp::now()))),
    }
}

fn no_root_keys() -> Error {
    Error::constant(
        Status::UnsupportedOperation,
        "A keystore in memory has no root keys to change.",
    )
}
