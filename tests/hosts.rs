//! Hosts as they are: what is promised to a C program that is started or set up in an unusual way.
//! docs/hosts.md has the table; each row is a test here.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;
#[path = "support/worker.rs"]
mod worker;

#[path = "hosts/cancelled.rs"]
mod cancelled;
#[path = "hosts/descriptors.rs"]
mod descriptors;
#[path = "hosts/limits.rs"]
mod limits;
#[path = "hosts/paths.rs"]
mod paths;
#[path = "hosts/signals.rs"]
mod signals;
#[path = "hosts/stacks.rs"]
mod stacks;

use std::path::PathBuf;
use std::process::Command;

use support::{Link, compile, root};
use tempfile::TempDir;

/// The program `tests/c/NAME.c`, built in this folder.
fn host(name: &str, folder: &TempDir) -> Command {
    let program: PathBuf = folder.path().join(name);
    let source = root().join("tests/c").join(name).with_extension("c");
    compile(&source, &program, Link::Shared, &["-pthread"]);
    Command::new(program)
}
