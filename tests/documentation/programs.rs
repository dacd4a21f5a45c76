//! The programs in C and C++, compiled from the installed header against the installed library and run.

use std::path::Path;

use super::page::{Block, blocks};
use super::place::Place;
use super::support::{Need, Output, compiler_for, installed, need, run};

const FLAGS: &[&str] = &["-O1", "-g", "-Wall", "-Wextra", "-Werror", "-pthread"];

/// What stands around a piece of C that is no program of its own. CONTRIBUTING.md tells it to writers.
const C_BEFORE: &str = include_str!("before.c");
const C_AFTER: &str = include_str!("after.c");
const CPP_BEFORE: &str = include_str!("before.cpp");
const CPP_AFTER: &str = include_str!("after.cpp");

#[test]
fn c_programs_run() {
    run_all("c", ["-std=c11", "-D_DEFAULT_SOURCE"], C_BEFORE, C_AFTER);
}

#[test]
fn cpp_programs_run() {
    if !need(Need::Cxx) {
        return;
    }
    run_all(
        "cpp",
        ["-std=c++17", "-D_DEFAULT_SOURCE"],
        CPP_BEFORE,
        CPP_AFTER,
    );
}

fn run_all(language: &str, standard: [&str; 2], before: &str, after: &str) {
    let mut wrong = Vec::new();
    for block in blocks(language) {
        if block.text.contains("#include <openssl/") && !need(Need::OpenSsl) {
            continue;
        }
        if let Err(what) = run_one(&block, standard, before, after) {
            wrong.push(format!("{}: {what}", block.place()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn run_one(block: &Block, standard: [&str; 2], before: &str, after: &str) -> Result<(), String> {
    let place = Place::with_root_key();
    // The compiler then names the page and its line.
    let here = format!("#line {} \"{}\"\n", block.line, block.page());
    let text = if is_program(&block.text) {
        format!("{here}{}", block.text)
    } else {
        let (declarations, statements) = if is_declaration(&block.text) {
            (&*block.text, "")
        } else {
            ("", &*block.text)
        };
        let after = after.replace("STATEMENTS\n", &format!("{here}{statements}"));
        format!("{before}{here}{declarations}{after}")
    };
    let source = place.write(&format!("program.{}", block.language), &text);
    let program = place.path().join("program");
    compile(&source, &program, standard, is_program(&block.text))?;
    ended_well(&run(&mut place.with_arguments(&program, &[])))
}

fn compile(source: &Path, out: &Path, standard: [&str; 2], whole: bool) -> Result<(), String> {
    let installed = installed();
    let mut compiler = compiler_for(source);
    compiler.args(FLAGS).args(standard);
    if !whole {
        // A piece need not use all that stands around it.
        compiler.args(["-Wno-unused", "-Wno-unused-parameter"]);
    }
    compiler.arg("-I").arg(&installed.include);
    compiler.arg("-o").arg(out).arg(source);
    compiler.arg("-L").arg(&installed.lib).arg("-lkmsbox");
    let text = std::fs::read_to_string(source).unwrap();
    if text.contains("#include <openssl/") {
        compiler.arg("-lcrypto");
    }
    if text.contains("#include <dlfcn.h>") {
        compiler.arg("-ldl");
    }
    ended_well(&run(&mut compiler))
}

/// It ended with 0, and without a word of complaint.
pub fn ended_well(output: &Output) -> Result<(), String> {
    if output.status.success() {
        return Ok(());
    }
    Err(format!(
        "{}\n{}{}",
        output.status, output.stdout, output.stderr
    ))
}

fn is_program(text: &str) -> bool {
    text.contains("int main(")
}

/// Functions stand at file scope: the brace that opens their body has a line of its own. So do classes.
fn is_declaration(text: &str) -> bool {
    let begins = |line: &str| {
        line == "{"
            || ["class ", "struct ", "namespace ", "#include "]
                .iter()
                .any(|word| line.starts_with(word))
    };
    text.lines().any(begins)
}

#[test]
fn a_wrong_program_is_found() {
    let block = |text: &str| Block::of("c", text);
    let tried = |text: &str| {
        run_one(
            &block(text),
            ["-std=c11", "-D_DEFAULT_SOURCE"],
            C_BEFORE,
            C_AFTER,
        )
    };
    let unused = "int main(void) { int unused; return 0; }\n";
    assert!(tried(unused).unwrap_err().contains("unused"));
    let fails = tried("int main(int argc, char **argv) { return argc == 3 && argv[1] ? 7 : 0; }\n");
    assert!(fails.unwrap_err().contains("exit status: 7"));
    let refused =
        "status = kms_call(client, \"Action=No\", &document, &document_len, &response);\n";
    assert!(
        tried(refused)
            .unwrap_err()
            .contains("KMS_ERR_UNSUPPORTED_OPERATION")
    );
    assert!(tried("nonsense();\n").unwrap_err().contains("test.md:1"));
    tried("status = kms_call(client, \"Action=ListKeys\", &document, &document_len, NULL);\n")
        .unwrap();
    tried("int main(void) { return 0; }\n").unwrap();
    // A piece of functions is compiled too.
    let function = "static int f(void)\n{\n    return nonsense();\n}\n";
    assert!(tried(function).unwrap_err().contains("test.md:3"));
}

#[test]
fn a_wrong_piece_of_cpp_is_found() {
    if !need(Need::Cxx) {
        return;
    }
    let tried = |text: &str| {
        let block = Block::of("cpp", text);
        run_one(
            &block,
            ["-std=c++17", "-D_DEFAULT_SOURCE"],
            CPP_BEFORE,
            CPP_AFTER,
        )
    };
    tried("kmsbox::secret_array<32> key;\nclient.decrypt(key_id, blob, {{\"table\", \"orders\"}}, key);\n").unwrap();
    let refused = tried("kmsbox::secret_array<32> key;\nclient.decrypt(key_id, blob, {}, key);\n");
    assert!(refused.unwrap_err().contains("KMS_ERR_CIPHERTEXT_INVALID"));
    assert!(tried("nonsense();\n").unwrap_err().contains("test.md:1"));
}
