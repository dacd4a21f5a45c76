//! Random bytes from the kernel.
//!
//! Each call asks the kernel: a generator in user space would be repeated by a fork or by a restored
//! snapshot of the machine.
#![forbid(unsafe_code)]

use rand::TryRng;
use rand::rngs::SysRng;
use uuid::{Builder, Uuid};

use crate::error::{Error, Result, Status};

/// Fills `bytes` with random bytes.
pub fn fill(bytes: &mut [u8]) -> Result<()> {
    SysRng
        .try_fill_bytes(bytes)
        .map_err(|_| Error::new(Status::Random))
}

/// A random UUID, version 4.
pub fn uuid() -> Result<Uuid> {
    let mut bytes = [0; 16];
    fill(&mut bytes)?;
    Ok(Builder::from_random_bytes(bytes).into_uuid())
}
