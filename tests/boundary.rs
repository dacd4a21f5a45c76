//! Rules of the sources that no compiler keeps: how a function is exported, where `unsafe` may stand,
//! how long a file may be.
#![allow(clippy::expect_used, clippy::panic)]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use support::source::{Source, files, sources};
use support::{header, root};

/// In lines. A longer file wants to be two.
const LONGEST_FILE: usize = 500;

/// The functions that stand between C and Rust. Each catches panics.
const BOUNDARY: [&str; 2] = ["answer", "boundary"];

/// An `extern "C" fn` with a body.
struct Exported<'a> {
    source: &'a Source,
    at: usize,
    name: &'a str,
    attributes: &'a str,
    body: &'a str,
}

impl Exported<'_> {
    fn place(&self) -> String {
        format!(
            "{}:{}: {}",
            self.source.path.display(),
            self.source.line_of(self.at),
            self.name
        )
    }
}

/// Every `extern "C" fn name` of a file; types of function pointers have no name.
fn exported(source: &Source) -> Vec<Exported<'_>> {
    let code = &source.code;
    let mut found = Vec::new();
    for at in source.words("extern") {
        let after = code[at + "extern".len()..].trim_start();
        let Some(after) = after.strip_prefix('"') else {
            continue;
        };
        let Some((_abi, after)) = after.split_once('"') else {
            continue;
        };
        let Some(after) = after.trim_start().strip_prefix("fn ") else {
            continue;
        };
        let name = after.split(['(', '<']).next().unwrap_or_default().trim();
        let parameters = code.len() - after.len() + after.find('(').expect("parameters");
        let (_, end) = source.group(parameters);
        let Some(open) = code[end..].find(['{', ';']).map(|offset| end + offset) else {
            continue;
        };
        if code.as_bytes()[open] == b';' {
            continue;
        }
        // Attributes and comments stand between the item before and this one.
        let before = code[..at].rfind(['}', ';']).map_or(0, |end| end + 1);
        found.push(Exported {
            source,
            at,
            name,
            attributes: &code[before..at],
            body: source.group(open).0.trim(),
        });
    }
    found
}

#[test]
fn every_exported_function_is_one_call_through_the_boundary() {
    let declared: BTreeSet<String> = header::functions()
        .into_iter()
        .map(|function| function.name)
        .collect();
    let symbols =
        fs::read_to_string(root().join("abi/symbols.txt")).expect("abi/symbols.txt is there");
    let mut seen = BTreeSet::new();
    for source in sources("src/ffi") {
        for function in exported(&source) {
            let (place, name) = (function.place(), function.name);
            assert!(
                name.starts_with("kms_"),
                "{place}: a public name starts with kms_"
            );
            assert!(
                function.attributes.contains("#[unsafe(no_mangle)]"),
                "{place}: not #[unsafe(no_mangle)]"
            );
            assert!(
                is_one_call(&function),
                "{place}: the body must be one call of {BOUNDARY:?}, but is\n{}",
                function.body
            );
            assert!(declared.contains(name), "{place}: not in include/kmsbox.h");
            assert!(
                symbols.lines().any(|line| line == name),
                "{place}: not in abi/symbols.txt"
            );
            seen.insert(name.to_owned());
        }
    }
    assert_eq!(
        seen, declared,
        "every function of the header is found in src/ffi"
    );
}

/// `boundary(…)`, or `boundary(…).as_ptr()` where a static text is handed out.
fn is_one_call(function: &Exported<'_>) -> bool {
    let body = function.body;
    let Some(open) = body.find('(') else {
        return false;
    };
    if !BOUNDARY.contains(&&body[..open]) {
        return false;
    }
    let source = function.source;
    let start = body.as_ptr().addr() - source.code.as_ptr().addr();
    let (_, close) = source.group(start + open);
    let rest: String = source.code[close + 1..start + body.len()]
        .split_whitespace()
        .collect();
    rest.is_empty() || rest == ".as_ptr()"
}

