//! An allocator that refuses large pieces of memory where a test says so. The program finds it before that of
//! the C library.

use std::cell::Cell;
use std::ffi::c_void;
use std::ptr;

use kmsbox::error::Status;

const LARGE: usize = 16 << 10;
const NO_MEMORY: i32 = Status::NoMemory.number();

thread_local! {
    /// Which large allocations of this thread are refused.
    pub static REFUSED: Cell<Refused> = const { Cell::new(Refused::None) };
    /// How many were, since this was last set.
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

#[derive(Clone, Copy)]
pub enum Refused {
    None,
    /// The one after so many.
    After(usize),
    /// All of more bytes.
    Above(usize),
}

/// Whether this one is to be refused.
fn is_refused(len: usize) -> bool {
    if len <= LARGE {
        return false;
    }
    let refused = match REFUSED.get() {
        Refused::None => false,
        Refused::After(0) => {
            REFUSED.set(Refused::None);
            true
        }
        Refused::After(more) => {
            REFUSED.set(Refused::After(more - 1));
            false
        }
        Refused::Above(most) => len > most,
    };
    COUNT.set(COUNT.get() + usize::from(refused));
    refused
}

unsafe extern "C" {
    fn __libc_malloc(size: usize) -> *mut c_void;
    fn __libc_calloc(count: usize, size: usize) -> *mut c_void;
    fn __libc_realloc(block: *mut c_void, size: usize) -> *mut c_void;
}

/// # Safety
/// As of `malloc(3)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn malloc(size: usize) -> *mut c_void {
    match is_refused(size) {
        true => ptr::null_mut(),
        // SAFETY: passed on.
        false => unsafe { __libc_malloc(size) },
    }
}

/// # Safety
/// As of `calloc(3)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn calloc(count: usize, size: usize) -> *mut c_void {
    match is_refused(count.saturating_mul(size)) {
        true => ptr::null_mut(),
        // SAFETY: passed on.
        false => unsafe { __libc_calloc(count, size) },
    }
}

/// # Safety
/// As of `realloc(3)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn realloc(block: *mut c_void, size: usize) -> *mut c_void {
    match is_refused(size) {
        true => ptr::null_mut(),
        // SAFETY: passed on.
        false => unsafe { __libc_realloc(block, size) },
    }
}

/// Refuses the first large allocation of a call, then the second of the next, and so on, until there is none
/// left to refuse. `expected` is the status without refusals. A refusal may also be got over.
#[track_caller]
pub fn refuse_each(what: &str, expected: i32, mut call: impl FnMut() -> i32) {
    for granted in 0.. {
        if !refuse(what, Refused::After(granted), expected, &mut call) {
            assert!(granted > 0, "{what}: this test must see large allocations");
            return;
        }
        assert!(granted < 100, "{what}: no end of large allocations");
    }
}

/// Refuses allocations above a size that is larger and larger: for calls in which code of others (a parser of
/// JSON, a copy) allocates, for which the library asks beforehand.
#[track_caller]
pub fn refuse_above(what: &str, expected: i32, mut call: impl FnMut() -> i32) {
    let mut most = LARGE;
    while refuse(what, Refused::Above(most), expected, &mut call) {
        most += most / 8;
    }
    assert!(most > LARGE, "{what}: this test must see large allocations");
}

/// Whether anything was refused.
#[track_caller]
pub fn refuse(what: &str, refused: Refused, expected: i32, call: &mut impl FnMut() -> i32) -> bool {
    COUNT.set(0);
    REFUSED.set(refused);
    let status = call();
    REFUSED.set(Refused::None);
    let count = COUNT.get();
    assert!(
        status == expected || (status == NO_MEMORY && count > 0),
        "{what}: {status} after {count} refusals"
    );
    count > 0
}
