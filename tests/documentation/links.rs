//! Links inside the repository lead to files and headings that are there.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

use super::page::{Page, pages};
use super::support::root;

#[test]
fn every_link_leads_somewhere() {
    let mut pages = pages();
    for more in ["SECURITY.md", "fuzz/README.md", "tests/cases/README.md"] {
        pages.push(Page::read(more));
    }
    let anchors: HashMap<PathBuf, Vec<String>> = pages
        .iter()
        .map(|page| (PathBuf::from(&page.name), page.anchors()))
        .collect();
    let mut count = 0;
    let mut dead = Vec::new();
    for page in &pages {
        for link in links(&page.words()) {
            if ["https://", "http://", "mailto:"]
                .iter()
                .any(|scheme| link.starts_with(scheme))
            {
                continue;
            }
            count += 1;
            let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = match path {
                "" => PathBuf::from(&page.name),
                path => plain(&page.folder().join(path)),
            };
            let there = root().join(&target).exists();
            let known = anchor.is_empty()
                || anchors
                    .get(&target)
                    .is_some_and(|known| known.iter().any(|known| known == anchor));
            if !there || !known {
                dead.push(format!("{}: {link}", page.name));
            }
        }
    }
    assert!(dead.is_empty(), "{dead:#?}");
    assert!(count > 50, "only {count} links were found");
}

/// A page that no other one leads to is not found by its readers.
#[test]
fn every_page_is_linked() {
    let pages = pages();
    let linked: Vec<PathBuf> = pages
        .iter()
        .flat_map(|page| {
            let from = page.folder();
            links(&page.words())
                .into_iter()
                .map(|link| plain(&from.join(link.split('#').next().unwrap_or_default())))
                .collect::<Vec<_>>()
        })
        .collect();
    for page in pages.iter().filter(|page| page.name != "README.md") {
        let folder = page.folder();
        let found = linked.iter().any(|link| {
            *link == Path::new(&page.name) || (*link == folder && page.name.ends_with("README.md"))
        });
        assert!(found, "no page links {}", page.name);
    }
}

/// The targets of `[…](…)`.
fn links(text: &str) -> Vec<String> {
    let after = text.split("](").skip(1);
    after
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| target.to_owned())
        .collect()
}

/// Without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                assert!(plain.pop(), "{}: outside of the repository", path.display());
            }
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}
