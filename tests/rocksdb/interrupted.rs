//! Killed, or without power, in the midst of a rewrap; killed in the midst of writing.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::shop::*;
use crate::support::{LIMIT, compiler_for, root, run, run_ok, spawn};

const SIGKILL: i32 = 9;

/// tests/rocksdb/power_cut.c, to be preloaded.
fn power_cut() -> &'static Path {
    static LIBRARY: OnceLock<std::path::PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let source = root().join("tests/rocksdb/power_cut.c");
        let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("power_cut.so");
        let mut compiler = compiler_for(&source);
        compiler.args(["-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC"]);
        run_ok(compiler.arg("-o").arg(&out).arg(&source).arg("-ldl"));
        out
    })
}

/// Interrupts the rewrap of a copy of `db` at this step; false where it came to its end before.
fn interrupted(shop: &Shop, step: usize, loses: &str) -> bool {
    interrupted_in(shop, &["rewrap"], step, loses)
}

/// The same for any command.
fn interrupted_in(shop: &Shop, words: &[&str], step: usize, loses: &str) -> bool {
    let copy = shop.place.at("copy");
    let _ = fs::remove_dir_all(&copy);
    run_ok(
        Command::new("cp")
            .arg("-R")
            .arg(shop.place.at("db"))
            .arg(&copy),
    );
    let mut command = shop.example(&[&["--cmk", &shop.cmk, "copy"], words].concat());
    command
        .env("LD_PRELOAD", power_cut())
        .env("KMSBOX_TEST_DIRECTORY", &copy)
        .env("KMSBOX_TEST_STEP", step.to_string())
        .env("KMSBOX_TEST_LOSES", loses);
    let output = run(&mut command);
    let killed = output.status.signal() == Some(SIGKILL);
    assert!(killed || output.status.success(), "{output:?}");
    killed
}

fn survives_a_rewrap_that(loses: &str) {
    let shop = Shop::new();
    shop.fill(200);
    shop.rotate();
    let before = shop.files("db");
    // A write and a sync, for each of two slots.
    let steps = 4 * before.len();
    let mut differing = 0;
    for step in 1..=steps {
        assert!(interrupted(&shop, step, loses), "step {step} of {steps}");
        let halfway = shop.files("copy");
        differing += usize::from(halfway.iter().any(|file| file.slot(0) != file.slot(1)));
        for (before, halfway) in before.iter().zip(&halfway) {
            assert_eq!(before.data(), halfway.data(), "{halfway:?}, step {step}");
        }
        // A second time, or it is opened first: both must do.
        if step % 2 == 0 {
            shop.rewrapped("copy");
        }
        shop.assert_entries("copy", 200);
    }
    assert!(
        !interrupted(&shop, steps + 1, loses),
        "there are more steps"
    );
    assert!(differing >= before.len(), "nothing was interrupted");
    shop.assert_entries("copy", 200);
}

#[test]
fn a_rewrap_killed_at_any_step_loses_no_key() {
    if !all_there() {
        return;
    }
    survives_a_rewrap_that("nothing");
}

#[test]
fn a_rewrap_with_a_torn_write_loses_no_key() {
    if !all_there() {
        return;
    }
    survives_a_rewrap_that("half");
}

#[test]
fn a_rewrap_without_power_at_any_step_loses_no_key() {
    if !all_there() {
        return;
    }
    survives_a_rewrap_that("unsynced");
}

/// From opening to closing: the WAL is replayed, and files of each kind are made.
#[test]
fn a_database_without_power_at_any_step_opens() {
    if !all_there() {
        return;
    }
    let shop = Shop::new();
    shop.fill(200);
    let put = ["put", "a name", "a value"];
    let mut step = 1;
    while interrupted_in(&shop, &put, step, "unsynced") {
        let scan = shop.done(&["copy", "scan"]);
        let good = scan == "200 entries\n" || scan == "201 entries\n";
        assert!(good, "{scan}, step {step}");
        shop.done(&["copy", "rewrap"]);
        step += 1;
    }
    // A write and a sync of the prefix, and of what follows it, for each of: info log, SST,
    // WAL, MANIFEST, CURRENT, OPTIONS.
    assert!(step > 24, "there were only {step} steps");
    shop.assert_entries("copy", 201);
}

/// An entry that was put is there after a kill, and so are all before it. While the database is open,
/// nobody else may touch its keys.
#[test]
fn a_database_killed_while_it_is_written_opens() {
    if !all_there() {
        return;
    }
    let shop = Shop::new();
    for database in ["one", "two", "three"] {
        let fill = ["--cmk", &shop.cmk, database, "fill", "100000000"];
        let mut writer = spawn(&mut shop.example(&fill));
        let deadline = Instant::now() + LIMIT;
        while shop.count(database, ".sst") < 3 {
            let at_work = writer.is_running() && Instant::now() < deadline;
            assert!(at_work, "{:?}", writer.finish(LIMIT));
            std::thread::sleep(Duration::from_millis(1));
        }
        let says = format!("IO error: While lock file: {database}/LOCK");
        shop.refused(&[database, "rewrap"], &says);
        writer.kill();
        let output = writer.finish(LIMIT);
        assert_eq!(output.status.signal(), Some(SIGKILL));

        let entries = shop.done(&[database, "scan"]);
        let count: usize = entries.trim_end_matches(" entries\n").parse().unwrap();
        assert!(count > 1000, "{count}");
        let last = format!("entry-{}", count - 1);
        let value = shop.done(&[database, "get", &last]);
        assert_eq!(value, format!("value of {last}\n"));
        shop.refused(&[database, "get", &format!("entry-{count}")], "NotFound: ");
        shop.rewrapped(database);
    }
}
