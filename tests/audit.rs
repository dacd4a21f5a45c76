//! The audit log: what is written for each operation, when, and what happens where it cannot be.
#![allow(unsafe_code, reason = "calls the C functions, and limits a process")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/again.rs"]
mod again;
#[path = "support/client.rs"]
#[macro_use]
mod client;
#[path = "support/service.rs"]
mod service;
mod support;

#[path = "audit/blobs.rs"]
mod blobs;
#[path = "audit/callback.rs"]
mod callback;
#[path = "audit/made.rs"]
mod made;
#[path = "audit/shared.rs"]
mod shared;
#[path = "audit/told.rs"]
mod told;
#[path = "audit/unwritable.rs"]
mod unwritable;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use kmsbox::document::perform;
use kmsbox::request_id::Call;
use serde_json::{Value, json};
use service::{Place, Service, from_base64, request, string};
use support::contains;

/// The lines of a log, each of which must be JSON. An empty one may stand where two writers met.
pub fn lines(log: &Path) -> Vec<Value> {
    let text = fs::read_to_string(log).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    let parse = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    let lines = text.lines().filter(|line| !line.is_empty());
    lines.map(parse).collect()
}

fn audited(place: &Place, more: &[(&str, &str)]) -> (Service, PathBuf) {
    let log = place.at("audit.log");
    let service = place.open(&[&[("audit_log", log.to_str().unwrap())], more].concat());
    (service, log)
}

/// The lines that an operation adds.
fn added(log: &Path, operation: impl FnOnce()) -> Vec<Value> {
    let before = if log.exists() { lines(log).len() } else { 0 };
    operation();
    lines(log).split_off(before)
}

#[test]
fn a_management_change_is_written_down_before_and_after() {
    let place = Place::new();
    let (service, log) = audited(&place, &[]);
    let key = service.create_key(&[]);
    assert_eq!(lines(&log).len(), 2);
    assert_eq!(
        fs::metadata(&log).unwrap().permissions().mode() & 0o777,
        0o600
    );
    for (action, parameters) in [
        ("CreateKey", vec![]),
        (
            "UpdateKeyDescription",
            vec![("KeyId", &*key), ("Description", "d")],
        ),
        (
            "CreateAlias",
            vec![("KeyId", &*key), ("AliasName", "alias/a")],
        ),
        ("CreateKeyVersion", vec![("KeyId", "alias/a")]),
        ("DisableKey", vec![("KeyId", &*key)]),
        (
            "ScheduleKeyDeletion",
            vec![("KeyId", &*key), ("PendingWindowInDays", "7")],
        ),
        ("CancelKeyDeletion", vec![("KeyId", &*key)]),
        ("DeleteAlias", vec![("AliasName", "alias/a")]),
    ] {
        let epoch = place.epoch();
        let new = added(&log, || drop(service.done(action, &parameters)));
        let [intent, result] = &new[..] else {
            panic!("{action}: {new:?}")
        };
        assert_eq!(intent["phase"], "intent", "{action}");
        assert_eq!(intent["epoch"], epoch + 1, "{action}");
        assert_eq!(place.epoch(), epoch + 1);
        assert_eq!(result["phase"], "result");
        assert_eq!(result["status"], "KMS_OK");
        for line in &new {
            assert_eq!(line["action"], action);
            assert_eq!(line["process"], std::process::id());
            assert_eq!(line["request_id"], intent["request_id"]);
            let named = parameters
                .iter()
                .find(|(name, _)| *name == "KeyId" || *name == "AliasName");
            assert_eq!(
                line.get("key"),
                named.map(|(_, value)| json!(value)).as_ref()
            );
            let time = humantime::parse_rfc3339(line["time"].as_str().unwrap()).unwrap();
            assert!(time.elapsed().unwrap().as_secs() < 60);
        }
    }
}

