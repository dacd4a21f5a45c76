//! Expanded keys: values of up to 256 bytes in locked memory of bounded size.

// Values are built in, read from and dropped in slots of raw memory.
#![allow(unsafe_code)]

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use super::mapping::page_size;
use super::slab::Slab;
use super::{fork, lock};
use crate::allocation;
use crate::error::Result;

/// The largest value that [`Arena::place`] takes.
pub const SLOT_SIZE: usize = 256;

/// Slots start on cache lines, and so do the values in them.
const SLOT_ALIGN: usize = 64;
const SLOTS: u32 = u64::BITS;

/// A bound on the bound: above this (1 GiB of slots) the table of slabs itself would be a burden.
const MAX_SLABS: usize = 65_536;

/// How much of the stack is cleared after a value was built: what expanding and unsealing a key uses, with
/// room to spare.
const DEAD_STACK: usize = 8192;

/// Locked, undumped memory for values that hold keys. Slabs are mapped when they are first needed, and kept
/// until the arena goes.
pub struct Arena {
    /// Filled from the front; `mapped` says how far. Reading it takes no lock.
    slabs: Box<[OnceLock<Slab>]>,
    mapped: AtomicUsize,
    /// Where room was last seen.
    hint: AtomicUsize,
    growing: Mutex<()>,
    /// The process that the slabs are locked in.
    locked_in: AtomicU64,
}

/// The state of an [`Arena`], for those who watch it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// The most memory the arena will map: the bound it was given, in whole slabs and at least one.
    pub max_bytes: usize,
    /// Memory mapped so far.
    pub mapped_bytes: usize,
    /// Memory of the slots in use.
    pub used_bytes: usize,
    /// Whether all that is mapped is kept from swap. The system may refuse: `RLIMIT_MEMLOCK`.
    pub locked: bool,
    /// Whether all that is mapped is kept out of core dumps.
    pub undumped: bool,
}

impl Arena {
    /// An arena that maps at most `max_bytes`, rounded down to whole slabs of 16 KiB (more where pages are
    /// larger), but at least one. Maps nothing yet.
    pub fn new(max_bytes: usize) -> Result<Arc<Arena>> {
        let count = (max_bytes / slab_bytes()).clamp(1, MAX_SLABS);
        let mut slabs = allocation::room(count)?;
        slabs.resize_with(count, OnceLock::new);
        Ok(Arc::new(Arena {
            slabs: slabs.into_boxed_slice(),
            mapped: AtomicUsize::new(0),
            hint: AtomicUsize::new(0),
            growing: Mutex::new(()),
            locked_in: AtomicU64::new(fork::instance()),
        }))
    }

    /// Builds a value in a slot. None, and nothing built, when no slot is free and the bound or the system
    /// gives no more.
    ///
    /// A value returned from `make` may leave a copy on the stack, so the stack below is cleared. What
    /// `make` captures by value is not below: let it borrow the bytes it builds from.
    pub fn place<T>(self: &Arc<Self>, make: impl FnOnce() -> T) -> Option<Secret<T>> {
        const {
            assert!(size_of::<T>() <= SLOT_SIZE, "larger than a slot");
            assert!(
                align_of::<T>() <= SLOT_ALIGN,
                "aligned more strictly than a slot"
            );
        }
        // A child must not find a slot that another thread was just filling.
        let _gate = fork::enter();
        self.relock_after_fork();
        let (slab, start) = self.take()?;
        // From here on the slot is wiped and given back also if `make` panics.
        let slot = Slot {
            arena: Arc::clone(self),
            slab,
            start,
        };
        let value = start.cast::<T>();
        // SAFETY: the slot is ours alone, and large and aligned enough for a T, as asserted above.
        unsafe { build(value, make) };
        super::wipe_stack::<DEAD_STACK>();
        Some(Secret {
            value,
            _slot: slot,
            _owns: PhantomData,
        })
    }

    /// Locks the slabs again in a forked child, which inherits the memory but not the locks. Everywhere
    /// else one load and one comparison, so every use of the arena may begin with it.
    #[inline]
    pub fn relock_after_fork(&self) {
        let instance = fork::instance();
        if self.locked_in.load(Ordering::Relaxed) != instance {
            self.relock(instance);
        }
    }

    /// How the arena stands.
    pub fn report(&self) -> Report {
        self.relock_after_fork();
        let slabs = || self.slabs.iter().map_while(OnceLock::get);
        Report {
            max_bytes: self.slabs.len() * slab_bytes(),
            mapped_bytes: slabs().map(|slab| slab.pages().len()).sum(),
            used_bytes: slabs().map(Slab::used_bytes).sum(),
            locked: slabs().all(|slab| slab.pages().locked()),
            undumped: slabs().all(|slab| slab.pages().undumped()),
        }
    }

