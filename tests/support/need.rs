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
    /// valgrind.
    Valgrind,
    /// OpenSSL's libcrypto, with its headers.
    OpenSsl,
    /// A C++ compiler.
    Cxx,
    /// The compiler clang, for C and C++.
    Clang,
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
}

impl Need {
    /// What to call it in front of people.
    pub fn name(self) -> &'static str {
        match self {
            Need::Valgrind => "valgrind",
            Need::OpenSsl => "OpenSSL's libcrypto with its headers",
            Need::Cxx => "a C++ compiler",
            Need::Clang => "clang",
            Need::Nm => "nm (binutils)",
            Need::Readelf => "readelf (binutils)",
            Need::Python => "Python 3",
            Need::PyCryptography => "the Python package cryptography",
            Need::PyArgon2id => "the Python package cryptography with Argon2id",
            Need::XmlLint => "xmllint (libxml2)",
            Need::Make => "make",
        }
    }

    fn is_there(self) -> bool {
        match self {
            Need::Valgrind => answers(Command::new("valgrind").arg("--version")),
            Need::OpenSsl => links_libcrypto(),
            Need::Cxx => answers(super::tool("CXX", "c++").arg("--version")),
            Need::Clang => {
                answers(Command::new("clang").arg("--version"))
                    && answers(Command::new("clang++").arg("--version"))
            }
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

/// `program::test`, as `cargo test --test program test` takes it. The test harness names each test's thread after it, except where it runs them
/// all on the main thread; then the place of the call tells enough.
fn test_name(caller: &Location<'_>) -> String {
    // Modules of a test program lie in a folder of its name.
    let file = Path::new(caller.file());
    let parts: Vec<_> = file.iter().map(|part| part.to_string_lossy()).collect();
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

fn links_libcrypto() -> bool {
    let scratch = super::scratch_dir();
    let source = scratch.path().join("probe.c");
    let text = "#include <openssl/evp.h>\nint main(void) { return EVP_aes_256_gcm() == 0; }\n";
    std::fs::write(&source, text).expect("a scratch directory can be written");
    answers(
        super::compiler_for(&source)
            .arg("-o")
            .arg(scratch.path().join("probe"))
            .arg(&source)
            .arg("-lcrypto"),
    )
}
