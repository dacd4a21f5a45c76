//! c_examples/rocksdb on the RocksDB that the system has: a database comes back after a restart with
//! nothing readable on the disk, what does not belong is refused with RocksDB's own status, and keys
//! are wrapped anew without a byte of the data changing, whatever moment it is interrupted at.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(unsafe_code, reason = "calls the C functions")]

#[path = "support/client.rs"]
mod client;
#[path = "rocksdb/interrupted.rs"]
mod interrupted;
#[path = "rocksdb/refused.rs"]
mod refused;
#[path = "rocksdb/rewrap.rs"]
mod rewrap;
#[path = "rocksdb/shop.rs"]
mod shop;
mod support;

use std::collections::BTreeSet;
use std::fs;

use shop::*;
use support::{STRICT, compiler_for, contains, root, run, run_ok, scratch_dir};

/// Enough for several SST files of a memtable of 256 KiB.
const MANY: usize = 20_000;

#[test]
fn entries_come_back_after_a_restart() {
    if !all_there() {
        return;
    }
    let shop = Shop::new();
    shop.fill(MANY);
    shop.done(&["db", "put", "a name", "a value"]);
    assert_eq!(shop.done(&["db", "get", "a name"]), "a value\n");
    let last = format!("entry-{}", MANY - 1);
    assert_eq!(
        shop.done(&["db", "get", &last]),
        format!("value of {last}\n")
    );
    shop.assert_entries("db", MANY + 1);
    shop.done(&["db", "put", "a name", "another"]);
    assert_eq!(shop.done(&["db", "get", "a name"]), "another\n");
    shop.refused(&["db", "get", "no name"], "NotFound: ");
}

#[test]
fn nothing_on_the_disk_is_readable() {
    if !all_there() {
        return;
    }
    let shop = Shop::new();
    shop.fill(MANY);
    shop.done(&["db", "put", "entry-in-the-wal", "value of the WAL"]);
    let files = shop.files("db");
    for kind in [
        ".sst",
        ".log",
        "MANIFEST-",
        "CURRENT",
        "OPTIONS-",
        "IDENTITY",
        "LOG",
    ] {
        assert!(
            files.iter().any(|file| file.path.contains(kind)),
            "no {kind} among {files:?}"
        );
    }
    assert!(shop.count("db", ".sst") >= 3, "{files:?}");
    // Names, values, and what RocksDB writes itself: the comparator, the info log.
    let plain = [
        "entry-", "value of", "leveldb", "rocksdb", "RocksDB", "MANIFEST",
    ];
    for file in &files {
        for text in plain {
            let there = contains(&file.bytes, text);
            assert!(!there, "{} has {text:?} in it", file.path);
        }
        assert_eq!(file.slot(0), file.slot(1), "{}", file.path);
    }
    let blobs: BTreeSet<_> = files.iter().map(File::blob).collect();
    assert_eq!(blobs.len(), files.len(), "each file has a key of its own");
    // That there was something to hide: the log, for one, is text.
    let log = shop.done(&["db", "log"]);
    assert!(log.contains("RocksDB version"), "{log}");
}

#[test]
fn a_checkpoint_opens_as_the_same_database() {
    if !all_there() {
        return;
    }
    let shop = Shop::new();
    shop.fill(MANY);
    shop.done(&["db", "checkpoint", "copy"]);
    shop.assert_entries("copy", MANY);
    // SST files are shared with it; a rewrap of either serves both.
    shop.rotate();
    shop.rewrapped("db");
    shop.assert_entries("copy", MANY);
    shop.rewrapped("copy");
    shop.assert_entries("copy", MANY);
    shop.assert_entries("db", MANY);
}

#[test]
fn the_cipher_stream_gives_the_known_answers() {
    if !all_there() {
        return;
    }
    assert_done(&run(program(Program::Parts).arg("stream")));
}

#[test]
fn the_piece_on_the_page_compiles() {
    if !all_there() {
        return;
    }
    let folder = root().join("c_examples/rocksdb");
    let page = fs::read_to_string(folder.join("README.md")).unwrap();
    let (_, piece) = page.split_once("```cpp\n").expect("there is a piece");
    let (piece, _) = piece.split_once("```").expect("it ends");
    let scratch = scratch_dir();
    let source = scratch.path().join("piece.cpp");
    fs::write(&source, piece).unwrap();
    let mut compiler = compiler_for(&source);
    compiler
        .args(STRICT)
        .args(["-std=c++17", "-fsyntax-only", "-I"])
        .arg(&folder)
        .arg("-I")
        .arg(root().join("include"));
    run_ok(compiler.arg(&source));
}

#[test]
fn damaged_and_forged_prefixes_are_corruption() {
    if !all_there() {
        return;
    }
    let shop = Shop::new();
    let mut parts = shop.in_place(program(Program::Parts));
    let prefix = ["prefix", "keystore", "file:root.key"];
    assert_done(&run(parts.args(prefix)));
}

/// A part of tests/rocksdb/databases.cpp.
#[track_caller]
fn assert_part(part: &str) {
    let shop = Shop::new();
    let mut databases = shop.in_place(program(Program::Databases));
    assert_done(&run(databases.args([
        part,
        "keystore",
        "file:root.key",
        "db",
    ])));
}

#[test]
fn a_database_goes_on_once_its_cmk_is_enabled_again() {
    if !all_there() {
        return;
    }
    assert_part("disabled");
}

#[test]
fn a_full_disk_ends_no_process_and_spoils_no_database() {
    if !all_there() {
        return;
    }
    assert_part("full");
}

#[test]
fn tables_from_elsewhere_are_there_after_a_restart() {
    if !all_there() {
        return;
    }
    assert_part("ingest");
}

#[test]
fn a_backup_comes_back() {
    if !all_there() {
        return;
    }
    assert_part("backup");
}

#[test]
fn files_that_are_opened_again_get_no_second_prefix() {
    if !all_there() {
        return;
    }
    assert_part("reopen");
}

#[test]
fn a_database_past_the_page_cache() {
    if !all_there() {
        return;
    }
    assert_part("direct");
}

#[test]
fn files_mapped_into_memory_are_refused_at_open() {
    if !all_there() {
        return;
    }
    assert_part("mapped");
}

#[test]
fn a_second_instance_follows() {
    if !all_there() {
        return;
    }
    assert_part("follow");
}

#[test]
fn sizes_are_those_of_the_data() {
    if !all_there() {
        return;
    }
    assert_part("sizes");
}

#[test]
fn is_clean_under_sanitizers() {
    if !all_there() {
        return;
    }
    let shop = Shop::new();
    shop.rotate();
    for words in [
        &["db", "fill", "5000"][..],
        &["db", "scan"],
        &["db", "get", "entry-0"],
        &["db", "checkpoint", "copy"],
        &["db", "rewrap"],
        &["db", "log"],
        &["db", "status"],
        &["copy", "scan"],
    ] {
        let mut command = shop.in_place(program(Program::SanitizedExample));
        run_ok(command.args(["--cmk", &shop.cmk]).args(words));
    }
    // Refusals take other ways out.
    fs::write(shop.place.at("db/CURRENT"), b"short").unwrap();
    let mut command = shop.in_place(program(Program::SanitizedExample));
    let output = run(command.args(["--cmk", &shop.cmk, "db", "scan"]));
    assert_refused(&output, "Corruption: db/CURRENT");
}
