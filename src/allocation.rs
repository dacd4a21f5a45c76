//! Memory whose size a caller or a file decides: where the system refuses it, that is `KMS_ERR_NO_MEMORY`.
//!
//! `Vec::with_capacity`, `to_owned` and `collect` end the process instead, so they are for what stays small.
#![forbid(unsafe_code)]

use std::hint::black_box;

use crate::error::Result;

/// What the header promises nothing for: so much is never asked for beforehand.
const SMALL: usize = 16 << 10;

/// An empty vector with room for so many items.
pub fn room<T>(len: usize) -> Result<Vec<T>> {
    let mut items = Vec::new();
    items.try_reserve_exact(len)?;
    Ok(items)
}

/// A copy of a text.
pub fn text(text: &str) -> Result<String> {
    let mut copy = String::new();
    copy.try_reserve_exact(text.len())?;
    copy.push_str(text);
    Ok(copy)
}

/// Asks whether so much memory is there, before code of others (a parser, `Clone`) takes it without asking, no
/// more of it at once than this.
pub fn ask(len: usize) -> Result<()> {
    if len > SMALL {
        // Without this the compiler leaves out an allocation that nobody uses.
        black_box(room::<u8>(len)?);
    }
    Ok(())
}
