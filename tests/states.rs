//! What each action answers in each state of a CMK: one table, in JSON and in XML.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/service.rs"]
mod service;
mod support;

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;

use kmsbox::error::Status;
use kmsbox::keystore::state::{Key, Origin};
use kmsbox::kms::NewKey;
use kmsbox::request_id::Call;
use service::{Place, Reply, Service, request};

/// The states, in the order of the table's columns.
const STATES: [&str; 5] = [
    "Enabled",
    "Disabled",
    "PendingDeletion",
    "PendingImport",
    "gone",
];

/// What a cell says: the API's code and HTTP status; 200 is done.
type Cell = (&'static str, u64);

const OK: Cell = ("", 200);
const DISABLED: Cell = ("Rejected.Disabled", 409);
const PENDING: Cell = ("Rejected.PendingDeletion", 409);
const IMPORT: Cell = ("Rejected.PendingImport", 409);
const STATE: Cell = ("Rejected.StateModifiedFailed", 409);
const GONE: Cell = ("Forbidden.KeyNotFound", 404);
const NO_ALIAS: Cell = ("Forbidden.AliasNotFound", 404);
const ORIGIN: Cell = ("Unsupported.Origin", 400);
const TOKEN: Cell = ("InvalidImportToken", 400);
const UNTRIED: Cell = ("it takes an RSA key: tests/import.rs", 0);

/// `KEY` is a CMK in the state of the column, `OTHER` one that is enabled, `ALIAS` an alias of `KEY`,
/// `FREE` an alias that is not there, `USED` one of `OTHER`, `VERSION` a version of `KEY`, `BLOB` a blob
/// under `KEY`, `OTHERBLOB` one under `OTHER`.
#[rustfmt::skip]
const TABLE: &[Row] = &[
    ("CreateKey", &[], [OK, OK, OK, OK, OK]),
    ("ListKeys", &[], [OK, OK, OK, OK, OK]),
    ("ListAliases", &[], [OK, OK, OK, OK, OK]),
    ("DescribeKey", &[("KeyId", "KEY")], [OK, OK, OK, OK, GONE]),
    ("DescribeKey", &[("KeyId", "ALIAS")], [OK, OK, OK, OK, GONE]),
    ("ListAliasesByKeyId", &[("KeyId", "KEY")], [OK, OK, OK, OK, GONE]),
    ("DeleteAlias", &[("AliasName", "ALIAS")], [OK, OK, OK, OK, NO_ALIAS]),
    ("ListResourceTags", &[("KeyId", "KEY")], [OK, OK, OK, OK, GONE]),
    ("ListKeyVersions", &[("KeyId", "KEY")], [OK, OK, OK, OK, GONE]),
    ("DescribeKeyVersion", &[("KeyId", "KEY"), ("KeyVersionId", "VERSION")], [OK, OK, OK, OK, GONE]),
    ("UpdateKeyDescription", &[("KeyId", "KEY"), ("Description", "d")], [OK, OK, PENDING, OK, GONE]),
    ("TagResource", &[("KeyId", "KEY"), ("Tags", TAGS)], [OK, OK, PENDING, OK, GONE]),
    ("UntagResource", &[("KeyId", "KEY"), ("TagKeys", "[\"a\"]")], [OK, OK, PENDING, OK, GONE]),
    ("SetDeletionProtection", &[("ProtectedResourceArn", "KEY"), ("EnableDeletionProtection", "true")],
        [OK, OK, PENDING, OK, GONE]),
    ("EnableKey", &[("KeyId", "KEY")], [OK, OK, STATE, STATE, GONE]),
    ("DisableKey", &[("KeyId", "KEY")], [OK, OK, STATE, STATE, GONE]),
    ("ScheduleKeyDeletion", &[("KeyId", "KEY"), ("PendingWindowInDays", "7")], [OK, OK, STATE, OK, GONE]),
    ("CancelKeyDeletion", &[("KeyId", "KEY")], [STATE, STATE, OK, STATE, GONE]),
    ("CreateAlias", &[("KeyId", "KEY"), ("AliasName", "FREE")], [OK, OK, STATE, OK, GONE]),
    ("UpdateAlias", &[("KeyId", "KEY"), ("AliasName", "USED")], [OK, OK, PENDING, OK, GONE]),
    ("UpdateAlias", &[("KeyId", "OTHER"), ("AliasName", "ALIAS")], [OK, OK, OK, OK, NO_ALIAS]),
    ("CreateKeyVersion", &[("KeyId", "KEY")], [OK, DISABLED, PENDING, IMPORT, GONE]),
    ("UpdateRotationPolicy", &[("KeyId", "KEY"), ("EnableAutomaticRotation", "false")],
        [OK, DISABLED, PENDING, IMPORT, GONE]),
    ("GetParametersForImport",
        &[("KeyId", "KEY"), ("WrappingAlgorithm", "RSAES_OAEP_SHA_256"), ("WrappingKeySpec", "RSA_2048")],
        [ORIGIN, ORIGIN, PENDING, UNTRIED, GONE]),
    ("ImportKeyMaterial",
        &[("KeyId", "KEY"), ("EncryptedKeyMaterial", "AAAA"), ("ImportToken", "AAAA")],
        [ORIGIN, ORIGIN, PENDING, TOKEN, GONE]),
    ("DeleteKeyMaterial", &[("KeyId", "KEY")], [ORIGIN, ORIGIN, PENDING, OK, GONE]),
    ("GenerateDataKey", &[("KeyId", "KEY")], [OK, DISABLED, PENDING, IMPORT, GONE]),
    ("GenerateDataKey", &[("KeyId", "ALIAS")], [OK, DISABLED, PENDING, IMPORT, GONE]),
    ("GenerateDataKeyWithoutPlaintext", &[("KeyId", "KEY")], [OK, DISABLED, PENDING, IMPORT, GONE]),
    ("Encrypt", &[("KeyId", "KEY"), ("Plaintext", "root")], [OK, DISABLED, PENDING, IMPORT, GONE]),
    ("Decrypt", &[("CiphertextBlob", "BLOB")], [OK, DISABLED, PENDING, IMPORT, GONE]),
    ("ReEncrypt", &[("CiphertextBlob", "BLOB"), ("DestinationKeyId", "OTHER")],
        [OK, DISABLED, PENDING, IMPORT, GONE]),
    ("ReEncrypt", &[("CiphertextBlob", "OTHERBLOB"), ("DestinationKeyId", "KEY")],
        [OK, DISABLED, PENDING, IMPORT, GONE]),
];

const TAGS: &str = r#"[{"TagKey":"a","TagValue":"b"}]"#;

/// An action, its parameters, and what it answers in each state.
type Row = (
    &'static str,
    &'static [(&'static str, &'static str)],
    [Cell; 5],
);

/// The names of the table and what they stand for in one cell.
type Names = Vec<(&'static str, String)>;

#[test]
fn every_action_in_every_state() {
    let place = Place::new();
    let service = place.open(&[]);
    let mut cmks = Cmks::new(&service);
    for (row, (action, parameters, cells)) in TABLE.iter().enumerate() {
        for (state, cell) in STATES.iter().zip(cells) {
            for format in ["JSON", "XML"] {
                if *cell == UNTRIED {
                    continue;
                }
                let unique = format!("{row}-{state}-{format}");
                let names = prepare(&place, &service, &mut cmks, state, parameters, &unique);
                let reply = ask(&service, action, parameters, &names, format);
                let told = format!("{action} {parameters:?}, {state}, {format}: {}", reply.text);
                assert_eq!(reply.text.starts_with("<KMS>"), format == "XML", "{told}");
                // The document was compared with the outcome.
                let code = |status: Status| (status.code(), u64::from(status.http()));
                assert_eq!(reply.status.map_or(OK, code), *cell, "{told}");
            }
        }
    }
}

/// docs/api.md has one row for each action; it stands first here.
#[test]
fn the_page_says_the_same() {
    let page = fs::read_to_string(support::root().join("docs/api.md")).unwrap();
    let (_, section) = page.split_once("\n## States\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let mut rows = 0;
    for line in section.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        let action = cells[0].trim_matches('`');
        let (_, _, known) = TABLE.iter().find(|(known, ..)| *known == action).unwrap();
        for (told, cell) in cells[1..].iter().zip(known) {
            let known = match *cell {
                OK | TOKEN | UNTRIED => "done",
                (code, _) => code,
            };
            assert_eq!(told.trim_matches('`'), known, "{action}");
        }
        assert_eq!(cells.len(), 5, "{line}");
        rows += 1;
    }
    assert!(rows > 20);
}

#[test]
fn the_table_has_every_action() {
    let done: BTreeSet<_> = kmsbox::document::actions()
        .map(|(action, _)| action.name())
        .collect();
    let tried: BTreeSet<_> = TABLE.iter().map(|(action, ..)| *action).collect();
    assert_eq!(tried, done);
}

/// CMKs for all cells, made in one write: a cell each would take long.
struct Cmks {
    made_here: Vec<Arc<Key>>,
    external: Vec<Arc<Key>>,
}

impl Cmks {
    fn new(service: &Service) -> Cmks {
        let make = |origin, count| {
            let new = NewKey {
                origin,
                ..NewKey::default()
            };
            service
                .kms
                .create_keys(&Call::default(), &new, count)
                .unwrap()
        };
        let cells = TABLE.len() * STATES.len() * 2;
        Cmks {
            made_here: make(Origin::MadeHere, 2 * cells),
            external: make(Origin::External, cells),
        }
    }
}

/// Prepares the CMKs, aliases and blobs that one cell speaks of.
fn prepare(
    place: &Place,
    service: &Service,
    cmks: &mut Cmks,
    state: &str,
    parameters: &[(&str, &str)],
    unique: &str,
) -> Names {
    let pending_import = state == "PendingImport";
    let pool = match pending_import {
        true => &mut cmks.external,
        false => &mut cmks.made_here,
    };
    let key = pool.pop().unwrap().key_id.to_string();
    let other = cmks.made_here.pop().unwrap().key_id.to_string();
    let speaks_of = |name| parameters.iter().any(|(_, value)| *value == name);
    let blob = match (pending_import, speaks_of("BLOB")) {
        (true, false) => None,
        (true, true) => {
            place.import(&key);
            Some(service.data_key(&key))
        }
        (false, _) => Some(service.data_key(&key)),
    };
    let [alias, used] = ["alias", "used"].map(|name| format!("alias/{name}-{unique}"));
    for (name, alias, key) in [("ALIAS", &alias, &key), ("USED", &used, &other)] {
        if speaks_of(name) {
            service.done("CreateAlias", &[("KeyId", key), ("AliasName", alias)]);
        }
    }
    let version = service.versions(&key)[0].clone();
    let other_blob = service.data_key(&other).blob;
    match state {
        "Enabled" => {}
        "Disabled" => drop(service.done("DisableKey", &[("KeyId", &key)])),
        "PendingDeletion" => drop(service.done("ScheduleKeyDeletion", &window(&key))),
        "PendingImport" if blob.is_none() => {}
        "PendingImport" => drop(service.done("DeleteKeyMaterial", &[("KeyId", &key)])),
        "gone" => place.end_window(&key),
        other => panic!("{other}"),
    }
    if state != "gone" {
        assert_eq!(service.describe(&key)["KeyState"], state);
    }
    vec![
        ("KEY", key),
        ("OTHER", other),
        ("ALIAS", alias),
        ("FREE", format!("alias/free-{unique}")),
        ("USED", used),
        ("VERSION", version),
        ("BLOB", blob.map(|made| made.blob).unwrap_or_default()),
        ("OTHERBLOB", other_blob),
    ]
}

fn ask(
    service: &Service,
    action: &str,
    parameters: &[(&str, &str)],
    names: &Names,
    format: &str,
) -> Reply {
    let real = |value| {
        let known = names.iter().find(|(name, _)| *name == value);
        known.map_or(value, |(_, real)| real.as_str())
    };
    let mut parameters: Vec<_> = parameters
        .iter()
        .map(|(name, value)| (*name, real(value)))
        .collect();
    parameters.push(("Format", format));
    service.ask_raw(&request(action, &parameters))
}

fn window(key: &str) -> [(&str, &str); 2] {
    [("KeyId", key), ("PendingWindowInDays", "7")]
}

#[test]
fn states_follow_the_actions() {
    let service = Service::in_memory();
    let key = service.create_key(&[]);
    let steps = [
        ("EnableKey", "Enabled"),
        ("DisableKey", "Disabled"),
        ("DisableKey", "Disabled"),
        ("EnableKey", "Enabled"),
        ("EnableKey", "Enabled"),
        ("DisableKey", "Disabled"),
        ("ScheduleKeyDeletion", "PendingDeletion"),
        // Cancelled, it is enabled, whatever it was before.
        ("CancelKeyDeletion", "Enabled"),
    ];
    for (step, (action, then)) in steps.into_iter().enumerate() {
        let parameters = match action {
            "ScheduleKeyDeletion" => &window(&key)[..],
            _ => &[("KeyId", &*key)],
        };
        service.done(action, parameters);
        let about = service.describe(&key);
        assert_eq!(about["KeyState"], then, "after step {step}, {action}");
        assert_eq!(about["DeleteDate"] != "", then == "PendingDeletion");
    }
    assert!(!service.data_key(&key).blob.is_empty());
}

#[test]
fn cancelled_deletion_of_a_cmk_without_material_waits_for_it_again() {
    let service = Service::in_memory();
    let key = service.create_key(&[("Origin", "EXTERNAL")]);
    service.done("ScheduleKeyDeletion", &window(&key));
    service.done("CancelKeyDeletion", &[("KeyId", &key)]);
    assert_eq!(service.describe(&key)["KeyState"], "PendingImport");
}

#[test]
fn deletion_protection() {
    let service = Service::in_memory();
    let key = service.create_key(&[]);
    let protect = |on: &str, why: &[(&str, &str)]| {
        let arn = format!("acs:kms:local:0:key/{key}");
        let switch = [
            ("ProtectedResourceArn", &*arn),
            ("EnableDeletionProtection", on),
        ];
        service.done("SetDeletionProtection", &[&switch[..], why].concat());
        let about = service.describe(&key);
        [
            about["DeletionProtection"].clone(),
            about["DeletionProtectionDescription"].clone(),
        ]
    };
    assert_eq!(
        protect("true", &[("DeletionProtectionDescription", "in use")]),
        ["Enabled", "in use"]
    );
    let (status, message) = service.refused("ScheduleKeyDeletion", &window(&key));
    assert_eq!(status, Status::State);
    assert!(message.contains("deletion protection"), "{message}");
    assert_eq!(service.describe(&key)["KeyState"], "Enabled");
    // It protects from deletion alone.
    service.done("DisableKey", &[("KeyId", &key)]);
    assert_eq!(protect("true", &[]), ["Enabled", ""]);
    assert_eq!(
        protect("false", &[("DeletionProtectionDescription", "x")]),
        ["Disabled", ""]
    );
    service.done("ScheduleKeyDeletion", &window(&key));
}

#[test]
fn material_of_the_owner_has_one_version_only() {
    let place = Place::new();
    let service = place.open(&[]);
    let key = service.create_key(&[("Origin", "EXTERNAL")]);
    place.import(&key);
    let on = [
        ("KeyId", &*key),
        ("EnableAutomaticRotation", "true"),
        ("RotationInterval", "7d"),
    ];
    for (action, parameters) in [
        ("CreateKeyVersion", &on[..1]),
        ("UpdateRotationPolicy", &on),
        ("CreateKey", &[on[1], on[2], ("Origin", "EXTERNAL")]),
    ] {
        let (status, _) = service.refused(action, parameters);
        assert_eq!(status.code(), "Rejected.UnsupportedOperation", "{action}");
        assert_eq!(status.http(), 400);
    }
    assert_eq!(service.versions(&key).len(), 1);
    assert_eq!(service.describe(&key)["AutomaticRotation"], "Disabled");
    service.done("DeleteKeyMaterial", &[("KeyId", &key)]);
    assert_eq!(service.describe(&key)["KeyState"], "PendingImport");
}

#[test]
fn an_alias_stands_for_its_cmk_only_where_the_api_says_so() {
    let service = Service::in_memory();
    let key = service.create_key(&[]);
    let alias = "alias/orders";
    service.done("CreateAlias", &[("KeyId", &key), ("AliasName", alias)]);
    let version = service.data_key(&key).version;
    let blob = service.data_key(&key).blob;
    for (action, parameters, _) in TABLE {
        for key_parameter in ["KeyId", "ProtectedResourceArn", "DestinationKeyId"] {
            if !parameters.iter().any(|(name, _)| *name == key_parameter) {
                continue;
            }
            let names = vec![
                ("KEY", alias.to_owned()),
                ("OTHER", alias.to_owned()),
                ("ALIAS", alias.to_owned()),
                ("FREE", "alias/free".to_owned()),
                ("USED", alias.to_owned()),
                ("VERSION", version.clone()),
                ("BLOB", blob.clone()),
                ("OTHERBLOB", blob.clone()),
            ];
            let reply = ask(&service, action, parameters, &names, "JSON");
            let taken = [
                "DescribeKey",
                "CreateKeyVersion",
                "ListKeyVersions",
                "DescribeKeyVersion",
                "Encrypt",
                "GenerateDataKey",
                "GenerateDataKeyWithoutPlaintext",
                "ReEncrypt",
            ]
            .contains(action);
            let expected = (!taken).then_some(Status::UnsupportedAlias);
            assert_eq!(reply.status, expected, "{action}: {}", reply.text);
        }
    }
}
