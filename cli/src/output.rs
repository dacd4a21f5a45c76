//! What goes to standard output: text for people, JSON for programs.
#![forbid(unsafe_code)]

use std::fmt::Display;
use std::io::{self, Write};

use serde_json::Value;

use crate::failure::{Failure, Result};
use crate::table::json_text;

/// Writes text as it is.
pub fn text(text: impl Display) -> Result<()> {
    bytes(text.to_string().as_bytes())
}

/// Writes one line.
pub fn line(text: impl Display) -> Result<()> {
    bytes(format!("{text}\n").as_bytes())
}

/// Writes JSON in one line.
pub fn json(value: &Value) -> Result<()> {
    line(json_text(value))
}

/// Writes bytes. Printing macros would panic where a pipe is closed.
pub fn bytes(bytes: &[u8]) -> Result<()> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(bytes)
        .and_then(|()| stdout.flush())
        .map_err(|error| Failure::output(&error))
}

/// Says something beside the output.
pub fn note(text: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}
