//! The example for Badger, against Badger as it is published: its own tests, and the program as an operator
//! uses it, beside the command `kmsbox`.
#![allow(clippy::expect_used, clippy::panic)]

mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Instant;

use support::go::{go_ok, gofmt, passed};
use support::{
    Need, Output, contains, installed, kmsbox, need, root, run, run_ok, scratch_dir, spawn,
};
use tempfile::TempDir;

const RECORDS: usize = 500;

fn example() -> PathBuf {
    root().join("bindings/go/examples/badger")
}

/// The program, built once.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kmsbox-badger");
        let path = program.display().to_string();
        go_ok(&example(), &["build", "-buildvcs=false", "-o", &path, "."]);
        program
    })
}

/// A keystore and a database.
struct Place(TempDir);

impl Place {
    /// With a CMK, alias/badger, and no database yet.
    fn new() -> Place {
        let place = Place(scratch_dir());
        place.kmsbox(&["init", "--make-root-key"]);
        place.kmsbox(&["create-key", "--alias", "alias/badger"]);
        place
    }

    fn filled() -> Place {
        let place = Place::new();
        place.put("lines", &records());
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The operator's command.
    fn kmsbox(&self, arguments: &[&str]) -> String {
        run_ok(kmsbox(self.0.path()).args(arguments)).stdout
    }

    /// The program of the example.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        command
            .args(["-keystore", "keystore", "-root-key", "file:root.key"])
            .args(["-dir", "orders", "-name", "orders"])
            .args(arguments)
            .current_dir(self.0.path())
            .env("LD_LIBRARY_PATH", &installed().lib);
        command
    }

    #[track_caller]
    fn badger(&self, arguments: &[&str]) -> String {
        run_ok(&mut self.command(arguments)).stdout
    }

    /// What it says where it refuses.
    #[track_caller]
    fn refused(&self, arguments: &[&str]) -> String {
        let Output { status, stderr, .. } = run(&mut self.command(arguments));
        assert_eq!(status.code(), Some(1), "{stderr}");
        stderr
    }

    /// Stores lines, which a file brings: a child's standard input is empty otherwise.
    #[track_caller]
    fn put(&self, file: &str, lines: &str) {
        fs::write(self.path(file), lines).expect("it is ours");
        let mut shell = Command::new("sh");
        shell.args(["-c", "exec \"$@\" < \"$0\""]);
        shell.arg(self.path(file));
        let put = self.command(&["put"]);
        shell.arg(put.get_program()).args(put.get_args());
        shell.current_dir(self.0.path());
        shell.env("LD_LIBRARY_PATH", &installed().lib);
        run_ok(&mut shell);
        fs::remove_file(self.path(file)).expect("it is ours");
    }

    #[track_caller]
    fn holds_all(&self) {
        for at in [0, 1, RECORDS / 2, RECORDS - 1] {
            let value = self.badger(&["get", &format!("order{at}")]);
            assert_eq!(value, format!("customer{at}\n"));
        }
    }

    fn key_file(&self) -> PathBuf {
        self.path("orders/key.json")
    }

    fn key_json(&self) -> serde_json::Value {
        let text = fs::read_to_string(self.key_file()).expect("there is a key file");
        serde_json::from_str(&text).expect("it is JSON")
    }

    /// The id of the CMK that the database's key is under.
    fn cmk(&self) -> String {
        let key = self.key_json();
        let id = key["current"]["key_id"].as_str().expect("it has an id");
        id.to_owned()
    }

    /// Every file of Badger.
    fn data(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let entries = fs::read_dir(self.path("orders/data")).expect("there is a database");
        let paths = entries.map(|entry| entry.expect("it can be read").path());
        let read = |path: PathBuf| (path.clone(), fs::read(path).expect("it is a file"));
        paths.map(read).collect()
    }
}

fn records() -> String {
    let mut lines = String::new();
    for at in 0..RECORDS {
        writeln!(lines, "order{at}=customer{at}").expect("a String takes it");
    }
    lines
}

#[test]
fn its_own_tests_pass() {
    if !need(Need::Badger) || !need(Need::Make) {
        return;
    }
    let unformatted = run_ok(Command::new(gofmt()).arg("-l").arg(example()));
    assert_eq!(unformatted.stdout, "", "gofmt -w would change these");
    go_ok(&example(), &["vet", "./..."]);
    let output = go_ok(&example(), &["test", "-count=1", "-v", "./..."]);
    let tests = fs::read_to_string(example().join("store/store_test.go")).expect("it is text");
    let names = tests
        .lines()
        .filter_map(|line| Some(line.strip_prefix("func ")?.split_once("(t *testing.T)")?.0))
        .filter(|name| name.starts_with("Test") && !name.contains("Helper"));
    let ran: Vec<_> = names.map(|name| (name, passed(&output, name))).collect();
    assert!(
        ran.len() >= 6 && ran.iter().all(|(_, passed)| *passed),
        "{ran:?}\n{output}"
    );
}

