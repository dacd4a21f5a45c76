//! The programs in Python and Go.

use std::process::Command;

use super::page::{Block, blocks};
use super::place::Place;
use super::programs::ended_well;
use super::support::{Need, need, python, root, run};

/// Runs a piece of Python that is no program of its own. CONTRIBUTING.md tells it to writers.
const PYTHON_BEFORE: &str = include_str!("before.py");

#[test]
fn python_programs_run() {
    if !need(Need::Python) {
        return;
    }
    run_all("python", run_python);
}

fn run_python(block: &Block, place: &Place) -> Command {
    let program = place.write("program.py", &block.text);
    let program = program.display().to_string();
    if block.text.contains("import kmsbox") {
        return place.with_arguments(python(), &["-W", "error", &program]);
    }
    let before = place.write("before.py", PYTHON_BEFORE);
    let (before, line) = (before.display().to_string(), block.line.to_string());
    place.with_arguments(
        python(),
        &["-W", "error", &before, &program, block.page(), &line],
    )
}

#[test]
fn a_wrong_piece_of_python_is_found() {
    if !need(Need::Python) {
        return;
    }
    let tried = |text: &str| {
        let place = Place::with_root_key();
        ended_well(&run(&mut run_python(&Block::of("python", text), &place)))
    };
    tried("with client.decrypt(blob, {'table': 'orders'}, expected_key_id=key_id) as key:\n    assert len(key.plaintext) == 32\n").unwrap();
    let refused = tried("\nclient.decrypt(blob, expected_key_id=key_id)\n").unwrap_err();
    assert!(refused.contains("KMS_ERR_CIPHERTEXT_INVALID"), "{refused}");
    assert!(refused.contains("\"test.md\", line 2"), "{refused}");
    assert!(tried("import kmsbox\nassert False\n").is_err());
}

/// What stands after the imports of a piece of Go.
const GO_AFTER: &str = include_str!("after.go");

/// Packages that a piece may use without importing them, by their last names.
const GO_PACKAGES: &[&str] = &[
    "bytes",
    "context",
    "crypto/aes",
    "crypto/cipher",
    "encoding/json",
    "errors",
    "io",
    "log",
    "path/filepath",
    "strings",
    "sync",
    "time",
];

#[test]
fn go_programs_run() {
    if !need(Need::Go) {
        return;
    }
    run_all("go", run_go);
}

fn run_go(block: &Block, place: &Place) -> Command {
    let here = format!("//line {}:{}\n", block.page(), block.line);
    let program = if block.text.contains("package main") {
        format!("{here}{}", block.text)
    } else {
        let declares = |line: &str| line.starts_with("func ") || line.starts_with("type ");
        let (declarations, statements) = if block.text.lines().any(declares) {
            (&*block.text, "")
        } else {
            ("", &*block.text)
        };
        let mut imports = String::from("import (\n\t\"fmt\"\n\t\"kmsbox\"\n\t\"os\"\n");
        for package in GO_PACKAGES {
            let name = package.rsplit('/').next().unwrap();
            if block.text.contains(&format!("{name}.")) {
                imports.push_str(&format!("\t\"{package}\"\n"));
            }
        }
        let after = GO_AFTER.replace("STATEMENTS\n", &format!("{here}{statements}"));
        format!("package main\n\n{imports})\n\n{here}{declarations}{after}")
    };
    place.write("main.go", program);
    let module = root().join("bindings/go");
    let module = module.display();
    let require = "require kmsbox v0.0.0";
    place.write(
        "go.mod",
        format!("module example\n\ngo 1.21\n\n{require}\n\nreplace kmsbox => {module}\n"),
    );
    place.with_arguments("go", &["run", "."])
}

#[test]
fn a_wrong_piece_of_go_is_found() {
    if !need(Need::Go) {
        return;
    }
    let tried = |text: &str| {
        let place = Place::with_root_key();
        ended_well(&run(&mut run_go(&Block::of("go", text), &place)))
    };
    let opens = "key := make([]byte, 32)\n\
        request := kmsbox.DecryptRequest{ExpectedKeyID: keyID, Blob: blob, Context: kmsbox.Pairs{\"table\": \"orders\"}}\n\
        if _, err := client.Decrypt(request, key); err != nil {\n\treturn err\n}\n";
    tried(opens).unwrap();
    let refused = tried(&opens.replace("orders", "people")).unwrap_err();
    assert!(refused.contains("KMS_ERR_CIPHERTEXT_INVALID"), "{refused}");
    let wrong = tried("nonsense()\n").unwrap_err();
    assert!(wrong.contains("test.md:1"), "{wrong}");
}

fn run_all(language: &str, command: impl Fn(&Block, &Place) -> Command) {
    let mut wrong = Vec::new();
    for block in blocks(language) {
        let place = Place::with_root_key();
        if let Err(what) = ended_well(&run(&mut command(&block, &place))) {
            wrong.push(format!("{}: {what}", block.place()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
