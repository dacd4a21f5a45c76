//! Writers that wait for each other.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::thread;
use std::time::{Duration, Instant};

use kmsbox::error::Status;

use super::{place_with_key, status};
use crate::client::Place;

/// Holds the right to write, as another process would.
fn hold(place: &Place) -> File {
    let lock = File::options()
        .create(true)
        .append(true)
        .open(place.at("keystore.lock"))
        .unwrap();
    lock.try_lock().unwrap();
    lock
}

#[test]
fn a_change_waits_and_then_gives_up() {
    let (place, _, key_id) = place_with_key();
    let other = hold(&place);
    for timeout in [0, 1, 200] {
        let text = timeout.to_string();
        let client = place.open_with(&[("lock_timeout_ms", &text)]).unwrap();
        let epoch = client.epoch();
        let started = Instant::now();
        let answer = client.call("Action=CreateKey");
        let waited = started.elapsed();
        assert_eq!(answer.json()["Code"], "ServiceUnavailableTemporary");
        assert_eq!(status(answer.outcome), Some(Status::KeystoreBusy));
        assert!(waited >= Duration::from_millis(timeout), "{waited:?}");
        assert!(waited < Duration::from_secs(5), "{waited:?}");
        // Reading needs no lock.
        client.data_key(&key_id);
        assert_eq!(client.epoch(), epoch);
    }
    drop(other);
    place.open().unwrap().create_key();
}

#[test]
fn a_change_goes_on_when_the_other_is_done() {
    let (place, client, _) = place_with_key();
    let other = hold(&place);
    let started = Instant::now();
    let waiter = thread::spawn(move || {
        thread::sleep(Duration::from_millis(100));
        drop(other);
    });
    client.create_key();
    assert!(started.elapsed() >= Duration::from_millis(100));
    waiter.join().unwrap();
}

#[test]
fn making_a_keystore_waits_too() {
    let place = Place::new();
    let other = hold(&place);
    let create = [("create", "true"), ("lock_timeout_ms", "20")];
    assert_eq!(status(place.open_with(&create)), Some(Status::KeystoreBusy));
    assert_eq!(place.names(), ["keystore.lock"]);
    drop(other);
    place.open_with(&create).unwrap();
}

/// Locks and descriptors end with the call: a client that is merely open keeps nobody waiting.
#[test]
fn nothing_is_held_between_calls() {
    let (place, client, key_id) = place_with_key();
    for _ in 0..3 {
        client.create_key();
        client.data_key(&key_id);
        drop(hold(&place));
        let open = std::fs::read_dir("/proc/self/fd").unwrap();
        let ours = open.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
        assert_eq!(
            ours.filter(|path| path.starts_with(place.path())).count(),
            0
        );
    }
}

/// A lock that leads elsewhere or is no file guards nothing: no change is made.
#[test]
fn a_lock_that_is_no_file() {
    let (place, client, key_id) = place_with_key();
    let lock = place.at("keystore.lock");
    let elsewhere = place.file("elsewhere", b"");
    fs::remove_file(&lock).unwrap();
    symlink(&elsewhere, &lock).unwrap();
    assert_eq!(client.refused("Action=CreateKey"), Status::KeystoreIo);
    fs::remove_file(&lock).unwrap();
    fs::create_dir(&lock).unwrap();
    assert_eq!(client.refused("Action=CreateKey"), Status::KeystoreIo);
    client.data_key(&key_id);
    fs::remove_dir(&lock).unwrap();
    client.create_key();
}
