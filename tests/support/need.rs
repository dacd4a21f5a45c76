//! Tools that a developer's machine may lack. A test that cannot run without one says so and is
//! counted as skipped; where `CI=true` every tool must be there.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::panic::Location;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

/// Something besides Rust and a C compiler that a test may need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Need {
    /// The rights of root.
    Root,
    /// valgrind.
    Valgrind,
    /// OpenSSL's libcrypto, with its headers.
    OpenSsl,
    /// A C++ compiler.
    Cxx,
    /// A C++ compiler whose programs can watch their own memory.
    CxxSanitizers,
    /// A C compiler with AddressSanitizer and UndefinedBehaviorSanitizer.
    AddressSanitizer,
    /// A C compiler with ThreadSanitizer.
    ThreadSanitizer,
    /// The compiler clang, for C and C++.
    Clang,
    /// The system's C library as a static one.
    StaticLibc,
    /// nm of binutils.
    Nm,
    /// readelf of binutils.
    Readelf,
    /// A Python 3.
    Python,
    /// The Python package `cryptography`.
    PyCryptography,
    /// That package with Argon2id: version 44, on OpenSSL 3.2.
    PyArgon2id,
    /// xmllint of libxml2.
    XmlLint,
    /// make.
    Make,
    /// pkg-config.
    PkgConfig,
    /// CMake.
    Cmake,
    /// dpkg-deb, which builds and opens Debian packages.
    DpkgDeb,
    /// lintian, which judges Debian packages.
    Lintian,
    /// mandoc, which judges manual pages.
    Mandoc,
    /// Go, with the pkg-config that cgo asks.
    Go,
    /// Python's venv and pip, and an index of packages that pip reaches.
    Pip,
    /// The Python package `pyarrow`.
    PyArrow,
    /// The Go module of Badger, already here or from a module proxy.
    Badger,
    /// RocksDB with its C++ headers.
    RocksDb,
    /// A MariaDB server with the headers for plugins.
    MariaDb,
    /// mariadb-backup.
    MariaDbBackup,
    /// SQLCipher with its headers.
    SqlCipher,
}

impl Need {
    /// What to call it in front of people.
    pub fn name(self) -> &'static str {
        match self {
            Need::Root => "the rights of root",
            Need::Valgrind => "valgrind",
            Need::OpenSsl => "OpenSSL's libcrypto with its headers",
            Need::Cxx => "a C++ compiler",
            Need::CxxSanitizers => "a C++ compiler with -fsanitize=address,undefined",
            Need::AddressSanitizer => "a C compiler with -fsanitize=address,undefined",
            Need::ThreadSanitizer => "a C compiler with -fsanitize=thread",
            Need::Clang => "clang",
            Need::StaticLibc => "a static C library",
            Need::Nm => "nm (binutils)",
            Need::Readelf => "readelf (binutils)",
            Need::Python => "Python 3",
            Need::PyCryptography => "the Python package cryptography",
            Need::PyArgon2id => "the Python package cryptography with Argon2id",
            Need::XmlLint => "xmllint (libxml2)",
            Need::Make => "make",
            Need::PkgConfig => "pkg-config",
            Need::Cmake => "CMake",
            Need::DpkgDeb => "dpkg-deb",
            Need::Lintian => "lintian",
            Need::Mandoc => "mandoc",
            Need::Go => "Go with pkg-config",
            Need::Pip => "Python's venv and pip with an index of packages",
            Need::PyArrow => "the Python package pyarrow",
            Need::Badger => "the Go module of Badger",
            Need::RocksDb => "RocksDB with its C++ headers",
            Need::MariaDb => "a MariaDB server with the headers for plugins",
            Need::MariaDbBackup => "mariadb-backup",
            Need::SqlCipher => "SQLCipher with its headers",
        }
    }

    fn is_there(self) -> bool {
        match self {
            Need::Root => answers(Command::new("chroot").args(["/", "true"])),
            Need::Valgrind => answers(Command::new("valgrind").arg("--version")),
            Need::OpenSsl => links_libcrypto(),
            Need::Cxx => answers(super::tool("CXX", "c++").arg("--version")),
            Need::CxxSanitizers => links_sanitizers(),
            Need::Clang => {
                answers(Command::new("clang").arg("--version"))
                    && answers(Command::new("clang++").arg("--version"))
            }
            Need::AddressSanitizer => links(EMPTY, "-fsanitize=address,undefined"),
            Need::ThreadSanitizer => links(EMPTY, "-fsanitize=thread"),
            Need::StaticLibc => links(EMPTY, "-static"),
            Need::Nm => answers(Command::new("nm").arg("--version")),
            Need::Readelf => answers(Command::new("readelf").arg("--version")),
            Need::Python => answers(Command::new(python()).args(["-c", "import json"])),
            Need::PyCryptography => {
                let import = "import cryptography.hazmat.primitives.ciphers.aead";
                answers(Command::new(python()).args(["-c", import]))
            }
            Need::PyArgon2id => {
                let import = "from cryptography.hazmat.primitives.kdf.argon2 import Argon2id";
                let make =
                    "Argon2id(salt=bytes(16), length=32, iterations=1, lanes=1, memory_cost=8)";
                answers(Command::new(python()).args(["-c", &format!("{import}; {make}")]))
            }
            Need::XmlLint => answers(Command::new("xmllint").arg("--version")),
            Need::Make => answers(Command::new("make").arg("--version")),
            Need::PkgConfig => answers(Command::new("pkg-config").arg("--version")),
            Need::Cmake => answers(Command::new("cmake").arg("--version")),
            Need::DpkgDeb => answers(Command::new("dpkg-deb").arg("--version")),
            Need::Lintian => answers(Command::new("lintian").arg("--version")),
            Need::Mandoc => there("mandoc"),
            Need::Go => answers(Command::new("go").arg("version")) && Need::PkgConfig.is_there(),
            Need::Pip => downloads_setuptools(),
            Need::PyArrow => {
                // Before 23 it cannot change the CMK of a file.
                let import = "from pyarrow.parquet.encryption import CryptoFactory as f; f.rotate_master_keys";
                answers(Command::new(python()).args(["-c", import]))
            }
            Need::Badger => {
                let badger = super::root().join("bindings/go/examples/badger");
                Need::Go.is_there()
                    && answers(
                        Command::new("go")
                            .args(["mod", "download"])
                            .current_dir(badger),
                    )
            }
            Need::RocksDb => preprocesses("cpp", "#include <rocksdb/env_encryption.h>\n"),
            Need::MariaDb => {
                there("mariadbd")
                    // Its own includes need a path that its users give.
                    && preprocesses("c", "#if !__has_include(<mariadb/server/mysql/plugin_encryption.h>)\n#error\n#endif\n")
            }
            Need::MariaDbBackup => there("mariadb-backup"),
            Need::SqlCipher => preprocesses("c", "#include <sqlcipher/sqlite3.h>\n"),
        }
    }
}

