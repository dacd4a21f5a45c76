//! tests/c/faults.c, which is preloaded into this process.

use std::ffi::{CStr, c_int, c_long};
use std::marker::PhantomData;

use crate::KINDS;

/// The call of this kind, counted from 1, that fails, and its error.
#[derive(Clone, Copy)]
pub struct Fault {
    pub kind: usize,
    pub at: usize,
    pub error: c_int,
}

/// While it lives, the calls of this thread are counted, and one of them fails.
pub struct Armed(PhantomData<*const ()>);

impl Fault {
    pub fn none() -> Fault {
        Fault {
            kind: 0,
            at: 0,
            error: 0,
        }
    }

    pub fn arm(self) -> Armed {
        // SAFETY: it is declared so in tests/c/faults.c.
        let arm: extern "C" fn(c_int, c_long, c_int) =
            unsafe { std::mem::transmute(function(c"faults_arm")) };
        arm(
            self.kind.try_into().unwrap(),
            self.at.try_into().unwrap(),
            self.error,
        );
        Armed(PhantomData)
    }
}

impl Drop for Armed {
    fn drop(&mut self) {
        // SAFETY: as above.
        let disarm: extern "C" fn() = unsafe { std::mem::transmute(function(c"faults_disarm")) };
        disarm();
    }
}

/// How many calls of each kind this thread made while it was last armed.
pub fn seen() -> [usize; KINDS.len()] {
    // SAFETY: as above.
    let seen: extern "C" fn(c_int) -> c_long =
        unsafe { std::mem::transmute(function(c"faults_seen")) };
    std::array::from_fn(|kind| seen(kind.try_into().unwrap()).try_into().unwrap())
}

fn function(name: &CStr) -> *mut libc::c_void {
    // SAFETY: the name ends with a NUL.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    assert!(!found.is_null(), "tests/c/faults.c is not preloaded");
    found
}
