//! What does not belong to a database, or may not be used, is refused with RocksDB's own status, and
//! nothing is left in the database by it.

use std::fs;

use crate::shop::*;
use crate::support::run;

const USAGE: i32 = 2;

/// As it was: it opens, and every key in it can be moved.
#[track_caller]
fn assert_unharmed(shop: &Shop, entries: usize) {
    shop.rewrapped("db");
    shop.assert_entries("db", entries);
}

#[test]
fn another_cmk_is_refused() {
    if !all_there() {
        return;
    }
    let shop = Shop::new();
    shop.fill(100);
    let other = shop.client.create_key();
    for words in [
        &["db", "scan"][..],
        &["db", "put", "x", "y"],
        &["db", "rewrap"],
    ] {
        let output = run(&mut shop.example(&[&["--cmk", &other], words].concat()));
        let cmk = &shop.cmk;
        let says = format!("is under the CMK {cmk}, which is not one of this database's");
        assert_refused(&output, &says);
        let stderr = &output.stderr;
        assert!(stderr.starts_with("rocksdb_example: Invalid argument: db/"));
    }
    // Named besides, it may be read.
    let both = ["--cmk", &other, "--cmk", &shop.cmk, "db", "get", "entry-7"];
    let output = run(&mut shop.example(&both));
    assert_eq!(output.stdout, "value of entry-7\n", "{output:?}");
}

#[test]
fn a_disabled_cmk_is_refused() {
    if !all_there() {
        return;
    }
    let shop = Shop::new();
    shop.fill(100);
    let cmk = &shop.cmk;
    shop.client.done(&format!("Action=DisableKey&KeyId={cmk}"));
    let says = "rocksdb_example: IO error: db/CURRENT: KMS_ERR_DISABLED";
    shop.refused(&["db", "scan"], says);
    shop.refused(&["db", "put", "x", "y"], says);
    shop.refused(&["db", "rewrap"], "KMS_ERR_DISABLED");
    let new = "rocksdb_example: IO error: new/LOG: KMS_ERR_DISABLED";
    shop.refused(&["new", "put", "x", "y"], new);
    shop.client.done(&format!("Action=EnableKey&KeyId={cmk}"));
    assert_unharmed(&shop, 100);

    shop.client.done(&format!(
        "Action=ScheduleKeyDeletion&KeyId={cmk}&PendingWindowInDays=7"
    ));
    shop.refused(
        &["db", "scan"],
        "IO error: db/CURRENT: KMS_ERR_PENDING_DELETION",
    );
    shop.client
        .done(&format!("Action=CancelKeyDeletion&KeyId={cmk}"));
    assert_unharmed(&shop, 100);
}

#[test]
fn another_keystore_is_refused() {
    if !all_there() {
        return;
    }
    let (shop, elsewhere) = (Shop::new(), Shop::new());
    shop.fill(100);
    let keystore = elsewhere.place.keystore();
    let scan = |cmk: &str| {
        let mut command = shop.example(&["--cmk", cmk, "db", "scan"]);
        run(command.env("KMSBOX_KEYSTORE", &keystore))
    };
    assert_refused(&scan(&shop.cmk), "KMS_ERR_KEY_NOT_FOUND");
    assert_refused(&scan(&elsewhere.cmk), "Invalid argument: db/CURRENT");
    let mut command = shop.example(&["--cmk", &shop.cmk, "db", "scan"]);
    command.env_remove("KMSBOX_KEYSTORE");
    assert_refused(&run(&mut command), "KMS_ERR_MISSING_PARAMETER");
    assert_unharmed(&shop, 100);
}

#[test]
fn another_database_s_name_and_files_are_refused() {
    if !all_there() {
        return;
    }
    let shop = Shop::new();
    shop.fill(20_000);
    let says = "Corruption: db/CURRENT: KMS_ERR_CIPHERTEXT_INVALID";
    shop.refused(&["--database", "another", "db", "scan"], says);
    assert_unharmed(&shop, 20_000);

    // A file of another database under the same CMK, in the place of one of ours.
    let another = ["--database", "another", "db2", "fill", "20000"];
    shop.done(&another);
    let (ours, theirs) = (shop.files("db"), shop.files("db2"));
    let is_table = |file: &&File| file.path.ends_with(".sst");
    let (table, wrong) = (
        ours.iter().find(is_table).unwrap(),
        theirs.iter().find(is_table).unwrap(),
    );
    fs::write(shop.place.at("db").join(&table.path), &wrong.bytes).unwrap();
    let says = format!("db/{}: KMS_ERR_CIPHERTEXT_INVALID", table.path);
    shop.refused(&["db", "scan"], &says);
    shop.refused(&["db", "rewrap"], &says);
    fs::write(shop.place.at("db").join(&table.path), &table.bytes).unwrap();
    assert_unharmed(&shop, 20_000);
}

