//! Programs outside the tree, compiled with what is installed and nothing else, that make a data key and open
//! it again.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{VERSION, against, copied, install};
use crate::support::{
    Installed, Need, STRICT, compiler_for, contains, installed, need, run, run_ok, scratch_dir,
};

/// How a program is linked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Shared,
    /// This library static, the system's shared.
    Static,
    /// Without any shared library.
    AllStatic,
}

/// What pkg-config says, as a shell that runs the compiler takes it.
fn pkg_config(place: &Installed, arguments: &[&str]) -> String {
    let mut command = Command::new("pkg-config");
    command
        .args(arguments)
        .arg("kmsbox")
        .env("PKG_CONFIG_PATH", &place.pkg_config)
        .env_remove("PKG_CONFIG_SYSROOT_DIR");
    run_ok(&mut command).stdout.trim().to_owned()
}

/// Compiles a program with the flags of pkg-config. Spaces in them are quoted for a shell, so one runs it.
fn compile(place: &Installed, source: &Path, how: How) -> PathBuf {
    let program = source.with_extension(format!("{how:?}"));
    let flags = match how {
        How::Shared => pkg_config(place, &["--cflags", "--libs"]),
        // The linker prefers the shared library where both are, unless a file is named.
        How::Static => pkg_config(place, &["--static", "--cflags", "--libs"])
            .replace("-lkmsbox", "-l:libkmsbox.a"),
        How::AllStatic => format!(
            "-static {}",
            pkg_config(place, &["--static", "--cflags", "--libs"])
        ),
    };
    let compiler = compiler_for(source);
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &format!("exec \"$@\" {flags}"), "sh"])
        .arg(compiler.get_program())
        .args(compiler.get_args())
        .args(
            STRICT
                .iter()
                .filter(|flag| how != How::AllStatic || **flag != "-Werror"),
        );
    if source.extension().is_some_and(|ending| ending == "cpp") {
        shell.arg("-std=c++17");
    }
    run_ok(shell.arg("-o").arg(&program).arg(source));
    program
}

/// A directory for the keystore of a program.
fn keystore_directory(place: &Path) -> PathBuf {
    let directory = place.join("data");
    fs::create_dir(&directory).expect("a scratch directory can be written");
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o700)).expect("it is mine");
    directory
}

#[track_caller]
fn says(program: &Path, place: &Installed, directory: &Path, expected: &str) {
    let output = run_ok(against(program, &place.lib).arg(directory));
    assert_eq!(
        output.stdout,
        format!("{expected}\n"),
        "{}",
        program.display()
    );
}

/// By the program's own list, which a loader without the library could not resolve.
fn needs_the_shared_library(program: &Path) -> bool {
    let bytes = fs::read(program).expect("it was compiled");
    contains(&bytes, "libkmsbox.so")
}

#[test]
fn pkg_config_tells_what_a_program_needs() {
    if !need(Need::Make) || !need(Need::PkgConfig) {
        return;
    }
    let place = installed();
    assert_eq!(pkg_config(place, &["--modversion"]), VERSION);
    let (include, lib) = (place.include.display(), place.lib.display());
    assert_eq!(pkg_config(place, &["--cflags"]), format!("-I{include}"));
    assert_eq!(pkg_config(place, &["--libs"]), format!("-L{lib} -lkmsbox"));
    let private = "-lutil -lrt -lpthread -lm -ldl -lc";
    assert_eq!(
        pkg_config(place, &["--static", "--libs"]),
        format!("-L{lib} -lkmsbox {private}")
    );
}

#[test]
fn c_programs_by_pkg_config() {
    if !need(Need::Make) || !need(Need::PkgConfig) {
        return;
    }
    let scratch = scratch_dir();
    let source = copied("consumer.c", scratch.path());
    let directory = keystore_directory(scratch.path());
    let place = installed();
    for (how, expected) in [(How::Shared, "made"), (How::Static, "opened")] {
        let program = compile(place, &source, how);
        says(&program, place, &directory, expected);
        assert_eq!(
            needs_the_shared_library(&program),
            how == How::Shared,
            "{how:?}"
        );
    }
}

#[test]
fn a_c_program_without_any_shared_library() {
    if !need(Need::Make) || !need(Need::PkgConfig) || !need(Need::StaticLibc) {
        return;
    }
    let scratch = scratch_dir();
    let source = copied("consumer.c", scratch.path());
    let directory = keystore_directory(scratch.path());
    let program = compile(installed(), &source, How::AllStatic);
    says(&program, installed(), &directory, "made");
    says(&program, installed(), &directory, "opened");
}

#[test]
fn cxx_programs_by_pkg_config_open_what_c_programs_made() {
    if !need(Need::Make) || !need(Need::PkgConfig) || !need(Need::Cxx) {
        return;
    }
    let place = installed();
    for made_by in ["consumer.c", "consumer.cpp"] {
        let scratch = scratch_dir();
        let directory = keystore_directory(scratch.path());
        let maker = compile(place, &copied(made_by, scratch.path()), How::Shared);
        says(&maker, place, &directory, "made");
        for source in ["consumer.c", "consumer.cpp"] {
            for how in [How::Shared, How::Static] {
                let opener = compile(place, &copied(source, scratch.path()), how);
                says(&opener, place, &directory, "opened");
            }
        }
    }
    // The C header is for C++ too.
    let scratch = scratch_dir();
    let source = scratch.path().join("plain.cpp");
    fs::rename(copied("consumer.c", scratch.path()), &source).expect("it can be renamed");
    let program = compile(place, &source, How::Shared);
    says(&program, place, &keystore_directory(scratch.path()), "made");
}

