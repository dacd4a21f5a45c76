//! A keystore that lives with its client.
#![forbid(unsafe_code)]

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwap, Guard};
use uuid::Uuid;

use super::root_keys::Slots;
use super::state::State;
use super::store_key::{KeyBytes, StoreKey};
use super::view::View;
use super::{Change, Draft, Keystore, Patience};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::random;
use crate::secret::{Arena, fork};

/// A keystore in memory. After a fork, parent and child each have their own.
pub struct Memory {
    view: ArcSwap<View>,
    /// Held, inside the fork gate, by the thread that changes the state.
    busy: Mutex<()>,
}

impl Memory {
    /// An empty keystore.
    pub fn new(keystore_id: Option<Uuid>, arena: &Arc<Arena>) -> Result<Self> {
        let mut bytes = KeyBytes::default();
        random::fill(&mut bytes[..])?;
        let keystore_id = keystore_id.map_or_else(random::uuid, Ok)?;
        let store_key = Arc::new(StoreKey::new(keystore_id, &bytes, arena)?);
        let view = View::new(State::default(), store_key, 1, None, None)?;
        Ok(Memory {
            view: ArcSwap::from_pointee(view),
            busy: Mutex::new(()),
        })
    }
}

impl Keystore for Memory {
    fn view(&self) -> Result<Guard<Arc<View>>> {
        Ok(self.view.load())
    }

    fn loaded(&self) -> Guard<Arc<View>> {
        self.view.load()
    }

    fn root_keys(&self) -> Option<Slots> {
        None
    }

    fn looked(&self) -> bool {
        false
    }

    fn look(&self) -> Result<Guard<Arc<View>>> {
        self.view()
    }

    fn change(&self, change: &mut dyn Change, _patience: Patience) -> Result<()> {
        let _gate = fork::enter();
        let _busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        let old = self.view.load();
        let mut draft = Draft {
            state: old.state().copied()?,
            store_key: Arc::clone(old.store_key()),
            epoch: old.epoch() + 1,
            root_keys: None,
            purged: Vec::new(),
        };
        // A wrong clock keeps what is gone for another time.
        let _ = draft.purge(false);
        change.edit(&mut draft)?;
        draft.state.written = Timestamp::to_be_kept()?;
        change.intend(&draft)?;
        let view = View::new(draft.state, draft.store_key, draft.epoch, None, None)?;
        self.view.store(Arc::new(view));
        Ok(())
    }

    fn path(&self) -> Option<&Path> {
        None
    }
}
