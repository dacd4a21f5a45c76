//! Programs in C++ that try what the header promises.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::*;
use support::{run, run_ok, scratch_dir};

/// Compiles and links one program; more than one source makes more than one unit.
fn build(mut compiler: Command, flags: &[&str], sources: &[PathBuf], out: &Path) {
    compiler.arg("-g").args(flags).arg("-o").arg(out);
    run_ok(compiler.args(sources).args(shared()));
}

/// The sources of the tests of behaviours, in an order that does not change.
fn behaviours() -> Vec<PathBuf> {
    let mut sources: Vec<_> = fs::read_dir(source("behaviours"))
        .expect("it can be read")
        .map(|entry| entry.expect("it can be read").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "cpp"))
        .collect();
    sources.sort();
    sources
}

/// Runs the tests of behaviours and finds every one of them named.
fn behaves(mut program: Command) {
    let output = run_ok(&mut program);
    let mut count = 0;
    for path in behaviours() {
        let text = fs::read_to_string(&path).expect("it can be read");
        for line in text.lines().filter(|line| line.starts_with("TEST(")) {
            let name = line.trim_start_matches("TEST(").trim_end_matches(')');
            let done = format!("ok {name}\n");
            assert!(output.stdout.contains(&done), "{name} did not run");
            count += 1;
        }
    }
    assert!(count >= 35, "{count}");
    assert_eq!(output.stdout.lines().count(), count);
}

fn behaves_when_built(compiler: Command, flags: &[&str]) {
    let scratch = scratch_dir();
    let program = scratch.path().join("behaviours");
    build(compiler, flags, &behaviours(), &program);
    behaves(Command::new(&program));
}

/// The program of behaviours in C++17. Not optimised: a function that is not inline would be there in each
/// unit.
fn in_cxx_17() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cpp_behaviours");
        build(cxx(), &["-std=c++17", "-O0"], &behaviours(), &program);
        program
    })
}

#[test]
fn behaves_in_cxx_17() {
    if need(Need::Cxx) {
        behaves(Command::new(in_cxx_17()));
    }
}

#[test]
fn behaves_under_valgrind() {
    if !need(Need::Cxx) || !need(Need::Valgrind) {
        return;
    }
    let mut command = Command::new("valgrind");
    command.args(["--quiet", "--error-exitcode=99", "--leak-check=full"]);
    command.arg(in_cxx_17());
    behaves(command);
}

#[test]
fn behaves_when_built_by_clang() {
    if need(Need::Clang) {
        behaves_when_built(clang(), &["-std=c++2b", "-O2"]);
    }
}

#[test]
fn behaves_under_the_sanitizers() {
    if !need(Need::CxxSanitizers) {
        return;
    }
    let watched = [
        "-std=c++20",
        "-O1",
        "-fsanitize=address,undefined",
        "-fno-sanitize-recover=all",
    ];
    behaves_when_built(cxx(), &watched);
}

#[test]
fn allocates_nothing_for_a_call() {
    if !need(Need::Cxx) {
        return;
    }
    for optimised in ["-O0", "-O2"] {
        let scratch = scratch_dir();
        let program = scratch.path().join("program");
        let sources = [source("no_allocation.cpp")];
        build(cxx(), &["-std=c++17", optimised], &sources, &program);
        run_ok(&mut Command::new(&program));
    }
}

#[test]
fn frees_each_handle_once() {
    if !need(Need::Cxx) {
        return;
    }
    let scratch = scratch_dir();
    let program = scratch.path().join("program");
    let wrapped = wrapped_by("ownership.cpp");
    assert_eq!(wrapped.len(), 9);
    let mut flags = vec!["-std=c++17", "-O1"];
    flags.extend(wrapped.iter().map(String::as_str));
    build(cxx(), &flags, &[source("ownership.cpp")], &program);
    run_ok(&mut Command::new(&program));
}

/// The linker's flags for the functions that a source stands in for.
fn wrapped_by(name: &str) -> Vec<String> {
    let text = fs::read_to_string(source(name)).expect("it can be read");
    text.split("__wrap_")
        .skip(1)
        .filter_map(|rest| Some(format!("-Wl,--wrap={}", rest.split_once('(')?.0)))
        .collect()
}

#[test]
fn takes_no_more_of_the_stack_than_it_says() {
    if !need(Need::Cxx) {
        return;
    }
    for optimised in ["-O0", "-O2"] {
        let scratch = scratch_dir();
        let program = scratch.path().join("program");
        let wrapped = wrapped_by("stack.cpp");
        assert_eq!(wrapped.len(), 3);
        let mut flags = vec!["-std=c++17", optimised];
        flags.extend(wrapped.iter().map(String::as_str));
        build(cxx(), &flags, &[source("stack.cpp")], &program);
        run_ok(&mut Command::new(&program));
    }
}