    /// Wipes every slot, also those that are still held.
    ///
    /// A fork copies what other threads were reading, and in the child nobody ever gives that back.
    ///
    /// # Safety
    /// Nobody reads a value in this arena from now on.
    pub unsafe fn wipe_all(&self) {
        for slab in self.slabs.iter().map_while(OnceLock::get) {
            let pages = slab.pages();
            // SAFETY: the pages are readable and writable, and by the contract nobody refers to them.
            super::wipe(unsafe {
                std::slice::from_raw_parts_mut(pages.start().as_ptr(), pages.len())
            });
        }
    }

    /// Several threads may be here at once: locking twice does no harm.
    #[cold]
    fn relock(&self, instance: u64) {
        for slab in self.slabs.iter().map_while(OnceLock::get) {
            slab.pages().lock();
        }
        self.locked_in.store(instance, Ordering::Relaxed);
    }

    /// A free slot, and the number of its slab.
    fn take(&self) -> Option<(usize, NonNull<u8>)> {
        let mapped = self.mapped.load(Ordering::Acquire);
        let first = self.hint.load(Ordering::Relaxed);
        (0..mapped)
            .map(|turn| (first + turn) % mapped)
            .find_map(|at| self.take_from(at))
            .or_else(|| self.take_from_new(mapped))
    }

    fn take_from(&self, at: usize) -> Option<(usize, NonNull<u8>)> {
        let start = self.slabs.get(at)?.get()?.take()?;
        self.hint.store(at, Ordering::Relaxed);
        Some((at, start))
    }

    /// Called when the first `seen` slabs were full.
    #[cold]
    fn take_from_new(&self, seen: usize) -> Option<(usize, NonNull<u8>)> {
        let _growing = lock(&self.growing);
        let mapped = self.mapped.load(Ordering::Acquire);
        // Another thread may have mapped one while this one waited.
        if let Some(taken) = (seen..mapped).find_map(|at| self.take_from(at)) {
            return Some(taken);
        }
        let place = self.slabs.get(mapped)?;
        let slab = Slab::new(SLOT_SIZE, SLOTS)?;
        // Taken before anybody else can see the slab.
        let start = slab.take()?;
        place.set(slab).ok()?;
        self.mapped.store(mapped + 1, Ordering::Release);
        self.hint.store(mapped, Ordering::Relaxed);
        Some((mapped, start))
    }
}

/// A value in an [`Arena`]. When it goes, its slot is wiped whole and given back, without waiting for
/// anybody.
pub struct Secret<T> {
    value: NonNull<T>,
    /// After `value` in the order of dropping.
    _slot: Slot,
    _owns: PhantomData<T>,
}

// SAFETY: a Secret owns its value as a Box does; the slot behind it is given back with atomics only.
unsafe impl<T: Send> Send for Secret<T> {}
// SAFETY: a shared Secret gives shared access to the value and to nothing else.
unsafe impl<T: Sync> Sync for Secret<T> {}

impl<T> Deref for Secret<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: initialised by `place`, dropped only with self, and never lent out mutably.
        unsafe { self.value.as_ref() }
    }
}

impl<T> Drop for Secret<T> {
    fn drop(&mut self) {
        // SAFETY: the value is initialised, and nobody can reach it after this; the field `_slot`, which
        // wipes the memory, is dropped afterwards even if this panics.
        unsafe { self.value.drop_in_place() };
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// One taken slot.
struct Slot {
    arena: Arc<Arena>,
    slab: usize,
    start: NonNull<u8>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(slab) = self.arena.slabs.get(self.slab).and_then(OnceLock::get) {
            // SAFETY: this slot was taken for self alone, and what was in it has been dropped.
            unsafe { slab.give_back(self.start) };
            self.arena.hint.store(self.slab, Ordering::Relaxed);
        }
    }
}

/// A frame of its own, so that what it leaves on the stack lies below that of its caller.
///
/// # Safety
/// `slot` is valid for writing a T.
#[inline(never)]
unsafe fn build<T>(slot: NonNull<T>, make: impl FnOnce() -> T) {
    // SAFETY: by the contract.
    unsafe { slot.write(make()) };
}

fn slab_bytes() -> usize {
    (SLOT_SIZE * 64).next_multiple_of(page_size())
}
