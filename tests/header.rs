//! The header: generated from the sources, valid in every C and C++ a program may be written in, and
//! in agreement with the library and with the table of errors.
#![allow(clippy::expect_used, clippy::panic)]

mod support;

#[allow(dead_code)]
#[path = "../src/error/table.rs"]
mod table;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use support::{Link, Need, STRICT, compile, header, library, need, root, run, run_ok, scratch_dir};
use table::Status;

const C: [&str; 3] = ["c99", "c11", "c17"];
const CXX: [&str; 3] = ["c++11", "c++17", "c++20"];

#[test]
fn is_the_one_that_the_sources_give() {
    let generated = fs::read_to_string(concat!(env!("OUT_DIR"), "/kmsbox.h"))
        .expect("the build script wrote the header");
    let kept = header::text();
    if let Some((number, (kept, generated))) = (1..)
        .zip(kept.lines().zip(generated.lines()))
        .find(|(_, (kept, generated))| kept != generated)
    {
        panic!(
            "include/kmsbox.h is not what the sources give; run `make header`\n\
             line {number} is:        {kept}\nline {number} should be: {generated}"
        );
    }
    assert!(
        kept == generated,
        "include/kmsbox.h is not what the sources give (it is longer or shorter); run `make header`"
    );
}

#[test]
fn compiles_as_c() {
    for standard in C {
        compiles(support::tool("CC", "cc"), "c", standard);
    }
}

#[test]
fn compiles_as_cxx() {
    if !need(Need::Cxx) {
        return;
    }
    for standard in CXX {
        compiles(support::tool("CXX", "c++"), "c++", standard);
    }
}

#[test]
fn compiles_with_clang() {
    if !need(Need::Clang) {
        return;
    }
    for standard in C {
        compiles(Command::new("clang"), "c", standard);
    }
    for standard in CXX {
        compiles(Command::new("clang++"), "c++", standard);
    }
}

/// The header alone, then twice, in one unit.
fn compiles(mut compiler: Command, language: &str, standard: &str) {
    let scratch = scratch_dir();
    let once = "#include <kmsbox.h>\n";
    for (name, text) in [("once", once.to_owned()), ("twice", once.repeat(2))] {
        fs::write(scratch.path().join(name), text).expect("a scratch directory can be written");
    }
    compiler
        .args(STRICT)
        .arg(format!("-std={standard}"))
        .arg("-fsyntax-only");
    if language == "c" {
        // `f()` would leave the parameters open.
        compiler.arg("-Wstrict-prototypes");
    }
    compiler
        .arg("-I")
        .arg(&library().include)
        .args(["-x", language]);
    run_ok(
        compiler
            .arg(scratch.path().join("once"))
            .arg(scratch.path().join("twice")),
    );
}

#[test]
fn declares_the_interface_exactly_in_c() {
    let scratch = scratch_dir();
    let program = scratch.path().join("interface");
    let source = root().join("tests/c/interface.c");
    compile(
        &source,
        &program,
        Link::Shared,
        &["-std=c11", "-Wstrict-prototypes"],
    );
    run_ok(&mut Command::new(&program));
}

#[test]
fn declares_the_interface_exactly_in_cxx() {
    if !need(Need::Cxx) {
        return;
    }
    let scratch = scratch_dir();
    let program = scratch.path().join("interface");
    let source = scratch.path().join("interface.cpp");
    fs::copy(root().join("tests/c/interface.c"), &source).expect("the source can be copied");
    compile(&source, &program, Link::Shared, &["-std=c++11"]);
    run_ok(&mut Command::new(&program));
}

#[test]
fn macros_agree_with_functions() {
    let scratch = scratch_dir();
    let statuses: String = statuses_defined()
        .iter()
        .map(|(name, _)| format!("STATUS({name})\n"))
        .collect();
    fs::write(scratch.path().join("statuses.inc"), statuses)
        .expect("a scratch directory can be written");
    let program = scratch.path().join("constants");
    let version = format!("-DCARGO_VERSION=\"{}\"", env!("CARGO_PKG_VERSION"));
    let include = format!("-I{}", scratch.path().display());
    let source = root().join("tests/c/constants.c");
    compile(&source, &program, Link::Shared, &[&version, &include]);
    run_ok(&mut Command::new(&program));
}

