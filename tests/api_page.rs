//! docs/api.md says what the code does: every action, parameter, field, state and status, and nothing
//! else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/service.rs"]
mod service;
mod support;
#[path = "parameters/table.rs"]
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use kmsbox::error::Status;
use serde_json::Value;
use service::{Place, Service};

/// A row of a table, cell by cell.
type Row = Vec<String>;

/// The rows of the first table under a heading.
fn rows(heading: &str) -> Vec<Row> {
    let page = fs::read_to_string(support::root().join("docs/api.md")).unwrap();
    let start = page.find(&format!("\n{heading}\n")).expect(heading);
    let lines = page[start..]
        .lines()
        .skip_while(|line| !line.starts_with('|'));
    let table = lines.take_while(|line| line.starts_with('|')).skip(2);
    let rows: Vec<Row> = table
        .map(|line| {
            let cells = line.trim_matches('|').split('|');
            cells.map(|cell| cell.trim().to_owned()).collect()
        })
        .collect();
    assert!(rows.len() > 5, "{heading}");
    rows
}

/// The words in backticks.
fn code(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

fn set<'a>(words: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    words.into_iter().map(str::to_owned).collect()
}

#[test]
fn every_action_with_its_parameters() {
    let told: Vec<_> = rows("## Actions that are done")
        .into_iter()
        .map(|row| {
            let (optional, needed): (Vec<_>, Vec<_>) = row[1]
                .split(", ")
                .filter(|part| !part.is_empty())
                .partition(|part| part.starts_with('['));
            let names = |parts: Vec<&str>| set(parts.iter().flat_map(|part| code(part)));
            (code(&row[0])[0].to_owned(), names(needed), names(optional))
        })
        .collect();
    let known: Vec<_> = table::TABLE
        .iter()
        .map(|(action, needed, taken)| {
            (
                (*action).to_owned(),
                set(needed.iter().copied()),
                set(taken.iter().copied()),
            )
        })
        .collect();
    assert_eq!(told, known);
    let code: Vec<_> = kmsbox::document::actions()
        .map(|(action, _)| action.name())
        .collect();
    assert_eq!(
        told.iter().map(|(action, ..)| action).collect::<Vec<_>>(),
        code
    );
}

#[test]
fn every_field_of_the_answers() {
    let place = Place::new();
    let service = place.open(&[]);
    let on = [
        ("EnableAutomaticRotation", "true"),
        ("RotationInterval", "7d"),
        ("Tags", r#"[{"TagKey":"a","TagValue":"b"}]"#),
    ];
    let external = service.create_key(&[("Origin", "EXTERNAL")]);
    place.import(&external);
    for row in rows("## Actions that are done") {
        let action = code(&row[0])[0];
        let told = set(code(&row[2]));
        if action == "GetParametersForImport" {
            // It takes an RSA key: tests/import.rs compares its fields with the same names.
            assert_eq!(told, set(table::IMPORT_FIELDS.iter().copied()));
            continue;
        }
        if action == "ImportKeyMaterial" {
            // Likewise; it answers with nothing.
            assert_eq!(told, set([]));
            continue;
        }
        let key = service.create_key(&on);
        let blob = service.data_key(&key);
        let free = format!("alias/{action}");
        let alias = format!("alias/{key}");
        service.done("CreateAlias", &[("KeyId", &key), ("AliasName", &alias)]);
        if action == "CancelKeyDeletion" {
            service.done(
                "ScheduleKeyDeletion",
                &[("KeyId", &key), ("PendingWindowInDays", "7")],
            );
        }
        let value = |name: &'static str| match (name, action) {
            ("KeyId", "DeleteKeyMaterial") => &*external,
            ("KeyId" | "ProtectedResourceArn" | "DestinationKeyId", _) => &key,
            ("CiphertextBlob", _) => &blob.blob,
            ("KeyVersionId", _) => &blob.version,
            ("AliasName", "CreateAlias") => &free,
            ("AliasName", _) => &alias,
            (name, _) => table::usual(name),
        };
        let (_, needed, _) = table::TABLE
            .iter()
            .find(|(known, ..)| *known == action)
            .unwrap();
        let mut parameters: Vec<_> = needed.iter().map(|name| (*name, value(name))).collect();
        if action == "CreateKey" {
            parameters.extend(on);
        }
        for format in ["JSON", "XML"] {
            let reply = service.ask(action, &[&parameters[..], &[("Format", format)]].concat());
            if format == "XML" && reply.status.is_some() {
                // What the first request did cannot be done twice.
                continue;
            }
            assert_eq!(reply.status, None, "{action}: {}", reply.text);
            let mut fields = BTreeSet::new();
            names(&reply.document, &mut fields);
            assert!(fields.remove("RequestId"));
            assert_eq!(fields, told, "{action} in {format}");
        }
    }
}

fn names(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                into.insert(name.clone());
                names(value, into);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| names(item, into)),
        _ => {}
    }
}

#[test]
fn the_parameters_that_are_explained_are_those_that_there_are() {
    let mut known = BTreeSet::new();
    for (_, needed, taken) in table::TABLE {
        known.extend(set(needed.iter().chain(*taken).copied()));
    }
    for name in [
        "KeyId",
        "KeyVersionId",
        "DestinationKeyId",
        "DeletionProtectionDescription",
    ] {
        // They need no words.
        assert!(known.remove(name));
    }
    known.retain(|name| !name.ends_with("EncryptionContext"));
    let told = rows("### What the parameters take");
    let told = told.iter().filter_map(|row| code(&row[0]).first().copied());
    assert_eq!(set(told), known);
}

#[test]
fn what_is_refused() {
    let service = Service::in_memory();
    let rows = rows("## Actions that are refused");
    let names: Vec<_> = rows.iter().flat_map(|row| code(&row[0])).collect();
    assert_eq!(
        names.len(),
        names.iter().collect::<BTreeSet<_>>().len(),
        "each once"
    );
    for name in names {
        assert_eq!(
            service.refused(name, &[]).0,
            Status::UnsupportedOperation,
            "{name}"
        );
    }
}

#[test]
fn every_status() {
    let told: Vec<_> = rows("## Statuses")
        .into_iter()
        .map(|row| row.join(" | ").replace('`', ""))
        .collect();
    let known: Vec<_> = Status::ALL
        .iter()
        .map(|status| {
            let (number, name, code) = (status.number(), status.name(), status.code());
            format!(
                "{number} | KMS_ERR_{name} | {code} | {} | {}",
                status.http(),
                status.text()
            )
        })
        .collect();
    assert_eq!(told, known);
}

#[test]
fn states_are_told_of_every_action_on_a_cmk() {
    let told: BTreeMap<String, Row> = rows("## States")
        .into_iter()
        .map(|row| (code(&row[0])[0].to_owned(), row))
        .collect();
    let on_no_cmk = ["CreateKey", "ListKeys", "ListAliases"];
    let known = table::TABLE.iter().map(|(action, ..)| *action);
    let known = known.filter(|action| !on_no_cmk.contains(action));
    assert_eq!(told.keys().cloned().collect::<BTreeSet<_>>(), set(known));
    // tests/states.rs compares the cells.
    assert!(told.values().all(|row| row.len() == 5));
}