#[test]
fn a_file_that_lost_its_prefix_is_corruption() {
    if !all_there() {
        return;
    }
    let shop = Shop::new();
    shop.fill(20_000);
    let files = shop.files("db");
    for kind in ["CURRENT", "MANIFEST-", ".sst", ".log"] {
        let file = files
            .iter()
            .rfind(|file| file.path.contains(kind))
            .unwrap_or_else(|| panic!("no {kind} in {files:?}"));
        let path = shop.place.at("db").join(&file.path);
        let says = format!("Corruption: db/{}: has no prefix", file.path);
        let mut damaged = file.bytes.clone();
        for slot in 0..2 {
            damaged[slot * SLOT_LEN + 300] ^= 1;
        }
        fs::write(&path, damaged).unwrap();
        shop.refused(&["db", "scan"], &says);
        shop.refused(&["db", "rewrap"], &says);
        let status = run(&mut shop.example(&["db", "status"]));
        assert!(!status.status.success() && status.stderr.contains(&says));
        // Cut off in its prefix it counts as empty, which only a WAL may be.
        for len in [1, 100, SLOT_LEN, PREFIX_LEN - 1] {
            fs::write(&path, &file.bytes[..len]).unwrap();
            if kind != ".log" {
                shop.refused(&["db", "scan"], "rocksdb_example: Corruption: ");
            }
            shop.done(&["db", "rewrap"]);
        }
        fs::write(&path, &file.bytes).unwrap();
    }
    assert_unharmed(&shop, 20_000);

    // In the clear, as by a program that forgot the encryption.
    fs::write(shop.place.at("db/notes"), [b'a'; 10_000]).unwrap();
    let before = shop.files("db");
    shop.refused(&["db", "rewrap"], "Corruption: db/notes: has no prefix");
    for (old, new) in before.iter().zip(shop.files("db")) {
        assert_eq!(old.bytes, new.bytes, "{} was written to", old.path);
    }
}

/// As a crash leaves it. Whoever could cut it there could as well cut it to nothing.
#[test]
fn a_wal_that_ends_in_its_prefix_is_empty() {
    if !all_there() {
        return;
    }
    for len in [0, 1, SLOT_LEN, PREFIX_LEN - 1] {
        let shop = Shop::new();
        shop.fill(20_000);
        let files = shop.files("db");
        let log = files.iter().rfind(|file| file.path.ends_with(".log"));
        let log = log.expect("there is a WAL");
        assert!(!log.data().is_empty());
        fs::write(shop.place.at("db").join(&log.path), &log.bytes[..len]).unwrap();
        let scan = shop.done(&["db", "scan"]);
        let count: usize = scan.trim_end_matches(" entries\n").parse().unwrap();
        assert!((1..20_000).contains(&count), "{count}");
    }
}

#[test]
fn a_command_that_is_none_is_refused() {
    if !all_there() {
        return;
    }
    let shop = Shop::new();
    for words in [
        &[][..],
        &["db"],
        &["db", "scan", "x"],
        &["db", "put", "x"],
        &["db", "drop"],
        &["--cmk"],
    ] {
        let output = shop.run(words);
        assert_eq!(output.status.code(), Some(USAGE), "{words:?}: {output:?}");
        assert!(output.stderr.starts_with("usage: "));
    }
    let without_cmk = run(&mut shop.example(&["db", "scan"]));
    assert_eq!(without_cmk.status.code(), Some(USAGE));
    let no_alias = run(&mut shop.example(&["--cmk", "alias/none", "db", "scan"]));
    assert_refused(&no_alias, "KMS_ERR_ALIAS_NOT_FOUND");
    shop.refused(&["none", "rewrap"], "IO error: No such file or directory");
    shop.refused(&["none", "status"], "IO error: none");
    let missing = "does not exist (create_if_missing is false)";
    for words in [&["none", "scan"][..], &["none", "get", "x"]] {
        shop.refused(words, missing);
        assert!(!shop.place.at("none/CURRENT").exists());
        fs::remove_dir_all(shop.place.at("none")).unwrap();
    }
    for count in ["", "x", "1x", "-1", "99999999999"] {
        shop.refused(&["db", "fill", count], "is not a count");
    }
    let status = "\"$0\" db status > /dev/full";
    shop.done(&["db", "put", "x", "y"]);
    let mut full = shop.in_place(std::process::Command::new("sh"));
    full.args(["-c", status])
        .arg(program(Program::Example).get_program());
    assert_refused(&run(&mut full), "standard output cannot be written");
    assert!(!shop.place.at("none").exists());
}
