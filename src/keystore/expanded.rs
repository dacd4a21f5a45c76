//! The cache of expanded keys: CMK versions ready for use, in locked memory of bounded size.
//!
//! A hit takes no lock: the version itself holds its expanded key. A miss unseals, and puts out
//! whichever versions were not used of late where there is no room. A key put out is wiped when its
//! last reader has gone.
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::state::{Key, Version};
use super::store_key::{KeyBytes, StoreKey, VersionName};
use crate::envelope::WrappingKey;
use crate::error::{Error, Result, Status};
use crate::secret::{Arena, SLOT_SIZE, Secret, fork};

/// Slots of the arena that stay free for store keys: a keystore may get a new one while this cache
/// is full.
const RESERVED: usize = 8;

/// The expanded keys of one client.
pub struct ExpandedKeys {
    arena: Arc<Arena>,
    /// How many versions may be resident.
    most: usize,
    /// Versions that hold an expanded key, oldest first. Locked inside the fork gate.
    resident: Mutex<VecDeque<Weak<Version>>>,
}

impl ExpandedKeys {
    /// An empty cache in this arena.
    pub fn new(arena: Arc<Arena>) -> Self {
        let slots = arena.report().max_bytes / SLOT_SIZE;
        ExpandedKeys {
            arena,
            most: slots.saturating_sub(RESERVED),
            resident: Mutex::default(),
        }
    }

    /// The memory that the keys lie in.
    pub fn arena(&self) -> &Arc<Arena> {
        &self.arena
    }

    /// Lends the expanded key of a version.
    pub fn with<R>(
        &self,
        store_key: &StoreKey,
        key: &Key,
        version: &Arc<Version>,
        lend: impl FnOnce(&WrappingKey) -> R,
    ) -> Result<R> {
        self.arena.relock_after_fork();
        if let Some(expanded) = &*version.live.expanded.load() {
            // Written only where it changes, so that readers do not fight over the line.
            if !version.live.recent.load(Ordering::Relaxed) {
                version.live.recent.store(true, Ordering::Relaxed);
            }
            return Ok(lend(expanded));
        }
        let sealed = version
            .sealed_material
            .as_ref()
            .ok_or(Error::new(Status::PendingImport))?;
        let name = VersionName {
            key_id: key.key_id,
            key_version_id: version.key_version_id,
            origin: key.origin,
        };
        let material = store_key.material(name, sealed)?;
        match self.admit(version, &material) {
            Some(expanded) => Ok(lend(&expanded)),
            // Every slot is being read at this moment: expand for this once.
            None => Ok(lend(&Box::new(WrappingKey::new(&material)))),
        }
    }

    fn admit(
        &self,
        version: &Arc<Version>,
        material: &KeyBytes,
    ) -> Option<Arc<Secret<WrappingKey>>> {
        let _gate = fork::enter();
        let mut resident = self.resident.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(expanded) = version.live.expanded.load_full() {
            return Some(expanded);
        }
        let mut rounds = 2 * resident.len();
        let expanded = loop {
            if resident.len() < self.most
                && resident.try_reserve(1).is_ok()
                && let Some(expanded) = self.arena.place(|| WrappingKey::new(material))
            {
                break Arc::new(expanded);
            }
            rounds = rounds.checked_sub(1)?;
            put_out_one(&mut resident);
        };
        version.live.expanded.store(Some(Arc::clone(&expanded)));
        resident.push_back(Arc::downgrade(version));
        Some(expanded)
    }
}

/// Puts out the oldest version, unless it was used since it was last looked at here.
fn put_out_one(resident: &mut VecDeque<Weak<Version>>) {
    let Some(oldest) = resident.pop_front() else {
        return;
    };
    // A version that is gone has wiped its key already.
    if let Some(version) = oldest.upgrade() {
        if version.live.recent.swap(false, Ordering::Relaxed) {
            resident.push_back(oldest);
        } else {
            version.live.expanded.store(None);
        }
    }
}
