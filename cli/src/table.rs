//! Text in columns, for people.
#![forbid(unsafe_code)]

use std::fmt::Write as _;

use serde_json::Value;
use zeroize::Zeroizing;

/// Rows under a head; each column is as wide as its widest cell.
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with its head.
    pub fn new(head: &[&str]) -> Self {
        Table {
            rows: vec![head.iter().map(|&cell| cell.to_owned()).collect()],
        }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells = cells.into_iter().map(|cell| match cell.is_empty() {
            true => "-".to_owned(),
            false => printable(&cell),
        });
        self.rows.push(cells.collect());
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write_columns(&self.rows, out)
    }
}

/// Names and values, one pair in a line.
pub fn pairs(pairs: &[(&str, String)]) -> String {
    struct Pairs(Vec<Vec<String>>);
    impl std::fmt::Display for Pairs {
        fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write_columns(&self.0, out)
        }
    }
    let rows = pairs
        .iter()
        .map(|(name, value)| vec![format!("{name}:"), printable(value)]);
    Pairs(rows.collect()).to_string()
}

/// Text that others wrote, without what a terminal would act on.
pub fn printable(text: &str) -> String {
    if !text.chars().any(acts) {
        return text.to_owned();
    }
    let shown = text.chars().map(|character| match acts(character) {
        true => character.escape_default().to_string(),
        false => character.to_string(),
    });
    shown.collect()
}

/// A document in JSON or XML that says the same, without what a terminal would act on: such characters
/// become escapes of that format. It may hold a secret, so its memory does not grow and is wiped.
pub fn document(document: &str) -> Zeroizing<String> {
    const LONGEST: usize = "&#8297;".len();
    let xml = document.starts_with('<');
    // Between the texts of a document there may be lines.
    let escapes = |character| acts(character) && !matches!(character, '\n' | '\t');
    let count = document.chars().filter(|&c| escapes(c)).count();
    let mut escaped = Zeroizing::new(String::with_capacity(document.len() + count * LONGEST));
    for character in document.chars() {
        // Into a string there is no error.
        let _ = match (escapes(character), xml) {
            (false, _) => escaped.write_char(character),
            (true, true) => write!(escaped, "&#{};", u32::from(character)),
            (true, false) => write!(escaped, "\\u{:04x}", u32::from(character)),
        };
    }
    escaped
}

/// JSON in one line, without what a terminal would act on.
pub fn json_text(value: &Value) -> String {
    std::mem::take(&mut *document(&value.to_string()))
}

/// Control characters, and those that turn the direction of writing. None of them lies beyond U+FFFF.
pub fn acts(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn write_columns(rows: &[Vec<String>], out: &mut impl std::fmt::Write) -> std::fmt::Result {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let mut widths = vec![0; columns];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    for row in rows {
        let mut gap = 0;
        for (cell, width) in row.iter().zip(&widths) {
            // Nothing is written after a row's last word.
            if !cell.is_empty() {
                write!(out, "{:gap$}{cell}", "")?;
                gap = 0;
            }
            gap += width - cell.chars().count() + 2;
        }
        out.write_char('\n')?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(&["KEY", "STATE", "ALIAS"]);
        table.row(["a".into(), "Enabled".into(), "alias/é".into()]);
        table.row(["longer".into(), String::new(), "x".into()]);
        assert_eq!(
            table.to_string(),
            "KEY     STATE    ALIAS\na       Enabled  alias/é\nlonger  -        x\n"
        );
    }

    #[test]
    fn pairs_are_aligned_and_have_no_trailing_blanks() {
        assert_eq!(
            pairs(&[("Key id", "1".into()), ("State", String::new())]),
            "Key id:  1\nState:\n"
        );
    }

    const ACTING: &str = "\u{0}\u{1b}\u{1f}\u{7f}\u{80}\u{9b}\u{9f}\u{61c}\u{200e}\u{200f}\u{202a}\u{202e}\u{2066}\u{2069}";

    #[test]
    fn a_document_says_the_same_without_them() {
        let text = format!("é \u{a0}\u{2065}\u{1f600}\"\\{ACTING}");
        let json = document(&serde_json::json!({"Text": text, "Other": "x"}).to_string());
        assert!(!json.chars().any(acts), "{}", *json);
        let read: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(read["Text"], text);
        assert!(json.capacity() >= json.len() && json.contains("é \u{a0}\u{2065}\u{1f600}"));
        assert_eq!(
            *document("<a>é\u{9b}\u{202e}\n</a>"),
            "<a>é&#155;&#8238;\n</a>"
        );
        let lines = "{\n\t\"a\": 1\n}";
        assert_eq!(*document(lines), lines);
    }

    #[test]
    fn a_terminal_is_told_nothing() {
        assert!(ACTING.chars().all(acts) && !printable(ACTING).chars().any(acts));
        assert_eq!(printable("orders \u{4f60}"), "orders \u{4f60}");
        assert_eq!(
            printable("a\u{1b}[2Jb\n\u{202e}"),
            "a\\u{1b}[2Jb\\n\\u{202e}"
        );
    }
}