/// Whether a tool is there. Where it is not, the test must return at once: `false` has been noted
/// down as this test skipped. With `CI=true` it is a failure instead.
#[track_caller]
#[must_use]
pub fn need(need: Need) -> bool {
    static KNOWN: Mutex<Option<HashMap<Need, bool>>> = Mutex::new(None);
    let there = {
        let mut known = KNOWN
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        *known
            .get_or_insert_default()
            .entry(need)
            .or_insert_with(|| need.is_there())
    };
    if !there {
        let test = test_name(Location::caller());
        let what = need.name();
        let in_ci = std::env::var("CI").is_ok_and(|value| value == "true");
        assert!(
            !in_ci,
            "{test} needs {what}, and with CI=true nothing is skipped"
        );
        note_skipped(&format!("SKIPPED {test}: needs {what}\n"));
    }
    there
}

/// The Python to use: `$KMSBOX_PYTHON` (which may be of a virtual environment) or `python3`.
pub fn python() -> PathBuf {
    std::env::var_os("KMSBOX_PYTHON").map_or_else(|| PathBuf::from("python3"), PathBuf::from)
}

/// `program::test`, as `cargo test --test program test` takes it. The test harness names each test's
/// thread after it, except where it runs them all on the main thread; then the place of the call tells
/// enough.
fn test_name(caller: &Location<'_>) -> String {
    // Modules of a test program lie in a folder of its name.
    let file = Path::new(caller.file());
    let parts: Vec<_> = file.iter().map(|part| part.to_string_lossy()).collect();
    assert!(
        parts.iter().any(|part| part == "tests"),
        "{}: call need by its name, or nobody learns which test asked",
        file.display()
    );
    let program = match &parts[..] {
        [.., tests, program, _] if tests == "tests" && program != "support" => program.to_string(),
        [.., file] => file.trim_end_matches(".rs").to_owned(),
        [] => String::new(),
    };
    match std::thread::current().name() {
        Some(name) if name != "main" => format!("{program}::{name}"),
        _ => format!("{program}::(line {})", caller.line()),
    }
}

/// Tells the person at the terminal, past the harness's capture of a passing test's output, and
/// `tests/run`, which counts these lines.
fn note_skipped(line: &str) {
    let _ = std::io::stderr().lock().write_all(line.as_bytes());
    if let Some(path) = std::env::var_os("KMSBOX_SKIPPED") {
        OpenOptions::new()
            .append(true)
            .create(true)
            .open(&path)
            .and_then(|mut file| file.write_all(line.as_bytes()))
            .unwrap_or_else(|error| panic!("{}: {error}", Path::new(&path).display()));
    }
}

fn answers(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Whether a program is on the path, for those that know no `--version`.
fn there(program: &str) -> bool {
    answers(Command::new("sh").args(["-c", &format!("command -v {program}")]))
}

fn preprocesses(ending: &str, text: &str) -> bool {
    let scratch = super::scratch_dir();
    let source = scratch.path().join("probe").with_extension(ending);
    std::fs::write(&source, text).expect("a scratch directory can be written");
    answers(super::compiler_for(&source).arg("-E").arg(&source))
}

fn downloads_setuptools() -> bool {
    let scratch = super::scratch_dir();
    answers(Command::new(python()).args(["-c", "import ensurepip, venv"]))
        && answers(
            Command::new(python())
                .args(["-m", "pip", "download", "-q", "--no-deps", "-d"])
                .arg(scratch.path())
                .arg("setuptools>=77"),
        )
}

fn links_sanitizers() -> bool {
    let scratch = super::scratch_dir();
    let source = scratch.path().join("probe.cpp");
    std::fs::write(&source, "int main() {}\n").expect("a scratch directory can be written");
    answers(
        super::compiler_for(&source)
            .args(["-fsanitize=address,undefined", "-o"])
            .arg(scratch.path().join("probe"))
            .arg(&source),
    )
}

fn links_libcrypto() -> bool {
    let text = "#include <openssl/evp.h>\nint main(void) { return EVP_aes_256_gcm() == 0; }\n";
    links(text, "-lcrypto")
}

const EMPTY: &str = "int main(void) { return 0; }\n";

/// Whether this program can be linked with this argument.
fn links(text: &str, with: &str) -> bool {
    let scratch = super::scratch_dir();
    let source = scratch.path().join("probe.c");
    std::fs::write(&source, text).expect("a scratch directory can be written");
    answers(
        super::compiler_for(&source)
            .arg("-o")
            .arg(scratch.path().join("probe"))
            .arg(&source)
            .arg(with),
    )
}
