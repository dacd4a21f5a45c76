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

/// The header twice, with and without exceptions; its parts by themselves.
fn compiles_with(compiler: fn() -> Command) {
    let scratch = scratch_dir();
    let once = "#include <kmsbox.hpp>\n";
    let write = |name: &str, text: &str| {
        fs::write(scratch.path().join(name), text).expect("a scratch directory can be written");
    };
    write("once.cpp", once);
    write("twice.cpp", &once.repeat(2));
    for standard in STANDARDS {
        for without in [&[][..], &NEITHER] {
            let mut command = compiler();
            command.arg(standard).args(without).arg("-fsyntax-only");
            run_ok(command.arg("once.cpp").current_dir(scratch.path()));
        }
    }
    let mut names = vec!["twice.cpp".to_owned()];
    for part in parts() {
        let name = format!("{part}.cpp");
        write(&name, &format!("#include <kmsbox/{part}>\n"));
        names.push(name);
    }
    for name in names {
        let mut command = compiler();
        command.args([STANDARDS[0], "-fsyntax-only", &name]);
        run_ok(command.current_dir(scratch.path()));
    }
}

/// What programs include is whole.
#[test]
fn includes_each_of_its_parts() {
    if !need(Need::Cxx) {
        return;
    }
    let scratch = scratch_dir();
    let source = scratch.path().join("once.cpp");
    fs::write(&source, "#include <kmsbox.hpp>\n").expect("a scratch directory can be written");
    let included = run_ok(cxx().args([STANDARDS[0], "-MM"]).arg(&source)).stdout;
    let parts = parts();
    assert!(parts.len() >= 10, "{parts:?}");
    for part in parts {
        let path = format!("/kmsbox/{part}");
        let is_it = |file: &str| file.ends_with(&path);
        assert!(included.split_whitespace().any(is_it), "{part}: {included}");
    }
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
    let text = read("kmsbox/client.hpp");
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
            // What is before it ends in one of these.
            let declaration = until_its_end.rsplit(['}', ';']).next()?;
            let (before, parameters) = declaration.split_once('(')?;
            let name = before.rsplit(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
            let parameters: String = parameters.split_whitespace().collect();
            Some(format!("{}({parameters})", name.into_iter().next()?))
        })
        .collect();
    found.sort();
    found
}

/// The names of the files that it is made of.
fn parts() -> Vec<String> {
    let folder = support::root().join("include/kmsbox");
    let mut names: Vec<String> = fs::read_dir(folder)
        .expect("it can be read")
        .map(|entry| file_name(&entry.expect("it can be read").path()).to_owned())
        .collect();
    names.sort();
    names
}

/// All of it.
fn text() -> String {
    let parts = parts();
    let names = parts.iter().map(|part| format!("kmsbox/{part}"));
    names.map(|name| read(&name)).collect()
}

fn read(name: &str) -> String {
    fs::read_to_string(support::root().join("include").join(name)).expect("the header is there")
}
