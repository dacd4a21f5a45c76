//! Where `make install` puts what, and that it does so wholly or not at all.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};

use super::{VERSION, against, cpp_headers, install, make_refuses, pages, tree};
use crate::support::{Need, installed, make, make_ok, need, root, run, run_ok, scratch_dir};

fn expected() -> BTreeSet<(String, String)> {
    let shared = format!("libkmsbox.so.{VERSION}");
    let mut expected: BTreeSet<(String, String)> = [
        ("bin/kmsbox", "755"),
        ("include/kmsbox.h", "644"),
        ("lib/cmake/kmsbox/kmsbox-config-version.cmake", "644"),
        ("lib/cmake/kmsbox/kmsbox-config.cmake", "644"),
        ("lib/libkmsbox.a", "644"),
        ("lib/libkmsbox.so", &format!("-> {shared}")),
        ("lib/libkmsbox.so.0", &format!("-> {shared}")),
        (&format!("lib/{shared}"), "755"),
        ("lib/pkgconfig/kmsbox.pc", "644"),
    ]
    .map(|(name, mode)| (name.to_owned(), mode.to_owned()))
    .into();
    for header in cpp_headers() {
        expected.insert((format!("include/{header}"), "644".to_owned()));
    }
    for page in pages() {
        expected.insert((format!("share/man/{page}"), "644".to_owned()));
    }
    expected
}

fn found(prefix: &Path) -> BTreeSet<(String, String)> {
    tree(prefix)
        .into_iter()
        .map(|(name, (mode, _))| (name, mode))
        .collect()
}

#[test]
fn these_files_and_no_others_with_these_modes() {
    if !need(Need::Make) {
        return;
    }
    assert_eq!(found(&installed().prefix), expected());
    for directory in directories(&installed().prefix) {
        assert_eq!(mode(Path::new(&directory)), "755", "{directory}");
    }
}

#[test]
fn the_man_pages_are_of_every_command_and_of_the_library() {
    if !need(Need::Make) {
        return;
    }
    let pages = pages();
    for page in [
        "man1/kmsbox.1",
        "man1/kmsbox-root-key-add.1",
        "man3/kmsbox.3",
    ] {
        assert!(pages.iter().any(|name| name == page), "{page}: {pages:?}");
    }
    assert!(pages.len() > 30, "{pages:?}");
}

#[test]
fn the_files_are_what_was_built() {
    if !need(Need::Make) {
        return;
    }
    let place = installed();
    for header in [vec!["kmsbox.h".to_owned()], cpp_headers()].concat() {
        let read = |folder: &Path| fs::read(folder.join(&header)).expect("it is there");
        assert!(
            read(&place.include) == read(&root().join("include")),
            "{header}"
        );
    }
    let version = run_ok(Command::new(place.bin.join("kmsbox")).arg("--version")).stdout;
    assert_eq!(version, format!("kmsbox {VERSION}\n"));
}

/// A package is made of a staged installation, and must not tell where that was, nor where it was built.
#[test]
fn staged_is_the_same_as_installed_and_tells_of_neither_place() {
    if !need(Need::Make) {
        return;
    }
    let (stage, place) = (scratch_dir(), scratch_dir());
    let prefix = place.path().join("usr");
    let prefix = prefix.to_str().expect("it is text");
    let staged = stage.path().to_str().expect("it is text");
    install(&[&format!("PREFIX={prefix}")]);
    install(&[&format!("PREFIX={prefix}"), &format!("DESTDIR={staged}")]);
    let below = stage.path().join(&prefix[1..]);
    let files = tree(&below);
    assert!(files == tree(Path::new(prefix)), "they differ");

    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent();
    let target = target.and_then(Path::to_str).expect("it is text");
    let tree_top = root().to_str().expect("it is text");
    // Where the prefix lies in one of these, it is rightly there in two files.
    let secret = [staged, &format!("{tree_top}/"), &format!("{target}/")];
    for (name, (_, bytes)) in &files {
        let text = String::from_utf8_lossy(bytes).replace(prefix, "");
        for place in secret {
            assert!(!text.contains(place), "{name} names {place}");
        }
    }

    make_ok(&[
        "uninstall",
        &format!("PREFIX={prefix}"),
        &format!("DESTDIR={staged}"),
    ]);
    assert_eq!(found(stage.path()), BTreeSet::new());
    assert_eq!(tree(Path::new(prefix)).len(), files.len());
}

