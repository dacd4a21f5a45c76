//! Cancellation of the host's thread (`pthread_cancel`), put off until a call is over.
//!
//! A cancelled thread is unwound by the C library, from within `open`, `write`, `fsync` and their like. That
//! would skip what ends a call (secrets wiped, locks given back), and Rust aborts the process rather than let
//! it happen. So a thread cannot be cancelled while it is in the library; it is at its next cancellation
//! point after the call.

use std::ffi::c_int;

// The libc crate does not declare it for these systems, but POSIX has it. It cannot be called by the safe
// name, since the compiler knows nothing of it: the type is that of POSIX.
#[cfg(not(target_os = "android"))]
unsafe extern "C" {
    fn pthread_setcancelstate(state: c_int, old: *mut c_int) -> c_int;
}

/// Android has no cancellation.
#[cfg(target_os = "android")]
unsafe fn pthread_setcancelstate(_state: c_int, _old: *mut c_int) -> c_int {
    0
}

/// `PTHREAD_CANCEL_DISABLE`.
const DISABLE: c_int = if cfg!(target_vendor = "apple") { 0 } else { 1 };

/// As long as this lives, its thread cannot be cancelled.
pub(super) struct Uncancelled {
    /// What the thread had before, to be restored.
    old: c_int,
}

impl Uncancelled {
    pub(super) fn begin() -> Self {
        let mut old = DISABLE;
        // SAFETY: a valid state and a place for the old one; it is no cancellation point.
        unsafe { pthread_setcancelstate(DISABLE, &mut old) };
        Uncancelled { old }
    }
}

impl Drop for Uncancelled {
    fn drop(&mut self) {
        let mut ours = DISABLE;
        // SAFETY: as above, with a state that this very thread had.
        unsafe { pthread_setcancelstate(self.old, &mut ours) };
    }
}
