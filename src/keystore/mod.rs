//! CMKs kept: on disk in one sealed file, or in memory.
//!
//! ```text
//! view       what a client sees at one moment: the state, indexed
//! state      what is kept: CMKs, versions, aliases
//! store_key  the key that seals what is kept
//! slot       the store key, sealed under a root key
//! format     state and slots as the bytes of the file
//! disk       the file replaced whole, locked, looked at
//! file       a keystore on disk
//! memory     a keystore in memory
//! expanded   the cache of CMK versions ready for use
//! ```
#![forbid(unsafe_code)]

mod disk;
pub mod expanded;
pub mod file;
mod format;
mod layout;
pub mod memory;
mod slot;
pub mod state;
pub mod store_key;
pub mod view;

use std::sync::Arc;

use arc_swap::Guard;

use crate::error::Result;
use state::State;
use store_key::StoreKey;
use view::View;

/// What a change does to the state; it may be refused, and then nothing has happened.
pub type Edit<'a> = dyn FnMut(&mut State, &StoreKey) -> Result<()> + 'a;

/// Where CMKs are kept.
pub trait Keystore: Send + Sync {
    /// The view that a call starting now may use. It may cost a look at another process's changes.
    fn view(&self) -> Result<Guard<Arc<View>>>;

    /// Looks at once, whatever the interval says, and gives the newest view.
    fn look(&self) -> Result<Guard<Arc<View>>>;

    /// Changes what is kept: when this returns `Ok`, the change lasts; otherwise nothing happened.
    fn change(&self, edit: &mut Edit<'_>) -> Result<()>;

    /// Where it is, for people.
    fn place(&self) -> String;
}
