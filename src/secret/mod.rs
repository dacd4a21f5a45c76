//! Memory for secrets, and what a fork does to it.
//!
//! | part | for what | where |
//! |---|---|---|
//! | [`Arena`], [`Secret`] | expanded keys that the hot path reads | locked slabs of fixed slots |
//! | [`heap`] | byte strings of any length that the host or the library keeps for a while | locked slabs by size |
//! | [`Scratch`] | a secret for the length of one call | the stack, or one exact allocation |
//! | [`wipe`] | any bytes that are done with | |
//! | [`wiping_after`] | work that does not wipe what it is done with | stack and heap, both wiped |
//! | [`fork`] | forking at a moment when the library is at rest; knowing that one is a child | |
//!
//! Locked means: kept from swap (`mlock`) and from core dumps, between two pages that nobody may touch.
//! Where the system refuses to lock, the memory works all the same and says so in its report.

pub mod fork;
pub mod heap;

mod arena;
mod mapping;
mod scratch;
mod slab;
mod wipe;
#[cfg(feature = "import")]
mod wiping;

#[cfg(test)]
pub(crate) mod tests;

pub use arena::{Arena, Report, SLOT_SIZE, Secret};
pub use scratch::Scratch;
pub use wipe::{wipe, wipe_registers, wipe_stack};
#[cfg(all(test, feature = "import"))]
pub(crate) use wiping::DEAD_STACK_OF_WORK;
#[cfg(feature = "import")]
pub use wiping::wiping_after;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks `mutex` whether or not a thread panicked with it: the state behind the mutexes here is whole at
/// every point where a panic could leave it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
