//! A host under load that watches its own memory: tests/c/stress.c with AddressSanitizer, for three seconds.
//!
//! The sanitizer sees the host, and what is allocated and freed, by the library too. What the library itself
//! reads and writes, and how its threads meet, is seen only where it was built with a sanitizer: that takes
//! minutes, and tests/torture does it, for ThreadSanitizer too.

mod support;

use std::process::Command;

use support::{Link, Need, compile, need, root, run_ok, scratch_dir};

/// How long the host works, in seconds.
const LOAD: &str = "3";

#[test]
fn a_host_under_load_uses_memory_as_it_may() {
    if !need(Need::AddressSanitizer) {
        return;
    }
    let scratch = scratch_dir();
    let program = scratch.path().join("stress");
    let source = root().join("tests/c/stress.c");
    let watched = [
        "-pthread",
        "-fsanitize=address,undefined",
        "-fno-sanitize-recover=all",
    ];
    compile(&source, &program, Link::Shared, &watched);
    let keystore = scratch.path().join("keystore");
    run_ok(Command::new(&program).arg(keystore).arg(LOAD));
}