#[test]
fn another_process_reads_what_was_written_and_the_disk_shows_nothing() {
    if !need(Need::Badger) || !need(Need::Make) {
        return;
    }
    let place = Place::filled();
    place.holds_all();
    let data = place.data();
    let of_badger = ["KEYREGISTRY", "MANIFEST"];
    for name in of_badger {
        assert!(data.contains_key(&place.path("orders/data").join(name)));
    }
    for (path, bytes) in &data {
        for text in ["customer", "order1"] {
            assert!(!contains(bytes, text), "{text} is in {}", path.display());
        }
    }
    let mode = fs::metadata(place.key_file())
        .expect("it is there")
        .permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
    assert!(place.refused(&["get", "nobody"]).contains("Key not found"));
}

#[test]
fn a_cmk_that_must_not_be_used_keeps_the_database_closed() {
    if !need(Need::Badger) || !need(Need::Make) {
        return;
    }
    let place = Place::filled();
    let before = place.data();
    place.kmsbox(&["disable", "alias/badger"]);
    let says = place.refused(&["get", "order1"]);
    assert!(
        says.contains("the key of the database \"orders\": kmsbox: KMS_ERR_DISABLED"),
        "{says}"
    );
    place.kmsbox(&["enable", "alias/badger"]);

    // The blob under another CMK than the file says: moved there by somebody who can write files.
    let other = place.kmsbox(&["create-key", "--alias", "alias/other"]);
    let mut key = place.key_json();
    key["current"]["key_id"] = other.trim().into();
    let good = fs::read(place.key_file()).expect("it is there");
    fs::write(place.key_file(), key.to_string()).expect("it is ours");
    assert!(
        place
            .refused(&["get", "order1"])
            .contains("KMS_ERR_KEY_MISMATCH")
    );

    // A database by another name.
    fs::write(place.key_file(), &good).expect("it is ours");
    let says = place.refused(&["-name", "people", "get", "order1"]);
    assert!(says.contains("KMS_ERR_CIPHERTEXT_INVALID"), "{says}");

    // The key file of another database of this name: a key, but not this one's. So says Badger.
    let stranger = Place::filled();
    for name in ["keystore", "root.key"] {
        fs::copy(stranger.path(name), place.path(&format!("{name}.stranger"))).expect("copied");
    }
    fs::copy(stranger.key_file(), place.key_file()).expect("copied");
    let as_stranger = [
        "-keystore",
        "keystore.stranger",
        "-root-key",
        "file:root.key.stranger",
    ];
    let says = place.refused(&[&as_stranger[..], &["get", "order1"]].concat());
    assert!(says.contains("Encryption key mismatch"), "{says}");

    fs::remove_file(place.key_file()).expect("it is ours");
    assert!(place.refused(&["get", "order1"]).contains("no key file"));
    assert!(place.refused(&["put"]).contains("has no key file"));
    assert_eq!(place.data(), before, "a refusal changes nothing");
    fs::write(place.key_file(), &good).expect("it is ours");
    place.holds_all();
}

#[test]
fn the_cmk_is_rotated_and_the_blob_moved_without_touching_data() {
    if !need(Need::Badger) || !need(Need::Make) {
        return;
    }
    let place = Place::filled();
    let old = place.key_json();
    let before = place.data();
    let status = place.badger(&["status"]);
    assert!(
        status.contains("Enabled") && status.contains("the present one"),
        "{status}"
    );

    place.badger(&["rotate"]);
    let rotated = place.key_json();
    assert_ne!(
        rotated["current"]["key_version_id"],
        old["current"]["key_version_id"]
    );
    assert_ne!(rotated["current"]["blob"], old["current"]["blob"]);
    assert_eq!(rotated["current"]["key_id"], old["current"]["key_id"]);

    // As an operator does it: the CMK first, the blob when the time has come.
    place.kmsbox(&["rotate", "alias/badger"]);
    assert!(place.badger(&["status"]).contains(": rewrap"));
    place.badger(&["rewrap"]);
    assert!(!place.badger(&["status"]).contains(": rewrap"));

    // To another CMK; the alias and the old CMK are no longer needed.
    let other = place.kmsbox(&["create-key", "--alias", "alias/other"]);
    place.badger(&["rewrap", "alias/other"]);
    assert_eq!(place.cmk(), other.trim());
    let old_cmk = old["current"]["key_id"].as_str().expect("it has an id");
    place.kmsbox(&["disable", old_cmk]);
    assert_eq!(place.data(), before, "data was written anew");
    place.holds_all();
}

