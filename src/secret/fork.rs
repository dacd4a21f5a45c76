//! What a fork must not break.
//!
//! A forked child is a copy of the process with one thread in it. A mutex that another thread held at that
//! moment stays held there for ever, and a descriptor that was open is shared with the parent. So the work
//! that uses such things happens behind a gate, and a fork waits until nobody is behind it: see [`enter`].
//!
//! The child also has to learn that it is one, to lock its memory again: see [`instance`].
//!
//! Both rest on `pthread_atfork`. A bare `clone` system call runs no handlers: its child sees another
//! [`instance`] where the kernel knows `MADV_WIPEONFORK`, but nothing waits at the gate.

// Registering handlers with the C library, and a word in a page of its own.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::rand::{GetRandomFlags, getrandom};

use super::lock;
use super::mapping::page_size;

/// Goes behind the gate and stays until the [`Gate`] is dropped. A fork by another thread waits that long,
/// and while one waits, threads that are outside wait for it.
///
/// Whoever takes a mutex or opens a descriptor in the library enters first: the gate comes before every
/// mutex. Entering with one held could wait for a fork, which waits for somebody behind the gate, who waits
/// for that mutex. For the same reason nobody behind the gate waits for a thread that has yet to enter, and
/// long waits (for another process) are made outside. Entering again on the same thread never waits.
pub fn enter() -> Gate {
    DEPTH.with(|depth| {
        let outermost = depth.get() == 0;
        if outermost {
            register();
            with_crowd(|mut crowd, forking_here| {
                while crowd.forks > 0 && !forking_here {
                    crowd = wait(crowd);
                }
                crowd.inside += 1;
                crowd
            });
        }
        depth.set(depth.get() + 1);
    });
    Gate {
        _of_this_thread: PhantomData,
    }
}

/// The stay behind the gate; see [`enter`].
#[must_use = "the gate is left as soon as this is dropped"]
pub struct Gate {
    _of_this_thread: PhantomData<*const ()>,
}

impl Drop for Gate {
    fn drop(&mut self) {
        DEPTH.with(|depth| {
            depth.set(depth.get().saturating_sub(1));
            if depth.get() == 0 {
                with_crowd(|mut crowd, _| {
                    crowd.inside = crowd.inside.saturating_sub(1);
                    if crowd.forks > 0 {
                        CHANGED.notify_all();
                    }
                    crowd
                });
            }
        });
    }
}

/// A number that names this process: random, never zero, the same for all its threads and another one in
/// each forked child. Costs a load.
///
/// For noticing a fork and for identifiers. Never for keys: where the system gives no randomness it is made
/// from the process id and the time.
#[inline]
pub fn instance() -> u64 {
    // SAFETY: points at UNNAMED, at PLAIN or at the word in a page that is never unmapped.
    let name = unsafe { &*WORD.load(Ordering::Acquire) }.load(Ordering::Relaxed);
    if name != 0 { name } else { name_process() }
}

// ---- The gate ----------------------------------------------------------------------------------

/// Who is where. Under a mutex that the forking thread holds across the fork.
struct Crowd {
    /// Threads behind the gate.
    inside: usize,
    /// Threads that are about to fork.
    forks: usize,
    /// Threads that are both: they do nothing until their fork is done, so no other fork waits for them.
    forks_inside: usize,
}

static CROWD: Mutex<Crowd> = Mutex::new(Crowd {
    inside: 0,
    forks: 0,
    forks_inside: 0,
});
static CHANGED: Condvar = Condvar::new();
static REGISTERED: AtomicBool = AtomicBool::new(false);

// Neither needs dropping, so both work until the very end of a thread.
thread_local! {
    /// How many gates this thread holds.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    /// Set while this thread forks, from the prepare handler to the one that follows.
    static FORKING: Cell<Option<ManuallyDrop<MutexGuard<'static, Crowd>>>> =
        const { Cell::new(None) };
}

