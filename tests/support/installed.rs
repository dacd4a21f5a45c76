//! kmsbox as `make install` puts it in place: the release build, for programs outside the tree.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use super::{on_keystore, root, run_within};

/// A whole release build may be part of it.
const LIMIT: Duration = Duration::from_secs(1800);

/// Where everything is.
pub struct Installed {
    pub prefix: PathBuf,
    /// Holds the headers.
    pub include: PathBuf,
    /// Holds both libraries.
    pub lib: PathBuf,
    /// Holds the command.
    pub bin: PathBuf,
    /// Holds `kmsbox.pc`; what `PKG_CONFIG_PATH` is set to.
    pub pkg_config: PathBuf,
}

impl Installed {
    /// What `make install PREFIX=prefix` makes.
    pub fn below(prefix: &Path) -> Installed {
        Installed {
            prefix: prefix.to_owned(),
            include: prefix.join("include"),
            lib: prefix.join("lib"),
            bin: prefix.join("bin"),
            pkg_config: prefix.join("lib/pkgconfig"),
        }
    }
}

/// The installation of this test program, made at the first call. It needs make and a C compiler.
pub fn installed() -> &'static Installed {
    static INSTALLED: OnceLock<Installed> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        let test = std::env::current_exe().expect("a test program knows its own path");
        let name = test.file_name().expect("a program has a name");
        let prefix = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join("installed")
            .join(name);
        // Of an earlier run; what is no longer installed must not be found there.
        if prefix.exists() {
            fs::remove_dir_all(&prefix).expect("it was made by this test program");
        }
        make_ok(&["install", &format!("PREFIX={}", prefix.display())]);
        Installed::below(&prefix)
    })
}

/// The command, as it is used in a folder that has its keystore and its root key, or gets them by `init`.
pub fn kmsbox(folder: &Path) -> Command {
    on_keystore(Command::new(installed().bin.join("kmsbox")), folder)
}

/// `make` at the top of the repository, which builds where the tests are built.
pub fn make(arguments: &[&str]) -> Command {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .expect("it lies in the target directory");
    let mut make = super::tool("MAKE", "make");
    make.args(arguments)
        .current_dir(root())
        .env("CARGO_TARGET_DIR", target);
    // What a make that started these tests was told is not meant for this one.
    for variable in ["MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEFILES", "DESTDIR"] {
        make.env_remove(variable);
    }
    make
}

/// Runs `make`, which must succeed.
#[track_caller]
pub fn make_ok(arguments: &[&str]) -> super::Output {
    let output = run_within(&mut make(arguments), LIMIT);
    assert!(
        output.status.success(),
        "make {arguments:?}: {}\n--- stdout\n{}--- stderr\n{}",
        output.status,
        output.stdout,
        output.stderr
    );
    output
}
