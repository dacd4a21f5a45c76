//! The runners against a library that lies: a list alone cannot show that they look at request ids and at what
//! a failed call leaves behind.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::runners::{self, Language};
use crate::support::{Link, Output, compile, root, run, scratch_dir};

/// Two steps that the library refuses, the second into a buffer of the caller's.
const LIST: &str = "\
case refused
decrypt blob=00 -> KMS_ERR_NOT_A_BLOB InvalidParameter
decrypt blob=00 plaintext_capacity=8 -> KMS_ERR_NOT_A_BLOB InvalidParameter
";

/// A lie, and the lines on one of which it must be found out.
type Lie = (&'static str, &'static [usize]);

const LIES: &[Lie] = &[
    ("the same request id", &[3]),
    ("upper case in the request id", &[2]),
    ("no request id", &[2]),
    ("another code", &[2]),
    ("another status", &[2]),
    ("done", &[2]),
    // Where the binding brings the buffer it may be out of sight.
    ("a plaintext left", &[2, 3]),
];

/// Python goes by the status alone, and has no length after a failure.
const A_LENGTH_LEFT: Lie = ("a length left", &[2, 3]);

#[test]
fn the_runner_of_c_is_not_lied_to() {
    find_out(Language::C, &[LIES, &[A_LENGTH_LEFT]].concat());
}

#[test]
fn the_runner_of_cpp_is_not_lied_to() {
    find_out(Language::Cpp, &[LIES, &[A_LENGTH_LEFT]].concat());
}

#[test]
fn the_runner_of_python_is_not_lied_to() {
    find_out(Language::Python, LIES);
}

#[test]
fn the_runner_of_go_is_not_lied_to() {
    find_out(Language::Go, &[LIES, &[A_LENGTH_LEFT]].concat());
}

#[track_caller]
fn find_out(language: Language, lies: &[Lie]) {
    if !runners::is_here(language) {
        return;
    }
    let honest = run_with(language, None);
    assert!(
        honest.status.success() && honest.stdout == "ok refused\n",
        "{honest:?}"
    );
    let mut believed = Vec::new();
    for (lie, lines) in lies {
        let output = run_with(language, Some(lie));
        let told = |line: &usize| {
            let start = format!("not ok refused: line {line}: ");
            output.stdout.starts_with(&start)
        };
        if output.status.code() != Some(1) || !lines.iter().any(told) {
            believed.push(format!("{lie}: {output:?}"));
        }
    }
    assert!(believed.is_empty(), "{language:?}: {believed:#?}");
}

fn run_with(language: Language, lie: Option<&str>) -> Output {
    let scratch = scratch_dir();
    let (list, dir) = (scratch.path().join("list"), scratch.path().join("dir"));
    fs::write(&list, LIST).expect("a scratch directory can be written");
    runners::make_private(&dir);
    let mut command = runners::runner(language);
    // Python asks the library that it opened, and what that one depends on; the others ask the first
    // that was loaded.
    let place = match language {
        Language::Python => "KMSBOX_LIBRARY",
        _ => "LD_PRELOAD",
    };
    command.env(place, liar());
    if let Some(lie) = lie {
        command.env("KMSBOX_LIE", lie);
    }
    run(command.arg(&list).arg("--dir").arg(&dir))
}

fn liar() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let out = runners::folder().join("libliar.so");
        let source = root().join("tests/languages/liar/liar.c");
        // The real library is to be loaded with it, though nothing in it is named.
        let extra = ["-shared", "-fPIC", "-Wl,--no-as-needed", "-ldl"];
        compile(&source, &out, Link::Shared, &extra);
        out
    })
}
