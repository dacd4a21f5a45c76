//! A rotation that many find due at the same moment happens once. Processes are started here, and each
//! start may hold another's lock for a moment: a test of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/again.rs"]
mod again;
#[path = "support/service.rs"]
mod service;
mod support;

use std::sync::Barrier;
use std::thread;

use again::Again;
use service::{Place, Service, ago, open};

const INTERVAL: [(&str, &str); 2] = [
    ("EnableAutomaticRotation", "true"),
    ("RotationInterval", "7d"),
];

/// Each goes on believing that it is due until it has the lock and looks.
const STALE: (&str, &str) = ("refresh_interval_ms", "600000");

fn make_due(place: &Place, key: &str) {
    place.edit_key(key, |key| {
        key.rotation.as_mut().unwrap().next = ago(60 * 60);
    });
}

/// Exactly one version more; where the lock could not be had at once, a later wrap makes it.
fn one_version_more(service: &Service, key: &str) {
    service.data_key(key);
    let versions = service.versions(key);
    assert_eq!(versions.len(), 2);
    for _ in 0..3 {
        assert_eq!(service.data_key(key).version, versions[1]);
    }
    assert_eq!(service.versions(key), versions);
}

#[test]
fn many_threads_with_clients_of_their_own_make_one_version() {
    let place = Place::new();
    let service = place.open(&[]);
    let key = service.create_key(&INTERVAL);
    make_due(&place, &key);
    let start = Barrier::new(20);
    thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                let client = place.open(&[STALE]);
                start.wait();
                for _ in 0..3 {
                    let made = client.data_key(&key);
                    assert_eq!(client.decrypt(&made.blob), made.plaintext);
                }
            });
        }
    });
    one_version_more(&service, &key);
}

#[test]
fn many_processes_make_one_version() {
    const TEST: &str = "many_processes_make_one_version";
    if let Some(again) = Again::of(TEST) {
        let [keystore, key] = again.arguments();
        let client = open(keystore.as_ref(), &[STALE]);
        again.ready();
        for _ in 0..3 {
            let made = client.data_key(&key);
            assert_eq!(client.decrypt(&made.blob), made.plaintext);
        }
        return;
    }
    let place = Place::new();
    let service = place.open(&[]);
    let key = service.create_key(&INTERVAL);
    make_due(&place, &key);
    let keystore = place.keystore();
    let arguments = [keystore.to_str().unwrap(), &key];
    let mut processes: Vec<_> = (0..20).map(|_| Again::start(TEST, &arguments)).collect();
    for process in &mut processes {
        process.wait_until_ready();
    }
    for process in &mut processes {
        process.go();
    }
    for process in processes {
        process.end();
    }
    assert_eq!(service.versions(&key).len(), 2, "one of them had the lock");
    one_version_more(&service, &key);
}
