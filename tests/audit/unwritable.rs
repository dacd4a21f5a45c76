//! A log that cannot be written: the operation fails and releases nothing.

use std::ffi::c_int;
use std::fs;
use std::path::Path;

use kmsbox::error::Status;

use crate::again::Again;
use crate::client::{self, Ask};
use crate::service::{self, request};

/// Tries every kind of operation by a client whose log cannot be written.
fn nothing_is_released(keystore: &Path, log: &str, key: &str, blob: &str) {
    let mut options = client::Options::new();
    options.root_key(&service::ROOT_KEY);
    options.set("keystore", keystore.to_str().unwrap());
    options.set("audit_log", log);
    let client = options.open().unwrap();
    let failed = |status: Status| assert_eq!(status, Status::AuditFailed, "{log}");

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

#[test]
fn a_directory_a_missing_one_and_a_full_device() {
    let (place, key, blob) = prepared();
    let directory = place.at("directory");
    fs::create_dir(&directory).unwrap();
    let missing = place.at("missing/audit.log");
    for log in [
        directory.to_str().unwrap(),
        missing.to_str().unwrap(),
        "/dev/full",
    ] {
        nothing_is_released(&place.keystore(), log, &key, &blob);
    }
    assert_eq!(place.epoch(), place.file()["epoch"]);
    assert_eq!(place.key_in_file(&key).unwrap()["state"], "Enabled");
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
        nothing_is_released(keystore.as_ref(), &log, &key, &blob);
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
