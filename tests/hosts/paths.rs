//! A host that moves, to another directory, into a jail or to another user, and a keystore whose place
//! moves.

use std::fs::{self, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use kmsbox::kms::Kms;
use kmsbox::options::{Options, Place};
use kmsbox::request_id::Call;
use kmsbox::root_key::RootKey;

use crate::support::{Need, need, scratch_dir};
use crate::worker::{ROOT_KEY, Worker, program, program_for_others};

const AT_ONCE: &str = "refresh_interval_ms=0";
const CREATE: &str = "create=true";
const NOBODY: u32 = 65534;

/// A directory of its own for a keystore and its root key, in this folder.
fn directory(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name);
    fs::DirBuilder::new().mode(0o700).create(&path).unwrap();
    fs::write(path.join("root.key"), ROOT_KEY).unwrap();
    fs::set_permissions(path.join("root.key"), Permissions::from_mode(0o600)).unwrap();
    path
}

/// Puts a new store key into the keystore: every client needs its root key once more.
fn reseal(keystore: &Path) {
    let mut options = Options::default();
    options.keystore = Some(Place::File(keystore.to_owned()));
    options.set_root_key(&ROOT_KEY).unwrap();
    let root_key = RootKey::from_bytes(&ROOT_KEY).unwrap();
    let operator = Kms::open(&options).unwrap();
    operator.reseal(&Call::default(), None, &root_key).unwrap();
}

/// Switches a link at once, as a rename does it.
fn switch(link: &Path, to: &str) {
    let fresh = link.with_extension("fresh");
    symlink(to, &fresh).unwrap();
    fs::rename(fresh, link).unwrap();
}

