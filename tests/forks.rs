//! Forks: of a process with threads at work, with a client freed on one side, with keystores in memory.
//! What forks is tests/c/forks.c, since the test harness has threads of its own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/material.rs"]
mod material;
mod support;

use std::collections::HashSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Instant;

use support::{Link, compile, root, run_ok, scratch_dir};

/// As in tests/c/forks.c.
const ROOT_KEY: [u8; 32] = *b"\x91 root key of the tests alone\x07\xfe\x13";

#[test]
fn threads_work_while_others_fork() {
    let scratch = scratch_dir();
    let records = scratch.path().join("records");
    let began = Instant::now();
    let output = run_ok(
        forks("crowd")
            .arg(scratch.path().join("keystore"))
            .arg(&records),
    );
    let took = began.elapsed();

    let records = fs::read(records).unwrap();
    let (records, torn) = records.as_chunks::<RECORD>();
    assert!(torn.is_empty());
    let mut calls = Unique::new("request id");
    let mut keys = Unique::new("data key");
    let mut nonces = Unique::new("nonce");
    for record in records {
        let (request_id, made) = record.split_at(36);
        calls.insert(request_id);
        if made[0] == 1 {
            keys.insert(&made[1..33]);
            nonces.insert(&made[33..57]);
        }
    }
    println!(
        "{} calls, {} data keys in {took:.1?}; {}",
        calls.seen.len(),
        keys.seen.len(),
        output.stdout.trim()
    );
    // 220 children and grandchildren, with 16 calls each, and the threads.
    assert!(calls.seen.len() > 2 * 220 * 16, "the threads did not work");
    assert!(keys.seen.len() > 220 * 4);
}

#[test]
fn one_side_frees_its_client_and_the_other_goes_on() {
    let scratch = scratch_dir();
    run_ok(forks("partings").arg(scratch.path().join("keystore")));
}

#[test]
fn keystores_in_memory_go_separate_ways() {
    run_ok(&mut forks("memory"));
}

/// At the moment of the fork other threads are reading keys, and in the child they never come to an end.
/// (Their stacks are not looked at: a fork copies them as they are.)
#[test]
fn a_child_that_frees_its_client_keeps_no_key_in_locked_memory() {
    let scratch = scratch_dir();
    let keystore = scratch.path().join("keystore");
    let mut parent = forks("orphans")
        .arg(&keystore)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut go_on = parent.stdin.take().unwrap();
    let children = BufReader::new(parent.stdout.take().unwrap()).lines();
    let mut found = Vec::new();
    let mut count = 0;
    for child in children {
        let memory = material::memory_of(child.unwrap().parse().unwrap());
        let secrets = material::of_keystore(&keystore, &ROOT_KEY);
        let hits = material::find(&secrets, &memory);
        let in_arena = hits.iter().filter(|hit| hit.region.has("dd"));
        found.extend(in_arena.map(|hit| format!("child {count}: {hit}")));
        go_on.write_all(b"\n").unwrap();
        count += 1;
    }
    assert!(parent.wait().unwrap().success());
    assert_eq!(count, 10);
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// `struct record` of tests/c/forks.c.
const RECORD: usize = 36 + 1 + 32 + 24;

struct Unique<'a> {
    what: &'static str,
    seen: HashSet<&'a [u8]>,
}

impl<'a> Unique<'a> {
    fn new(what: &'static str) -> Self {
        Unique {
            what,
            seen: HashSet::new(),
        }
    }

    fn insert(&mut self, value: &'a [u8]) {
        let text = String::from_utf8_lossy(value);
        assert!(self.seen.insert(value), "{} {text} twice", self.what);
    }
}

/// The program in one of its parts.
fn forks(part: &str) -> Command {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    let program = PROGRAM.get_or_init(|| {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("forks");
        // Another run of the tests may be using the one that is there.
        let fresh = path.with_extension(std::process::id().to_string());
        let source = root().join("tests/c/forks.c");
        compile(&source, &fresh, Link::Shared, &["-pthread"]);
        fs::rename(&fresh, &path).unwrap();
        path
    });
    let mut command = Command::new(program);
    command.arg(part);
    command
}
