//! One log for many writers, and renamed under them.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::again::Again;
use crate::lines;
use crate::service::{Place, open, string};

#[test]
fn ten_processes() {
    const TEST: &str = "shared::ten_processes";
    const EACH: usize = 200;
    if let Some(again) = Again::of(TEST) {
        let [keystore, log, key] = again.arguments();
        let client = open(keystore.as_ref(), &[("audit_log", &log)]);
        again.ready();
        for n in 0..EACH / 2 {
            // Lines of different lengths, long ones among them.
            let context = format!("{{\"n\":\"{}\"}}", "x".repeat(n * 80));
            let context = ("EncryptionContext", &*context);
            let made = client.done("GenerateDataKey", &[("KeyId", &key), context]);
            let blob = string(&made["CiphertextBlob"]);
            client.done("Decrypt", &[("CiphertextBlob", &blob), context]);
        }
        return;
    }
    let place = Place::new();
    let key = place.open(&[]).create_key(&[]);
    let (keystore, log) = (place.keystore(), place.at("audit.log"));
    let arguments = [keystore.to_str().unwrap(), log.to_str().unwrap(), &key];
    let mut processes: Vec<_> = (0..10).map(|_| Again::start(TEST, &arguments)).collect();
    for process in &mut processes {
        process.wait_until_ready();
    }
    for process in &mut processes {
        process.go();
    }
    let ids: HashSet<_> = processes
        .iter()
        .map(|process| u64::from(process.id()))
        .collect();
    for process in processes {
        process.end();
    }
    let mut counts: HashMap<u64, usize> = HashMap::new();
    let mut requests = HashSet::new();
    for line in lines(&log) {
        *counts.entry(line["process"].as_u64().unwrap()).or_default() += 1;
        assert_eq!(line["status"], "KMS_OK");
        assert!(
            requests.insert(string(&line["request_id"])),
            "each has an id of its own"
        );
    }
    assert_eq!(counts.keys().copied().collect::<HashSet<_>>(), ids);
    assert!(counts.values().all(|count| *count == EACH), "{counts:?}");
}

#[test]
fn renamed_while_clients_write() {
    const EACH: usize = 300;
    let place = Place::new();
    let key = place.open(&[]).create_key(&[]);
    let log = place.at("audit.log");
    let done = AtomicBool::new(false);
    let mut turned = 0;
    thread::scope(|scope| {
        let writers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let client = place.open(&[("audit_log", log.to_str().unwrap())]);
                    for _ in 0..EACH {
                        client.data_key(&key);
                    }
                })
            })
            .collect();
        scope.spawn(|| {
            for writer in writers {
                writer.join().unwrap();
            }
            done.store(true, Ordering::Relaxed);
        });
        while !done.load(Ordering::Relaxed) {
            if log.exists() {
                fs::rename(&log, place.at(&format!("audit.log.{turned}"))).unwrap();
                turned += 1;
            }
            thread::sleep(Duration::from_millis(1));
        }
    });
    assert!(turned > 1, "it was renamed in between");
    let all = (0..turned)
        .map(|n| place.at(&format!("audit.log.{n}")))
        .chain([log.clone()]);
    let mut requests = HashSet::new();
    for file in all.filter(|file| file.exists()) {
        for line in lines(&file) {
            assert!(requests.insert(string(&line["request_id"])));
        }
    }
    assert_eq!(requests.len(), 4 * EACH);
}