#[test]
fn what_is_refused_is_written_down_without_an_intent() {
    let place = Place::new();
    let (service, log) = audited(
        &place,
        &[(
            "permissions",
            "CreateKey,EnableKey,Decrypt,DescribeKeyVersion,\
        GetParametersForImport,ImportKeyMaterial,GenerateDataKey@alias/orders",
        )],
    );
    let key = service.create_key(&[]);
    let none = "1234abcd-12ab-34cd-56ef-1234567890ab";
    let foreign = Service::in_memory();
    let foreign = foreign.data_key(&foreign.create_key(&[])).blob;
    let import = [
        ("KeyId", &*key),
        ("WrappingAlgorithm", "RSAES_OAEP_SHA_256"),
        ("WrappingKeySpec", "RSA_2048"),
    ];
    for (action, parameters, status, code) in [
        (
            "EnableKey",
            &[("KeyId", none)][..],
            "KEY_NOT_FOUND",
            "Forbidden.KeyNotFound",
        ),
        (
            "DisableKey",
            &[("KeyId", &*key)],
            "NO_PERMISSION",
            "Forbidden.NoPermission",
        ),
        (
            "GenerateDataKey",
            &[("KeyId", &*key)],
            "NO_PERMISSION",
            "Forbidden.NoPermission",
        ),
        (
            "GenerateDataKey",
            &[("KeyId", "alias/none")],
            "NO_PERMISSION",
            "Forbidden.NoPermission",
        ),
        (
            "Decrypt",
            &[("CiphertextBlob", &*foreign)],
            "KEY_NOT_FOUND",
            "Forbidden.KeyNotFound",
        ),
        (
            "DescribeKeyVersion",
            &[("KeyId", &*key), ("KeyVersionId", none)],
            "KEY_VERSION_NOT_FOUND",
            "Forbidden.KeyVersionNotFound",
        ),
        (
            "GetParametersForImport",
            &import,
            "UNSUPPORTED_ORIGIN",
            "Unsupported.Origin",
        ),
    ] {
        let new = added(&log, || drop(service.refused(action, parameters)));
        let [line] = &new[..] else {
            panic!("{action}: {new:?}")
        };
        assert_eq!(line["action"], action);
        assert_eq!(line["phase"], "result");
        assert_eq!(line["status"], format!("KMS_ERR_{status}"), "{action}");
        assert_eq!(line["code"], code);
        assert_eq!(line.get("key_id"), None);
        if parameters[0].0 == "KeyId" {
            assert_eq!(line["key"], parameters[0].1);
        }
    }
}

#[test]
fn one_line_for_each_data_operation() {
    let place = Place::new();
    let (service, log) = audited(&place, &[]);
    let key = service.create_key(&[]);
    service.done(
        "CreateAlias",
        &[("KeyId", &key), ("AliasName", "alias/orders")],
    );
    let version = service.versions(&key)[0].clone();
    let context = r#"{"table":"\"7\"\n","":"é"}"#;
    let blob = service.done(
        "Encrypt",
        &[
            ("KeyId", &key),
            ("Plaintext", "x"),
            ("EncryptionContext", context),
        ],
    );
    let blob = string(&blob["CiphertextBlob"]);
    let on = [
        ("KeyId", "alias/orders"),
        ("EncryptionContext", context),
        ("Plaintext", "x"),
    ];
    for (action, parameters, asked) in [
        ("GenerateDataKey", &on[..2], Some("alias/orders")),
        (
            "GenerateDataKeyWithoutPlaintext",
            &on[..2],
            Some("alias/orders"),
        ),
        ("Encrypt", &on, Some("alias/orders")),
        (
            "Decrypt",
            &[("CiphertextBlob", &*blob), ("EncryptionContext", context)],
            None,
        ),
        (
            "ReEncrypt",
            &[
                ("CiphertextBlob", &*blob),
                ("SourceEncryptionContext", context),
                ("DestinationKeyId", "alias/orders"),
                ("DestinationEncryptionContext", context),
            ],
            Some("alias/orders"),
        ),
    ] {
        let call = Call::default();
        let text = request(action, parameters);
        let new = added(&log, || {
            assert!(
                perform(&service.kms, &call, text.as_bytes())
                    .outcome
                    .is_ok()
            )
        });
        let [line] = &new[..] else {
            panic!("{action}: {new:?}")
        };
        let mut line = line.clone();
        let time = line.as_object_mut().unwrap().remove("time");
        assert!(time.is_some());
        let mut expected = json!({
            "request_id": call.request_id().as_str(),
            "process": std::process::id(),
            "phase": "result",
            "action": action,
            "encryption_context": {"": "é", "table": "\"7\"\n"},
            "key_id": key,
            "key_version_id": version,
            "status": "KMS_OK",
        });
        if let Some(asked) = asked {
            expected["key"] = json!(asked);
        }
        if action == "ReEncrypt" {
            expected["source_encryption_context"] = expected["encryption_context"].clone();
        }
        assert_eq!(line, expected, "{action}");
    }
    let wrong = [
        ("CiphertextBlob", &*blob),
        ("EncryptionContext", "{\"a\":\"b\"}"),
    ];
    let new = added(&log, || drop(service.refused("Decrypt", &wrong)));
    assert_eq!(new.len(), 1);
    assert_eq!(new[0]["status"], "KMS_ERR_CIPHERTEXT_INVALID");
    assert_eq!(new[0]["blob_key_id"], *key);
    assert_eq!(new[0]["blob_key_version_id"], *version);
    assert_eq!(new[0]["encryption_context"], json!({"a": "b"}));
}

