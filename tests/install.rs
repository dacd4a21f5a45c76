//! What `make install` and `make deb` put in place, and that programs outside the tree find all they need
//! there: with pkg-config and CMake, shared and static, in C and C++, beside other Rust, loaded and unloaded.
#![allow(clippy::expect_used, clippy::panic)]

#[path = "install/consumers.rs"]
mod consumers;
#[path = "install/debian.rs"]
mod debian;
#[path = "install/libraries.rs"]
mod libraries;
#[path = "install/manual.rs"]
mod manual;
#[path = "install/placement.rs"]
mod placement;
mod support;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::{Output, make, root, run_within};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// `make install`; what it installs is built before, so that tests at once do not all build it.
#[track_caller]
fn install(arguments: &[&str]) {
    support::installed();
    support::make_ok(&[&["install"], arguments].concat());
}

/// Runs `make`, which must fail.
#[track_caller]
fn make_refuses(arguments: &[&str], says: &str) -> Output {
    let output = run_within(&mut make(arguments), support::LIMIT);
    assert!(!output.status.success(), "make {arguments:?} went well");
    assert!(
        output.stderr.contains(says),
        "make {arguments:?} does not say {says:?}:\n{}",
        output.stderr
    );
    output
}

/// Every file and link below a directory by its path from there: its mode or where it leads, and its bytes.
fn tree(top: &Path) -> BTreeMap<String, (String, Vec<u8>)> {
    fn collect(top: &Path, folder: &Path, found: &mut BTreeMap<String, (String, Vec<u8>)>) {
        for entry in fs::read_dir(folder).expect("it can be read") {
            let path = entry.expect("it can be read").path();
            let about = path.symlink_metadata().expect("it is there");
            let name = path.strip_prefix(top).expect("it lies below");
            let name = name.to_str().expect("it is text").to_owned();
            if about.is_dir() {
                collect(top, &path, found);
            } else if about.is_symlink() {
                let target = fs::read_link(&path).expect("it is a link");
                found.insert(name, (format!("-> {}", target.display()), Vec::new()));
            } else {
                let mode = format!("{:o}", about.permissions().mode() & 0o7777);
                found.insert(name, (mode, fs::read(&path).expect("it can be read")));
            }
        }
    }
    let mut found = BTreeMap::new();
    collect(top, top, &mut found);
    found
}

/// The files of `packaging/man` and what the command makes: `man1/kmsbox-list.1` and so on.
fn pages() -> Vec<String> {
    let mut pages: Vec<String> = tree(&support::installed().prefix)
        .into_keys()
        .filter_map(|name| name.strip_prefix("share/man/").map(str::to_owned))
        .collect();
    pages.sort();
    pages
}

/// The header for C++ and its parts: `kmsbox.hpp`, `kmsbox/bytes.hpp` and so on.
fn cpp_headers() -> Vec<String> {
    let headers: Vec<String> = tree(&root().join("include"))
        .into_keys()
        .filter(|name| name.ends_with(".hpp"))
        .collect();
    assert!(headers.len() > 10, "{headers:?}");
    headers
}

/// A source of tests/install, copied to a directory outside what it is about.
fn copied(name: &str, to: &Path) -> PathBuf {
    let copy = to.join(name);
    fs::copy(root().join("tests/install").join(name), &copy).expect("it can be copied");
    copy
}

/// What a program that runs against this installation needs to find the shared library.
fn against(program: &Path, lib: &Path) -> Command {
    let mut command = Command::new(program);
    command.env("LD_LIBRARY_PATH", lib);
    command
}