#[test]
fn the_master_key_of_badger_is_rotated_by_its_registry_alone() {
    if !need(Need::Badger) || !need(Need::Make) {
        return;
    }
    let place = Place::filled();
    let before = place.data();
    place.badger(&["rotate-master-key"]);
    let registry = place.path("orders/data/KEYREGISTRY");
    let after = place.data();
    let changed: Vec<_> = after
        .iter()
        .filter(|(path, bytes)| before.get(*path) != Some(bytes))
        .map(|(path, _)| path)
        .collect();
    assert_eq!(changed, [&registry]);
    assert_eq!(before.len(), after.len());
    place.holds_all();

    fs::write(&registry, &before[&registry]).expect("it is ours");
    let says = place.refused(&["get", "order1"]);
    assert!(says.contains("Encryption key mismatch"), "{says}");
}

/// The moment is by chance here; the example's own tests end the process at each step in turn.
#[test]
fn killed_while_the_blob_is_moved() {
    if !need(Need::Badger) || !need(Need::Make) {
        return;
    }
    let place = Place::filled();
    let before = place.data();
    let began = Instant::now();
    place.badger(&["rewrap"]);
    let whole = began.elapsed();
    let rounds = 30;
    for round in 0..rounds {
        let old = place.key_json();
        let mut moving = spawn(&mut place.command(&["rewrap"]));
        std::thread::sleep(whole * round / rounds);
        moving.kill();
        drop(moving);
        let new = place.key_json();
        assert_eq!(new["current"]["key_id"], old["current"]["key_id"]);
        assert!(place.badger(&["status"]).contains("the present one"));
    }
    assert_eq!(place.data(), before, "data was written anew");
    place.badger(&["rewrap"]);
    place.holds_all();
    let left: Vec<_> = fs::read_dir(place.path("orders"))
        .expect("it is there")
        .map(|entry| entry.expect("it can be read").file_name())
        .collect();
    assert_eq!(left.len(), 3, "{left:?}");
}

#[test]
fn a_full_disk_leaves_the_key_file_as_it_was() {
    if !need(Need::Badger) || !need(Need::Make) {
        return;
    }
    let place = Place::filled();
    let before = fs::read(place.key_file()).expect("it is there");
    // Its temporary can be opened, but takes no byte.
    std::os::unix::fs::symlink("/dev/full", place.path("orders/key.json.tmp")).expect("it is new");
    let says = place.refused(&["rewrap"]);
    assert!(says.contains("no space left on device"), "{says}");
    assert_eq!(fs::read(place.key_file()).expect("it is there"), before);
    fs::remove_file(place.path("orders/key.json.tmp")).expect("it is ours");
    place.badger(&["rewrap"]);
    place.holds_all();
}

#[test]
fn a_line_that_is_wrong_stores_nothing_and_usage_is_told() {
    if !need(Need::Badger) || !need(Need::Make) {
        return;
    }
    let place = Place::new();
    for (line, says) in [
        ("nonsense", "line 2 is not KEY=VALUE"),
        ("long=%0100000d", "line 2: bufio.Scanner: token too long"),
    ] {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("printf 'a=1\\n{line}\\n' | \"$0\" \"$@\"")]);
        let put = place.command(&["put"]);
        shell.arg(put.get_program()).args(put.get_args());
        shell.current_dir(place.0.path());
        shell.env("LD_LIBRARY_PATH", &installed().lib);
        let output = run(&mut shell);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(output.stderr.contains(says), "{output:?}");
        assert!(!place.path("orders").exists());
    }
    for wrong in [&["fly"][..], &["get"], &["put", "x"], &[], &["-nothing"]] {
        let output = run(&mut place.command(wrong));
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
        assert!(output.stderr.contains("usage:"), "{wrong:?}");
    }
    let says = place.refused(&["get", "order1"]);
    assert!(
        says.contains("there is no key file: orders/key.json"),
        "{says}"
    );
    assert!(File::open(place.path("orders")).is_err());
    let says = place.refused(&["-name", "", "status"]);
    assert!(says.contains("needs a directory and a name"), "{says}");
}