#[test]
fn names_the_statuses_of_the_table() {
    let expected: Vec<(String, i32)> = [("KMS_OK".to_owned(), 0)]
        .into_iter()
        .chain(
            Status::ALL
                .iter()
                .map(|status| (format!("KMS_ERR_{}", status.name()), status.number())),
        )
        .collect();
    assert_eq!(statuses_defined(), expected);
}

#[test]
fn no_two_statuses_are_alike() {
    let distinct = |what: &str, of: Vec<String>| {
        let set: BTreeSet<&String> = of.iter().collect();
        assert_eq!(set.len(), of.len(), "two statuses have one {what}: {of:?}");
        assert!(!set.contains(&String::new()), "a status has no {what}");
    };
    let all = Status::ALL.iter();
    distinct(
        "number",
        all.clone()
            .map(|status| status.number().to_string())
            .collect(),
    );
    distinct(
        "name",
        all.clone().map(|status| status.name().to_owned()).collect(),
    );
    distinct(
        "text",
        all.clone().map(|status| status.text().to_owned()).collect(),
    );
    for status in all {
        assert!(status.number() >= 100, "{status:?}: errors begin at 100");
        assert!(
            !status.code().is_empty(),
            "{status:?} has no code of the API"
        );
        assert!(
            (400..600).contains(&status.http()),
            "{status:?} is no error to HTTP"
        );
    }
    assert!(
        Status::ALL.is_sorted_by_key(|status| status.number()),
        "the table is in order of number"
    );
}

/// `KMS_OK` and every `KMS_ERR_…`, as the header defines them.
fn statuses_defined() -> Vec<(String, i32)> {
    header::defines()
        .into_iter()
        .filter(|(name, _)| name == "KMS_OK" || name.starts_with("KMS_ERR_"))
        .map(|(name, value)| {
            let number = value
                .parse()
                .unwrap_or_else(|_| panic!("{name} is {value}"));
            (name, number)
        })
        .collect()
}

#[test]
fn explains_every_function() {
    for function in header::functions() {
        let (name, comment) = (&function.name, &function.comment);
        assert!(!comment.is_empty(), "{name} has no comment");
        for rust in [
            "[`", "::", "Option<", "Result<", "`None`", "unsafe", "SAFETY",
        ] {
            assert!(
                !comment.contains(rust),
                "{name}: {rust} means nothing to a reader of C:\n{comment}"
            );
        }
    }
}

#[test]
fn a_status_must_be_looked_at() {
    for function in header::functions() {
        let fallible = function.declaration.contains("kms_status kms_");
        let marked = function.declaration.contains("KMS_MUST_USE");
        assert_eq!(fallible, marked, "{}", function.declaration);
    }

    let scratch = scratch_dir();
    let source = scratch.path().join("careless.c");
    let careless = |call: &str| {
        let text = format!(
            "#include <kmsbox.h>\nvoid f(kms_options **o);\nvoid f(kms_options **o) {{ {call} }}\n"
        );
        fs::write(&source, text).expect("a scratch directory can be written");
        compiles_so(&source)
    };
    assert!(careless("if (kms_options_new(o)) return;").0);
    let (compiled, said) = careless("kms_options_new(o);");
    assert!(
        !compiled && said.contains("unused"),
        "a status was thrown away unnoticed: {said}"
    );
}

/// Whether a file compiles, and what the compiler said. Results are followed only in a whole
/// compilation, not in a check of the syntax.
fn compiles_so(source: &Path) -> (bool, String) {
    let mut compiler = support::compiler_for(source);
    compiler.args(STRICT).arg("-I").arg(&library().include);
    compiler.args(["-c", "-o", "/dev/null"]).arg(source);
    let output = run(&mut compiler);
    (output.status.success(), output.stderr)
}
