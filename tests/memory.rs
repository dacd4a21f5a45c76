//! Key memory as the system sees it: bounded, locked, and left out of dumps.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;
#[path = "support/worker.rs"]
mod worker;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use kmsbox::blob;
use kmsbox::context::Context;
use kmsbox::kms::{Kms, NewKey};
use kmsbox::options::Options;
use kmsbox::request_id::Call;
use serde_json::Value;
use support::scratch_dir;
use worker::{ROOT_KEY, Worker};

#[test]
fn two_hundred_cmks_share_sixty_four_slots() {
    const CMKS: usize = 200;
    const THREADS: usize = 8;
    const ROUNDS: usize = 4000;
    const MAX: u64 = 16384;
    let scratch = scratch_dir();
    let mut options = Options::default();
    let keystore = scratch.path().join("keystore");
    options.set("keystore", keystore.to_str().unwrap()).unwrap();
    options.set("create", "true").unwrap();
    options.set("locked_memory_max", &MAX.to_string()).unwrap();
    options.set_root_key(&ROOT_KEY).unwrap();
    let kms = Kms::open(&options).unwrap();
    let context = Context::parse(r#"{"table":"orders"}"#).unwrap();

    let generate = |key_id: &str| {
        let (mut key, mut wrapped) = ([0; 32], [0; 142]);
        kms.generate_data_key(&Call::default(), key_id, &context, &mut key, &mut wrapped)
            .unwrap();
        (key, wrapped)
    };
    let decrypt = |wrapped: &[u8]| {
        let mut key = [0; 32];
        let parsed = blob::parse(wrapped).unwrap();
        kms.decrypt(&Call::default(), None, &parsed, &context, &mut key)
            .unwrap();
        key
    };
    let made: Vec<_> = (0..CMKS)
        .map(|_| {
            let key = kms
                .create_key(&Call::default(), &NewKey::default())
                .unwrap();
            let key_id = key.key_id.to_string();
            let (key, wrapped) = generate(&key_id);
            (key_id, key, wrapped)
        })
        .collect();
    assert_eq!(key_memory(&kms)["Max"], MAX);
    // Some slots are kept free for a new store key.
    let used = key_memory(&kms)["Used"].as_u64().unwrap();
    assert!(
        (MAX / 2..=MAX).contains(&used),
        "{used}: more CMKs than slots"
    );

    let running = AtomicUsize::new(THREADS);
    let exceeded = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for number in random_numbers(ROUNDS) {
                    let (key_id, key, wrapped) = &made[number % CMKS];
                    assert_eq!(decrypt(wrapped), *key);
                    if number % 5 == 0 {
                        let (key, wrapped) = generate(key_id);
                        assert_eq!(decrypt(&wrapped), key);
                    }
                }
                running.fetch_sub(1, Ordering::Release);
            });
        }
        scope.spawn(|| {
            while running.load(Ordering::Acquire) > 0 {
                let memory = key_memory(&kms);
                let within = memory["Used"].as_u64().unwrap() <= MAX
                    && memory["Mapped"].as_u64().unwrap() <= MAX;
                exceeded.fetch_or(!within, Ordering::Relaxed);
                thread::yield_now();
            }
        });
    });
    assert!(!exceeded.load(Ordering::Relaxed));
    for (_, key, wrapped) in &made {
        assert_eq!(decrypt(wrapped), *key);
    }
}

#[test]
fn where_no_memory_may_be_locked_it_says_so_and_works() {
    const NOBODY: u32 = 65534;
    let (scratch, program) = worker::program_for_others();
    let start = |limit: &str| {
        let mut command = Command::new("sh");
        command
            .args(["-c", "ulimit -l \"$1\" && exec \"$2\"", "sh", limit])
            .arg(&program);
        // Root may lock all the same, so root becomes another user.
        if scratch.path().metadata().unwrap().uid() == 0 {
            command.uid(NOBODY).gid(NOBODY);
        }
        Worker::start_by(&mut command)
    };
    let use_it = |mut worker: Worker| {
        worker.ask_open(Path::new("memory:"), &[]).ok();
        let key_id = worker.create_key();
        let data_key = worker.generate(&key_id).data_key();
        let opened = worker.decrypt(&data_key.blob).ok();
        assert_eq!(opened.result, data_key.key);
        let process = worker.id();
        (worker.describe()["KeyMemory"].clone(), locked_kib(process))
    };

    let (refused, locked) = use_it(start("0"));
    assert_eq!(refused["Locked"], false);
    assert_eq!(refused["Undumped"], true);
    assert_eq!(locked, 0);
    let (granted, locked) = use_it(start("64"));
    assert_eq!(granted["Locked"], true);
    assert!(locked >= 16, "{locked} KiB");
}

fn key_memory(kms: &Kms) -> Value {
    let description = kms.describe().unwrap();
    let mut description: Value = serde_json::from_slice(description.as_bytes()).unwrap();
    description["KeyMemory"].take()
}

/// What the system has locked for a process.
fn locked_kib(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmLck:"));
    let number = line.unwrap().split_whitespace().nth(1);
    number.unwrap().parse().unwrap()
}

fn random_numbers(count: usize) -> Vec<usize> {
    let mut bytes = vec![0; 4 * count];
    kmsbox::random::fill(&mut bytes).unwrap();
    let (numbers, _) = bytes.as_chunks::<4>();
    (numbers.iter())
        .map(|number| usize::try_from(u32::from_le_bytes(*number)).unwrap())
        .collect()
}
