//! Random bytes from the kernel.
//!
//! Each call asks the kernel: a generator in user space would be repeated by a fork or by a restored
//! snapshot of the machine. It asks by the system call or not at all: a descriptor of `/dev/urandom`
//! that stays open could be closed by the host, and its number be given to another file.
#![forbid(unsafe_code)]

use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};
use uuid::{Builder, Uuid};

use crate::error::{Error, Result, Status};

/// Fills `bytes` with random bytes.
pub fn fill(bytes: &mut [u8]) -> Result<()> {
    let mut filled = 0;
    while filled < bytes.len() {
        match getrandom(&mut bytes[filled..], GetRandomFlags::empty()) {
            Ok(more) if more > 0 => filled += more,
            Err(Errno::INTR) => {}
            Ok(_) | Err(_) => return Err(Error::new(Status::Random)),
        }
    }
    Ok(())
}

/// A random UUID, version 4.
pub fn uuid() -> Result<Uuid> {
    let mut bytes = [0; 16];
    fill(&mut bytes)?;
    Ok(Builder::from_random_bytes(bytes).into_uuid())
}
