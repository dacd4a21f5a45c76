//! A keystore that lives with its client.
#![forbid(unsafe_code)]

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwap, Guard};

use super::state::State;
use super::store_key::{KeyBytes, StoreKey};
use super::view::View;
use super::{Edit, Keystore};
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
    pub fn new(arena: &Arc<Arena>) -> Result<Self> {
        let mut bytes = KeyBytes::default();
        random::fill(&mut bytes[..])?;
        let store_key = Arc::new(StoreKey::new(random::uuid()?, &bytes, arena)?);
        let view = View::new(State::default(), store_key, 1, None);
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

    fn look(&self) -> Result<Guard<Arc<View>>> {
        self.view()
    }

    fn change(&self, edit: &mut Edit<'_>) -> Result<()> {
        let _gate = fork::enter();
        let _busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        let old = self.view.load();
        let mut state = old.state().clone();
        edit(&mut state, old.store_key())?;
        self.view.store(Arc::new(View::new(
            state,
            Arc::clone(old.store_key()),
            old.epoch() + 1,
            None,
        )));
        Ok(())
    }

    fn place(&self) -> String {
        "memory:".to_owned()
    }
}
