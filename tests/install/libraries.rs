//! The two libraries as a linker and a loader see them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{VERSION, copied};
use crate::support::{
    NATIVE_STATIC_LIBS, Need, STRICT, compiler_for, installed, need, root, run, run_ok,
    scratch_dir, tool,
};

/// The names that may be linked against.
fn promised() -> BTreeSet<String> {
    let text = fs::read_to_string(root().join("abi/symbols.txt")).expect("it is there");
    text.lines().map(str::to_owned).collect()
}

fn static_library() -> PathBuf {
    installed().lib.join("libkmsbox.a")
}

fn symbols(arguments: &[&str], file: &Path) -> BTreeSet<String> {
    let listing = run_ok(Command::new("nm").args(arguments).arg(file)).stdout;
    listing
        .lines()
        .filter(|line| !line.ends_with(':'))
        .filter_map(|line| line.split_whitespace().last())
        .map(str::to_owned)
        .collect()
}

#[test]
fn both_libraries_define_what_is_promised_and_nothing_else() {
    if !need(Need::Make) || !need(Need::Nm) {
        return;
    }
    assert_eq!(
        symbols(&["-g", "--defined-only"], &static_library()),
        promised()
    );
    let shared = installed().lib.join("libkmsbox.so");
    assert_eq!(symbols(&["-D", "--defined-only"], &shared), promised());
}

/// What nobody finds any more would stop a program from linking, though it never calls it.
#[test]
fn the_static_library_asks_for_what_the_system_has() {
    if !need(Need::Make) {
        return;
    }
    let scratch = scratch_dir();
    let source = scratch.path().join("all.c");
    let names: Vec<String> = promised().into_iter().collect();
    let declared: String = names
        .iter()
        .map(|name| format!("int {name}(void);\n"))
        .collect();
    let listed: String = names.iter().map(|name| format!("{name}, ")).collect();
    let text = format!(
        "{declared}typedef int (*function)(void);\nfunction all[] = {{{listed}}};\n\
         int main(void) {{ return all[0] == 0; }}\n"
    );
    fs::write(&source, text).expect("it can be written");
    let program = scratch.path().join("all");
    let mut compiler = compiler_for(&source);
    compiler
        .arg("-o")
        .arg(&program)
        .arg(&source)
        .arg(static_library());
    run_ok(compiler.args(&NATIVE_STATIC_LIBS[1..]));
    run_ok(&mut Command::new(&program));
}

#[test]
fn the_libraries_beside_the_static_one_are_those_that_rustc_names() {
    if !need(Need::Make) {
        return;
    }
    let pc = fs::read_to_string(installed().pkg_config.join("kmsbox.pc")).expect("it is there");
    // libgcc_s is the compiler's own business: what is static as a whole has libgcc_eh in its place.
    assert_eq!(NATIVE_STATIC_LIBS[0], "-lgcc_s");
    let private = format!("\nLibs.private: {}\n", NATIVE_STATIC_LIBS[1..].join(" "));
    assert!(pc.contains(&private), "{pc}");
    let cmake = installed().lib.join("cmake/kmsbox/kmsbox-config.cmake");
    let cmake = fs::read_to_string(cmake).expect("it is there");
    let names = NATIVE_STATIC_LIBS[1..].join(";").replace("-l", "");
    let private = format!("INTERFACE_LINK_LIBRARIES \"{names}\"");
    assert!(cmake.contains(&private), "{cmake}");
}

