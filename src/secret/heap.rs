//! Byte strings in locked memory: for the host by [`alloc`] and [`free`], for the library as
//! [`SecretBytes`].

// Hands out raw memory.
#![allow(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::Mutex;

use super::mapping::Mapping;
use super::slab::Slab;
use super::{fork, lock};

/// The longest that is given out. Locked memory cannot be swapped away, so without a bound one wrong length
/// would starve the machine.
pub const MAX_LEN: usize = 64 << 20;

/// `len` zero bytes, aligned to 16, in memory that is locked and left out of core dumps where the system
/// allows. None when `len` is 0 or above [`MAX_LEN`], or when there is no memory.
pub fn alloc(len: usize) -> Option<NonNull<u8>> {
    let _gate = fork::enter();
    lock(&GIVEN_OUT).alloc(len)
}

/// Wipes what [`alloc`] gave and takes it back. Any other pointer is left alone: null, one already freed,
/// one into the middle, one into a [`SecretBytes`].
pub fn free(pointer: *mut u8) {
    if let Some(pointer) = NonNull::new(pointer) {
        let _gate = fork::enter();
        // SAFETY: only the caller of `alloc` knows what lies there, and using it takes unsafe code of his
        // own, which answers for not using it any more.
        unsafe { lock(&GIVEN_OUT).free(pointer) };
    }
}

/// Bytes in locked memory, wiped when they go.
pub struct SecretBytes {
    /// Dangling when `len` is 0.
    start: NonNull<u8>,
    len: usize,
}

impl SecretBytes {
    /// `len` zero bytes, to be filled in place. None when `len` is above [`MAX_LEN`] or there is no memory.
    pub fn zeroed(len: usize) -> Option<SecretBytes> {
        if len == 0 {
            return Some(SecretBytes {
                start: NonNull::dangling(),
                len,
            });
        }
        let _gate = fork::enter();
        let start = lock(&KEPT).alloc(len)?;
        Some(SecretBytes { start, len })
    }

    /// A copy of `bytes`; wiping the original is the caller's.
    pub fn copy_of(bytes: &[u8]) -> Option<SecretBytes> {
        let mut copy = SecretBytes::zeroed(bytes.len())?;
        copy.copy_from_slice(bytes);
        Some(copy)
    }
}

// SAFETY: owns its bytes as a boxed slice does.
unsafe impl Send for SecretBytes {}
// SAFETY: a shared one gives shared access to the bytes only.
unsafe impl Sync for SecretBytes {}

impl Deref for SecretBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `len` bytes allocated for self alone, initialised (zero at first); or none, dangling.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl DerefMut for SecretBytes {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and self is borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl Drop for SecretBytes {
    fn drop(&mut self) {
        if self.len > 0 {
            let _gate = fork::enter();
            // SAFETY: allocated there for self alone, which goes.
            unsafe { lock(&KEPT).free(self.start) };
        }
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretBytes({} bytes)", self.len)
    }
}

// ---- The heap ------------------------------------------------------------------------------------

/// What the host holds.
static GIVEN_OUT: Mutex<Heap> = Mutex::new(Heap::new());
/// What the library holds. Apart, so that no pointer a host gives to [`free`] can reach it.
static KEPT: Mutex<Heap> = Mutex::new(Heap::new());

/// Lengths are rounded up to the next of these; longer ones get a mapping of their own.
const CLASSES: [usize; 4] = [64, 256, 1024, 4096];
/// Small, because a process is often allowed only 64 KiB of locked memory.
const SLAB_BYTES: usize = 16 << 10;

struct Heap {
    /// By address, so that a pointer finds its region.
    regions: BTreeMap<usize, Region>,
    /// For each class the slabs that are not full.
    roomy: [BTreeSet<usize>; CLASSES.len()],
    /// The process that the regions are locked in; zero before the first.
    locked_in: u64,
}

enum Region {
    Shared { slab: Slab, class: usize },
    Whole(Mapping),
}

impl Heap {
    const fn new() -> Heap {
        Heap {
            regions: BTreeMap::new(),
            roomy: [const { BTreeSet::new() }; CLASSES.len()],
            locked_in: 0,
        }
    }

    fn alloc(&mut self, len: usize) -> Option<NonNull<u8>> {
        if len == 0 || len > MAX_LEN {
            return None;
        }
        self.relock_after_fork();
        match CLASSES.iter().position(|size| len <= *size) {
            Some(class) => self.alloc_slot(class),
            None => {
                let pages = Mapping::new(len)?;
                let start = pages.start();
                self.regions
                    .insert(start.addr().get(), Region::Whole(pages));
                Some(start)
            }
        }
    }

    fn alloc_slot(&mut self, class: usize) -> Option<NonNull<u8>> {
        let size = CLASSES[class];
        let base = match self.roomy[class].first() {
            Some(base) => *base,
            None => {
                let slab = Slab::new(size, u32::try_from(SLAB_BYTES / size).ok()?)?;
                let base = slab.pages().start().addr().get();
                self.regions.insert(base, Region::Shared { slab, class });
                self.roomy[class].insert(base);
                base
            }
        };
        let Some(Region::Shared { slab, .. }) = self.regions.get(&base) else {
            return None;
        };
        let slot = slab.take();
        if slab.is_full() {
            self.roomy[class].remove(&base);
        }
        slot
    }

    /// # Safety
    /// If this heap gave out `pointer`, nobody uses it any more.
    unsafe fn free(&mut self, pointer: NonNull<u8>) {
        let address = pointer.addr().get();
        let Some((&base, region)) = self.regions.range(..=address).next_back() else {
            return;
        };
        match region {
            Region::Whole(_) => {
                if base == address {
                    // Wiped and unmapped as it is dropped.
                    self.regions.remove(&base);
                }
            }
            Region::Shared { slab, class } => {
                // SAFETY: by the contract; the heap's mutex keeps other threads from freeing.
                if !unsafe { slab.give_back(pointer) } {
                    return;
                }
                let (class, empty) = (*class, slab.is_empty());
                self.roomy[class].insert(base);
                // One slab with room is kept, so that a host on the edge does not map and unmap in turn.
                if empty && self.roomy[class].len() > 1 {
                    self.roomy[class].remove(&base);
                    self.regions.remove(&base);
                }
            }
        }
    }

    fn relock_after_fork(&mut self) {
        let instance = fork::instance();
        if self.locked_in != instance {
            for region in self.regions.values() {
                match region {
                    Region::Shared { slab, .. } => slab.pages().lock(),
                    Region::Whole(pages) => pages.lock(),
                }
            }
            self.locked_in = instance;
        }
    }
}