/// The type by which another shared library catches it is not hidden, whatever else is.
#[test]
fn an_exception_is_caught_across_libraries() {
    if !need(Need::Cxx) || !need(Need::Readelf) {
        return;
    }
    let scratch = scratch_dir();
    let object = scratch.path().join("object.o");
    let mut compiler = cxx();
    compiler.args(["-std=c++17", "-fvisibility=hidden", "-c", "-o"]);
    run_ok(compiler.arg(&object).arg(source("with_exceptions.cpp")));
    let listing = run_ok(Command::new("readelf").arg("-sW").arg(&object)).stdout;
    let visibility = |symbol: &str| {
        let line = listing.lines().find(|line| line.ends_with(symbol));
        line.and_then(|line| line.split_whitespace().nth(5))
            .map(str::to_owned)
    };
    let visible = visibility(" _ZTIN6kmsbox9exceptionE");
    assert_eq!(visible.as_deref(), Some("DEFAULT"), "{listing}");
    assert!(listing.contains(" HIDDEN "), "{listing}");
}

#[test]
fn does_without_exceptions() {
    if !need(Need::Cxx) {
        return;
    }
    let scratch = scratch_dir();
    let program = scratch.path().join("program");
    let mut flags = vec!["-std=c++17", "-O1", "-DALONE"];
    flags.extend(NEITHER);
    build(cxx(), &flags, &[source("without_exceptions.cpp")], &program);
    run_ok(&mut Command::new(&program));
}

/// An engine built without exceptions, and a plugin of it with them: whichever the linker meets first.
#[test]
fn files_with_and_without_exceptions_go_together() {
    if !need(Need::Cxx) {
        return;
    }
    let scratch = scratch_dir();
    let object = |name: &str, flags: &[&str]| {
        let out = scratch.path().join(name).with_extension("o");
        let mut compiler = cxx();
        compiler.args(["-std=c++17", "-g", "-O0", "-c", "-o"]);
        run_ok(compiler.arg(&out).args(flags).arg(source(name)));
        out
    };
    let with = object("with_exceptions.cpp", &[]);
    let without = object("without_exceptions.cpp", &NEITHER);
    for order in [[&with, &without], [&without, &with]] {
        let program = scratch.path().join("program");
        build(cxx(), &[], &order.map(PathBuf::clone), &program);
        run_ok(&mut Command::new(&program));
    }
}

/// c_examples/data_key.cpp does what data_key.c does.
#[test]
fn the_example_gets_the_key_back() {
    if !need(Need::Cxx) {
        return;
    }
    let scratch = scratch_dir();
    let program = scratch.path().join("data_key");
    let example = support::root().join("c_examples/data_key.cpp");
    build(cxx(), &["-std=c++17", "-O1"], &[example], &program);
    let root_key = |name: &str, byte: u8| {
        let path = scratch.path().join(name);
        fs::write(&path, [byte; 32]).expect("a scratch directory can be written");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(&path, mode).expect("it is mine");
    };
    root_key("root.key", 0x91);
    root_key("other.key", 0x92);
    let data_key = |arguments: &[&str]| {
        let mut command = Command::new(&program);
        run(command.args(arguments).current_dir(scratch.path()))
    };
    let read = |name: &str| fs::read(scratch.path().join(name)).expect("it is there");

    let said = "the same data key came back from its blob\n";
    let output = data_key(&["keystore", "root.key"]);
    assert_eq!((&*output.stdout, &*output.stderr), (said, ""));
    let (blob, keystore) = (read("data_key.blob"), read("keystore"));
    assert_eq!(blob.len(), 142);
    assert_eq!(data_key(&["keystore", "root.key"]).stdout, said);
    assert_ne!(read("data_key.blob"), blob, "a data key came twice");
    assert_eq!(read("keystore"), keystore, "the second run made a CMK");

    let refusals = [
        (&["keystore", "other.key"][..], 1, "KMS_ERR_ROOT_KEY"),
        (&["keystore", "missing.key"], 1, "missing.key"),
        (&["keystore"], 2, "usage"),
    ];
    for (arguments, status, says) in refusals {
        let output = data_key(arguments);
        assert_eq!(output.status.code(), Some(status), "{output:?}");
        assert!(output.stderr.contains(says), "{output:?}");
    }
    fs::remove_file(scratch.path().join("data_key.blob")).expect("it is there");
    fs::create_dir(scratch.path().join("data_key.blob")).expect("it is free");
    let output = data_key(&["keystore", "root.key"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stderr.contains("data_key.blob"), "{output:?}");
}

/// A failing test of behaviours makes its program fail.
#[test]
fn a_wrong_behaviour_is_found() {
    if !need(Need::Cxx) {
        return;
    }
    let scratch = scratch_dir();
    let wrong = scratch.path().join("wrong.cpp");
    let check = source("behaviours/check.hpp");
    let text = format!(
        "#include \"{}\"\nTEST(two_keys_are_one)\n{{\n    const kmsbox::client client = memory_client();\n    \
         CHECK(create_key(client) == create_key(client));\n}}\n",
        check.display()
    );
    fs::write(&wrong, text).expect("a scratch directory can be written");
    let program = scratch.path().join("program");
    let sources = [wrong, source("behaviours/main.cpp")];
    build(cxx(), &["-std=c++17"], &sources, &program);
    let output = run(&mut Command::new(&program));
    assert_eq!(output.status.code(), Some(1));
    let place = format!("{}:5", file_name(&sources[0]));
    assert!(output.stdout.contains(&place), "{output:?}");
}
