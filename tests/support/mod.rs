//! What the integration tests share: the library as a C program sees it, compilers, optional tools,
//! scratch directories and child processes that cannot outlive their test.

// Every test program compiles this file for itself and uses only a part of it.
#![allow(dead_code, unused_imports)]
// What fails here has failed the test that called it.
#![allow(clippy::expect_used, clippy::panic)]

pub mod go;
pub mod header;
mod installed;
mod need;
mod process;
pub mod source;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

pub use installed::{Installed, installed, kmsbox, make, make_ok};
pub use need::{Need, need, python};
pub use process::{LIMIT, Output, Running, run, run_ok, run_within, spawn};

/// What a program that links the static library has to name besides it (on Linux with glibc).
pub const NATIVE_STATIC_LIBS: &[&str] = &[
    "-lgcc_s",
    "-lutil",
    "-lrt",
    "-lpthread",
    "-lm",
    "-ldl",
    "-lc",
];

/// Warnings that neither the header nor the programs beside it may draw.
pub const STRICT: &[&str] = &["-Wall", "-Wextra", "-Wpedantic", "-Werror"];

/// The library that was built along with the tests, laid out as if it were installed.
pub struct Library {
    /// Holds `kmsbox.h`.
    pub include: PathBuf,
    /// Holds `libkmsbox.so` and `libkmsbox.so.0`, and nothing else, so that `-lkmsbox` means those.
    pub shared_dir: PathBuf,
    /// `libkmsbox.a`.
    pub static_lib: PathBuf,
}

/// Which of the two libraries a program is linked with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// `libkmsbox.so`, found again at run time by its path.
    Shared,
    /// `libkmsbox.a`.
    Static,
}

/// Whether tests that can go on for long are to do so: `make torture` asks for it.
pub fn long_tests() -> bool {
    std::env::var_os("KMSBOX_LONG_TESTS").is_some_and(|value| value == "1")
}

/// The top of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The library under test.
///
/// Cargo builds every crate type of the package's library before it runs an integration test, and
/// leaves them beside the test program. They are not copied one directory up: what lies there is of
/// some earlier `cargo build` and may be stale.
pub fn library() -> &'static Library {
    static LIBRARY: OnceLock<Library> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let test = std::env::current_exe().expect("a test program knows its own path");
        let built = test.parent().expect("a program lies in a directory");
        let shared = built.join("libkmsbox.so");
        let static_lib = built.join("libkmsbox.a");
        for file in [&shared, &static_lib] {
            assert!(file.is_file(), "cargo did not build {}", file.display());
        }

        let profile = built
            .parent()
            .and_then(Path::file_name)
            .expect("deps lies in a profile");
        let shared_dir = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join("lib")
            .join(profile);
        fs::create_dir_all(&shared_dir).expect("the target directory can be written");
        for name in ["libkmsbox.so", "libkmsbox.so.0"] {
            link_to(&shared, &shared_dir.join(name));
        }
        Library {
            include: root().join("include"),
            shared_dir,
            static_lib,
        }
    })
}

/// Makes a symbolic link, or leaves the one that another test program made first.
fn link_to(target: &Path, link: &Path) {
    if fs::read_link(link).is_ok_and(|old| old == target) {
        return;
    }
    let fresh = link.with_extension(format!("{}.tmp", std::process::id()));
    match symlink(target, &fresh).and_then(|()| fs::rename(&fresh, link)) {
        Ok(()) => {}
        Err(error) => panic!("{}: {error}", link.display()),
    }
}

/// Compiles one C or C++ program (by its name's ending) against the library and links it.
/// `extra` goes to the compiler after the source, so it may name libraries too.
pub fn compile(source: &Path, out: &Path, link: Link, extra: &[&str]) {
    let library = library();
    let mut command = compiler_for(source);
    command.args(STRICT).args(["-O1", "-g"]);
    command.arg("-I").arg(&library.include);
    command.arg("-o").arg(out).arg(source).args(extra);
    match link {
        Link::Shared => {
            let mut rpath = std::ffi::OsString::from("-Wl,-rpath,");
            rpath.push(&library.shared_dir);
            command
                .arg("-L")
                .arg(&library.shared_dir)
                .arg("-lkmsbox")
                .arg(rpath);
        }
        Link::Static => {
            command.arg(&library.static_lib).args(NATIVE_STATIC_LIBS);
        }
    }
    run_ok(&mut command);
}

/// The compiler for a source file: `$CC` or `cc`, for C++ `$CXX` or `c++`.
pub fn compiler_for(source: &Path) -> Command {
    if source.extension() == Some(OsStr::new("cpp")) {
        tool("CXX", "c++")
    } else {
        tool("CC", "cc")
    }
}

/// A tool as the environment names it, arguments included (`CC="ccache gcc"`), or its usual name.
pub fn tool(variable: &str, usual: &str) -> Command {
    let named = std::env::var(variable).unwrap_or_default();
    let mut words = named.split_whitespace();
    let mut command = Command::new(words.next().unwrap_or(usual));
    command.args(words);
    command
}

/// A program that looks for its keystore where the command does, in a folder that has one.
pub fn on_keystore(mut program: Command, folder: &Path) -> Command {
    program
        .current_dir(folder)
        .env("KMSBOX_KEYSTORE", "keystore")
        .env("KMSBOX_ROOT_KEY", "file:root.key");
    program
}

/// Whether some bytes have others in them.
pub fn contains(bytes: &[u8], part: impl AsRef<[u8]>) -> bool {
    let part = part.as_ref();
    bytes.windows(part.len()).any(|window| window == part)
}

/// A directory that only this user may enter, removed with the value.
pub fn scratch_dir() -> tempfile::TempDir {
    tempfile::Builder::new()
        .prefix("kmsbox-")
        .permissions(fs::Permissions::from_mode(0o700))
        .tempdir_in(env!("CARGO_TARGET_TMPDIR"))
        .expect("the target directory can be written")
}
