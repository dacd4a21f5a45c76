//! No file in two roles.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use kmsbox::error::{Error, Status};
use kmsbox::kms::Kms;
use kmsbox::options::Options;

use crate::service::{self, Place};

fn open(keystore: &Path, root_key: &Path, log: &Path) -> Result<Kms, Error> {
    let mut options = Options::default();
    options.set("keystore", keystore.to_str().unwrap())?;
    options.set("create", "true")?;
    options.set("root_key", &format!("file:{}", root_key.display()))?;
    options.set("audit_log", log.to_str().unwrap())?;
    Kms::open(&options)
}

#[test]
fn every_pair_is_refused() {
    let place = Place::new();
    let at = |name: &str| place.at(name);
    fs::write(at("root.key"), service::ROOT_KEY).unwrap();
    crate::set_mode(&at("root.key"), 0o600);
    fs::create_dir(at("new")).unwrap();
    for (link, target) in [
        ("to keystore", "keystore"),
        ("to root.key", "root.key"),
        ("to lock", "new/keystore.lock"),
        ("folder", "new"),
    ] {
        symlink(target, at(link)).unwrap();
    }
    drop(open(&at("keystore"), &at("root.key"), &at("log")).unwrap());
    fs::hard_link(at("keystore"), at("linked")).unwrap();
    let bytes = || {
        [
            fs::read(at("keystore")).unwrap(),
            fs::read(at("root.key")).unwrap(),
        ]
    };
    let before = bytes();

    let refused = |keystore: &str, root_key: PathBuf, log: PathBuf, names: [&str; 2]| {
        let error = open(&at(keystore), &root_key, &log).err().unwrap();
        assert_eq!(error.status(), Status::InvalidOption, "{error}");
        for name in names {
            assert!(error.message().contains(&format!("\"{name}\"")), "{error}");
        }
    };
    let with_log = ["audit_log", "keystore"];
    for log in [
        "keystore",
        "to keystore",
        "linked",
        "new/../keystore",
        "keystore.lock",
        "keystore.usage",
        "keystore.tmp-0123456789abcdef",
    ] {
        refused("keystore", at("root.key"), at(log), with_log);
    }
    for log in ["root.key", "to root.key"] {
        refused(
            "keystore",
            at("root.key"),
            at(log),
            ["audit_log", "root_key"],
        );
    }
    for root_key in ["keystore", "linked", "keystore.lock"] {
        refused(
            "keystore",
            at(root_key),
            at("log"),
            ["root_key", "keystore"],
        );
    }
    // Nothing is there yet.
    for log in [
        "new/keystore",
        "folder/keystore",
        "new/keystore.lock",
        "to lock",
    ] {
        refused("new/keystore", at("root.key"), at(log), with_log);
    }
    refused(
        "new/keystore",
        at("new/keystore"),
        at("log"),
        ["root_key", "keystore"],
    );
    refused(
        "new/keystore",
        at("new/x"),
        at("new/x"),
        ["audit_log", "root_key"],
    );
    assert_eq!(bytes(), before);
    assert_eq!(fs::read_dir(at("new")).unwrap().count(), 0);

    // In a folder whose name begins like a temporary file it is none.
    fs::create_dir(at("keystore.tmp-logs")).unwrap();
    drop(
        open(
            &at("keystore"),
            &at("root.key"),
            &at("keystore.tmp-logs/log"),
        )
        .unwrap(),
    );
}

/// The name of the log may lead elsewhere later.
#[test]
fn a_log_that_becomes_the_keystore_or_the_root_key() {
    let place = Place::new();
    let at = |name: &str| place.at(name);
    fs::write(at("root.key"), service::ROOT_KEY).unwrap();
    crate::set_mode(&at("root.key"), 0o600);
    let kms = open(&at("keystore"), &at("root.key"), &at("log")).unwrap();
    let service = service::Service { kms };
    let key = service.create_key(&[]);
    for target in ["keystore", "root.key"] {
        fs::remove_file(at("log")).unwrap();
        symlink(target, at("log")).unwrap();
        let before = fs::read(at(target)).unwrap();
        for (action, parameters) in [
            ("GenerateDataKey", [("KeyId", &*key)]),
            ("EnableKey", [("KeyId", &*key)]),
        ] {
            let (status, message) = service.refused(action, &parameters);
            assert_eq!(status, Status::AuditFailed, "{message}");
        }
        assert_eq!(fs::read(at(target)).unwrap(), before);
    }
    fs::remove_file(at("log")).unwrap();
    service.data_key(&key);
}
