//! A secret that lives for one call.

#![forbid(unsafe_code)]

use std::fmt;
use std::ops::{Deref, DerefMut};

use super::wipe;

/// What fits here costs no allocation: a 1024-bit data key, and every seal of key material.
const INLINE: usize = 128;

/// Bytes that are wiped when they go out of scope, on every path out of a function.
///
/// Made empty and filled in place. Short ones lie inside the value itself, so it is passed on by reference:
/// moving a filled one would leave a copy behind that nobody wipes.
pub struct Scratch {
    len: usize,
    inline: [u8; INLINE],
    /// In use when `len` exceeds the inline part; of exactly `len` bytes, since a buffer that grows would
    /// leave its older self in freed memory.
    long: Box<[u8]>,
}

impl Scratch {
    /// `len` zero bytes.
    #[inline]
    pub fn zeroed(len: usize) -> Scratch {
        let long = if len > INLINE {
            vec![0; len].into_boxed_slice()
        } else {
            Box::default()
        };
        Scratch {
            len,
            inline: [0; INLINE],
            long,
        }
    }
}

impl Deref for Scratch {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        if self.len > INLINE {
            &self.long
        } else {
            &self.inline[..self.len]
        }
    }
}

impl DerefMut for Scratch {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        if self.len > INLINE {
            &mut self.long
        } else {
            &mut self.inline[..self.len]
        }
    }
}

impl Drop for Scratch {
    #[inline]
    fn drop(&mut self) {
        wipe(self);
    }
}

impl fmt::Debug for Scratch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scratch({} bytes)", self.len)
    }
}
