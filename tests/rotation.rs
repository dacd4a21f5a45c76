//! Rotation: on demand, by itself, and what becomes of the old versions.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/service.rs"]
mod service;
mod support;

use std::collections::HashSet;
use std::fs::File;
use std::sync::Arc;
use std::time::Instant;

use kmsbox::clock::Timestamp;
use kmsbox::key_name::parse_id;
use kmsbox::keystore::state::{Origin, Version};
use kmsbox::keystore::store_key::VersionName;
use kmsbox::random;
use service::{DAY, Place, Service, ago, string};

const INTERVAL: [(&str, &str); 2] = [
    ("EnableAutomaticRotation", "true"),
    ("RotationInterval", "7d"),
];

/// A CMK whose rotation was due an hour ago.
fn due(place: &Place, service: &Service) -> String {
    let key = service.create_key(&INTERVAL);
    make_due(place, &key);
    key
}

fn make_due(place: &Place, key: &str) {
    place.edit_key(key, |key| {
        key.rotation.as_mut().unwrap().next = ago(60 * 60);
    });
}

#[test]
fn on_demand() {
    let service = Service::in_memory();
    let key = service.create_key(&[]);
    let mut made = vec![service.data_key(&key)];
    for _ in 0..5 {
        let new = service.done("CreateKeyVersion", &[("KeyId", &key)]);
        assert_eq!(new["KeyVersion"]["KeyId"], *key);
        let version = string(&new["KeyVersion"]["KeyVersionId"]);
        made.push(service.data_key(&key));
        assert_eq!(made.last().unwrap().version, version, "the new one wraps");
        let about = service.describe(&key);
        assert_eq!(about["PrimaryKeyVersion"], *version);
        assert_eq!(about["LastRotationDate"], new["KeyVersion"]["CreationDate"]);
    }
    let versions: Vec<_> = made.iter().map(|made| made.version.clone()).collect();
    assert_eq!(service.versions(&key), versions, "in order of creation");
    assert_eq!(versions.iter().collect::<HashSet<_>>().len(), 6);
    for made in &made {
        let old = service.done("Decrypt", &[("CiphertextBlob", &made.blob)]);
        assert_eq!(old["Plaintext"], *made.plaintext);
        assert_eq!(old["KeyVersionId"], *made.version);
    }
}

#[test]
fn what_is_due_happens_once_at_the_next_wrap() {
    let place = Place::new();
    let service = place.open(&[]);
    let key = due(&place, &service);
    let old = service.versions(&key);
    let before = Timestamp::now();
    // Neither reading nor unwrapping rotates.
    service.describe(&key);
    assert_eq!(service.versions(&key), old);

    let first = service.data_key(&key);
    let versions = service.versions(&key);
    assert_eq!((versions.len(), &versions[1]), (2, &first.version));
    assert_ne!(first.version, old[0]);
    for _ in 0..3 {
        assert_eq!(service.data_key(&key).version, first.version);
    }
    assert_eq!(service.versions(&key), versions);
    let about = service.describe(&key);
    assert_eq!(about["AutomaticRotation"], "Enabled");
    assert_eq!(about["RotationInterval"], "604800s");
    let next = [before, Timestamp::now()].map(|now| now.plus(7 * DAY).to_string());
    assert!(
        next.contains(&string(&about["NextRotationDate"])),
        "{about} {next:?}"
    );
    assert_eq!(service.decrypt(&first.blob), first.plaintext);
}

#[test]
fn each_action_that_wraps_rotates() {
    let place = Place::new();
    let service = place.open(&[]);
    let source = service.create_key(&[]);
    let blob = service.data_key(&source).blob;
    for (action, key_id, rest) in [
        ("GenerateDataKey", "KeyId", &[][..]),
        ("GenerateDataKeyWithoutPlaintext", "KeyId", &[]),
        ("Encrypt", "KeyId", &[("Plaintext", "root")]),
        (
            "ReEncrypt",
            "DestinationKeyId",
            &[("CiphertextBlob", &*blob)],
        ),
    ] {
        let key = due(&place, &service);
        let made = service.done(action, &[&[(key_id, &*key)], rest].concat());
        let versions = service.versions(&key);
        assert_eq!(versions.len(), 2, "{action}");
        assert_eq!(made["KeyVersionId"], *versions[1], "{action}");
    }
}

