//! kmsbox.hpp: valid in every C++ it is meant for, whole, and as good as its word; what must not compile
//! does not.
#![allow(clippy::expect_used, clippy::panic)]

#[path = "cpp/header.rs"]
mod header;
#[path = "cpp/misuse.rs"]
mod misuse;
#[path = "cpp/programs.rs"]
mod programs;
mod support;

use std::path::Path;
use std::process::Command;

use support::{Need, STRICT, library, need};

/// The warnings that the header must not draw, whatever its user has switched on.
const STRICTER: &[&str] = &["-Wconversion", "-Wshadow"];

/// Of them the last is C++23 by the name that older compilers know, too.
const STANDARDS: [&str; 3] = ["-std=c++17", "-std=c++20", "-std=c++2b"];

const NEITHER: [&str; 2] = ["-fno-exceptions", "-fno-rtti"];

/// A C++ compiler with all warnings on and the header found.
fn strict(mut compiler: Command) -> Command {
    compiler.args(STRICT).args(STRICTER);
    compiler.arg("-I").arg(&library().include);
    compiler
}

fn cxx() -> Command {
    strict(support::tool("CXX", "c++"))
}

fn clang() -> Command {
    strict(Command::new("clang++"))
}

/// What links a program with the shared library, and finds it again at run time.
fn shared() -> [String; 4] {
    let folder = library().shared_dir.display();
    [
        format!("-L{folder}"),
        "-lkmsbox".to_owned(),
        format!("-Wl,-rpath,{folder}"),
        "-pthread".to_owned(),
    ]
}

/// A file beside this one.
fn source(name: &str) -> std::path::PathBuf {
    support::root().join("tests/cpp").join(name)
}

fn file_name(path: &Path) -> &str {
    path.file_name()
        .and_then(|name| name.to_str())
        .expect("a name")
}
