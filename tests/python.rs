//! The Python package: its own tests with every Python there is, its types, and a wheel of it that
//! works in a fresh virtual environment.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use support::{Need, Output, installed, need, python, root, run, run_ok, run_within, scratch_dir};

/// For what downloads packages.
const SLOW: Duration = Duration::from_secs(600);

/// Of this version, so that a later one with other opinions breaks nothing.
const MYPY: &str = "mypy==2.4.1";

fn package() -> PathBuf {
    root().join("bindings/python")
}

fn library() -> PathBuf {
    installed().lib.join("libkmsbox.so.0")
}

/// A Python that knows nothing of this package but what a test tells it.
fn clean(python: &Path) -> Command {
    let mut command = Command::new(python);
    command
        .env_remove("PYTHONPATH")
        .env_remove("KMSBOX_LIBRARY")
        .env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// A Python that imports the package from the sources.
fn with_package(python: &Path) -> Command {
    let mut command = clean(python);
    command
        .env("PYTHONPATH", package().join("src"))
        .env("KMSBOX_LIBRARY", library());
    command
}

/// The Python to use, and one of each version from 3.9 that is on the path or kept by pyenv.
fn pythons() -> Vec<PathBuf> {
    let mut candidates = vec![python()];
    candidates.extend((9..=13).map(|minor| PathBuf::from(format!("python3.{minor}"))));
    let home = std::env::var_os("HOME").map(|home| Path::new(&home).join(".pyenv"));
    let pyenv = std::env::var_os("PYENV_ROOT").map(PathBuf::from).or(home);
    if let Some(versions) = pyenv.and_then(|pyenv| fs::read_dir(pyenv.join("versions")).ok()) {
        let found = versions
            .flatten()
            .map(|entry| entry.path().join("bin/python3"));
        candidates.extend(found);
    }
    let mut found = BTreeMap::new();
    for candidate in candidates {
        if let Some(minor) = minor_version(&candidate) {
            found.entry(minor).or_insert(candidate);
        }
    }
    found.into_values().collect()
}

/// The second number of a Python 3's version; `None` for what does not run, or is older than 3.9.
fn minor_version(python: &Path) -> Option<u32> {
    let print = "import ctypes, sys; print(*sys.version_info[:2])";
    let output = Command::new(python).args(["-c", print]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (major, minor) = text.trim().split_once(' ')?;
    let minor = minor.parse().ok()?;
    (major == "3" && minor >= 9).then_some(minor)
}

/// The tests that are written in the package's test files.
fn tests_written() -> usize {
    fs::read_dir(package().join("tests"))
        .unwrap()
        .map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap_or_default())
        .map(|text| text.matches("\n    def test_").count())
        .sum()
}

#[test]
fn the_packages_own_tests() {
    if !need(Need::Python) || !need(Need::Make) {
        return;
    }
    let pythons = pythons();
    assert!(
        !pythons.is_empty(),
        "{} is older than 3.9",
        python().display()
    );
    let written = tests_written();
    assert!(written > 80, "{written}");
    for (number, python) in pythons.into_iter().enumerate() {
        let scratch = scratch_dir();
        let mut tests = with_package(&python);
        if number == 0 {
            // Python's checks of memory and of what is not closed, with the oldest alone: they take time.
            tests.args(["-X", "dev", "-W", "error::ResourceWarning"]);
        }
        tests
            .args(["-m", "unittest", "discover", "-s", "tests"])
            .current_dir(package())
            .env("KMSBOX_SCRATCH", scratch.path());
        let output = run_within(&mut tests, SLOW);
        let told = &output.stderr;
        let shown = python.display();
        assert!(output.status.success(), "{shown}:\n{told}");
        // All of them, none skipped, and no exception printed that nobody could raise.
        assert!(
            told.contains(&format!("\nRan {written} tests in ")),
            "{shown}: {written}\n{told}"
        );
        assert!(told.ends_with("\nOK\n"), "{shown}:\n{told}");
        assert!(!told.contains("Exception ignored"), "{shown}:\n{told}");
        println!("{shown}: {written} tests");
    }
}

#[test]
fn the_types() {
    if !need(Need::Pip) || !need(Need::Make) {
        return;
    }
    let scratch = scratch_dir();
    let python = environment(scratch.path());
    run_ok_slowly(pip(&python).args(["install", "-q", MYPY]));
    let mut mypy = clean(&python);
    mypy.args(["-m", "mypy", "--cache-dir"])
        .arg(scratch.path().join("cache"))
        .current_dir(package());
    let output = run_ok_slowly(&mut mypy);
    assert!(output.stdout.contains("no issues found"), "{output:?}");
    // And what a user of the package is told.
    let program = scratch.path().join("program.py");
    fs::write(
        &program,
        "import kmsbox\n\
         client = kmsbox.Client(keystore='k', root_key=bytearray(32))\n\
         reveal_type(client.generate_data_key('k').plaintext)\n\
         reveal_type(client.decrypt(b'', expected_key_id='k', plaintext=bytearray(9)).plaintext)\n\
         reveal_type(client.describe_key('k').creation_date)\n\
         client.describe_key(key='k')\n\
         client.create_key(description=1)\n\
         client.generate_data_key('k', plaintext=b'')\n\
         reveal_type(client.decrypt(b'', expected_key_id=kmsbox.ANY_KEY).plaintext)\n\
         stored: str | None = None\n\
         client.decrypt(b'')\n\
         client.decrypt(b'', expected_key_id=stored)\n",
    )
    .unwrap();
    let mut mypy = clean(&python);
    mypy.args(["-m", "mypy", "--strict", "--cache-dir"])
        .arg(scratch.path().join("cache"))
        .arg(&program)
        .env("MYPYPATH", package().join("src"))
        .current_dir(scratch.path());
    let output = run_within(&mut mypy, SLOW);
    for line in [
        "program.py:3: note: Revealed type is \"kmsbox._secret.Secret\"",
        "program.py:4: note: Revealed type is \"bytearray\"",
        "program.py:5: note: Revealed type is \"datetime.datetime | None\"",
        "program.py:6: error: ",
        "program.py:7: error: Argument \"description\"",
        "program.py:8: error: ",
        "program.py:9: note: Revealed type is \"kmsbox._secret.Secret\"",
        "program.py:11: error: ",
        "program.py:12: error: ",
    ] {
        assert!(output.stdout.contains(line), "{line}\n{}", output.stdout);
    }
}

#[test]
fn a_wheel_works_in_a_fresh_environment() {
    if !need(Need::Pip) || !need(Need::Make) {
        return;
    }
    let scratch = scratch_dir();
    let out = scratch.path().join("made");
    let output = run_ok_slowly(build_wheel(&library()).arg("--out").arg(&out));
    let wheel = PathBuf::from(output.stdout.trim());
    let name = wheel.file_name().unwrap().to_str().unwrap();
    let version = env!("CARGO_PKG_VERSION");
    let machine = std::env::consts::ARCH;
    assert!(
        [format!("linux_{machine}.whl"), format!("_{machine}.whl")]
            .iter()
            .zip(["", "manylinux_2_"])
            .any(|(end, begin)| {
                name.strip_prefix(&format!("kmsbox-{version}-py3-none-{begin}"))
                    .and_then(|rest| rest.strip_suffix(end.as_str()))
                    .is_some_and(|glibc| glibc.bytes().all(|byte| byte.is_ascii_digit()))
            }),
        "{name}"
    );

    let python = environment(&scratch.path().join("fresh"));
    run_ok_slowly(
        pip(&python)
            .args(["install", "-q", "--no-index"])
            .arg(&wheel),
    );
    // The program of the package's page, which is also its description in the wheel.
    let page = fs::read_to_string(package().join("README.md")).unwrap();
    let program = page
        .split("```python\n")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    let file = scratch.path().join("program.py");
    let more = "from kmsbox import _library\n\
                print(_library.lib._name, kmsbox.__file__, kmsbox.library_version())\n";
    fs::write(&file, format!("{program}{more}")).unwrap();
    let root_key = scratch.path().join("root.key");
    fs::write(&root_key, "42".repeat(32)).unwrap();
    set_mode(&root_key, 0o600);
    let output = run_ok(
        clean(&python)
            .arg(&file)
            .arg(scratch.path().join("keystore"))
            .arg(&root_key)
            .current_dir(scratch.path()),
    );
    let told: Vec<_> = output.stdout.split_whitespace().collect();
    let fresh = scratch.path().join("fresh");
    assert!(Path::new(told[0]).starts_with(&fresh), "{told:?}");
    assert!(told[0].ends_with("/kmsbox/libkmsbox.so.0"), "{told:?}");
    assert!(Path::new(told[1]).starts_with(&fresh), "{told:?}");
    assert_eq!(told[2], version);
    let carried = fs::metadata(told[0]).unwrap().len();
    assert!(
        carried < fs::metadata(library()).unwrap().len(),
        "not stripped: {carried}"
    );
    let typed = Path::new(told[1]).with_file_name("py.typed");
    assert!(typed.is_file());
    // Nothing of all this is left among the sources.
    for name in ["build", "src/kmsbox.egg-info", "src/kmsbox/libkmsbox.so.0"] {
        assert!(!package().join(name).exists(), "{name}");
    }
    run_ok_slowly(pip(&python).args(["uninstall", "-q", "-y", "kmsbox"]));
    assert!(!Path::new(told[0]).exists());
}

#[test]
fn no_wheel_is_made_of_something_else() {
    if !need(Need::Python) || !need(Need::Make) {
        return;
    }
    let scratch = scratch_dir();
    let text = scratch.path().join("text");
    fs::write(&text, "not a library").unwrap();
    for (library, complaint) in [
        (scratch.path().join("none"), "is not there"),
        (text, "is not a library of a Linux of 64 bits"),
        (std::env::current_exe().unwrap(), "is not libkmsbox.so.0"),
    ] {
        let out = scratch.path().join("made");
        let output = run(build_wheel(&library).arg("--out").arg(&out));
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(output.stderr.contains(complaint), "{output:?}");
        assert!(!out.exists());
    }
}

fn build_wheel(library: &Path) -> Command {
    let mut command = clean(&python());
    command
        .arg(package().join("build-wheel"))
        .arg("--library")
        .arg(library);
    command
}

/// A new virtual environment; its Python.
fn environment(directory: &Path) -> PathBuf {
    run_ok_slowly(clean(&python()).args(["-m", "venv"]).arg(directory));
    directory.join("bin/python")
}

fn pip(python: &Path) -> Command {
    let mut command = clean(python);
    command.args(["-m", "pip", "--disable-pip-version-check"]);
    command
}

#[track_caller]
fn run_ok_slowly(command: &mut Command) -> Output {
    let output = run_within(command, SLOW);
    assert!(output.status.success(), "{command:?}: {output:?}");
    output
}

fn set_mode(file: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
}
