//! Names in the documentation are those of the header, and the page of the C interface leaves none out.

use std::collections::BTreeSet;

use super::page::{Page, pages};
use super::support::header;

#[test]
fn every_name_is_in_the_header() {
    // Functions, types and macros alike.
    let mut known = words(&header::text(), "kms_");
    known.extend(words(&header::text(), "KMS_"));
    assert!(known.len() > 80);
    let mut count = 0;
    for page in pages() {
        let blocks = page.blocks.iter().map(|block| block.text.as_str());
        let prose = page.prose.join("\n");
        for text in blocks.chain([prose.as_str()]) {
            for name in words(text, "kms_").into_iter().chain(words(text, "KMS_")) {
                count += 1;
                // `KMS_ERR_*` stands for several.
                let there = known.contains(&name)
                    || (name.ends_with('_') && known.iter().any(|known| known.starts_with(&name)));
                assert!(there, "{}: {name} is not in the header", page.name);
            }
        }
    }
    assert!(count > 200, "only {count} names were found");
}

#[test]
fn every_function_is_explained() {
    let page = Page::read("docs/c.md");
    let named: BTreeSet<String> = page
        .code()
        .iter()
        .flat_map(|code| words(code, "kms_"))
        .collect();
    let functions = header::functions();
    assert!(functions.len() > 20);
    for function in functions {
        assert!(named.contains(&function.name), "{}", function.name);
    }
}

/// What to do about it stands in a row of its own or of a group, once.
#[test]
fn every_status_has_its_advice() {
    let page = Page::read("docs/c.md");
    let rows: Vec<&String> = page
        .prose
        .iter()
        .filter(|line| line.starts_with("| `KMS_"))
        .collect();
    for (name, _) in header::defines() {
        if name != "KMS_OK" && !name.starts_with("KMS_ERR_") {
            continue;
        }
        let count = rows
            .iter()
            .filter(|row| {
                row.split('|')
                    .nth(1)
                    .is_some_and(|cell| cell.contains(&format!("`{name}`")))
            })
            .count();
        assert_eq!(count, 1, "{name}");
    }
}

/// The page names each option, by the header's list of them.
#[test]
fn every_option_is_told() {
    let page = Page::read("docs/c.md");
    let told = page.code();
    let functions = header::functions();
    let set = functions
        .iter()
        .find(|function| function.name == "kms_options_set");
    let comment = &set.expect("the header has it").comment;
    let names: Vec<&str> = comment
        .lines()
        .filter_map(|line| line.strip_prefix(" *   "))
        .filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase()))
        .filter_map(|line| line.split_once("  ").map(|(name, _)| name))
        .collect();
    assert_eq!(names.len(), 10, "{names:?}");
    for name in names {
        assert!(told.iter().any(|code| code == name), "{name}");
    }
}

/// The whole words that begin so.
fn words(text: &str, beginning: &str) -> BTreeSet<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.split(|c| !is_name(c))
        .filter(|word| word.starts_with(beginning) && word.len() > beginning.len())
        .map(str::to_owned)
        .collect()
}