#[test]
fn decrypting_a_dry_run_and_being_the_source_do_not_rotate() {
    let place = Place::new();
    let service = place.open(&[]);
    let other = service.create_key(&[]);
    let key = service.create_key(&INTERVAL);
    let blob = service.data_key(&key);
    make_due(&place, &key);
    let epoch = place.epoch();
    assert_eq!(service.decrypt(&blob.blob), blob.plaintext);
    let rewrap = [
        ("CiphertextBlob", &*blob.blob),
        ("DestinationKeyId", &*other),
    ];
    service.done("ReEncrypt", &rewrap);
    for action in ["GenerateDataKey", "GenerateDataKeyWithoutPlaintext"] {
        let (status, _) = service.refused(action, &[("KeyId", &key), ("DryRun", "true")]);
        assert_eq!(status.code(), "DryRunOperationError");
    }
    assert_eq!(service.versions(&key).len(), 1);
    assert_eq!(place.epoch(), epoch);
}

#[test]
fn a_client_that_may_not_rotate_goes_on_with_the_present_version() {
    let place = Place::new();
    let all = place.open(&[]);
    let key = due(&place, &all);
    let epoch = place.epoch();
    let elsewhere = format!("GenerateDataKey,CreateKeyVersion@{}", all.create_key(&[]));
    let epoch = epoch + 1;
    for options in [
        ("permissions", "GenerateDataKey"),
        (
            "permissions",
            "GenerateDataKey,Decrypt,UpdateRotationPolicy",
        ),
        ("permissions", &elsewhere),
        ("read_only", "true"),
    ] {
        let client = place.open(&[options]);
        let made = client.data_key(&key);
        assert_eq!(made.version, all.versions(&key)[0], "{options:?}");
    }
    assert_eq!(place.epoch(), epoch, "nothing was written");
    // A permission for this CMK is enough.
    let here = format!("GenerateDataKey,CreateKeyVersion@{key}");
    let client = place.open(&[("permissions", &here)]);
    let made = client.data_key(&key);
    assert_eq!(made.version, all.versions(&key)[1]);
}

#[test]
fn nobody_waits_for_the_lock() {
    let place = Place::new();
    let service = place.open(&[]);
    let key = due(&place, &service);
    let lock = File::open(place.at("keystore.lock")).unwrap();
    lock.lock().unwrap();
    let began = Instant::now();
    let made = service.data_key(&key);
    assert!(
        began.elapsed().as_secs() < 30,
        "the lock timeout is a minute"
    );
    assert_eq!(service.versions(&key), [made.version]);
    drop(lock);
    // It tries again, though not at every call.
    while service.versions(&key).len() == 1 {
        assert!(began.elapsed().as_secs() < 60);
        service.data_key(&key);
    }
    assert_eq!(service.versions(&key).len(), 2);
}

#[test]
fn suspended_while_it_cannot_be_used() {
    let place = Place::new();
    let service = place.open(&[]);
    let key = due(&place, &service);
    let window = [("KeyId", &*key), ("PendingWindowInDays", "7")];
    for (stop, go, parameters) in [
        ("DisableKey", "EnableKey", &window[..1]),
        ("ScheduleKeyDeletion", "CancelKeyDeletion", &window),
    ] {
        service.done(stop, parameters);
        assert_eq!(service.describe(&key)["AutomaticRotation"], "Suspended");
        assert_ne!(service.describe(&key)["NextRotationDate"], "");
        assert!(
            service
                .ask("GenerateDataKey", &window[..1])
                .status
                .is_some()
        );
        assert_eq!(service.versions(&key).len(), 1);
        service.done(go, &window[..1]);
        assert_eq!(service.describe(&key)["AutomaticRotation"], "Enabled");
    }
    service.data_key(&key);
    assert_eq!(service.versions(&key).len(), 2);
}

