//! Key memory as the system sees it: bounded, locked, left out of dumps, and empty of secrets when a
//! client has gone.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/material.rs"]
mod material;
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

use aes::Aes256Enc;
use aes_gcm::AesGcm;
use aes_gcm::aead::consts::U12;
use aes_gcm::aead::{Aead, KeyInit};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kmsbox::blob;
use kmsbox::context::Context;
use kmsbox::kms::{Kms, NewKey};
use kmsbox::options::Options;
use kmsbox::request_id::Call;
use material::{Hit, Secret};
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

/// One process through the life of a client, looked into from outside after each step.
#[test]
fn secrets_lie_in_the_arena_alone_and_are_gone_with_the_client() {
    let scratch = scratch_dir();
    let keystore = scratch.path().join("keystore");
    let mut worker = Worker::open(&keystore, &["create=true"]);
    let key_id = worker.create_key();
    let mut data_keys = vec![worker.generate(&key_id).data_key()];
    worker
        .call(&format!("Action=CreateKeyVersion&KeyId={key_id}"))
        .ok();
    data_keys.push(worker.generate(&key_id).data_key());
    for data_key in &data_keys {
        assert_eq!(worker.decrypt(&data_key.blob).ok().result, data_key.key);
    }
    let documents = use_documents(&mut worker, &key_id);

    // What is over already: opening with the root key, and calls whose caller wiped the data key.
    let cmks = material::of_keystore(&keystore, &ROOT_KEY);
    let [_store_key, first, second] = &cmks[..] else {
        panic!("not one CMK of two versions");
    };
    let mut over = vec![Secret::new("the root key", ROOT_KEY)];
    for ((data_key, version), number) in data_keys.iter().zip([first, second]).zip(1..) {
        let (key, blob) = (bytes(&data_key.key), bytes(&data_key.blob));
        let message_key = material::message_key(&version.bytes, &blob);
        let opened = AesGcm::<Aes256Enc, U12>::new_from_slice(&message_key)
            .unwrap()
            .encrypt(blob[50..62].try_into().unwrap(), &key[..]);
        assert_eq!(opened.unwrap()[..32], blob[62..94], "another message key");
        over.push(Secret::new(format!("message key {number}"), message_key));
        over.push(Secret::new(format!("data key {number}"), key));
    }
    for (key, number) in documents.iter().zip(1..) {
        let name = format!("data key {number} of a document");
        over.push(Secret::new(format!("{name} in base64"), key.as_bytes()));
        over.push(Secret::new(name, STANDARD.decode(key).unwrap()));
    }

    // The CMKs' own keys are in the arena as long as the client is there. (A worker that answers has
    // freed the document of the call before.)
    let locked = worker.describe()["KeyMemory"]["Locked"] == true;
    let memory = material::memory_of(worker.id());
    let (in_arena, elsewhere): (Vec<_>, Vec<_>) = material::find(&cmks, &memory)
        .into_iter()
        .partition(|hit| hit.region.has("dd") && hit.region.has("lo") == locked);
    for secret in &cmks {
        let mut hits = in_arena.iter();
        let seen = hits.any(|hit| hit.secret.name == secret.name);
        assert!(seen, "this test must see {}", secret.name);
    }
    let left_over = material::find(&over, &memory);
    assert_none("with the client open", elsewhere.iter().chain(&left_over));

    worker.free();
    let memory = material::memory_of(worker.id());
    let all: Vec<_> = cmks.into_iter().chain(over).collect();
    let hits = material::find(&all, &memory);
    assert_none("with the client freed", &hits);
}

/// Data keys through documents, whose callers free them and keep no copy: as base64.
fn use_documents(worker: &mut Worker, key_id: &str) -> Vec<String> {
    let context = "EncryptionContext=%7B%22table%22%3A%22orders%22%7D";
    ["JSON", "XML"]
        .into_iter()
        .map(|format| {
            let generate = "Action=GenerateDataKey&KeySpec=AES_256";
            let made = worker.call(&format!(
                "{generate}&KeyId={key_id}&{context}&Format={format}"
            ));
            let made = made.ok().result;
            let key = field(&made, "Plaintext");
            let blob = field(&made, "CiphertextBlob")
                .replace('+', "%2B")
                .replace('/', "%2F")
                .replace('=', "%3D");
            let decrypt = format!("Action=Decrypt&CiphertextBlob={blob}&{context}&Format={format}");
            let opened = worker.call(&decrypt).ok().result;
            assert_eq!(field(&opened, "Plaintext"), key);
            key
        })
        .collect()
}

/// A field of a document, whether that is JSON or XML.
fn field(document: &str, name: &str) -> String {
    if let Ok(Value::Object(fields)) = serde_json::from_str(document) {
        return fields[name].as_str().unwrap().to_owned();
    }
    let (_, rest) = document.split_once(&format!("<{name}>")).unwrap();
    let (value, _) = rest.split_once(&format!("</{name}>")).unwrap();
    value.to_owned()
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

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}

fn assert_none<'a>(when: &str, hits: impl IntoIterator<Item = &'a Hit<'a>>) {
    let lines: Vec<_> = hits.into_iter().map(ToString::to_string).collect();
    assert!(lines.is_empty(), "{when}:\n{}", lines.join("\n"));
}
