//! A log that cannot be written: the operation fails and releases nothing.

use std::ffi::{CString, c_int};
use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;

use kmsbox::error::Status;

use crate::again::Again;
use crate::client::{self, Ask};
use crate::service::{self, request};

/// Tries every kind of operation by a client whose log cannot be written, since `spoil` is done to it after
/// the client is opened.
fn nothing_is_released(
    keystore: &Path,
    log: &Path,
    key: &str,
    blob: &str,
    spoil: impl FnOnce(&Path),
) {
    let mut options = client::Options::new();
    options.root_key(&service::ROOT_KEY);
    options.set("keystore", keystore.to_str().unwrap());
    options.set("audit_log", log.to_str().unwrap());
    let client = options.open().unwrap();
    spoil(log);
    let failed = |status: Status| assert_eq!(status, Status::AuditFailed, "{}", log.display());

    // The client checks that the buffers are wiped and the lengths zero.
    let ask = Ask {
        key_id: key,
        ..Ask::default()
    };
    let refusal = client.generate(ask).unwrap_err();
    failed(refusal.status);
    assert!(refusal.message.contains("audit log"), "{}", refusal.message);
    failed(client.generate_without_plaintext(ask).unwrap_err().status);
    failed(
        client
            .decrypt(None, &service::from_base64(blob), None)
            .unwrap_err()
            .status,
    );

    let epoch = client.epoch();
    for request in [
        request("GenerateDataKey", &[("KeyId", key)]),
        request("Encrypt", &[("KeyId", key), ("Plaintext", "root")]),
        request("Decrypt", &[("CiphertextBlob", blob)]),
        request(
            "ReEncrypt",
            &[("CiphertextBlob", blob), ("DestinationKeyId", key)],
        ),
        request("DescribeKey", &[("KeyId", key)]),
        request("ListKeys", &[]),
        request("CreateKey", &[]),
        request("DisableKey", &[("KeyId", key)]),
        request("CreateKeyVersion", &[("KeyId", key)]),
        request("CreateAlias", &[("KeyId", key), ("AliasName", "alias/a")]),
        // A refusal is not told either.
        request("EnableKey", &[("KeyId", "nobody")]),
    ] {
        let document = client.call(&request);
        failed(document.outcome.unwrap_err().status);
        for released in ["Plaintext", "CiphertextBlob", "KeyMetadata", "KeyVersion"] {
            assert!(
                !document.text.contains(&format!("\"{released}")),
                "{}",
                document.text
            );
        }
    }
    assert_eq!(client.epoch(), epoch, "nothing was changed");
    assert_eq!(client.describe()["Keys"], 1);
}

fn prepared() -> (service::Place, String, String) {
    let place = service::Place::new();
    let service = place.open(&[]);
    let key = service.create_key(&[]);
    let blob = service.data_key(&key).blob;
    (place, key, blob)
}

type Spoil = fn(&Path);

/// What is put in the place of the log while a client runs.
const SPOILED: &[(&str, Spoil)] = &[
    ("a directory", |log| fs::create_dir(log).unwrap()),
    ("in a directory that is gone", |log| {
        fs::remove_dir_all(log.parent().unwrap()).unwrap();
    }),
    ("a full device", |log| symlink("/dev/full", log).unwrap()),
    ("a FIFO", |log| make_fifo(log)),
    ("a socket", |log| drop(UnixListener::bind(log).unwrap())),
    ("the keystore", |log| symlink("../keystore", log).unwrap()),
    ("the lock", |log| symlink("../keystore.lock", log).unwrap()),
];

#[test]
fn spoiled_while_a_client_runs() {
    let (place, key, blob) = prepared();
    let keystore = fs::read(place.keystore()).unwrap();
    for (what, spoil) in SPOILED {
        println!("{what}");
        let folder = place.at(what);
        fs::create_dir(&folder).unwrap();
        nothing_is_released(&place.keystore(), &folder.join("log"), &key, &blob, spoil);
    }
    assert_eq!(fs::read(place.keystore()).unwrap(), keystore);
}

/// A place that cannot be a log is refused before anything is done.
#[test]
fn no_place_for_a_log() {
    let place = service::Place::new();
    let at = |name: &str| place.at(name).to_str().unwrap().to_owned();
    fs::create_dir(at("directory")).unwrap();
    make_fifo(&place.at("fifo"));
    let _socket = UnixListener::bind(at("socket")).unwrap();
    symlink("missing/log", at("link")).unwrap();
    let fd = format!("/proc/{}/fd/1", std::process::id());
    for log in [
        &at("directory"),
        &at("fifo"),
        &at("socket"),
        &at("missing/log"),
        &at("link"),
        "/dev/full",
        "/dev/null",
        "/dev/stdout",
        "/dev/fd/2",
        "/proc/self/fd/1",
        &fd,
    ] {
        let mut options = client::Options::new();
        options.root_key(&service::ROOT_KEY);
        options.set("keystore", &at("keystore"));
        options.set("create", "true");
        options.set("audit_log", log);
        let refusal = options.open().unwrap_err();
        assert_eq!(refusal.status, Status::InvalidOption, "{log}");
        for told in ["audit_log", log] {
            assert!(refusal.message.contains(told), "{}", refusal.message);
        }
    }
    assert!(!place.keystore().exists(), "nothing was made");
}

fn make_fifo(path: &Path) {
    let path = CString::new(path.to_str().unwrap()).unwrap();
    assert_eq!(c!(libc::mkfifo(path.as_ptr(), 0o600)), 0);
}

#[test]
fn a_file_that_may_grow_no_more() {
    const TEST: &str = "unwritable::a_file_that_may_grow_no_more";
    if let Some(again) = Again::of(TEST) {
        let [keystore, log, key, blob] = again.arguments();
        let limit = libc::rlimit {
            rlim_cur: 0,
            rlim_max: 0,
        };
        // The signal would end the process where a program has not chosen otherwise.
        let ignored: c_int = c!({
            libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
            libc::setrlimit(libc::RLIMIT_FSIZE, &limit)
        });
        assert_eq!(ignored, 0);
        nothing_is_released(keystore.as_ref(), log.as_ref(), &key, &blob, |_| {});
        return;
    }
    let (place, key, blob) = prepared();
    let log = place.at("audit.log");
    fs::write(&log, "").unwrap();
    let (keystore, epoch) = (place.keystore(), place.epoch());
    let arguments = [
        keystore.to_str().unwrap(),
        log.to_str().unwrap(),
        &key,
        &blob,
    ];
    Again::start(TEST, &arguments).end();
    assert_eq!(fs::read(&log).unwrap(), b"");
    assert_eq!(place.epoch(), epoch);
}
