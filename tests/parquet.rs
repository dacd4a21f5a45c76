//! The Parquet example with pyarrow as it comes: files written by one process and read by another,
//! nothing readable in them, wrong CMKs refused by pyarrow's own exception, and keys wrapped anew
//! without a byte of the data changed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;
#[path = "parquet/warehouse.rs"]
mod warehouse;

use std::fs;

use support::{contains, run_ok};
use warehouse::{CSV, DATA, MATERIAL, Warehouse, can_run, refused};

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
            assert!(!contains(&bytes, text), "{name}: {text:?}");
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
        assert_eq!(contains(&bytes, text), there, "{text:?}");
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
fn nobody_chooses_the_cmk_of_a_rotation_by_writing_key_material() {
    if !can_run() {
        return;
    }
    let warehouse = Warehouse::with_file();
    let written = String::from_utf8(warehouse.read(MATERIAL)).unwrap();
    let renamed = written.replace("alias/people", "alias/orders");
    assert_ne!(written, renamed);
    fs::write(warehouse.path().join(MATERIAL), &renamed).unwrap();
    warehouse.refused(
        &["rotate", DATA],
        &["KeyRefused", "KMS_ERR_CIPHERTEXT_INVALID"],
    );
    assert_eq!(warehouse.read(MATERIAL), renamed.as_bytes());
    fs::write(warehouse.path().join(MATERIAL), &written).unwrap();
    warehouse.done(&["rotate", DATA]);
}

#[test]
fn a_file_that_is_not_encrypted_is_not_read_in_place_of_one_that_is() {
    if !can_run() {
        return;
    }
    let warehouse = Warehouse::with_file();
    let program = "\
import pyarrow, pyarrow.parquet
pyarrow.parquet.write_table(pyarrow.table({'number': [666]}), 'orders.parquet')
assert pyarrow.parquet.read_table('orders.parquet').num_rows == 1
";
    run_ok(warehouse.python().args(["-c", program]));
    let words = ["ArrowInvalid", DATA, "encrypted footer"];
    warehouse.refused(&["read", DATA], &words);
    fs::write(warehouse.path().join(DATA), "").unwrap();
    warehouse.refused(&["read", DATA], &words);
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

    // What is in place may be key material in form alone: the one aside is not thrown away for it.
    for worthless in [
        "",
        "{}",
        "[]",
        "{\"footerKey\": 1}",
        "{\"footerKey\": \"{}\"}",
    ] {
        fs::rename(warehouse.path().join(MATERIAL), &aside).unwrap();
        fs::write(warehouse.path().join(MATERIAL), worthless).unwrap();
        warehouse.done(&["rotate", DATA]);
        assert_eq!(warehouse.done(&["read", DATA]), CSV, "{worthless}");
    }

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
fn a_file_that_has_its_name_keeps_its_keys_however_the_writing_ends() {
    if !can_run() {
        return;
    }
    let warehouse = Warehouse::new();
    let program = "\
import os, pyarrow.csv, kmsbox
from kmsbox_parquet import ParquetKeys
rename = os.replace
def interrupted(old, new):
    rename(old, new)
    raise KeyboardInterrupt
os.replace = interrupted
client = kmsbox.Client(keystore='keystore', root_key='file:root.key')
try:
    table = pyarrow.csv.read_csv('orders.csv')
    ParquetKeys(client, 'orders').write(table, 'orders.parquet', footer_key='alias/orders')
except KeyboardInterrupt:
    print('interrupted')
";
    let output = run_ok(warehouse.python().args(["-c", program]));
    assert_eq!(output.stdout, "interrupted\n");
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
    // Names that pyarrow would take for those of other columns, which are said to be in the clear.
    for (header, keyed, clear) in [
        ("\"name \",name", "name ", "name"),
        ("a;b,name", "a;b", "name"),
        ("a:b,name", "a:b", "name"),
    ] {
        fs::write(warehouse.path().join("odd.csv"), format!("{header}\nx,y\n")).unwrap();
        let keyed = format!("--column-key=alias/people={keyed}");
        let clear = format!("--clear={clear}");
        let odd = ["write", "odd.csv", "new.parquet"];
        let given = ["--footer-key=alias/orders", &keyed, &clear];
        warehouse.refused(
            &[&odd[..], &given].concat(),
            &["has a name that pyarrow cannot give a key to"],
        );
    }
    let left: Vec<_> = fs::read_dir(warehouse.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("new.parquet"))
        .collect();
    assert_eq!(left, <[String; 0]>::default());
}
