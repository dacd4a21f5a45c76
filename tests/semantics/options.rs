//! What a client is opened with, and what it then says of itself.

use std::collections::BTreeSet;

use kmsbox::error::Status;

use super::with_alias;
use crate::client::{Client, Options, Place, ROOT_KEY, is_id};

#[test]
fn what_a_client_cannot_be_opened_with() {
    let place = Place::new();
    let path = place.keystore();
    let path = path.to_str().unwrap();
    // What is set, whether a root key is given, and which refusal names what.
    type Case<'a> = (&'a [(&'a str, &'a str)], bool, Status, &'a str);
    let cases: &[Case<'_>] = &[
        (&[], true, Status::MissingParameter, "keystore"),
        (
            &[("keystore", path)],
            false,
            Status::MissingParameter,
            "root_key",
        ),
        (
            &[("keystore", "memory:")],
            false,
            Status::MissingParameter,
            "root_key",
        ),
        (
            &[
                ("keystore", path),
                ("create", "true"),
                ("read_only", "true"),
            ],
            true,
            Status::InvalidOption,
            "read_only",
        ),
        (
            &[("keystore", "memory:"), ("read_only", "true")],
            true,
            Status::InvalidOption,
            "read_only",
        ),
        (&[("keystore", path)], true, Status::KeystoreNotFound, path),
    ];
    for (values, root_key, status, named) in cases {
        let mut options = Options::new();
        for (name, value) in *values {
            options.set(name, value);
        }
        if *root_key {
            options.root_key(&ROOT_KEY);
        }
        let refusal = options.open().unwrap_err();
        assert_eq!(refusal.status, *status, "{values:?}");
        assert!(refusal.message.contains(named), "{refusal:?}");
    }
    assert!(place.names().is_empty());
}

/// A refused call changes nothing: the options stay as they were.
#[test]
fn a_refused_option_is_not_set() {
    let by_bytes = {
        let mut options = Options::new();
        options.set("keystore", "memory:");
        options.root_key(&ROOT_KEY);
        options
    };
    let by_source = {
        let mut options = Options::new();
        options.set("keystore", "memory:");
        let place = Place::new();
        let file = place.file("root.key", &ROOT_KEY);
        options.set("root_key", &format!("file:{}", file.display()));
        (options, place)
    };
    let (mut by_bytes, (mut by_source, _place)) = (by_bytes, by_source);
    let refusals = [
        by_bytes.try_set("root_key", "env:KMSBOX_NONE").unwrap_err(),
        by_source.try_root_key(&ROOT_KEY).unwrap_err(),
        by_bytes.try_set("create", "yes").unwrap_err(),
        by_bytes.try_set("refresh_interval_ms", "-1").unwrap_err(),
        by_bytes.try_set("keystores", "memory:").unwrap_err(),
    ];
    for refusal in refusals {
        assert_eq!(refusal.status, Status::InvalidOption);
    }
    for options in [&mut by_bytes, &mut by_source] {
        options.set("lock_timeout_ms", "1");
        options.open().unwrap();
    }
}

#[test]
fn numbers_have_their_range() {
    for (name, least, most) in [
        ("refresh_interval_ms", 0_u64, 3_600_000_u64),
        ("lock_timeout_ms", 0, 3_600_000),
        ("locked_memory_max", 16_384, 1_073_741_824),
    ] {
        let mut options = Options::new();
        options.set(name, &least.to_string());
        options.set(name, &most.to_string());
        let mut wrong: Vec<String> = ["-1", "1.5", "1e3", " 16384", "+16384", "x", "0x4000"]
            .map(str::to_owned)
            .into();
        wrong.extend([(most + 1).to_string(), format!("{}0", u64::MAX)]);
        wrong.extend(least.checked_sub(1).map(|less| less.to_string()));
        for value in wrong {
            let refusal = options.try_set(name, &value).unwrap_err();
            assert_eq!(refusal.status, Status::InvalidOption, "{name}={value}");
            assert!(refusal.message.contains(name), "{refusal:?}");
        }
    }
}

#[test]
fn unknown_options_are_named() {
    let mut options = Options::new();
    for name in ["Keystore", "keystore ", "key_store", "root-key", "\u{e9}"] {
        let refusal = options.try_set(name, "x").unwrap_err();
        assert_eq!(refusal.status, Status::InvalidOption);
        assert!(
            refusal.message.contains(&format!("\"{name}\"")),
            "{refusal:?}"
        );
    }
    for (name, value) in [("", "x"), ("keystore", "")] {
        let refusal = options.try_set(name, value).unwrap_err();
        assert_eq!(refusal.status, Status::MissingParameter);
    }
}

/// Options may be freed or changed: a client has what it needs.
#[test]
fn a_client_outlives_its_options() {
    let place = Place::new();
    let mut options = place.options();
    options.set("create", "true");
    let client = options.open().unwrap();
    options.set("keystore", "memory:");
    options.set("permissions", "Decrypt");
    let other = options.open().unwrap();
    drop(options);
    let key_id = client.create_key();
    client.data_key(&key_id);
    assert_eq!(other.refused("Action=CreateKey"), Status::NoPermission);
}

#[test]
fn what_a_client_says_of_itself() {
    let (client, key_id) = with_alias("alias/described");
    client.data_key(&key_id);
    let told = client.describe();
    let names: BTreeSet<&str> = told
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let expected = [
        "Version",
        "Keystore",
        "KeystoreId",
        "Epoch",
        "Keys",
        "Aliases",
        "ReadOnly",
        "Permissions",
        "RefreshIntervalMs",
        "Audited",
        "KeyMemory",
        "HardwareAes",
    ];
    assert_eq!(names, BTreeSet::from(expected));
    assert_eq!(told["Version"], env!("CARGO_PKG_VERSION"));
    assert!(is_id(told["KeystoreId"].as_str().unwrap()));
    let counts = (
        &told["Epoch"],
        &told["Keys"],
        &told["Aliases"],
        &told["RefreshIntervalMs"],
    );
    assert_eq!(counts, (&3.into(), &1.into(), &1.into(), &1000.into()));
    assert_eq!(told["ReadOnly"], false);
    assert!(told["Permissions"].as_array().unwrap().len() >= 10);
    let memory = &told["KeyMemory"];
    assert_eq!(memory["Max"], 1 << 20);
    assert!(memory["Used"].as_u64().unwrap() > 0);
    assert!(memory["Mapped"].as_u64() >= memory["Used"].as_u64());
    assert!(memory["Locked"].is_boolean() && memory["Undumped"].is_boolean());
    assert!(told["HardwareAes"].is_boolean());
    let other = Client::in_memory_with(&[("refresh_interval_ms", "0"), ("permissions", "Decrypt")]);
    assert_eq!(other.describe()["RefreshIntervalMs"], 0);
    assert_eq!(
        other.describe()["Permissions"],
        serde_json::json!(["Decrypt"])
    );
}
