//! docs/command.md, checked against the command.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use support::{KMSBOX, Place, ended};

const PAGE: &str = include_str!("../../docs/command.md");

/// Words that differ from run to run, by what they are: ids, times, epochs of a file.
fn settled(text: &str) -> String {
    let id =
        |word: &str| word.len() == 36 && word.bytes().filter(|byte| *byte == b'-').count() == 4;
    let time = |word: &str| word.len() == 20 && word.ends_with('Z') && word.contains('T');
    let word = |word: &str| {
        let bare = word.trim_end_matches(['.', ';', ',']);
        let rest = &word[bare.len()..];
        match bare {
            bare if id(bare) => format!("ID{rest}"),
            bare if time(bare) => format!("TIME{rest}"),
            _ => word.to_owned(),
        }
    };
    let line = |line: &str| line.split(' ').map(word).collect::<Vec<_>>().join(" ");
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_session_goes_as_it_is_written() {
    let (_, session) = PAGE.split_once("```console\n").unwrap();
    let (session, _) = session.split_once("```").unwrap();
    assert_eq!(session.lines().count(), 20);
    let mut script = String::from("exec 2>&1\n");
    for command in session.lines().filter_map(|line| line.strip_prefix("$ ")) {
        script.push_str(&format!("cat <<'LINE'\n$ {command}\nLINE\n{command}\n"));
    }
    let place = Place::empty();
    let mut shell = Command::new("/bin/sh");
    let programs = Path::new(KMSBOX).parent().unwrap();
    shell
        .args(["-c", &script])
        .current_dir(&place.directory)
        .env_clear()
        .env("PATH", format!("{}:/usr/bin:/bin", programs.display()));
    let said = ended(shell, b"").text();
    assert_eq!(settled(&said), settled(session));
}

#[test]
fn the_readme_shows_the_same_session() {
    let (_, session) = PAGE.split_once("```console\n").unwrap();
    let (session, _) = session.split_once("```").unwrap();
    assert!(include_str!("../../README.md").contains(session));
}

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
