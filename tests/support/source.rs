//! Rust sources as text, with comments and the contents of literals blanked out, so that braces and
//! words found in them are those of the program.

use std::fs;
use std::path::{Path, PathBuf};

/// A source file.
pub struct Source {
    /// Relative to the top of the repository.
    pub path: PathBuf,
    /// As it is.
    pub text: String,
    /// The same length, line for line; comments and literals are spaces between their quotes.
    pub code: String,
}

impl Source {
    /// Reads one file, named from the top of the repository.
    pub fn read(path: &Path) -> Source {
        let full = super::root().join(path);
        let text =
            fs::read_to_string(&full).unwrap_or_else(|error| panic!("{}: {error}", full.display()));
        Source {
            path: path.to_owned(),
            code: blanked(&text),
            text,
        }
    }

    /// The number of the line that holds this byte, from 1.
    pub fn line_of(&self, at: usize) -> usize {
        self.text[..at].matches('\n').count() + 1
    }

    /// Where a word stands in the code: not inside a longer name.
    pub fn words<'a>(&'a self, word: &'a str) -> impl Iterator<Item = usize> + 'a {
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let bytes = self.code.as_bytes();
        self.code
            .match_indices(word)
            .map(|(at, _)| at)
            .filter(move |&at| {
                let before = at
                    .checked_sub(1)
                    .is_some_and(|before| is_name(bytes[before]));
                let after = bytes
                    .get(at + word.len())
                    .is_some_and(|&after| is_name(after));
                !before && !after
            })
    }

    /// What stands between the brace or parenthesis at `open` and its partner, and where that is.
    pub fn group(&self, open: usize) -> (&str, usize) {
        let mut depth = 0_usize;
        for (offset, byte) in self.code.as_bytes()[open..].iter().enumerate() {
            match byte {
                b'(' | b'{' | b'[' => depth += 1,
                b')' | b'}' | b']' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return (&self.code[open + 1..open + offset], open + offset);
            }
        }
        panic!(
            "{}:{}: never closed",
            self.path.display(),
            self.line_of(open)
        );
    }
}

/// Every Rust file under a folder of the repository, in order.
pub fn sources(folder: &str) -> Vec<Source> {
    let mut paths = files(folder, "rs");
    paths.sort();
    paths.iter().map(|path| Source::read(path)).collect()
}

/// Every file under a folder of the repository whose name ends so.
pub fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from(folder)];
    while let Some(folder) = folders.pop() {
        let full = super::root().join(&folder);
        let entries =
            fs::read_dir(&full).unwrap_or_else(|error| panic!("{}: {error}", full.display()));
        for entry in entries {
            let entry = entry.expect("a folder can be read");
            let path = folder.join(entry.file_name());
            if entry.file_type().expect("a file has a type").is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    found
}

/// Replaces comments and the contents of literals by spaces, byte for byte; newlines stay.
fn blanked(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let (skip, end) = if rest.starts_with(b"//") {
            (
                0,
                at + rest
                    .iter()
                    .position(|&byte| byte == b'\n')
                    .unwrap_or(rest.len()),
            )
        } else if rest.starts_with(b"/*") {
            (0, at + comment_len(rest))
        } else if let Some(hashes) = raw_string(bytes, at) {
            let open = 1 + hashes + 1;
            let close = [b"\"".as_slice(), &b"#".repeat(hashes)].concat();
            let body = find(&rest[open..], &close).unwrap_or(rest.len() - open);
            (open, at + open + body)
        } else if rest[0] == b'"' {
            (1, at + quoted_len(rest, b'"'))
        } else if rest[0] == b'\'' && is_char_literal(rest) {
            (1, at + quoted_len(rest, b'\''))
        } else {
            at += 1;
            continue;
        };
        for byte in &mut out[at + skip..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        // Past the closing quote, which stays; a comment has none.
        at = if skip == 0 { end } else { end + 1 };
    }
    String::from_utf8(out).expect("only whole literals and comments were replaced")
}

/// Length of a block comment; they nest.
fn comment_len(rest: &[u8]) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < rest.len() {
        if rest[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                break;
            }
        } else {
            at += 1;
        }
    }
    at
}

/// How many `#` open the raw string that begins here with its `r`, if one does.
fn raw_string(bytes: &[u8], at: usize) -> Option<usize> {
    let name_before = at
        .checked_sub(1)
        .map(|before| bytes[before])
        // A `b` or `c` before the `r` belongs to the literal.
        .is_some_and(|byte| {
            (byte.is_ascii_alphanumeric() || byte == b'_') && byte != b'b' && byte != b'c'
        });
    if bytes[at] != b'r' || name_before {
        return None;
    }
    let hashes = bytes[at + 1..]
        .iter()
        .take_while(|&&byte| byte == b'#')
        .count();
    (bytes.get(at + 1 + hashes) == Some(&b'"')).then_some(hashes)
}

/// Where the closing quote of a literal is, from its opening one.
fn quoted_len(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != quote {
        at += if rest[at] == b'\\' { 2 } else { 1 };
    }
    at.min(rest.len())
}

/// `'x'` or `'\n'`, not the lifetime `'x`.
fn is_char_literal(rest: &[u8]) -> bool {
    match rest.get(1) {
        Some(b'\\') => true,
        Some(&first) => {
            let len = match first {
                0..=0x7f => 1,
                0xc0..=0xdf => 2,
                0xe0..=0xef => 3,
                _ => 4,
            };
            rest.get(1 + len) == Some(&b'\'')
        }
        None => false,
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}
