//! The documentation holds: its programs compile and run, its sessions go as they are written, its links
//! lead somewhere, and the names in it are those of the header. CONTRIBUTING.md tells writers the rules.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "documentation/commands.rs"]
mod commands;
#[path = "documentation/languages.rs"]
mod languages;
#[path = "documentation/links.rs"]
mod links;
#[path = "documentation/names.rs"]
mod names;
#[path = "documentation/page.rs"]
mod page;
#[path = "documentation/place.rs"]
mod place;
#[path = "documentation/programs.rs"]
mod programs;
mod support;

use std::collections::BTreeMap;

use page::{Block, pages};

/// Languages whose blocks are run, and how many there are at least. Where a page is added, so is its
/// number: then no change to the extraction can lose programs unseen.
const RUN: &[(&str, usize)] = &[
    ("c", 21),
    ("console", 17),
    ("cpp", 13),
    ("go", 7),
    ("python", 11),
    ("sh", 13),
];

/// Languages of what is only shown.
const SHOWN: &[&str] = &["cmake", "ini", "json", "make", "sql", "text"];

#[test]
fn every_block_has_a_language_and_none_is_lost() {
    let pages = pages();
    let blocks: Vec<&Block> = pages.iter().flat_map(|page| &page.blocks).collect();
    let mut found = BTreeMap::new();
    for block in &blocks {
        let known =
            RUN.iter().any(|(run, _)| *run == block.language) || SHOWN.contains(&&*block.language);
        assert!(known, "{}: a block of {:?}", block.place(), block.language);
        if block.excuse.is_none() {
            *found.entry(&*block.language).or_insert(0) += 1;
        }
    }
    for (language, least) in RUN {
        let count = found.get(language).copied().unwrap_or(0);
        assert!(count >= *least, "{count} blocks of {language} to run");
    }
    for page in &pages {
        // It has no language, and looks like one that is run.
        let indented: Vec<_> = page.indented().collect();
        assert!(
            indented.is_empty(),
            "{}: code by indentation: {indented:?}",
            page.name
        );
    }
}

/// Commands are run: they do not hide in a block that is only shown. Nor does a page wait to be completed.
#[test]
fn nothing_is_passed_off_as_text() {
    const COMMANDS: &[&str] = &[
        "$ ", "c++ ", "cargo ", "cc ", "cd ", "export ", "g++ ", "go build", "go run", "go test",
        "kmsbox ", "make ", "mkdir ", "pip ", "python3 ", "sudo ",
    ];
    for page in pages() {
        for block in page.blocks.iter().filter(|block| block.language == "text") {
            let command = block
                .text
                .lines()
                .find(|line| COMMANDS.iter().any(|command| line.starts_with(command)));
            assert_eq!(command, None, "{}", block.place());
        }
        let words = page.words();
        for mark in ["TODO", "FIXME", "XXX", "FIGURES", "@@"] {
            assert!(!words.contains(mark), "{}: {mark}", page.name);
        }
    }
}

/// What is excused from being run says why, and those are few.
#[test]
fn excuses_are_few() {
    let pages = pages();
    let excused: Vec<_> = pages
        .iter()
        .flat_map(|page| &page.blocks)
        .filter(|block| block.excuse.is_some())
        .collect();
    for block in &excused {
        let excuse = block.excuse.as_deref().unwrap_or_default();
        assert!(
            RUN.iter().any(|(run, _)| *run == block.language),
            "{}: {excuse}: {} is never run",
            block.place(),
            block.language
        );
        assert!(
            excuse.len() > 10,
            "{}: {excuse:?} says little",
            block.place()
        );
    }
    let places: Vec<_> = excused.iter().map(|block| block.place()).collect();
    assert!(excused.len() <= 12, "{places:#?}");
}
