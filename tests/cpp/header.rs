//! The header by itself.

use std::fs;
use std::process::Command;

use super::*;
use support::{run_ok, scratch_dir};

#[test]
fn compiles_in_every_standard() {
    if need(Need::Cxx) {
        compiles_with(cxx);
    }
}

#[test]
fn compiles_with_clang() {
    if need(Need::Clang) {
        compiles_with(clang);
    }
}

/// Alone and twice, with and without exceptions.
fn compiles_with(compiler: fn() -> Command) {
    let scratch = scratch_dir();
    let once = "#include <kmsbox.hpp>\n";
    for (name, text) in [("once.cpp", once.to_owned()), ("twice.cpp", once.repeat(2))] {
        fs::write(scratch.path().join(name), text).expect("a scratch directory can be written");
    }
    for standard in STANDARDS {
        for without in [&[][..], &NEITHER] {
            let mut command = compiler();
            command.arg(standard).args(without).arg("-fsyntax-only");
            run_ok(command.arg("once.cpp").current_dir(scratch.path()));
        }
    }
    let mut command = compiler();
    command.args([STANDARDS[0], "-fsyntax-only", "twice.cpp"]);
    run_ok(command.current_dir(scratch.path()));
}

#[test]
fn asks_for_cxx_17() {
    if !need(Need::Cxx) {
        return;
    }
    let scratch = scratch_dir();
    let source = scratch.path().join("old.cpp");
    fs::write(&source, "#include <kmsbox.hpp>\n").expect("a scratch directory can be written");
    let output = support::run(cxx().args(["-std=c++14", "-fsyntax-only"]).arg(&source));
    assert!(!output.status.success());
    assert!(output.stderr.contains("needs C++17"), "{}", output.stderr);
}

/// Nothing of the C interface is missing in C++, so nobody needs both.
#[test]
fn offers_every_function() {
    let text = text();
    for function in support::header::functions() {
        let call = format!("{}(", function.name);
        assert!(text.contains(&call), "{} is not used", function.name);
    }
}

/// Each operation has both names, and the two take the same.
#[test]
fn each_form_that_throws_has_one_that_does_not() {
    let text = text();
    let client = text
        .split_once("\nclass client {")
        .expect("there is a client")
        .1;
    let (tried, rest) = client
        .split_once("#if KMSBOX_EXCEPTIONS")
        .expect("some forms throw");
    let throwing = rest.split_once("#endif").expect("it ends").0;
    let tried: Vec<_> = declared(tried)
        .iter()
        .filter_map(|form| Some(form.strip_prefix("try_")?.to_owned()))
        .collect();
    let throwing = declared(throwing);
    assert!(throwing.len() >= 20, "{throwing:?}");
    assert_eq!(tried, throwing);
}

/// The const member functions of a class, each as `name(parameters)` without white space, sorted.
fn declared(of_class: &str) -> Vec<String> {
    let mut code = String::new();
    for part in of_class.split("/**") {
        let after = part.split_once("*/").map_or(part, |(_, after)| after);
        code.extend(after.lines().filter(|line| !line.trim().starts_with("//")));
    }
    let mut ends: Vec<_> = code.split(") const").collect();
    ends.pop(); // what follows the last one
    let mut found: Vec<String> = ends
        .iter()
        .filter_map(|until_its_end| {
            // The body of the function before ends in a brace.
            let declaration = until_its_end.rsplit('}').next()?;
            let (before, parameters) = declaration.split_once('(')?;
            let name = before.rsplit(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
            let parameters: String = parameters.split_whitespace().collect();
            Some(format!("{}({parameters})", name.into_iter().next()?))
        })
        .collect();
    found.sort();
    found
}

fn text() -> String {
    fs::read_to_string(support::root().join("include/kmsbox.hpp")).expect("the header is there")
}
