//! The header as text: what it declares and defines.

use std::fs;

/// A function as `kmsbox.h` declares it.
pub struct Function {
    /// Such as `kms_decrypt`.
    pub name: String,
    /// The declaration on one line, without the semicolon.
    pub declaration: String,
    /// The comment above it.
    pub comment: String,
}

/// The header that is checked in.
pub fn text() -> String {
    let path = super::root().join("include/kmsbox.h");
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every function that the header declares, in its order.
pub fn functions() -> Vec<Function> {
    let text = text();
    let mut functions = Vec::new();
    let mut comment = String::new();
    let mut declaration = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let line = line.trim();
        if line.starts_with("/*") {
            comment = line.to_owned();
            let mut last = line;
            while !last.contains("*/") {
                last = lines.next().expect("a comment ends");
                comment.push('\n');
                comment.push_str(last);
            }
            declaration.clear();
            continue;
        }
        if line.starts_with('#') || line.is_empty() || line.contains("extern \"C\"") {
            declaration.clear();
            continue;
        }
        declaration.push_str(line);
        if !line.ends_with(';') {
            declaration.push(' ');
            continue;
        }
        declaration.pop();
        if let Some(name) = function_name(&declaration) {
            functions.push(Function {
                name,
                declaration: declaration.clone(),
                comment: std::mem::take(&mut comment),
            });
        }
        declaration.clear();
    }
    functions
}

/// Every `#define NAME VALUE`, in the header's order, without the comment after it; macros without a
/// value are left out.
pub fn defines() -> Vec<(String, String)> {
    text()
        .lines()
        .filter_map(|line| line.strip_prefix("#define ")?.split_once(' '))
        .map(|(name, value)| {
            let value = value.split("/*").next().unwrap_or_default();
            (name.to_owned(), value.trim().to_owned())
        })
        .collect()
}

/// `kms_x` of `type kms_x(…)`; nothing for a type or a struct's field.
fn function_name(declaration: &str) -> Option<String> {
    let before = declaration.split_once('(')?.0;
    // The attribute of a function stands in front of it and may have parentheses when expanded;
    // the header only uses its macro, so the first parenthesis opens the parameters.
    let start = before.rfind(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))? + 1;
    let name = &before[start..];
    let is_type = declaration.starts_with("typedef") || declaration.starts_with("struct");
    (!is_type && name.starts_with("kms_")).then(|| name.to_owned())
}
