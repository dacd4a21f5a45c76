//! Hosts as they are: what is promised to a C program that is started or set up in an unusual way.
//! docs/hosts.md has the table; each row is a test here.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;
#[path = "support/worker.rs"]
mod worker;

#[path = "hosts/cancelled.rs"]
mod cancelled;
#[path = "hosts/descriptors.rs"]
mod descriptors;
#[path = "hosts/limits.rs"]
mod limits;
#[path = "hosts/paths.rs"]
mod paths;
#[path = "hosts/signals.rs"]
mod signals;
#[path = "hosts/stacks.rs"]
mod stacks;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use support::{Link, compile, root};
use tempfile::TempDir;

/// The program `tests/c/NAME.c`, built in this folder.
fn host(name: &str, folder: &TempDir) -> Command {
    let program: PathBuf = folder.path().join(name);
    let source = root().join("tests/c").join(name).with_extension("c");
    compile(&source, &program, Link::Shared, &["-pthread"]);
    Command::new(program)
}

/// The page names no test that is not there, and each test here has its row.
#[test]
fn each_row_of_the_page_is_a_test() {
    let page = fs::read_to_string(root().join("docs/hosts.md")).unwrap();
    let rows: Vec<_> = page
        .lines()
        .filter_map(|line| line.rsplit("| `").next()?.split_once("::"))
        .map(|(program, rest)| (program, rest.split('`').next().unwrap()))
        .collect();
    assert!(rows.len() > 15, "{rows:?}");
    for (program, name) in &rows {
        let there = sources(program)
            .iter()
            .any(|text| text.contains(&format!("#[test]\nfn {name}() {{")));
        assert!(there, "{program}::{name} is no test");
    }
    for text in sources("hosts") {
        for test in text.split("#[test]\nfn ").skip(1) {
            let name = test.split('(').next().unwrap();
            let told = rows.contains(&("hosts", name)) || OF_ANOTHER_ROW.contains(&name);
            assert!(told, "docs/hosts.md has no row for {name}");
        }
    }
}

const OF_ANOTHER_ROW: [&str; 2] = [
    "a_link_that_is_switched_all_the_time",
    "each_row_of_the_page_is_a_test",
];

/// What a test program consists of.
fn sources(program: &str) -> Vec<String> {
    let mut files = ["tests", "cli/tests"]
        .map(|folder| root().join(folder).join(program).with_extension("rs"))
        .to_vec();
    let folder = fs::read_dir(root().join("tests").join(program));
    files.extend(
        folder
            .into_iter()
            .flatten()
            .map(|file| file.unwrap().path()),
    );
    let texts = files
        .iter()
        .filter_map(|file| fs::read_to_string(file).ok());
    texts.collect()
}
