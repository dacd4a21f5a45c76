//! The manual pages: that a strict reader finds nothing in them, and that kmsbox(3) is of this library.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use super::{against, pages};
use crate::support::{
    Need, STRICT, compiler_for, header, installed, need, root, run, run_ok, scratch_dir,
};

fn overview() -> String {
    fs::read_to_string(root().join("packaging/man/kmsbox.3")).expect("it is there")
}

#[test]
fn mandoc_finds_nothing_wrong() {
    if !need(Need::Make) || !need(Need::Mandoc) {
        return;
    }
    let manual = installed().prefix.join("share/man");
    for page in pages() {
        let mut mandoc = Command::new("mandoc");
        // References between the pages are looked up where the pages are.
        mandoc
            .args(["-T", "lint", "-W", "style"])
            .arg(manual.join(&page))
            .env("MANPATH", &manual);
        let output = run(&mut mandoc);
        assert!(
            output.status.success(),
            "{page}: {}{}",
            output.stdout,
            output.stderr
        );
        assert_eq!(output.stdout, "", "{page}");
    }
}

/// `kms_status kms_options_new(kms_options **options)`, for each function of the synopsis.
fn declared(page: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let (mut result, mut name, mut arguments) = ("", "", Vec::new());
    for line in page.lines() {
        let (request, rest) = line.split_once(' ').unwrap_or((line, ""));
        match request {
            ".Ft" => result = rest,
            ".Fo" => (name, arguments) = (rest, Vec::new()),
            ".Fa" if !name.is_empty() => arguments.push(rest.trim_matches('"')),
            ".Fc" => {
                found.insert(format!("{result} {name}({})", arguments.join(", ")));
                name = "";
            }
            // In the text they stand without arguments.
            ".Fn" => {
                if let Some((name, argument)) =
                    rest.split_once(' ').filter(|(_, rest)| *rest == "void")
                {
                    found.insert(format!("{result} {name}({argument})"));
                }
            }
            _ => {}
        }
    }
    found
}

#[test]
fn the_overview_declares_what_the_header_declares() {
    let of_header: BTreeSet<String> = header::functions()
        .into_iter()
        .map(|function| {
            let words = function
                .declaration
                .replace("KMS_MUST_USE", "")
                .replace("struct ", "");
            let text = words.split_whitespace().collect::<Vec<_>>().join(" ");
            // A pointer's star stands beside the name in the header, the page has it with the type.
            text.replace("const char *kms_", "const char * kms_")
                .replace("( ", "(")
        })
        .collect();
    assert_eq!(declared(&overview()), of_header);
}

#[test]
fn the_overview_knows_every_option() {
    let text = header::text();
    let list = text
        .split_once("what each name takes:")
        .expect("the header lists them")
        .1;
    let list = list.split_once("response ").expect("the list ends").0;
    let options: BTreeSet<&str> = list
        .lines()
        .filter_map(|line| line.strip_prefix(" *   "))
        .filter(|line| !line.starts_with(' '))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(options.len() > 8, "{options:?}");
    let page = overview();
    let told: BTreeSet<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix(".It Cm "))
        .collect();
    assert_eq!(told, options);
}

#[test]
fn the_example_of_the_overview_runs() {
    if !need(Need::Make) {
        return;
    }
    let page = overview();
    let examples = page
        .split_once(".Sh EXAMPLES")
        .expect("there are examples")
        .1;
    let displayed: Vec<String> = examples
        .split("\n.Bd -literal")
        .skip(1)
        .map(|display| {
            let text = display.split_once('\n').expect("it has lines").1;
            text.split_once("\n.Ed")
                .expect("it ends")
                .0
                .replace("\\e", "\\")
                + "\n"
        })
        .collect();
    let [command, program] = &displayed[..] else {
        panic!("a command and a program: {displayed:?}");
    };
    let place = scratch_dir();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o700)).expect("it is mine");
    let command = command.trim().strip_prefix("$ ").expect("it is a command");
    run_ok(
        Command::new("sh")
            .args(["-c", command])
            .current_dir(place.path()),
    );
    let source = place.path().join("program.c");
    fs::write(&source, program).expect("it can be written");
    let binary = place.path().join("program");
    let mut compiler = compiler_for(&source);
    compiler
        .args(STRICT)
        .arg("-I")
        .arg(&installed().include)
        .arg("-o")
        .arg(&binary)
        .arg(&source);
    run_ok(compiler.arg("-L").arg(&installed().lib).arg("-lkmsbox"));
    let output = run_ok(against(&binary, &installed().lib).current_dir(place.path()));
    assert_eq!(output.stdout, "the same key\n");
}
