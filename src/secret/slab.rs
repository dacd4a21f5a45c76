//! Up to 64 slots of one size in one mapping.

// Slots are raw memory until somebody moves a value in.
#![allow(unsafe_code)]

use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use super::mapping::Mapping;
use super::wipe;

/// A mapping cut into slots. Taking one and giving one back each cost one atomic change of one word, so a
/// secret may end on the hot path without waiting for anybody.
///
/// A slot that is free is all zero.
pub(super) struct Slab {
    pages: Mapping,
    slot_len: usize,
    slots: u32,
    /// A bit for each free slot.
    free: AtomicU64,
}

impl Slab {
    /// A slab of `slots` (at most 64) slots of `slot_len` bytes.
    pub(super) fn new(slot_len: usize, slots: u32) -> Option<Slab> {
        let slots = slots.clamp(1, u64::BITS);
        let pages = Mapping::new(slot_len.checked_mul(usize::try_from(slots).ok()?)?)?;
        Some(Slab {
            pages,
            slot_len,
            slots,
            free: AtomicU64::new(all(slots)),
        })
    }

    /// Takes a free slot: `slot_len` zero bytes that are the caller's alone until given back.
    pub(super) fn take(&self) -> Option<NonNull<u8>> {
        let mut free = self.free.load(Ordering::Relaxed);
        while free != 0 {
            let slot = free.trailing_zeros();
            // Acquire: what the last owner wrote, its wiping above all, comes before what we write.
            match self.free.compare_exchange_weak(
                free,
                free & !(1 << slot),
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                Ok(_) => {
                    let offset = self.slot_len * usize::try_from(slot).ok()?;
                    // SAFETY: a slot below `slots` lies inside the mapping.
                    return Some(unsafe { self.pages.start().add(offset) });
                }
                Err(now) => free = now,
            }
        }
        None
    }

    /// Wipes the slot that begins at `slot` and gives it back. False, and nothing done, where no taken slot
    /// of this slab begins.
    ///
    /// # Safety
    /// No one uses the slot any more, and no other thread is giving the same one back.
    pub(super) unsafe fn give_back(&self, slot: NonNull<u8>) -> bool {
        let Some(bit) = self.bit(slot) else {
            return false;
        };
        if self.free.load(Ordering::Relaxed) & bit != 0 {
            return false;
        }
        // SAFETY: a taken slot of this slab, which by the contract is no longer used.
        wipe(unsafe { std::slice::from_raw_parts_mut(slot.as_ptr(), self.slot_len) });
        self.free.fetch_or(bit, Ordering::Release);
        true
    }

    pub(super) fn is_full(&self) -> bool {
        self.free.load(Ordering::Relaxed) == 0
    }

    pub(super) fn is_empty(&self) -> bool {
        self.free.load(Ordering::Relaxed) == all(self.slots)
    }

    /// Bytes of the slots now taken.
    pub(super) fn used_bytes(&self) -> usize {
        let taken = self.slots - self.free.load(Ordering::Relaxed).count_ones();
        self.slot_len * usize::try_from(taken).unwrap_or(0)
    }

    pub(super) fn pages(&self) -> &Mapping {
        &self.pages
    }

    /// The bit of the slot that begins at `slot`.
    fn bit(&self, slot: NonNull<u8>) -> Option<u64> {
        let offset = slot
            .addr()
            .get()
            .checked_sub(self.pages.start().addr().get())?;
        let index = u32::try_from(offset / self.slot_len).ok()?;
        (offset % self.slot_len == 0 && index < self.slots).then(|| 1 << index)
    }
}

fn all(slots: u32) -> u64 {
    u64::MAX >> (u64::BITS - slots)
}
