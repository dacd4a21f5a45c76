//! CMKs kept: on disk in one sealed file, or in memory.
//!
//! ```text
//! view       what a client sees at one moment: the state, indexed
//! state      what is kept: CMKs, versions, aliases
//! rotation   which of the stored times automatic rotation believes
//! deletion   which clock ends deletion windows
//! sound      what may be kept at all
//! store_key  the key that seals what is kept
//! root_keys  the store key, sealed under one to four root keys
//! format     state and slots as the bytes of the file
//! disk       the file read, replaced whole, looked at
//! lock       the right to write, one process at a time
//! temporary  a file on its way to the place of another
//! refusals   what the system refuses, in words
//! opening    a file opened by its root key, or made
//! file       a keystore on disk
//! memory     a keystore in memory
//! expanded   the cache of CMK versions ready for use
//! counter    a count that a fork does not double
//! usage      how often versions have unwrapped, in a file beside
//! backup     copies of the file, and what can be made of one
//! ```
#![forbid(unsafe_code)]

pub mod backup;
mod counter;
mod deletion;
mod disk;
pub mod expanded;
pub mod file;
mod format;
mod layout;
mod lock;
pub mod memory;
mod opening;
mod refusals;
pub mod root_keys;
mod rotation;
pub mod sound;
pub mod state;
pub mod store_key;
mod temporary;
pub mod usage;
pub mod view;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use arc_swap::Guard;
use uuid::Uuid;

use crate::error::Result;
use root_keys::Slots;
use state::State;
use store_key::StoreKey;
use view::View;

/// A state about to replace the one that is kept.
pub struct Draft {
    /// The state, to be changed.
    pub state: State,
    /// Seals new material.
    pub store_key: Arc<StoreKey>,
    /// How many writes there will have been.
    pub epoch: u64,
    /// The root keys that open the keystore; `None` for one in memory.
    pub root_keys: Option<Slots>,
    /// The CMKs that this write drops since their deletion window has ended.
    pub purged: Vec<Uuid>,
}

impl Draft {
    /// Drops the CMKs that are gone; see [`State::purge`].
    pub fn purge(&mut self, confirmed: bool) -> Result<()> {
        let gone = self.state.purge(confirmed)?;
        self.purged.try_reserve(gone.len())?;
        self.purged.extend(gone);
        Ok(())
    }
}

/// A change: it may be refused at either step, and then nothing has happened.
pub trait Change {
    /// Changes the draft.
    fn edit(&mut self, draft: &mut Draft) -> Result<()>;

    /// Told last before the draft replaces what is kept.
    fn intend(&mut self, _draft: &Draft) -> Result<()> {
        Ok(())
    }
}

impl<E: FnMut(&mut Draft) -> Result<()>> Change for E {
    fn edit(&mut self, draft: &mut Draft) -> Result<()> {
        self(draft)
    }
}

/// How long a change waits for another writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// As the option `lock_timeout_ms` says.
    Configured,
    /// Not at all.
    None,
}

/// Where CMKs are kept.
pub trait Keystore: Send + Sync {
    /// The view that a call starting now may use. It may cost a look at another process's changes.
    fn view(&self) -> Result<Guard<Arc<View>>>;

    /// Whether a look was made since this was last asked. It is the hot path's cheap sign that time
    /// has passed.
    fn looked(&self) -> bool;

    /// Looks at once, whatever the interval says, and gives the newest view.
    fn look(&self) -> Result<Guard<Arc<View>>>;

    /// The view that was loaded last, whatever the interval says.
    fn loaded(&self) -> Guard<Arc<View>>;

    /// The root keys that open it; `None` for one in memory.
    fn root_keys(&self) -> Option<Slots>;

    /// Changes what is kept: when this returns `Ok`, the change lasts; otherwise nothing happened, unless
    /// the error says that it is made but may not last.
    fn change(&self, change: &mut dyn Change, patience: Patience) -> Result<()>;

    /// The absolute path of the file that the CMKs are in, unless they are in memory. It may have links in
    /// it, which each use follows.
    fn path(&self) -> Option<&Path>;
}
