//! Help, completion scripts and man pages.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::fs;

use support::Place;

/// Every page, by the words that lead to it.
const PAGES: &[&str] = &[
    "init",
    "create-key",
    "list",
    "describe",
    "alias",
    "alias set",
    "alias delete",
    "alias list",
    "rotate",
    "disable",
    "enable",
    "schedule-deletion",
    "cancel-deletion",
    "protect",
    "purge",
    "import",
    "delete-material",
    "generate-data-key",
    "encrypt",
    "decrypt",
    "re-encrypt",
    "inspect",
    "usage",
    "verify",
    "backup",
    "restore",
    "root-key",
    "root-key add",
    "root-key list",
    "root-key retire",
    "call",
    "completions",
    "man",
];

fn page(place: &Place, words: &str) -> String {
    let args: Vec<_> = words.split(' ').chain(["--help"]).collect();
    place.ok(&args)
}

#[test]
fn the_first_page_is_as_it_was_agreed() {
    let place = Place::empty();
    let expected = include_str!("help.txt");
    assert_eq!(
        place.ok(&["--help"]),
        expected,
        "after a change: tests/help.txt"
    );
    assert_eq!(place.ok(&["help"]), expected);
    assert_eq!(place.ok(&["-h"]), expected);
}

#[test]
fn every_page_says_what_it_is_and_ends_with_examples() {
    let place = Place::empty();
    for words in PAGES {
        let text = page(&place, words);
        let about = text.lines().next().unwrap();
        assert!((10..=90).contains(&about.len()), "{words}: {about}");
        assert!(!about.ends_with('.'), "{words}: {about}");
        let (_, examples) = text.split_once("\nExamples:\n").expect(words);
        assert!(
            examples.lines().all(|line| line.starts_with("  ")),
            "{words}: {examples}"
        );
        assert!(examples.contains(words), "{words}: {examples}");
        for option in ["--keystore", "--root-key", "--audit-log", "--json", "--yes"] {
            assert!(text.contains(option), "{words}: {option}");
        }
        assert!(
            text.lines().all(|line| line.chars().count() <= 100),
            "{words}: {text}"
        );
        assert!(!text.contains("\\\""), "{words}: {text}");
        // What follows the options has the width of a small terminal.
        let (_, notes) = text
            .split_once("before something is lost or redirected\n")
            .unwrap();
        for line in notes.lines() {
            assert!(line.chars().count() <= 80, "{words}: {line}");
        }
    }
}

#[test]
fn options_of_each_page_are_there() {
    let place = Place::empty();
    for (words, options) in [
        ("init", &["--make-root-key", "--keystore-id"][..]),
        (
            "create-key",
            &[
                "--alias",
                "--description",
                "--rotate-every",
                "--external",
                "--tag",
                "--count",
            ],
        ),
        ("list", &["--filter"]),
        ("rotate", &["--every", "--never"]),
        ("schedule-deletion", &["--days"]),
        ("protect", &["--reason", "<on|off>"]),
        ("purge", &["--confirm-clock"]),
        ("import", &["--parameters", "--material", "--expires"]),
        (
            "generate-data-key",
            &[
                "-c, --context",
                "--context-json",
                "--spec",
                "--bytes",
                "--plaintext",
                "--out",
                "--show",
            ],
        ),
        ("encrypt", &["--text", "--out", "--context"]),
        (
            "decrypt",
            &["--blob", "--expect", "--out", "--base64", "--show"],
        ),
        (
            "re-encrypt",
            &[
                "--to ",
                "--to-context",
                "--to-context-json",
                "--expect",
                "--out",
                "--context",
            ],
        ),
        ("inspect", &["--blob"]),
        ("restore", &["--dry-run"]),
        ("root-key add", &["--make"]),
        ("root-key retire", &["--reseal"]),
        ("call", &["--out", "--show"]),
    ] {
        let text = page(&place, words);
        for option in options {
            assert!(text.contains(option), "{words}: {option}");
        }
    }
}

#[test]
fn every_shell_gets_a_completion_script() {
    let place = Place::empty();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = place.ok(&["completions", shell]);
        for word in [
            "schedule-deletion",
            "root-key",
            "make-root-key",
            "to-context",
        ] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    place.fails(2, &["completions", "tcsh"]);
}

#[test]
fn every_page_is_a_man_page_too() {
    let place = Place::empty();
    place.ok(&["man", "pages"]);
    let text = |name: &str| fs::read_to_string(place.path("pages").join(name)).unwrap();
    for words in PAGES {
        let page = text(&format!("kmsbox-{}.1", words.replace(' ', "-")));
        for part in [
            ".TH ",
            ".SH NAME",
            ".SH SYNOPSIS",
            ".SH OPTIONS",
            ".SH EXAMPLES",
        ] {
            assert!(page.contains(part), "{words}: {part}");
        }
    }
    let first = text("kmsbox.1");
    assert!(
        first.contains(".SH \"EXIT CODES\"") || first.contains(".SH EXIT CODES"),
        "{first}"
    );
    assert_eq!(
        fs::read_dir(place.path("pages")).unwrap().count(),
        PAGES.len() + 1
    );
}

#[test]
fn the_version_is_the_packages() {
    let place = Place::empty();
    let expected = format!("kmsbox {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(place.ok(&["--version"]), expected);
}
