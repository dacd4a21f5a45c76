//! The Parquet example with pyarrow as it comes: files written by one process and read by another,
//! nothing readable in them, wrong CMKs refused by pyarrow's own exception, and keys wrapped anew
//! without a byte of the data changed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use support::{Need, Output, installed, need, python, root, run, run_ok, scratch_dir};

const CSV: &str = "\"number\",\"total\",\"name\",\"email\"\n\
    1,31415926,\"Ada Lovelace\",\"ada@example.org\"\n\
    2,27182818,\"Grace Hopper\",\"grace@example.org\"\n";

const DATA: &str = "orders.parquet";
const MATERIAL: &str = "_KEY_MATERIAL_FOR_orders.parquet.json";

/// A keystore with two CMKs, `alias/orders` and `alias/people`, and a folder for files.
struct Warehouse {
    scratch: tempfile::TempDir,
    orders: String,
    people: String,
}

impl Warehouse {
    fn new() -> Warehouse {
        let mut warehouse = Warehouse {
            scratch: scratch_dir(),
            orders: String::new(),
            people: String::new(),
        };
        warehouse.kmsbox(&["init", "--make-root-key"]);
        warehouse.orders = warehouse.kmsbox(&["create-key", "--alias", "alias/orders"]);
        warehouse.people = warehouse.kmsbox(&["create-key", "--alias", "alias/people"]);
        fs::write(warehouse.path().join("orders.csv"), CSV).unwrap();
        warehouse
    }

    /// With a file in it, each two of its columns under one CMK.
    fn with_file() -> Warehouse {
        let warehouse = Warehouse::new();
        warehouse.done(&[
            "write",
            "orders.csv",
            DATA,
            "--footer-key=alias/orders",
            "--column-key=alias/orders=number,total",
            "--column-key=alias/people=name,email",
        ]);
        warehouse
    }

    fn path(&self) -> &Path {
        self.scratch.path()
    }

    /// The command, which must succeed; what it printed.
    #[track_caller]
    fn kmsbox(&self, arguments: &[&str]) -> String {
        let output = run_ok(
            Command::new(installed().bin.join("kmsbox"))
                .args(arguments)
                .env("KMSBOX_KEYSTORE", "keystore")
                .env("KMSBOX_ROOT_KEY", "file:root.key")
                .env("LD_LIBRARY_PATH", &installed().lib)
                .current_dir(self.path()),
        );
        output.stdout.trim().to_owned()
    }

    fn python(&self) -> Command {
        let package = root().join("bindings/python");
        let paths = [package.join("src"), package.join("examples/parquet")];
        let mut command = Command::new(python());
        command
            .env("PYTHONPATH", std::env::join_paths(paths).unwrap())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("KMSBOX_LIBRARY", installed().lib.join("libkmsbox.so.0"))
            .current_dir(self.path());
        command
    }

    /// `parquet_kms.py` on the data set "orders".
    fn run(&self, arguments: &[&str]) -> Output {
        self.run_on("orders", arguments)
    }

    fn run_on(&self, dataset: &str, arguments: &[&str]) -> Output {
        run(self
            .python()
            .args([
                "-m",
                "parquet_kms",
                "--keystore=keystore",
                "--root-key=file:root.key",
            ])
            .args(["--dataset", dataset])
            .args(arguments))
    }

    #[track_caller]
    fn done(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", output.stderr);
        output.stdout
    }

    /// What must be refused, with these words.
    #[track_caller]
    fn refused(&self, arguments: &[&str], words: &[&str]) {
        refused(&self.run(arguments), words);
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path().join(name)).unwrap()
    }

    /// The CMK and version of each key of the file, sorted by the key's name.
    fn keys(&self) -> Vec<(String, String, String)> {
        let told = self.done(&["keys", DATA]);
        let mut keys: Vec<_> = told
            .lines()
            .map(|line| {
                let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
                let [name, _, key_id, version] = <[String; 4]>::try_from(words).unwrap();
                (name, key_id, version)
            })
            .collect();
        keys.sort();
        assert_eq!(keys.len(), 5, "{told}");
        keys
    }
}

#[track_caller]
fn refused(output: &Output, words: &[&str]) {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(output.stdout, "");
    for word in words {
        assert!(output.stderr.contains(word), "{word}: {}", output.stderr);
    }
}

/// Whether these tests can run here.
fn can_run() -> bool {
    need(Need::PyArrow) && need(Need::Make)
}

#[test]
fn another_process_reads_what_one_wrote() {
    if !can_run() {
        return;
    }
    let warehouse = Warehouse::with_file();
    assert_eq!(warehouse.done(&["read", DATA]), CSV);
    let some = warehouse.done(&["read", DATA, "--columns", "total,name"]);
    assert!(some.starts_with("\"total\",\"name\"\n31415926,"), "{some}");

    // A file with one key for all.
    warehouse.done(&[
        "write",
        "orders.csv",
        "all.parquet",
        "--footer-key=alias/orders",
    ]);
    assert_eq!(warehouse.done(&["read", "all.parquet"]), CSV);

    // The two files of a table can be moved together.
    let elsewhere = warehouse.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    for name in [DATA, MATERIAL] {
        fs::rename(warehouse.path().join(name), elsewhere.join(name)).unwrap();
    }
    assert_eq!(warehouse.done(&["read", "elsewhere/orders.parquet"]), CSV);
}

