//! The keystore as a file among files: wrong, damaged, put back, taken away, locked, on a full disk; and
//! where its root key comes from. Whatever happens has its status, nothing hangs, and nothing that was
//! there is lost.
#![allow(unsafe_code, reason = "calls the C functions and the system")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/client.rs"]
#[macro_use]
mod client;
mod support;

#[path = "keystore_file/damage.rs"]
mod damage;
#[path = "keystore_file/file_systems.rs"]
mod file_systems;
#[path = "keystore_file/locks.rs"]
mod locks;
#[path = "keystore_file/looks.rs"]
mod looks;
#[path = "keystore_file/places.rs"]
mod places;
#[path = "keystore_file/root_keys.rs"]
mod root_keys;
#[path = "keystore_file/writes.rs"]
mod writes;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use kmsbox::error::Status;

use client::{Client, Place, Refusal};

/// A keystore with one CMK and an alias, and a client that looks at every call.
fn place_with_key() -> (Place, Client, String) {
    let place = Place::new();
    drop(place.create());
    let client = place.open_with(&[("refresh_interval_ms", "0")]).unwrap();
    let key_id = client.create_key();
    client.done(&format!(
        "Action=CreateAlias&KeyId={key_id}&AliasName=alias/a"
    ));
    (place, client, key_id)
}

/// What a file is: everything that a write would change.
#[derive(Debug, PartialEq, Eq)]
struct Picture {
    bytes: Vec<u8>,
    inode: u64,
    modified: (i64, i64),
    mode: u32,
}

fn picture(path: &Path) -> Picture {
    let metadata = fs::metadata(path).unwrap();
    Picture {
        bytes: fs::read(path).unwrap(),
        inode: metadata.ino(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
        mode: metadata.mode(),
    }
}

fn status<T>(outcome: Result<T, Refusal>) -> Option<Status> {
    outcome.err().map(|refusal| refusal.status)
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Puts content where the keystore is, as a rename does it.
fn put(place: &Place, content: &[u8]) {
    let aside = place.file("aside", content);
    fs::rename(aside, place.keystore()).unwrap();
}

/// Clocks of file systems tick in milliseconds: what is written in place after this has another time
/// than what was written before.
fn next_tick() {
    thread::sleep(Duration::from_millis(30));
}

/// Fails where `work` does not come to its end.
fn within<R: Send + 'static>(limit: Duration, work: impl FnOnce() -> R + Send + 'static) -> R {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(work()));
    match receiver.recv_timeout(limit) {
        Ok(result) => result,
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("it hangs"),
        Err(mpsc::RecvTimeoutError::Disconnected) => panic!("it panicked"),
    }
}

/// Runs this test again in a process of its own, where it may change what a process has only one of: its
/// environment, its directory, its limits. `true` in that process.
fn in_own_process(test: &str, prepare: impl FnOnce(&mut Command)) -> bool {
    const CHILD: &str = "KMSBOX_TEST_CHILD";
    if std::env::var_os(CHILD).is_some() {
        return true;
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]);
    command.env(CHILD, "1");
    prepare(&mut command);
    let said = support::run_ok(&mut command).stdout;
    assert!(said.contains("1 passed"), "{said}");
    false
}

/// Sets a limit of this process, for good or until it is set again.
fn limit(resource: libc::__rlimit_resource_t, to: libc::rlim_t) {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    assert_eq!(c!(libc::getrlimit(resource, &mut limit)), 0);
    limit.rlim_cur = to.min(limit.rlim_max);
    assert_eq!(c!(libc::setrlimit(resource, &limit)), 0);
}
