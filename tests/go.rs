//! The Go package, against the library as it is installed: its style, its tests in every mode that finds
//! faults at the border to C, its benchmarks, and programs that carry the library in them.
#![allow(clippy::expect_used, clippy::panic)]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::go::{LIMIT, go, go_ok, passed};
use support::{Need, contains, installed, need, root, run_ok, run_within, scratch_dir};

fn package() -> PathBuf {
    root().join("bindings/go")
}

/// The names of the functions in the tests of the package that begin with this.
fn functions(beginning: &str) -> Vec<String> {
    let entries = fs::read_dir(package()).expect("the package is there");
    let mut names = Vec::new();
    for entry in entries {
        let path = entry.expect("it can be read").path();
        if !path.to_string_lossy().ends_with("_test.go") {
            continue;
        }
        let text = fs::read_to_string(&path).expect("a test is text");
        let found = text
            .lines()
            .filter_map(|line| line.strip_prefix("func ")?.split_once('('))
            .filter(|(name, _)| name.starts_with(beginning))
            .map(|(name, _)| name.to_owned());
        names.extend(found);
    }
    assert!(!names.is_empty(), "no function {beginning}…");
    names
}

/// Every test and every example ran and passed; the named ones may be skipped.
fn all_passed(output: &str, may_be_skipped: &[&str]) {
    for name in [functions("Test"), functions("Example")].concat() {
        let skipped = format!("--- SKIP: {name} ");
        let may = may_be_skipped.contains(&name.as_str());
        assert!(
            passed(output, &name) || (may && output.contains(&skipped)),
            "{name} did not run:\n{output}"
        );
    }
}

#[test]
fn it_is_formatted_and_clean() {
    if !need(Need::Go) || !need(Need::Make) {
        return;
    }
    let output = run_ok(Command::new(support::go::gofmt()).arg("-l").arg(package()));
    assert_eq!(output.stdout, "", "gofmt -w would change these");
    go_ok(&package(), &["vet", "./..."]);
    go_ok(&package(), &["vet", "-tags", "kmsbox_static", "./..."]);
}

#[test]
fn its_tests_pass() {
    if !need(Need::Go) || !need(Need::Make) {
        return;
    }
    let output = go_ok(&package(), &["test", "-count=1", "-v", "./..."]);
    all_passed(&output, &[]);
}

#[test]
fn its_tests_pass_where_every_pointer_is_checked() {
    if !need(Need::Go) || !need(Need::Make) {
        return;
    }
    let mut command = go(&package(), &["test", "-count=1", "-v", "./..."]);
    command.env("GOEXPERIMENT", "cgocheck2");
    let output = run_within(&mut command, LIMIT);
    assert!(output.status.success(), "{output:?}");
    all_passed(&output.stdout, &[]);
}

#[test]
fn its_tests_pass_under_the_race_detector() {
    if !need(Need::Go) || !need(Need::Make) {
        return;
    }
    let output = go_ok(&package(), &["test", "-race", "-count=1", "-v", "./..."]);
    // These measure memory, of which the detector takes its own.
    let of_memory = [
        "TestCallsLeaveNoMemoryBehind",
        "TestTheHotPathAllocatesNothing",
    ];
    all_passed(&output, &of_memory);
}

#[test]
fn its_benchmarks_run() {
    if !need(Need::Go) || !need(Need::Make) {
        return;
    }
    let output = go_ok(
        &package(),
        &["test", "-run", "^$", "-bench", ".", "-benchtime", "1x", "."],
    );
    for name in functions("Benchmark") {
        assert!(output.contains(&name), "{name} did not run:\n{output}");
    }
}

#[test]
fn a_program_can_carry_the_library() {
    if !need(Need::Go) || !need(Need::Make) {
        return;
    }
    let scratch = scratch_dir();
    let program = scratch.path().join("static.test");
    let path = program.display().to_string();
    let build = ["test", "-c", "-tags", "kmsbox_static", "-o", &path, "."];
    go_ok(&package(), &build);
    let mut command = Command::new(&program);
    command.arg("-test.v").current_dir(package());
    command.env_remove("LD_LIBRARY_PATH");
    let output = run_within(&mut command, LIMIT);
    assert!(output.status.success(), "{output:?}");
    all_passed(&output.stdout, &[]);
    assert_needs_no_library(&program);
}

/// The loader would have to look for it; its name would be in the program.
fn assert_needs_no_library(program: &Path) {
    let bytes = fs::read(program).expect("it was built");
    assert!(
        !contains(&bytes, "libkmsbox.so"),
        "it needs the shared library"
    );
}

/// Rather than a list of names that are not there.
#[test]
fn without_cgo_there_is_no_package() {
    if !need(Need::Go) || !need(Need::Make) {
        return;
    }
    let mut command = go(&package(), &["build", "."]);
    let output = run_within(command.env("CGO_ENABLED", "0"), LIMIT);
    assert!(!output.status.success());
    assert!(
        output
            .stderr
            .contains("build constraints exclude all Go files"),
        "{output:?}"
    );
}

#[test]
fn a_module_of_its_own_uses_it_by_a_replacement() {
    if !need(Need::Go) || !need(Need::Make) {
        return;
    }
    let scratch = scratch_dir();
    let module = format!(
        "module user\n\ngo 1.21\n\nrequire kmsbox v0.0.0\n\nreplace kmsbox => {}\n",
        package().display()
    );
    let program =
        "package main\n\nimport \"kmsbox\"\n\nfunc main() { println(kmsbox.Version()) }\n";
    fs::write(scratch.path().join("go.mod"), module).expect("it is ours");
    fs::write(scratch.path().join("main.go"), program).expect("it is ours");
    go_ok(
        scratch.path(),
        &["build", "-buildvcs=false", "-o", "user", "."],
    );
    let mut user = Command::new(scratch.path().join("user"));
    let output = run_ok(user.env("LD_LIBRARY_PATH", &installed().lib));
    assert_eq!(output.stderr.trim(), env!("CARGO_PKG_VERSION"));
}
