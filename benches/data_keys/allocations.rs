//! Counts the allocations of each thread: the program finds the functions of this file before those of the C
//! library, by which every Rust allocator of this program gets its memory.

use std::cell::Cell;
use std::ffi::c_void;

/// How many allocations this thread has made.
pub fn of_this_thread() -> usize {
    COUNT.get()
}

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

unsafe extern "C" {
    fn __libc_malloc(size: usize) -> *mut c_void;
    fn __libc_calloc(count: usize, size: usize) -> *mut c_void;
    fn __libc_realloc(block: *mut c_void, size: usize) -> *mut c_void;
    fn __libc_memalign(align: usize, size: usize) -> *mut c_void;
}

/// # Safety
/// As of `malloc(3)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn malloc(size: usize) -> *mut c_void {
    COUNT.set(COUNT.get() + 1);
    // SAFETY: passed on.
    unsafe { __libc_malloc(size) }
}

/// # Safety
/// As of `calloc(3)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn calloc(count: usize, size: usize) -> *mut c_void {
    COUNT.set(COUNT.get() + 1);
    // SAFETY: passed on.
    unsafe { __libc_calloc(count, size) }
}

/// # Safety
/// As of `realloc(3)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn realloc(block: *mut c_void, size: usize) -> *mut c_void {
    COUNT.set(COUNT.get() + 1);
    // SAFETY: passed on.
    unsafe { __libc_realloc(block, size) }
}

/// # Safety
/// As of `posix_memalign(3)`.
#[unsafe(no_mangle)]
unsafe extern "C" fn posix_memalign(to: *mut *mut c_void, align: usize, size: usize) -> i32 {
    COUNT.set(COUNT.get() + 1);
    // SAFETY: passed on; `to` may be written.
    unsafe {
        *to = __libc_memalign(align, size);
        if (*to).is_null() { libc::ENOMEM } else { 0 }
    }
}