#[test]
fn only_the_boundary_exports() {
    for source in sources("src") {
        if !source.path.starts_with("src/ffi") {
            assert!(
                source.words("no_mangle").next().is_none(),
                "{}: no_mangle",
                source.path.display()
            );
            assert!(
                source.words("export_name").next().is_none(),
                "{}: export_name",
                source.path.display()
            );
        }
        // The system's fork handlers are called by C too, and are nobody else's business.
        if !may_be_unsafe(&source.path) {
            assert!(
                exported(&source).is_empty(),
                "{}: extern \"C\"",
                source.path.display()
            );
        }
    }
}

/// Where the compiler is told to allow `unsafe`: memory from C, and memory for secrets.
fn may_be_unsafe(path: &Path) -> bool {
    ["src/ffi", "src/secret", "src/ffi.rs", "src/secret.rs"]
        .iter()
        .any(|place| path.starts_with(place))
}

#[test]
fn unsafe_is_where_it_may_be() {
    let mut wrong = Vec::new();
    let mut found = 0;
    for source in sources("src") {
        let path = source.path.display();
        if may_be_unsafe(&source.path) {
            found += source.words("unsafe").count();
            continue;
        }
        for at in source.words("unsafe") {
            wrong.push(format!("{path}:{}: unsafe", source.line_of(at)));
        }
        // The root of the crate holds the two that may, so it cannot forbid it for them.
        let forbids = source.code.contains("#![forbid(unsafe_code)]");
        if !forbids && source.path != Path::new("src/lib.rs") {
            wrong.push(format!(
                "{path}: does not begin with #![forbid(unsafe_code)]"
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "outside src/ffi and src/secret:\n{}",
        wrong.join("\n")
    );
    assert!(
        found > 0,
        "not one unsafe was found: this test looks in the wrong place"
    );
}

#[test]
fn every_unsafe_block_has_its_reason() {
    let mut wrong = Vec::new();
    for source in sources("src") {
        for at in source.words("unsafe") {
            let after = source.code[at + "unsafe".len()..].trim_start();
            // An `unsafe fn` states what its callers must keep to; an attribute is no block.
            let is_block = after.starts_with('{') || after.starts_with("impl");
            if is_block && !has_reason(&source, at) {
                wrong.push(format!("{}:{}", source.path.display(), source.line_of(at)));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "no SAFETY reason above:\n{}",
        wrong.join("\n")
    );
}

/// Whether a comment with `SAFETY:` stands on this line or above the statement that it is part of.
fn has_reason(source: &Source, at: usize) -> bool {
    let lines: Vec<&str> = source.text.lines().collect();
    let code: Vec<&str> = source.code.lines().collect();
    let mut line = source.line_of(at) - 1;
    if lines[line].contains("// SAFETY:") {
        return true;
    }
    while line > 0 {
        line -= 1;
        let text = lines[line].trim_start();
        if text.starts_with("//") {
            if text.starts_with("// SAFETY:") {
                return true;
            }
        } else if text.is_empty() || code[line].trim_end().ends_with([';', '}']) {
            return false;
        }
    }
    false
}

#[test]
fn no_file_is_too_long() {
    let mut paths: Vec<PathBuf> = vec!["build.rs".into()];
    for (folder, extension) in [
        ("src", "rs"),
        ("tests", "rs"),
        ("tests", "c"),
        ("benches", "rs"),
    ] {
        paths.extend(files(folder, extension));
    }
    let mut wrong = Vec::new();
    for path in paths {
        let text = fs::read_to_string(root().join(&path))
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let lines = text.lines().count();
        if lines > LONGEST_FILE {
            wrong.push(format!("{}: {lines} lines", path.display()));
        }
    }
    assert!(
        wrong.is_empty(),
        "longer than {LONGEST_FILE} lines:\n{}",
        wrong.join("\n")
    );
}