#[test]
fn uninstalling_leaves_nothing_of_ours_and_all_of_others() {
    if !need(Need::Make) {
        return;
    }
    let place = scratch_dir();
    let prefix = format!("PREFIX={}", place.path().join("p").display());
    install(&[&prefix]);
    let foreign = place.path().join("p/lib/libother.so");
    fs::write(&foreign, "not ours").expect("it can be written");
    // Even where it lies among ours.
    let among = place.path().join("p/include/kmsbox/other.hpp");
    fs::write(&among, "not ours").expect("it can be written");
    make_ok(&["uninstall", &prefix]);
    let left = ["include/kmsbox/other.hpp", "lib/libother.so"];
    let left = left.map(|name| (name.to_owned(), mode(&foreign)));
    assert_eq!(found(&place.path().join("p")), left.into());
    // Where no file is, the directories of ours still go, and nothing else is to be done.
    fs::remove_file(among).expect("it is there");
    make_ok(&["uninstall", &prefix]);
    for ours in ["p/lib/cmake/kmsbox", "p/include/kmsbox"] {
        assert!(!place.path().join(ours).exists(), "{ours}");
    }
}

fn mode(path: &Path) -> String {
    let mode = path.metadata().expect("it is there").permissions().mode();
    format!("{:o}", mode & 0o7777)
}

#[test]
fn each_directory_can_be_chosen_and_a_closed_umask_closes_nothing() {
    if !need(Need::Make) {
        return;
    }
    let place = scratch_dir();
    let at = |name: &str| place.path().join(name).display().to_string();
    let mut command = make(&[
        "install",
        &format!("PREFIX={}", at("p")),
        &format!("LIBDIR={}", at("p/lib64")),
        &format!("INCLUDEDIR={}", at("elsewhere/include")),
        &format!("BINDIR={}", at("p/sbin/")),
        &format!("MANDIR={}", at("p//man")),
    ]);
    let mut closed = Command::new("sh");
    closed
        .args(["-c", "umask 077; exec \"$@\"", "sh"])
        .arg(command.get_program())
        .args(command.get_args())
        .current_dir(root());
    for (name, value) in command.env("LC_ALL", "C").get_envs() {
        match value {
            Some(value) => closed.env(name, value),
            None => closed.env_remove(name),
        };
    }
    run_ok(&mut closed);
    let found: BTreeSet<_> = found(&place.path().join("p")).into_iter().collect();
    for (name, mode) in [
        ("lib64/libkmsbox.a", "644"),
        ("lib64/cmake/kmsbox/kmsbox-config.cmake", "644"),
        ("sbin/kmsbox", "755"),
        ("man/man3/kmsbox.3", "644"),
    ] {
        assert!(
            found.contains(&(name.to_owned(), mode.to_owned())),
            "{name}: {found:?}"
        );
    }
    assert!(!place.path().join("p/include").exists());
    let pc =
        fs::read_to_string(place.path().join("p/lib64/pkgconfig/kmsbox.pc")).expect("it is there");
    assert!(pc.contains("\nlibdir=${prefix}/lib64\n"), "{pc}");
    let include = format!("\nincludedir={}\n", at("elsewhere/include"));
    assert!(pc.contains(&include), "{pc}");
}

#[test]
fn what_is_up_to_date_is_installed_without_cargo() {
    if !need(Need::Make) {
        return;
    }
    let place = scratch_dir();
    let prefix = format!("PREFIX={}", place.path().join("p").display());
    install(&[&prefix, "CARGO=no-cargo-here"]);
    assert_eq!(found(&place.path().join("p")), expected());

    // Nothing was built here, so it would have to be.
    let mut elsewhere = make(&["install", &prefix, "CARGO=no-cargo-here"]);
    elsewhere.env("CARGO_TARGET_DIR", place.path().join("target"));
    let output = run(&mut elsewhere);
    assert!(!output.status.success());
    assert!(
        output.stderr.contains("make build command"),
        "{}",
        output.stderr
    );
}

