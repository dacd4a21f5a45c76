//! Hash maps whose seed is the library's own.
//!
//! The standard library takes the seed of its maps from `/dev/urandom` where the system call is
//! refused, and keeps the descriptor. A host that closes it and opens a file gets that number again.
#![forbid(unsafe_code)]
#![allow(clippy::disallowed_types, reason = "the only place that names them")]

use std::hash::{BuildHasher, DefaultHasher, Hasher};

use crate::secret::fork;

/// A map with such a seed.
pub type HashMap<K, V> = std::collections::HashMap<K, V, Seed>;
/// A set with such a seed.
pub type HashSet<T> = std::collections::HashSet<T, Seed>;

/// A number that others cannot guess, so that nobody can choose keys that collide.
#[derive(Clone, Copy)]
pub struct Seed(u64);

impl Default for Seed {
    fn default() -> Self {
        Seed(fork::instance())
    }
}

impl BuildHasher for Seed {
    type Hasher = DefaultHasher;

    fn build_hasher(&self) -> DefaultHasher {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(self.0);
        hasher
    }
}