#[test]
fn it_links_beside_rust_that_was_built_with_lto() {
    if !need(Need::Make) {
        return;
    }
    let scratch = scratch_dir();
    let source = scratch.path().join("two_archives.c");
    fs::copy(root().join("tests/c/two_archives.c"), &source).expect("it can be copied");
    for options in [
        &["-C", "lto=fat", "-C", "embed-bitcode=yes"] as &[&str],
        &[
            "-C",
            "lto=fat",
            "-C",
            "embed-bitcode=yes",
            "-C",
            "panic=abort",
        ],
        &[],
    ] {
        let other = scratch.path().join("libother.a");
        let mut rustc = tool("RUSTC", "rustc");
        rustc.args(["--edition=2024", "--crate-type=staticlib", "-O"]);
        rustc.args(options).arg("-o").arg(&other);
        run_ok(rustc.arg(root().join("tests/c/other_archive.rs")));
        // A library that aborts at a panic has none to catch.
        let aborts = options.contains(&"panic=abort");
        for ours_first in [true, false] {
            for more in [&[] as &[&str], &["-Wl,--gc-sections"]] {
                let program = scratch.path().join("two_archives");
                let mut archives = [static_library(), other.clone()];
                if !ours_first {
                    archives.reverse();
                }
                let mut compiler = compiler_for(&source);
                compiler.args(STRICT).arg("-I").arg(&installed().include);
                compiler.arg("-o").arg(&program).arg(&source).args(archives);
                run_ok(compiler.args(more).args(&NATIVE_STATIC_LIBS[1..]));
                if !aborts {
                    assert_eq!(run_ok(&mut Command::new(&program)).stdout, "both\n");
                }
            }
        }
    }
}

/// No call of the library panics, so another one that does goes the same way to become local: it and its
/// neighbour both find their own handlers.
#[test]
fn panics_are_caught_on_both_sides() {
    if !need(Need::Make) {
        return;
    }
    let scratch = scratch_dir();
    let at = |name: &str| scratch.path().join(name);
    let theirs = fs::read_to_string(root().join("tests/c/other_archive.rs")).expect("it is there");
    let ours = theirs.replace("other_caught_panic", "kms_caught_panic");
    let compile = |source: &str, text: &str| {
        fs::write(at(source), text).expect("it can be written");
        let archive = at(source).with_extension("a");
        let mut rustc = tool("RUSTC", "rustc");
        rustc.args(["--edition=2024", "--crate-type=staticlib", "-O"]);
        rustc.args(["-C", "lto=fat", "-C", "embed-bitcode=yes", "-o"]);
        run_ok(rustc.arg(&archive).arg(at(source)));
        archive
    };
    let theirs = compile("theirs.rs", &theirs);
    let ours = compile("ours.rs", &ours);
    fs::write(at("symbols.txt"), "kms_caught_panic\n").expect("it can be written");
    let mut script = Command::new(root().join("packaging/static-library"));
    run_ok(script.arg(&ours).arg(at("symbols.txt")).arg(at("local.a")));

    let main = "int kms_caught_panic(void);\nint other_caught_panic(void);\n\
                int main(void) { return kms_caught_panic() + other_caught_panic() \
                + kms_caught_panic() == 3 ? 0 : 1; }\n";
    fs::write(at("main.c"), main).expect("it can be written");
    for archives in [
        [at("local.a"), theirs.clone()],
        [theirs.clone(), at("local.a")],
    ] {
        let mut compiler = compiler_for(&at("main.c"));
        compiler
            .arg("-o")
            .arg(at("main"))
            .arg(at("main.c"))
            .args(archives);
        run_ok(compiler.args(&NATIVE_STATIC_LIBS[1..]));
        run_ok(&mut Command::new(at("main")));
    }
}

/// A program pays for what it uses: every function is in a section of its own.
#[test]
fn what_is_not_used_can_be_left_out() {
    if !need(Need::Make) {
        return;
    }
    let scratch = scratch_dir();
    let size = |name: &str, text: &str| {
        let source = scratch.path().join(name).with_extension("c");
        fs::write(
            &source,
            format!("#include <kmsbox.h>\n#include <stdio.h>\n{text}"),
        )
        .expect("it can be written");
        let program = scratch.path().join(name);
        let mut compiler = compiler_for(&source);
        compiler
            .args(["-Wl,--gc-sections", "-s", "-I"])
            .arg(&installed().include);
        compiler
            .arg("-o")
            .arg(&program)
            .arg(&source)
            .arg(static_library());
        run_ok(compiler.args(&NATIVE_STATIC_LIBS[1..]));
        assert_eq!(run_ok(&mut Command::new(&program)).stdout, "well\n");
        program.metadata().expect("it was linked").len()
    };
    let without = size("without", "int main(void) { puts(\"well\"); return 0; }\n");
    let little = size(
        "little",
        "int main(void) { puts(*kms_version() == '0' ? \"well\" : \"\"); return 0; }\n",
    );
    let whole = size(
        "whole",
        "int main(void) { return kms_call(0, 0, 0, 0, 0) == KMS_OK || puts(\"well\") < 0; }\n",
    );
    assert!(
        without < little && little < whole / 2,
        "{without} {little} {whole}"
    );
}