#[test]
fn programs_by_cmake() {
    if !need(Need::Make) || !need(Need::Cmake) || !need(Need::Cxx) {
        return;
    }
    let scratch = scratch_dir();
    let place = installed();
    let build = cmake(place, scratch.path()).expect("it is found");
    run_ok(Command::new("cmake").arg("--build").arg(&build));
    let directory = keystore_directory(scratch.path());
    let programs = ["shared_c", "static_c", "shared_cxx", "static_cxx"];
    for (index, name) in programs.into_iter().enumerate() {
        let expected = if index == 0 { "made" } else { "opened" };
        says(&build.join(name), place, &directory, expected);
        let shared = name.starts_with("shared");
        assert_eq!(
            needs_the_shared_library(&build.join(name)),
            shared,
            "{name}"
        );
    }
}

/// Configures the project of tests/install against an installation; what CMake says where it fails.
pub fn cmake(place: &Installed, scratch: &Path) -> Result<PathBuf, String> {
    for file in ["CMakeLists.txt", "consumer.c", "consumer.cpp"] {
        copied(file, scratch);
    }
    let build = scratch.join("build");
    let output = run(Command::new("cmake")
        .arg("-S")
        .arg(scratch)
        .arg("-B")
        .arg(&build)
        .arg(format!("-DCMAKE_PREFIX_PATH={}", place.prefix.display())));
    match output.status.success() {
        true => {
            let found = format!(
                "found kmsbox {VERSION} in {}/cmake/kmsbox",
                place.lib.display()
            );
            assert!(output.stdout.contains(&found), "{}", output.stdout);
            Ok(build)
        }
        false => Err(output.stderr),
    }
}

#[test]
fn cmake_takes_the_versions_that_go_together() {
    if !need(Need::Make) || !need(Need::Cmake) {
        return;
    }
    let scratch = scratch_dir();
    let mut parts = VERSION
        .split('.')
        .map(|part| part.parse::<u32>().expect("a number"));
    let mut next = || parts.next().expect("three numbers");
    let (major, minor, patch) = (next(), next(), next());
    assert_eq!(
        major, 0,
        "from 1.0 on, what goes together is another matter"
    );
    let before = format!("0.{}", minor.saturating_sub(1));
    let cases = [
        (String::new(), true),
        ("0".to_owned(), true),
        (format!("0.{minor}"), true),
        (format!("0.{minor}.{patch} EXACT"), true),
        (format!("{before}...0.{}", minor + 1), true),
        (format!("{before}...<0.{minor}"), false),
        (format!("0.{minor}...0.{minor}"), patch == 0),
        (before, minor == 0),
        (format!("0.{minor}.{}", patch + 1), false),
        (format!("0.{}", minor + 1), false),
        ("1".to_owned(), false),
        (format!("0.{minor} COMPONENTS shared"), false),
        (format!("0.{minor} OPTIONAL_COMPONENTS shared"), true),
    ];
    for (wanted, found) in cases {
        let list = format!(
            "cmake_minimum_required(VERSION 3.19)\nproject(probe LANGUAGES NONE)\n\
             find_package(kmsbox {wanted})\nfind_package(kmsbox {wanted})\n\
             message(STATUS \"found: ${{kmsbox_FOUND}}\")\n"
        );
        fs::write(scratch.path().join("CMakeLists.txt"), list).expect("it can be written");
        let prefix = installed().prefix.display();
        let output = run_ok(
            Command::new("cmake")
                .arg(format!("-DCMAKE_PREFIX_PATH={prefix}"))
                .arg("-S")
                .arg(scratch.path())
                .arg("-B")
                .arg(scratch.path().join("build")),
        );
        let said = format!("found: {}", u8::from(found));
        assert!(output.stdout.contains(&said), "{wanted:?}: {output:?}");
    }
}

#[test]
fn an_installation_that_is_not_whole_is_not_found() {
    if !need(Need::Make) || !need(Need::Cmake) || !need(Need::Cxx) {
        return;
    }
    let scratch = scratch_dir();
    let prefix = scratch.path().join("p");
    install(&[&format!("PREFIX={}", prefix.display())]);
    fs::remove_file(prefix.join("lib/libkmsbox.a")).expect("it is there");
    let said = cmake(&Installed::below(&prefix), scratch.path()).expect_err("a file is missing");
    assert!(said.contains("libkmsbox.a"), "{said}");
}

/// With a space in each name, and moved away from where it was installed (pkg-config then needs to be told).
#[test]
fn an_installation_in_any_place_serves() {
    if !need(Need::Make) || !need(Need::PkgConfig) || !need(Need::Cmake) || !need(Need::Cxx) {
        return;
    }
    let scratch = scratch_dir();
    let first = scratch.path().join("a place/of its own");
    install(&[&format!("PREFIX={}", first.display())]);
    let source = copied("consumer.c", scratch.path());
    let directory = keystore_directory(scratch.path());
    let place = Installed::below(&first);
    for (how, expected) in [(How::Shared, "made"), (How::Static, "opened")] {
        says(&compile(&place, &source, how), &place, &directory, expected);
    }

    let second = scratch.path().join("another place");
    fs::rename(&first, &second).expect("it can be renamed");
    let place = Installed::below(&second);
    let build = cmake(&place, scratch.path()).expect("it is found");
    run_ok(Command::new("cmake").arg("--build").arg(&build));
    for name in ["shared_c", "static_cxx"] {
        says(&build.join(name), &place, &directory, "opened");
    }
    let flags = pkg_config(&place, &["--define-prefix", "--cflags"]);
    assert_eq!(
        flags.replace('\\', ""),
        format!("-I{}", place.include.display())
    );
}