#[test]
fn nothing_can_be_read_in_the_files() {
    if !can_run() {
        return;
    }
    let warehouse = Warehouse::with_file();
    warehouse.done(&[
        "write",
        "orders.csv",
        "all.parquet",
        "--footer-key=alias/orders",
    ]);
    let numbers = [31_415_926_i64.to_le_bytes(), 27_182_818_i64.to_le_bytes()];
    for name in [DATA, "all.parquet", MATERIAL] {
        let bytes = warehouse.read(name);
        for text in [
            &b"Lovelace"[..],
            b"example.org",
            b"email",
            &numbers[0],
            &numbers[1],
        ] {
            let found = bytes.windows(text.len()).any(|window| window == text);
            assert!(!found, "{name}: {text:?}");
        }
    }
    // The same search finds them where they are said to be in the clear.
    warehouse.done(&[
        "write",
        "orders.csv",
        "clear.parquet",
        "--footer-key=alias/orders",
        "--column-key=alias/people=email",
        "--clear=number,total,name",
    ]);
    let bytes = warehouse.read("clear.parquet");
    for (text, there) in [
        (&b"Lovelace"[..], true),
        (&numbers[0], true),
        (b"example.org", false),
    ] {
        let found = bytes.windows(text.len()).any(|window| window == text);
        assert_eq!(found, there, "{text:?}");
    }
}

#[test]
fn pyarrow_raises_its_own_exception() {
    if !can_run() {
        return;
    }
    let warehouse = Warehouse::with_file();
    warehouse.kmsbox(&["disable", "alias/people"]);
    let program = "\
import sys, pyarrow, kmsbox
from kmsbox_parquet import ParquetKeys
client = kmsbox.Client(keystore='keystore', root_key='file:root.key', permissions=['Decrypt'])
try:
    ParquetKeys(client, 'orders').read('orders.parquet')
except pyarrow.ArrowException as error:
    print(type(error).__name__, isinstance(error.__cause__, kmsbox.DisabledError))
";
    let output = run_ok(warehouse.python().args(["-c", program]));
    assert_eq!(output.stdout, "KeyRefused True\n");
}

#[test]
fn wrong_and_disabled_cmks_are_refused() {
    if !can_run() {
        return;
    }
    let warehouse = Warehouse::with_file();
    let read = ["read", DATA];
    warehouse.kmsbox(&["disable", "alias/people"]);
    warehouse.refused(
        &read,
        &["KeyRefused", &warehouse.people, "KMS_ERR_DISABLED"],
    );
    // What is under the other CMK is still to be had.
    warehouse.done(&["read", DATA, "--columns", "number"]);
    warehouse.kmsbox(&["enable", "alias/people"]);
    warehouse.done(&read);

    let output = warehouse.run_on("people", &read);
    refused(&output, &["KeyRefused", "KMS_ERR_CIPHERTEXT_INVALID"]);
    let only = ["read", DATA, "--only", "alias/orders"];
    warehouse.refused(&only, &["KeyRefused", "KMS_ERR_NO_PERMISSION"]);

    // The key material says another CMK than the blob.
    let written = String::from_utf8(warehouse.read(MATERIAL)).unwrap();
    let swapped = written.replace(&warehouse.people, &warehouse.orders);
    assert_ne!(written, swapped);
    fs::write(warehouse.path().join(MATERIAL), swapped).unwrap();
    warehouse.refused(&read, &["KeyRefused", "KMS_ERR_KEY_MISMATCH"]);
    let altered = written.replace("kmsbox1:", "kmsbox2:");
    fs::write(warehouse.path().join(MATERIAL), altered).unwrap();
    warehouse.refused(&read, &["KeyRefused", "not one of kmsbox"]);
    fs::write(warehouse.path().join(MATERIAL), &written).unwrap();
    assert_eq!(warehouse.done(&read), CSV);

    // Another keystore has no such CMK.
    let other = Warehouse::new();
    for name in [DATA, MATERIAL] {
        fs::copy(warehouse.path().join(name), other.path().join(name)).unwrap();
    }
    other.refused(&read, &["KeyRefused", "KMS_ERR_KEY_NOT_FOUND"]);
}