#[test]
fn the_same_input_gives_the_same_static_library() {
    if !need(Need::Make) {
        return;
    }
    installed();
    let built = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .expect("it lies in the target directory")
        .join("release/libkmsbox.a");
    let scratch = scratch_dir();
    let made = ["one.a", "two.a"].map(|name| {
        let out = scratch.path().join(name);
        let mut script = Command::new(root().join("packaging/static-library"));
        run_ok(
            script
                .arg(&built)
                .arg(root().join("abi/symbols.txt"))
                .arg(&out),
        );
        fs::read(&out).expect("it was made")
    });
    assert!(made[0] == made[1]);
    assert!(made[0] == fs::read(static_library()).expect("it is there"));
}

#[test]
fn the_list_of_names_decides_what_it_defines() {
    if !need(Need::Make) || !need(Need::Nm) {
        return;
    }
    let scratch = scratch_dir();
    let list = scratch.path().join("symbols.txt");
    let out = scratch.path().join("libkmsbox.a");
    let make = |names: &BTreeSet<String>| {
        let text: String = names.iter().map(|name| format!("{name}\n")).collect();
        fs::write(&list, text).expect("it can be written");
        let mut script = Command::new(root().join("packaging/static-library"));
        run(script.arg(static_library()).arg(&list).arg(&out))
    };
    // A name that is promised and not there is not shipped, and nothing is left behind.
    let mut names = promised();
    names.insert("kms_nothing".to_owned());
    let output = make(&names);
    assert!(!output.status.success(), "{output:?}");
    assert!(output.stderr.contains("< kms_nothing"), "{output:?}");
    let left = fs::read_dir(scratch.path())
        .expect("it can be read")
        .count();
    assert_eq!(left, 1, "only the list is there");

    names = promised();
    names.remove("kms_version");
    assert!(make(&names).status.success());
    assert_eq!(symbols(&["-g", "--defined-only"], &out), names);
}

#[test]
fn the_shared_object_as_a_loader_sees_it() {
    if !need(Need::Make) || !need(Need::Readelf) {
        return;
    }
    let file = installed().lib.join(format!("libkmsbox.so.{VERSION}"));
    let dynamic = run_ok(Command::new("readelf").args(["-dW"]).arg(&file)).stdout;
    assert!(
        dynamic.contains("Library soname: [libkmsbox.so.0]"),
        "{dynamic}"
    );
    let flags = dynamic.lines().find(|line| line.contains("(FLAGS_1)"));
    assert!(
        flags.is_some_and(|flags| flags.contains("NODELETE")),
        "{dynamic}"
    );
    let needed: BTreeSet<&str> = dynamic
        .lines()
        .filter(|line| line.contains("(NEEDED)"))
        .filter_map(|line| line.split(['[', ']']).nth(1))
        .filter(|name| !name.starts_with("ld-linux"))
        .collect();
    assert_eq!(needed, BTreeSet::from(["libc.so.6", "libgcc_s.so.1"]));
    for unwanted in ["(RPATH)", "(RUNPATH)", "(TEXTREL)"] {
        assert!(!dynamic.contains(unwanted), "{dynamic}");
    }
    let segments = run_ok(Command::new("readelf").args(["-lW"]).arg(&file)).stdout;
    let stack = segments.lines().find(|line| line.contains("GNU_STACK"));
    assert!(
        stack.is_some_and(|line| line.contains(" RW ")),
        "{segments}"
    );
}

#[test]
fn opened_used_and_closed_two_thousand_times() {
    if !need(Need::Make) {
        return;
    }
    let scratch = scratch_dir();
    let source = copied("reload.c", scratch.path());
    let program = scratch.path().join("reload");
    let mut compiler = compiler_for(&source);
    compiler
        .args(STRICT)
        .arg("-D_DEFAULT_SOURCE")
        .arg("-I")
        .arg(&installed().include);
    compiler.arg("-o").arg(&program).arg(&source);
    run_ok(compiler.args(["-ldl", "-lpthread"]));
    let output = run_ok(Command::new(&program).arg(installed().lib.join("libkmsbox.so.0")));
    assert_eq!(output.stdout, "2000 times\n");
}
