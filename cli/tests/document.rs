//! docs/command.md, checked against the command. The session in it is run with all others of the
//! documentation, by tests/documentation.rs at the top.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::BTreeSet;

use serde_json::Value;
use support::Place;

const PAGE: &str = include_str!("../../docs/command.md");

#[test]
fn every_command_has_its_line() {
    let place = Place::empty();
    let help = place.ok(&["--help"]);
    let commands = help
        .lines()
        .take_while(|line| *line != "Options:")
        .filter_map(|line| line.strip_prefix("  "))
        .filter_map(|line| line.split(' ').next())
        .filter(|name| !matches!(*name, "help" | "alias" | "root-key"));
    let mut count = 0;
    let table = section("## Every command in one line");
    for name in commands {
        assert!(table.contains(&format!("`{name}`")), "{name}");
        count += 1;
    }
    assert_eq!(count, 25);
}

#[test]
fn the_exit_codes_are_those_of_the_help() {
    let place = Place::empty();
    let help = place.ok(&["--help"]);
    let (_, codes) = help.split_once("Exit codes:\n").unwrap();
    let (codes, _) = codes.split_once("\n\n").unwrap();
    let table = section("## Exit codes").replace('`', "");
    for line in codes.lines() {
        let (code, meaning) = line.trim().split_once("  ").unwrap();
        let row = format!("| {code} | {} |", meaning.trim());
        assert!(table.contains(&row), "{row}");
    }
}

#[test]
fn every_field_of_the_json_is_named() {
    let place = Place::empty();
    place.write("in", "secret");
    place.write("material", [7; 32]);
    place.json(&["init", "--make-root-key"]);
    let runs: &[&[&str]] = &[
        &[
            "create-key",
            "--alias",
            "alias/a",
            "--tag",
            "a=b",
            "--rotate-every",
            "90d",
        ],
        &["create-key", "--external", "--alias", "alias/own"],
        &["list"],
        &["describe", "alias/a"],
        &["rotate", "alias/a"],
        &["rotate", "alias/a", "--never"],
        &["disable", "alias/a"],
        &["enable", "alias/a"],
        &["protect", "alias/a", "on"],
        &["protect", "alias/a", "off"],
        &["schedule-deletion", "alias/a", "--yes"],
        &["cancel-deletion", "alias/a"],
        &["import", "alias/own", "--parameters", "parameters.json"],
        &[
            "import",
            "alias/own",
            "material",
            "--expires",
            "2100-01-01T00:00:00Z",
        ],
        &["delete-material", "alias/own", "--yes"],
        &["alias", "set", "alias/b", "alias/a"],
        &["alias", "list"],
        &["alias", "delete", "alias/b", "--yes"],
        &["purge"],
        &["generate-data-key", "alias/a", "--plaintext", "-"],
        &["generate-data-key", "alias/a"],
        &["encrypt", "alias/a", "in", "--out", "blob"],
        &["decrypt", "blob"],
        &["decrypt", "blob", "--out", "out"],
        &["re-encrypt", "blob", "--to", "alias/a"],
        &["inspect", "blob"],
        &["usage"],
        &["verify"],
        &["backup", "copy"],
        &["restore", "copy", "--keystore", "other"],
        &["root-key", "add", "file:new.key", "--make"],
        &["root-key", "list"],
        &[
            "root-key",
            "retire",
            "--reseal",
            "--yes",
            "--keystore",
            "other",
        ],
    ];
    let named = section("## JSON");
    for args in runs {
        let answer = place.json(args);
        assert!(answer.is_object(), "{args:?}");
        let mut fields = BTreeSet::new();
        collect(&answer, &mut fields);
        assert!(!fields.is_empty());
        for field in fields {
            assert!(named.contains(&format!("`{field}`")), "{args:?}: {field}");
        }
    }
    // And what is named is there: the fields of a CMK.
    let (_, key) = named.split_once("A CMK has ").unwrap();
    let (key, _) = key.split_once(", and, where they").unwrap();
    let answer = place.json(&["describe", "alias/a"]);
    for field in key.split('`').skip(1).step_by(2) {
        let there = answer.get(field).is_some() || answer["Tags"][0].get(field).is_some();
        assert!(there, "{field}");
    }
}

fn collect(value: &Value, fields: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                fields.insert(name.clone());
                collect(value, fields);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, fields)),
        _ => {}
    }
}

fn section(heading: &str) -> &'static str {
    let (_, after) = PAGE.split_once(heading).unwrap();
    after
        .split_once("\n## ")
        .map_or(after, |(section, _)| section)
}