#[test]
fn a_rotation_wraps_the_keys_anew_and_leaves_the_data() {
    if !can_run() {
        return;
    }
    let warehouse = Warehouse::with_file();
    let data = warehouse.read(DATA);
    let before = warehouse.keys();
    warehouse.kmsbox(&["rotate", "alias/orders"]);
    // The old version still opens what it has wrapped.
    assert_eq!(warehouse.done(&["read", DATA]), CSV);
    assert_eq!(warehouse.keys(), before);

    warehouse.done(&["rotate", DATA]);
    let after = warehouse.keys();
    let changed: Vec<_> = before
        .iter()
        .zip(&after)
        .filter(|(old, new)| old != new)
        .collect();
    assert_eq!(changed.len(), 3, "the footer and two columns: {after:?}");
    for (old, new) in changed {
        assert_eq!((&old.1, &new.1), (&warehouse.orders, &warehouse.orders));
        assert_ne!(old.2, new.2);
    }
    assert_eq!(warehouse.read(DATA), data, "the data was written anew");
    assert_eq!(warehouse.done(&["read", DATA]), CSV);

    // An alias that has moved takes the keys with it, and the old CMK is no longer needed.
    let new = warehouse.kmsbox(&["create-key"]);
    warehouse.kmsbox(&["alias", "set", "alias/people", &new, "--yes"]);
    warehouse.done(&["rotate", DATA]);
    warehouse.kmsbox(&["disable", &warehouse.people]);
    assert_eq!(
        warehouse.keys().iter().filter(|key| key.1 == new).count(),
        2
    );
    assert_eq!(warehouse.done(&["read", DATA]), CSV);
    assert_eq!(warehouse.read(DATA), data);
}

#[test]
fn a_rotation_that_fails_or_is_interrupted_loses_nothing() {
    if !can_run() {
        return;
    }
    let warehouse = Warehouse::with_file();
    let material = warehouse.read(MATERIAL);
    let before = warehouse.keys();
    warehouse.kmsbox(&["rotate", "alias/orders"]);
    warehouse.kmsbox(&["disable", "alias/people"]);
    warehouse.refused(&["rotate", DATA], &["KeyRefused", "KMS_ERR_DISABLED"]);
    assert_eq!(warehouse.read(MATERIAL), material);
    warehouse.kmsbox(&["enable", "alias/people"]);
    assert_eq!(warehouse.done(&["read", DATA]), CSV);

    // As it is left by a process that ends between pyarrow's taking away and renaming.
    let aside = warehouse.path().join(format!("{MATERIAL}.before"));
    let half_made = warehouse.path().join(format!("_TMP{MATERIAL}"));
    fs::rename(warehouse.path().join(MATERIAL), &aside).unwrap();
    fs::write(&half_made, "{\"footerKey\": ").unwrap();
    assert_eq!(warehouse.run(&["read", DATA]).status.code(), Some(1));
    warehouse.done(&["rotate", DATA]);
    assert!(!aside.exists() && !half_made.exists());
    let after = warehouse.keys();
    let same = before.iter().zip(&after).filter(|(old, new)| old == new);
    assert_eq!(same.count(), 2, "those under the CMK that was not rotated");
    assert_eq!(warehouse.done(&["read", DATA]), CSV);

    // As it is left where it ends just before the old ones are thrown away. They must not come back.
    let new = warehouse.kmsbox(&["create-key"]);
    warehouse.kmsbox(&["alias", "set", "alias/people", &new, "--yes"]);
    warehouse.done(&["rotate", DATA]);
    fs::write(&aside, &material).unwrap();
    warehouse.kmsbox(&["disable", &warehouse.people]);
    warehouse.done(&["rotate", DATA]);
    assert!(!aside.exists());
    assert_eq!(warehouse.done(&["read", DATA]), CSV);
}

#[test]
fn nothing_is_written_by_mistake() {
    if !can_run() {
        return;
    }
    let warehouse = Warehouse::with_file();
    let (data, material) = (warehouse.read(DATA), warehouse.read(MATERIAL));
    let write = ["write", "orders.csv", DATA, "--footer-key=alias/orders"];
    warehouse.refused(&write, &["is there already"]);
    // Nor where only the wrapped keys are left of a file that was moved away.
    fs::rename(warehouse.path().join(DATA), warehouse.path().join("moved")).unwrap();
    warehouse.refused(&write, &["is there already"]);
    assert_eq!(warehouse.read(MATERIAL), material);
    assert_eq!(warehouse.read("moved"), data);

    let writing = warehouse.path().join(".new.parquet.writing");
    fs::write(&writing, "").unwrap();
    let new = [
        "write",
        "orders.csv",
        "new.parquet",
        "--footer-key=alias/orders",
    ];
    warehouse.refused(&new, &["is being written"]);
    fs::remove_file(&writing).unwrap();

    let new = ["write", "orders.csv", "new.parquet"];
    for (arguments, words) in [
        (&["--footer-key=alias/none"][..], "KMS_ERR_ALIAS_NOT_FOUND"),
        (
            &[
                "--footer-key=alias/orders",
                "--column-key=alias/people=name",
            ],
            "number would be in the clear",
        ),
        (
            &["--footer-key=alias/orders", "--column-key=alias/people=age"],
            "there is no column age",
        ),
        (
            &["--footer-key=alias/orders", "--column-key=alias/people"],
            "is not KEY=COLUMN",
        ),
        (
            &["--footer-key=alias/orders", "--clear=name"],
            "need keys for the other columns",
        ),
    ] {
        warehouse.refused(&[&new[..], arguments].concat(), &[words]);
    }
    let left: Vec<_> = fs::read_dir(warehouse.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("new.parquet"))
        .collect();
    assert_eq!(left, <[String; 0]>::default());
}