#[test]
fn wrapped_anew_both_versions_are_told() {
    let place = Place::new();
    let (service, log) = audited(&place, &[]);
    let (source, destination) = (service.create_key(&[]), service.create_key(&[]));
    let made = service.data_key(&source);
    let parameters = [
        ("CiphertextBlob", &*made.blob),
        ("DestinationKeyId", &destination),
        ("DestinationEncryptionContext", "{\"a\":\"b\"}"),
    ];
    let new = added(&log, || drop(service.done("ReEncrypt", &parameters)));
    assert_eq!(new.len(), 1);
    assert_eq!(new[0]["key_id"], *destination);
    assert_eq!(new[0]["key_version_id"], *service.versions(&destination)[0]);
    assert_eq!(new[0]["blob_key_id"], *source);
    assert_eq!(new[0]["blob_key_version_id"], *made.version);
    assert_eq!(new[0]["encryption_context"], json!({"a": "b"}));
    assert_eq!(new[0]["source_encryption_context"], json!({}));
}

#[test]
fn a_dry_run_says_so() {
    let place = Place::new();
    let (service, log) = audited(&place, &[]);
    let key = service.create_key(&[]);
    let new = added(&log, || {
        drop(service.refused("GenerateDataKey", &[("KeyId", &key), ("DryRun", "true")]))
    });
    assert_eq!(new.len(), 1);
    assert_eq!(new[0]["dry_run"], true);
}

#[test]
fn never_key_material() {
    let place = Place::new();
    let (service, log) = audited(&place, &[]);
    let key = service.create_key(&[("Description", "orders")]);
    let password = "correct horse battery staple";
    let mut secrets = vec![password.as_bytes().to_vec()];
    for _ in 0..20 {
        let made = service.data_key(&key);
        assert_eq!(service.decrypt(&made.blob), made.plaintext);
        let rewrap = [("CiphertextBlob", &*made.blob), ("DestinationKeyId", &*key)];
        service.done("ReEncrypt", &rewrap);
        secrets.push(from_base64(&made.plaintext));
    }
    let text = [("KeyId", &*key), ("Plaintext", password)];
    let blob = string(&service.done("Encrypt", &text)["CiphertextBlob"]);
    service.decrypt(&blob);
    service.refused(
        "Decrypt",
        &[
            ("CiphertextBlob", &blob),
            ("EncryptionContext", "{\"a\":\"b\"}"),
        ],
    );
    // Material that a broken caller gives as the name of a CMK cannot be told from one.
    let log = fs::read(log).unwrap();
    assert!(log.len() > 60 * 100);
    for secret in &secrets {
        let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        use base64::Engine as _;
        let base64 = base64::engine::general_purpose::STANDARD.encode(secret);
        // Base64 within longer base64 has other characters at its ends.
        let middle = &base64.as_bytes()[4..base64.len() - 4];
        for form in [
            &secret[..],
            hex.as_bytes(),
            hex.to_uppercase().as_bytes(),
            middle,
        ] {
            assert!(!contains(&log, form));
        }
    }
}

#[test]
fn without_the_option_nothing_is_written() {
    let place = Place::new();
    let service = place.open(&[]);
    let key = service.create_key(&[]);
    service.data_key(&key);
    assert!(!place.at("audit.log").exists());
}

#[test]
fn a_torn_line_does_not_swallow_the_next() {
    let place = Place::new();
    let (service, log) = audited(&place, &[]);
    let key = service.create_key(&[]);
    let before = fs::read_to_string(&log).unwrap();
    let torn = &before[..before.len() / 3];
    fs::write(&log, format!("{before}{torn}")).unwrap();
    service.data_key(&key);
    service.data_key(&key);
    let after = fs::read_to_string(&log).unwrap();
    let rest = after.strip_prefix(&format!("{before}{torn}\n")).unwrap();
    let lines: Vec<Value> = (rest.lines())
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 2);
    assert!(lines.iter().all(|line| line["action"] == "GenerateDataKey"));
}

#[test]
fn a_log_that_may_not_be_read_is_written() {
    let place = Place::new();
    let (service, log) = audited(&place, &[]);
    let key = service.create_key(&[]);
    fs::set_permissions(&log, fs::Permissions::from_mode(0o200)).unwrap();
    service.data_key(&key);
    fs::set_permissions(&log, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(lines(&log).len(), 3);
}

#[test]
fn the_log_stays_where_it_was_when_the_process_moves() {
    const TEST: &str = "the_log_stays_where_it_was_when_the_process_moves";
    if let Some(again) = again::Again::of(TEST) {
        let [here, elsewhere] = again.arguments();
        std::env::set_current_dir(&here).unwrap();
        let service = service::open("keystore".as_ref(), &[("audit_log", "audit.log")]);
        std::env::set_current_dir(&elsewhere).unwrap();
        service.create_key(&[]);
        return;
    }
    let (here, elsewhere) = (Place::new(), Place::new());
    let directories = [&here, &elsewhere].map(|place| place.at("").to_str().unwrap().to_owned());
    let [first, second] = &directories;
    again::Again::start(TEST, &[first, second]).end();
    assert_eq!(lines(&here.at("audit.log")).len(), 2);
    assert!(!elsewhere.at("audit.log").exists());
}