fn names_in(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Paths that were given relative to a directory stay what they were when the client was opened.
#[test]
fn chdir() {
    for source in ["root_key=file:k/root.key", "root_key=credential:root.key"] {
        let folder = scratch_dir();
        let place = directory(folder.path(), "k");
        let keystore = place.join("keystore");
        let mut command = Command::new(program());
        command
            .current_dir(folder.path())
            .env("CREDENTIALS_DIRECTORY", "k");
        let mut host = Worker::start_by(&mut command);
        let paths = ["open", "keystore=k/keystore", source, "audit_log=k/audit"];
        host.ask(&[&paths[..], &[AT_ONCE, CREATE]].concat()).ok();
        let key_id = host.create_key();
        host.ask(&["chdir", "/"]).ok();
        reseal(&keystore);
        host.generate(&key_id).ok();
        host.create_key();

        // The root key is away for a moment.
        fs::rename(place.join("root.key"), place.join("away")).unwrap();
        reseal(&keystore);
        for _ in 0..2 {
            let refused = host.generate(&key_id).refused("KMS_ERR_ROOT_KEY_SOURCE");
            let file = place.join("root.key");
            let named = refused.message.contains(file.to_str().unwrap());
            assert!(named, "{}", refused.message);
            let change = host.call("Action=CreateKey");
            change.refused("KMS_ERR_ROOT_KEY_SOURCE");
        }
        fs::rename(place.join("away"), place.join("root.key")).unwrap();
        host.generate(&key_id).ok();
        let log = fs::read_to_string(place.join("audit")).unwrap();
        let successes = log.lines().filter(|line| line.contains("KMS_OK")).count();
        assert_eq!(successes, 4, "two CMKs and two data keys: {log}");

        // Whoever is opened now is opened from here.
        host.free();
        let elsewhere = host.ask(&["open", "keystore=k/keystore", source]);
        elsewhere.refused("KMS_ERR_ROOT_KEY_SOURCE");
    }
}

/// A keystore behind a link that is switched to a newer copy, as Kubernetes does it.
#[test]
fn a_switched_link() {
    let folder = scratch_dir();
    let at = |name: &str| folder.path().join(name);
    for name in ["first", "second", "older"] {
        directory(folder.path(), name);
    }
    symlink("first", at("data")).unwrap();
    symlink("data", at("k")).unwrap();
    let keystore = at("k/keystore");
    let mut host = Worker::open(&keystore, &[CREATE, AT_ONCE]);
    let key_id = host.create_key();
    for copy in ["second/keystore", "older/keystore"] {
        fs::copy(at("first/keystore"), at(copy)).unwrap();
    }
    let mut operator = Worker::open(&at("second/keystore"), &[AT_ONCE]);
    let disable = format!("Action=DisableKey&KeyId={key_id}");
    operator.call(&disable).ok();
    host.generate(&key_id).ok();

    switch(&at("data"), "second");
    host.generate(&key_id).refused("KMS_ERR_DISABLED");
    fs::remove_dir_all(at("first")).unwrap();
    host.generate(&key_id).refused("KMS_ERR_DISABLED");
    // A change is made in the file that the link leads to, and what belongs to it lies there.
    let enable = format!("Action=EnableKey&KeyId={key_id}");
    host.call(&enable).ok();
    let made = host.generate(&key_id).data_key();
    operator.generate(&key_id).ok();
    host.decrypt(&made.blob).ok();
    host.ask(&["free"]).ok();
    let beside = ["keystore", "keystore.lock", "keystore.usage", "root.key"];
    assert_eq!(names_in(&at("second")), beside);
    assert_eq!(names_in(folder.path()), ["data", "k", "older", "second"]);

    // What it led to first is an older state now.
    host.ask_open(&keystore, &[AT_ONCE]).ok();
    switch(&at("data"), "older");
    host.generate(&key_id).refused("KMS_ERR_KEYSTORE_TAMPERED");
    host.call(&disable).refused("KMS_ERR_KEYSTORE_TAMPERED");
    switch(&at("data"), "nowhere");
    host.generate(&key_id).refused("KMS_ERR_KEYSTORE_IO");
    host.call(&disable).refused("KMS_ERR_KEYSTORE_IO");
    switch(&at("data"), "second");
    host.generate(&key_id).ok();
}

/// Between two steps of a look the link may be switched and what it led to removed.
#[test]
fn a_link_that_is_switched_all_the_time() {
    let folder = scratch_dir();
    let at = |name: &str| folder.path().join(name);
    let (first, link) = (directory(folder.path(), "0"), at("k"));
    symlink("0", &link).unwrap();
    let mut host = Worker::open(&link.join("keystore"), &[CREATE, AT_ONCE]);
    let key_id = host.create_key();
    let bytes = fs::read(first.join("keystore")).unwrap();
    thread::scope(|scope| {
        let switching = scope.spawn(|| {
            for round in 1..150 {
                let next = directory(folder.path(), &round.to_string());
                fs::write(next.join("keystore"), &bytes).unwrap();
                switch(&link, &round.to_string());
                fs::remove_dir_all(at(&(round - 1).to_string())).unwrap();
            }
        });
        while !switching.is_finished() {
            host.generate(&key_id).ok();
        }
    });
}

/// In a jail paths lead where they lead there: a keystore that is not there is gone.
#[test]
fn chroot() {
    if !need(Need::Root) {
        return;
    }
    let jail = scratch_dir();
    let place = directory(jail.path(), "k");
    let mut host = Worker::open(&place.join("keystore"), &[CREATE, AT_ONCE]);
    let key_id = host.create_key();
    host.ask(&["chroot", jail.path().to_str().unwrap()]).ok();
    host.generate(&key_id).refused("KMS_ERR_KEYSTORE_IO");
    host.call("Action=CreateKey").refused("KMS_ERR_KEYSTORE_IO");
    let same_path = jail.path().join(jail.path().strip_prefix("/").unwrap());
    fs::create_dir_all(&same_path).unwrap();
    symlink("/k", same_path.join("k")).unwrap();
    host.generate(&key_id).ok();
    host.create_key();

    let mut inside = Worker::start();
    inside.ask(&["chroot", jail.path().to_str().unwrap()]).ok();
    let options = [AT_ONCE, "audit_log=/k/audit"];
    inside.ask_open(Path::new("/k/keystore"), &options).ok();
    inside.generate(&key_id).ok();
    inside.create_key();
    host.generate(&key_id).ok();
    let expected = ["audit", "keystore", "keystore.lock", "root.key"];
    assert_eq!(names_in(&place), expected);
}

/// A host that gives up the rights of root goes on with what it has read, until it must read again.
#[test]
fn dropped_privileges() {
    if !need(Need::Root) {
        return;
    }
    let (folder, _) = program_for_others();
    let place = directory(folder.path(), "k");
    fs::set_permissions(&place, Permissions::from_mode(0o755)).unwrap();
    let keystore = place.join("keystore");
    let mut host = Worker::open(&keystore, &[CREATE, AT_ONCE]);
    let key_id = host.create_key();
    let mut operator = Worker::open(&keystore, &[]);
    host.ask(&["user", &NOBODY.to_string()]).ok();
    host.generate(&key_id).ok();
    operator.create_key();
    host.generate(&key_id).refused("KMS_ERR_KEYSTORE_IO");
    chown(&keystore, Some(NOBODY), Some(NOBODY)).unwrap();
    host.generate(&key_id).ok();
    host.call("Action=CreateKey").refused("KMS_ERR_KEYSTORE_IO");
    host.generate(&key_id).ok();
}