/// By what make would do if a source were newer.
#[test]
fn what_is_not_up_to_date_is_built() {
    if !need(Need::Make) {
        return;
    }
    installed();
    let would_do = |newer: &str| {
        let output = run_ok(&mut make(&["--dry-run", "--what-if", newer, "install"]));
        let of_command = |line: &str| line.ends_with(" -p kmsbox-cli");
        let lines = output.stdout.lines();
        let builds: Vec<&str> = lines.filter(|line| line.contains("cargo build ")).collect();
        let command = builds.iter().any(|line| of_command(line));
        let library = builds.iter().any(|line| !of_command(line));
        (library, command)
    };
    assert_eq!(would_do("README.md"), (false, false));
    for source in [
        "src",
        "src/lib.rs",
        "src/secret/fork.rs",
        "src/ffi/introduction.h",
        "build.rs",
        "cbindgen.toml",
        "Cargo.toml",
        "Cargo.lock",
        "abi/symbols.txt",
        "packaging/static-library",
    ] {
        assert_eq!(would_do(source), (true, true), "{source}");
    }
    for source in ["cli/src/main.rs", "cli/src/commands", "cli/Cargo.toml"] {
        assert_eq!(would_do(source), (false, true), "{source}");
    }
}

#[test]
fn a_place_that_cannot_be_written_down_is_refused() {
    if !need(Need::Make) {
        return;
    }
    installed();
    for (arguments, says) in [
        (
            &["PREFIX=relative"] as &[&str],
            "PREFIX must be an absolute path",
        ),
        (&["PREFIX="], "PREFIX must be an absolute path"),
        (
            &["PREFIX=/a", "LIBDIR=lib"],
            "LIBDIR must be an absolute path",
        ),
        (
            &["PREFIX=/a", "DESTDIR=stage"],
            "DESTDIR must be an absolute path",
        ),
        (&["PREFIX=/a\"b"], "PREFIX has a character"),
        (&["PREFIX=/a;b"], "PREFIX has a character"),
        (&["PREFIX=/it's"], "PREFIX has a character"),
        (&["PREFIX=/a\\b"], "PREFIX has a character"),
        (&["prefix=/a"], "write PREFIX=/a"),
    ] {
        make_refuses(&[&["install"], arguments].concat(), says);
        make_refuses(&[&["uninstall"], arguments].concat(), says);
    }
}

#[test]
fn a_failed_installation_changes_nothing() {
    if !need(Need::Make) {
        return;
    }
    installed();
    let place = scratch_dir();
    let top = place.path().join("p");
    // The last file of all cannot be put there.
    fs::create_dir_all(top.join("share/man/man3/kmsbox.3")).expect("it can be made");
    fs::create_dir_all(top.join("lib")).expect("it can be made");
    fs::write(top.join("lib/libkmsbox.a"), "an older one").expect("it can be written");
    let before = (tree(&top), directories(&top));
    let prefix = format!("PREFIX={}", top.display());
    make_refuses(&["install", &prefix], "directory in the way");
    assert!(
        (tree(&top), directories(&top)) == before,
        "something changed"
    );
}

fn directories(top: &Path) -> Vec<String> {
    let output = run_ok(Command::new("find").arg(top).args(["-type", "d"]));
    let mut found: Vec<_> = output.stdout.lines().map(str::to_owned).collect();
    found.sort();
    found
}

/// An engine that is running keeps the library it has; the one that is started next gets the new one.
#[test]
fn a_library_in_use_is_replaced_and_not_written_over() {
    if !need(Need::Make) {
        return;
    }
    let place = scratch_dir();
    let prefix = format!("PREFIX={}", place.path().join("p").display());
    install(&[&prefix]);
    let files = ["lib/libkmsbox.so.0", "bin/kmsbox"].map(|name| place.path().join("p").join(name));
    let inodes = || {
        files
            .clone()
            .map(|file| file.metadata().expect("it is there").ino())
    };
    let (before, held) = (inodes(), fs::File::open(&files[0]).expect("it is there"));
    // The command runs on, waiting for its input: writing over it would fail, or kill it.
    let mut running = against(&files[1], &place.path().join("p/lib"))
        .arg("inspect")
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it runs");
    install(&[&prefix]);
    let after = inodes();
    assert!(before[0] != after[0] && before[1] != after[1]);
    assert_eq!(held.metadata().expect("it is open").ino(), before[0]);
    drop(running.stdin.take());
    assert!(
        running.wait().expect("it ends").code().is_some(),
        "it was killed"
    );
    assert_eq!(found(&place.path().join("p")), expected());
}