/// Runs `change` on the crowd. The second argument tells whether this very thread is forking: then it has
/// the mutex already (a handler of the host's has called the library between two of ours).
fn with_crowd(change: impl FnOnce(MutexGuard<'static, Crowd>, bool) -> MutexGuard<'static, Crowd>) {
    match FORKING.take() {
        Some(held) => {
            let held = change(ManuallyDrop::into_inner(held), true);
            FORKING.set(Some(ManuallyDrop::new(held)));
        }
        None => drop(change(lock(&CROWD), false)),
    }
}

fn wait(crowd: MutexGuard<'static, Crowd>) -> MutexGuard<'static, Crowd> {
    CHANGED.wait(crowd).unwrap_or_else(PoisonError::into_inner)
}

/// Registers the handlers. Two threads that come first together may both do it: run twice they do no harm,
/// and a lock or a `Once` around this could itself be caught by a fork.
#[inline]
fn register() {
    if !REGISTERED.load(Ordering::Acquire) {
        // SAFETY: the handlers are plain functions that live as long as the library.
        let failed = unsafe {
            libc::pthread_atfork(
                Some(before_fork),
                Some(after_fork_in_parent),
                Some(after_fork_in_child),
            )
        };
        REGISTERED.store(failed == 0, Ordering::Release);
    }
}

/// Prepare handlers run in the reverse order of their registration. Ours must not wait for the library to
/// come to rest while a lock of the host's own handler is free to be taken by a thread inside the library:
/// so it registers before the host's code runs, as soon as the library is loaded, and runs after theirs.
#[used]
#[cfg_attr(target_os = "linux", unsafe(link_section = ".init_array"))]
static REGISTER_EARLY: extern "C" fn() = {
    extern "C" fn register_early() {
        register();
    }
    register_early
};

extern "C" fn before_fork() {
    // Already held where the handlers are registered twice.
    let held = FORKING.take().unwrap_or_else(|| {
        let mut crowd = lock(&CROWD);
        crowd.forks += 1;
        if DEPTH.get() > 0 {
            crowd.forks_inside += 1;
            CHANGED.notify_all();
        }
        while crowd.inside > crowd.forks_inside {
            crowd = wait(crowd);
        }
        ManuallyDrop::new(crowd)
    });
    FORKING.set(Some(held));
}

extern "C" fn after_fork_in_parent() {
    if let Some(held) = FORKING.take() {
        let mut crowd = ManuallyDrop::into_inner(held);
        crowd.forks = crowd.forks.saturating_sub(1);
        if DEPTH.get() > 0 {
            crowd.forks_inside = crowd.forks_inside.saturating_sub(1);
        }
        CHANGED.notify_all();
    }
}

extern "C" fn after_fork_in_child() {
    // Also where the kernel has wiped the page: some emulators only pretend to.
    // SAFETY: as in `instance`. UNNAMED stays zero by this.
    unsafe { &*WORD.load(Ordering::Acquire) }.store(0, Ordering::Relaxed);
    if let Some(held) = FORKING.take() {
        // The other threads are not here any more.
        let mut crowd = ManuallyDrop::into_inner(held);
        *crowd = Crowd {
            inside: usize::from(DEPTH.get() > 0),
            forks: 0,
            forks_inside: 0,
        };
    }
}

// ---- The name of the process ---------------------------------------------------------------------

/// Where the name is before it was first asked for. Always zero.
static UNNAMED: AtomicU64 = AtomicU64::new(0);
/// Where the name is when the system gives no page for it.
static PLAIN: AtomicU64 = AtomicU64::new(0);
/// Where the name is. Never null, so that asking for it is two loads and no test more.
static WORD: AtomicPtr<AtomicU64> = AtomicPtr::new((&raw const UNNAMED).cast_mut());

#[cold]
fn name_process() -> u64 {
    register();
    let unnamed = (&raw const UNNAMED).cast_mut();
    if WORD.load(Ordering::Acquire) == unnamed {
        let page = page_wiped_on_fork();
        let word = page.unwrap_or((&raw const PLAIN).cast_mut());
        let set = WORD.compare_exchange(unnamed, word, Ordering::AcqRel, Ordering::Acquire);
        if let (Err(_), Some(page)) = (set, page) {
            // SAFETY: the page made above, which nobody else has seen.
            unsafe { libc::munmap(page.cast(), page_size()) };
        }
    }
    // SAFETY: as in `instance`; no longer UNNAMED.
    let word = unsafe { &*WORD.load(Ordering::Acquire) };
    let fresh = random();
    match word.compare_exchange(0, fresh, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => fresh,
        Err(name) => name,
    }
}

/// A zero word in a page that every child sees empty, however it was made. Where the kernel does not know
/// the advice the page serves all the same, and the handler alone clears the word.
fn page_wiped_on_fork() -> Option<*mut AtomicU64> {
    // SAFETY: a fresh mapping where the kernel likes; it replaces nothing.
    let page = unsafe {
        libc::mmap(
            ptr::null_mut(),
            page_size(),
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANON,
            -1,
            0,
        )
    };
    if page == libc::MAP_FAILED {
        return None;
    }
    #[cfg(any(target_os = "linux", target_os = "android"))]
    // SAFETY: one whole page, just mapped and empty.
    unsafe {
        libc::madvise(page, page_size(), libc::MADV_WIPEONFORK);
    }
    Some(page.cast())
}

/// Random and not zero.
fn random() -> u64 {
    let mut bytes = [0; 8];
    // So few bytes come whole or not at all.
    let drawn = getrandom(&mut bytes, GetRandomFlags::empty())
        .ok()
        .map(|_| u64::from_ne_bytes(bytes));
    drawn.filter(|name| *name != 0).unwrap_or_else(|| {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        // Odd, so not zero; the multiplication spreads neighbouring process ids over the whole word.
        (u64::from(std::process::id()).wrapping_mul(0x9E37_79B9_7F4A_7C15)
            ^ now.as_secs().rotate_left(32)
            ^ u64::from(now.subsec_nanos()))
            | 1
    })
}
