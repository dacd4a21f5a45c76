//! The runners: how each is built and started, and what it must print.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::lists;
use crate::support::go::go_ok;
use crate::support::{Link, Need, Output, compile, installed, library, need, python, root};

/// A language with a binding of its own, or C.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    C,
    Cpp,
    Python,
    Go,
}

/// Whether the machine has what a language needs. Where not, the test must return at once: it has been
/// noted down as skipped.
#[track_caller]
pub fn is_here(language: Language) -> bool {
    match language {
        Language::C => true,
        Language::Cpp => need(Need::Cxx),
        Language::Python => need(Need::Python),
        // kmsbox is installed with make, and then found by pkg-config.
        Language::Go => need(Need::Go) && need(Need::Make),
    }
}

/// A command that starts the language's runner; only its arguments are missing.
pub fn runner(language: Language) -> Command {
    runner_by(language, |runner| Command::new(runner))
}

/// The same, but the program is started by another one.
pub fn runner_by(language: Language, start: impl Fn(&Path) -> Command) -> Command {
    match language {
        Language::C => start(c()),
        Language::Cpp => start(cpp()),
        Language::Python => {
            let binding = root().join("bindings/python");
            let mut command = start(&python());
            command
                .arg(binding.join("tests/run_cases.py"))
                .env("PYTHONPATH", binding.join("src"))
                .env("PYTHONDONTWRITEBYTECODE", "1")
                .env(
                    "KMSBOX_LIBRARY",
                    library().shared_dir.join("libkmsbox.so.0"),
                );
            command
        }
        Language::Go => {
            let mut command = start(go());
            command.env("LD_LIBRARY_PATH", &installed().lib);
            command
        }
    }
}

fn c() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| compiled("c", &["-std=c99"]))
}

fn cpp() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| compiled("cpp", &["-std=c++17"]))
}

fn go() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let out = folder().join("run_cases_go");
        let program = out.to_str().expect("the target directory is text");
        let module = root().join("bindings/go");
        go_ok(&module, &["build", "-o", program, "./internal/cases"]);
        out
    })
}

/// Compiles every file of `tests/languages/LANGUAGE`, whose names end in the language's own.
fn compiled(language: &str, options: &[&str]) -> PathBuf {
    let sources = root().join("tests/languages").join(language);
    let entries = fs::read_dir(&sources).unwrap_or_else(|error| panic!("{sources:?}: {error}"));
    let mut others: Vec<String> = entries
        .map(|entry| entry.expect("a folder can be read").path())
        .filter(|path| path.extension() == Some(OsStr::new(language)))
        .filter(|path| path.file_stem() != Some(OsStr::new("run_cases")))
        .map(|path| path.display().to_string())
        .collect();
    others.sort();
    let mut extra = options.to_vec();
    extra.extend(others.iter().map(String::as_str));
    let out = folder().join(format!("run_cases_{language}"));
    let main = sources.join("run_cases").with_extension(language);
    compile(&main, &out, Link::Shared, &extra);
    out
}

pub fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("languages");
    fs::create_dir_all(&folder).expect("the target directory can be written");
    folder
}

/// Makes a folder that only this user may enter.
pub fn make_private(folder: &Path) {
    let made = DirBuilder::new().mode(0o700).create(folder);
    made.unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
}

/// Every case of the list was performed, in the list's order, and held; nothing else was said.
#[track_caller]
pub fn assert_all_held(list: &str, output: Output) {
    let told: Vec<&str> = output.stdout.lines().collect();
    let expected = lists::names(list);
    let expected: Vec<String> = expected.iter().map(|name| format!("ok {name}")).collect();
    let held = told == expected && output.status.code() == Some(0) && output.stderr.is_empty();
    let first_wrong = (0..told.len().max(expected.len()))
        .find(|&at| told.get(at).copied() != expected.get(at).map(String::as_str))
        .map(|at| (expected.get(at), told.get(at)));
    let not_held: Vec<&&str> = told
        .iter()
        .filter(|line| !line.starts_with("ok "))
        .collect();
    assert!(
        held,
        "{list}: {}\nnot held: {not_held:#?}\nfirst line that differs: {first_wrong:#?}\n--- stderr\n{}",
        output.status, output.stderr
    );
}
