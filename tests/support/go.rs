//! The Go tool, building against the library as it is installed.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::{Installed, installed, run_ok, run_within};

/// Compilation of cgo and of an engine is slow where nothing is cached yet.
pub const LIMIT: Duration = Duration::from_secs(900);

/// `go` in a module's directory. It asks no network for a module without dependencies.
pub fn go(directory: &Path, arguments: &[&str]) -> Command {
    let installed = installed();
    let mut command = Command::new("go");
    command
        .args(arguments)
        .current_dir(directory)
        .env("PKG_CONFIG_PATH", &installed.pkg_config)
        .env("LD_LIBRARY_PATH", &installed.lib)
        .env("CGO_ENABLED", "1")
        .env("CGO_CFLAGS", cgo_flags(installed))
        .env_remove("GOEXPERIMENT");
    command
}

/// Runs it; answers its standard output.
#[track_caller]
pub fn go_ok(directory: &Path, arguments: &[&str]) -> String {
    let output = run_within(&mut go(directory, arguments), LIMIT);
    assert!(
        output.status.success(),
        "go {arguments:?}: {}\n--- stdout\n{}--- stderr\n{}",
        output.status,
        output.stdout,
        output.stderr
    );
    output.stdout
}

/// Whether `go test -v` says that a test ran and passed.
pub fn passed(output: &str, test: &str) -> bool {
    output.contains(&format!("--- PASS: {test} ("))
}

/// gofmt of the same Go.
pub fn gofmt() -> PathBuf {
    let output = run_ok(Command::new("go").args(["env", "GOROOT"]));
    let own = Path::new(output.stdout.trim()).join("bin/gofmt");
    if own.exists() {
        own
    } else {
        PathBuf::from("gofmt")
    }
}

/// What a build with cgo needs in `CGO_CFLAGS`: Go's cache of what it has built looks neither at headers
/// outside of a package nor at what pkg-config says, but at these flags.
pub fn cgo_flags(installed: &Installed) -> String {
    let mut hasher = DefaultHasher::new();
    for file in [
        installed.include.join("kmsbox.h"),
        installed.pkg_config.join("kmsbox.pc"),
    ] {
        fs::read(file).expect("it is installed").hash(&mut hasher);
    }
    format!("-g -O2 -Wall -DKMSBOX_{:016x}", hasher.finish())
}
