//! Pages of their own for secrets, taken from the system and given back to it.

// Mapping, locking and unmapping pages are system calls on raw addresses.
#![allow(unsafe_code)]

use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, Ordering};

use super::wipe;

/// Private anonymous pages between two that nobody may touch: a read or write that runs off either end
/// stops the program instead of meeting a secret.
///
/// Private, so a forked child has its own copy: what it wipes stays in the parent.
pub(super) struct Mapping {
    /// The first byte of use, after the leading guard page.
    start: NonNull<u8>,
    len: usize,
    page: usize,
    locked: AtomicBool,
    undumped: bool,
}

// SAFETY: a Mapping owns its pages, as a Box would; what is written into them is its user's to order.
unsafe impl Send for Mapping {}
// SAFETY: as above; through a shared Mapping only its address is had, and the lock flag is atomic.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// At least `len` bytes (whole pages), all zero. None when the system gives no memory.
    pub(super) fn new(len: usize) -> Option<Mapping> {
        let page = page_size();
        let len = len.max(1).checked_next_multiple_of(page)?;
        let whole = len.checked_add(2 * page)?;
        // SAFETY: a fresh mapping where the kernel likes; it replaces nothing.
        let base = unsafe {
            libc::mmap(
                ptr::null_mut(),
                whole,
                libc::PROT_NONE,
                libc::MAP_PRIVATE | libc::MAP_ANON,
                -1,
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return None;
        }
        // SAFETY: `page` bytes into a mapping of len + 2 pages.
        let start = unsafe { base.cast::<u8>().add(page) };
        // SAFETY: exactly the pages between the guards, which nobody else knows yet.
        let open = unsafe { libc::mprotect(start.cast(), len, libc::PROT_READ | libc::PROT_WRITE) };
        let Some(start) = NonNull::new(start).filter(|_| open == 0) else {
            // SAFETY: the mapping made above, whole, and no pointer into it is left.
            unsafe { libc::munmap(base, whole) };
            return None;
        };
        let undumped = leave_out_of_dumps(start, len);
        let mapping = Mapping {
            start,
            len,
            page,
            locked: AtomicBool::new(false),
            undumped,
        };
        mapping.lock();
        Some(mapping)
    }

    pub(super) fn start(&self) -> NonNull<u8> {
        self.start
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Asks that the pages stay in memory. A refusal (the limit on locked memory) is remembered, no more.
    /// A forked child inherits no lock, so it asks again.
    pub(super) fn lock(&self) {
        // SAFETY: locks pages that this value owns; what they hold does not change.
        let refused = unsafe { libc::mlock(self.start.as_ptr().cast(), self.len) };
        self.locked.store(refused == 0, Ordering::Relaxed);
    }

    pub(super) fn locked(&self) -> bool {
        self.locked.load(Ordering::Relaxed)
    }

    pub(super) fn undumped(&self) -> bool {
        self.undumped
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // The kernel hands pages on only after clearing them, but it does that in its own time.
        // SAFETY: the pages are readable and writable, and nobody refers to them once their owner goes.
        wipe(unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) });
        // SAFETY: the whole mapping, guards and all, as it was made. Unmapping unlocks.
        unsafe {
            libc::munmap(
                self.start.as_ptr().sub(self.page).cast(),
                self.len + 2 * self.page,
            )
        };
    }
}

/// The system's page size.
pub(super) fn page_size() -> usize {
    // SAFETY: reads a constant of the system.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size)
        .ok()
        .filter(|size| size.is_power_of_two())
        .unwrap_or(4096)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn leave_out_of_dumps(start: NonNull<u8>, len: usize) -> bool {
    // SAFETY: marks whole pages of a mapping just made; what they hold does not change.
    unsafe { libc::madvise(start.as_ptr().cast(), len, libc::MADV_DONTDUMP) == 0 }
}

#[cfg(target_os = "freebsd")]
fn leave_out_of_dumps(start: NonNull<u8>, len: usize) -> bool {
    // SAFETY: marks whole pages of a mapping just made; what they hold does not change.
    unsafe { libc::madvise(start.as_ptr().cast(), len, libc::MADV_NOCORE) == 0 }
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
fn leave_out_of_dumps(_start: NonNull<u8>, _len: usize) -> bool {
    false
}
