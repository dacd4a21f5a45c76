//! Work that leaves nothing in memory, for code that does not wipe what it is done with.
//!
//! Arithmetic on long numbers leaves parts of its secrets in dead stack frames and in freed blocks of the
//! heap. So the stack is wiped after such work, and the allocator of this library wipes every block that is
//! freed meanwhile.

// An allocator, which is raw memory.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{fork, wipe, wipe_registers, wipe_stack};

/// How much of the stack is wiped. Work on an RSA key takes some 42 KiB of it, as a test measures.
pub(crate) const DEAD_STACK_OF_WORK: usize = 64 << 10;

/// Runs `work`, then wipes the stack that it has used. Blocks that it frees are wiped too.
///
/// What `work` captures by value and what it returns lies above that stack: let it borrow its secrets and
/// return none.
pub fn wiping_after<R>(work: impl FnOnce() -> R) -> R {
    // A fork meanwhile would copy what is not wiped yet.
    let _gate = fork::enter();
    let _working = Working::begin();
    let outcome = run(work);
    wipe_stack::<DEAD_STACK_OF_WORK>();
    wipe_registers();
    outcome.unwrap_or_else(|panic| resume_unwind(panic))
}

/// A frame of its own, so that what it leaves on the stack lies below that of its caller.
#[inline(never)]
fn run<R>(work: impl FnOnce() -> R) -> std::thread::Result<R> {
    catch_unwind(AssertUnwindSafe(work))
}

/// How many threads are at such work. While there is one, every block that any thread frees is wiped: that
/// does no harm, and to ask costs one load.
static WORKING: AtomicUsize = AtomicUsize::new(0);

struct Working;

impl Working {
    fn begin() -> Self {
        WORKING.fetch_add(1, Ordering::Relaxed);
        Working
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        WORKING.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The allocator of the system, but for the wiping.
struct Allocator;

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

// SAFETY: every block comes from the system's allocator and goes back to it with the same layout.
unsafe impl GlobalAlloc for Allocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: by the contract of this method.
        unsafe { System.alloc(layout) }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: by the contract of this method.
        unsafe { System.alloc_zeroed(layout) }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if WORKING.load(Ordering::Relaxed) > 0 {
            // SAFETY: the whole block, which by the contract of this method nobody uses any more.
            unsafe { wipe::fill_with_zeros(block, layout.size()) };
        }
        // SAFETY: by the contract of this method.
        unsafe { System.dealloc(block, layout) }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if WORKING.load(Ordering::Relaxed) == 0 {
            // SAFETY: by the contract of this method.
            return unsafe { System.realloc(block, layout, new_size) };
        }
        // The system would leave the old block as it is.
        // SAFETY: by the contract of this method `new_size` makes a layout with this alignment, is not zero,
        // and `block` has the old one. The new block is another one than the old.
        unsafe {
            let new = System.alloc(Layout::from_size_align_unchecked(new_size, layout.align()));
            if !new.is_null() {
                new.copy_from_nonoverlapping(block, layout.size().min(new_size));
                self.dealloc(block, layout);
            }
            new
        }
    }
}