#[test]
fn the_policy_can_change() {
    let place = Place::new();
    let service = place.open(&[]);
    let key = service.create_key(&[]);
    assert_eq!(service.describe(&key)["AutomaticRotation"], "Disabled");
    assert_eq!(service.describe(&key).get("NextRotationDate"), None);
    let policy = [&[("KeyId", &*key)], &INTERVAL[..]].concat();
    service.done("UpdateRotationPolicy", &policy);
    let about = service.describe(&key);
    assert_eq!(about["AutomaticRotation"], "Enabled");
    assert_eq!(about["RotationInterval"], "604800s");
    // The interval counts from the last rotation: where that is long ago, it is due at once.
    let id = parse_id(&key).unwrap();
    place.edit(|draft| {
        let key = draft.state.key_mut(id).unwrap();
        let version = &key.versions[0];
        let sealed = version.sealed_material.clone();
        key.versions[0] = Arc::new(Version::new(version.key_version_id, ago(8 * DAY), sealed));
    });
    // A client that knew the version goes by the date that it knew.
    let service = place.open(&[]);
    service.done("UpdateRotationPolicy", &policy);
    service.data_key(&key);
    assert_eq!(service.versions(&key).len(), 2);
    let off = [
        ("KeyId", &*key),
        ("EnableAutomaticRotation", "false"),
        ("RotationInterval", "1s"),
    ];
    service.done("UpdateRotationPolicy", &off);
    assert_eq!(service.describe(&key)["AutomaticRotation"], "Disabled");
}

#[test]
fn a_date_beyond_the_interval_is_not_believed() {
    let place = Place::new();
    let service = place.open(&[]);
    let key = service.create_key(&INTERVAL);
    let id = parse_id(&key).unwrap();
    let far = Timestamp::now().plus(3650 * DAY);
    // The versions count instead, as far as they are not as far away.
    for (created, versions) in [(Timestamp::now(), 1), (ago(8 * DAY), 2), (far, 3)] {
        place.edit(|draft| {
            let key = draft.state.key_mut(id).unwrap();
            for version in &mut key.versions {
                let sealed = version.sealed_material.clone();
                *version = Arc::new(Version::new(version.key_version_id, created, sealed));
            }
            key.rotation.as_mut().unwrap().next = far;
        });
        // A client that knew the versions goes by the dates that it knew.
        let service = place.open(&[]);
        let next = string(&service.describe(&key)["NextRotationDate"]);
        assert!(next <= Timestamp::now().plus(7 * DAY).to_string(), "{next}");
        service.data_key(&key);
        service.data_key(&key);
        assert_eq!(service.versions(&key).len(), versions);
    }
}

#[test]
fn ten_thousand_versions() {
    let place = Place::new();
    let service = place.open(&[]);
    let key = service.create_key(&[]);
    let mut made = vec![service.data_key(&key)];
    let id = parse_id(&key).unwrap();
    // In steps, so that blobs under many of them can be made; one write for each step.
    for _ in 0..10 {
        place.edit(|draft| {
            let store_key = Arc::clone(&draft.store_key);
            let key = draft.state.key_mut(id).unwrap();
            for _ in 0..1000 {
                let name = VersionName {
                    key_id: id,
                    key_version_id: random::uuid().unwrap(),
                    origin: Origin::MadeHere,
                };
                let sealed = store_key.new_material(name).unwrap();
                key.rotate_to(Version::new(
                    name.key_version_id,
                    Timestamp::now(),
                    Some(sealed),
                ));
            }
        });
        made.push(service.data_key(&key));
    }
    let total = service.done("ListKeyVersions", &[("KeyId", &key)])["TotalCount"].take();
    assert_eq!(total, 10_001);
    let fresh = place.open(&[]);
    let mut last = made.clone();
    last.reverse();
    for made in made.iter().chain(&last) {
        assert_eq!(fresh.decrypt(&made.blob), made.plaintext);
    }
    let version = [("KeyId", &*key), ("KeyVersionId", &made[5].version)];
    let about = fresh.done("DescribeKeyVersion", &version);
    assert_eq!(about["KeyVersion"]["KeyVersionId"], *made[5].version);
}
