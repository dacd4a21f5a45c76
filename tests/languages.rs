//! The shared cases in every language: each binding's runner performs each case of tests/cases and every
//! expectation holds; blobs made in one language open in all; and the runners do tell what does not hold.
#![allow(clippy::expect_used, clippy::panic)]

#[path = "languages/liar.rs"]
mod liar;
#[path = "languages/lists.rs"]
mod lists;
#[path = "languages/runners.rs"]
mod runners;
mod support;
#[path = "languages/wrong_lists.rs"]
mod wrong_lists;

use std::time::Duration;

use lists::{BEHAVIOURS, COUNTED_TEXTS, MAKE, OPEN};
use runners::Language::{self, C, Cpp, Go, Python};
use support::{Need, need, run, run_within, scratch_dir};

#[test]
fn behaviours_in_c() {
    performs(C, BEHAVIOURS);
}

#[test]
fn behaviours_in_cpp() {
    performs(Cpp, BEHAVIOURS);
}

#[test]
fn behaviours_in_python() {
    performs(Python, BEHAVIOURS);
}

#[test]
fn behaviours_in_go() {
    performs(Go, BEHAVIOURS);
}

#[test]
fn counted_texts_in_cpp() {
    performs(Cpp, COUNTED_TEXTS);
}

#[test]
fn counted_texts_in_python() {
    performs(Python, COUNTED_TEXTS);
}

#[test]
fn counted_texts_in_go() {
    performs(Go, COUNTED_TEXTS);
}

#[track_caller]
fn performs(language: Language, list: &str) {
    if !runners::is_here(language) {
        return;
    }
    let scratch = scratch_dir();
    let mut command = runners::runner(language);
    command.arg(lists::path(list));
    command.arg("--dir").arg(scratch.path());
    runners::assert_all_held(list, run(&mut command));
}

#[test]
fn blobs_made_in_c_opened_in_c() {
    opens_what_was_made(C, C);
}

#[test]
fn blobs_made_in_c_opened_in_cpp() {
    opens_what_was_made(C, Cpp);
}

#[test]
fn blobs_made_in_c_opened_in_python() {
    opens_what_was_made(C, Python);
}

#[test]
fn blobs_made_in_c_opened_in_go() {
    opens_what_was_made(C, Go);
}

#[test]
fn blobs_made_in_cpp_opened_in_c() {
    opens_what_was_made(Cpp, C);
}

#[test]
fn blobs_made_in_cpp_opened_in_cpp() {
    opens_what_was_made(Cpp, Cpp);
}

#[test]
fn blobs_made_in_cpp_opened_in_python() {
    opens_what_was_made(Cpp, Python);
}

#[test]
fn blobs_made_in_cpp_opened_in_go() {
    opens_what_was_made(Cpp, Go);
}

#[test]
fn blobs_made_in_python_opened_in_c() {
    opens_what_was_made(Python, C);
}

#[test]
fn blobs_made_in_python_opened_in_cpp() {
    opens_what_was_made(Python, Cpp);
}

#[test]
fn blobs_made_in_python_opened_in_python() {
    opens_what_was_made(Python, Python);
}

#[test]
fn blobs_made_in_python_opened_in_go() {
    opens_what_was_made(Python, Go);
}

#[test]
fn blobs_made_in_go_opened_in_c() {
    opens_what_was_made(Go, C);
}

#[test]
fn blobs_made_in_go_opened_in_cpp() {
    opens_what_was_made(Go, Cpp);
}

#[test]
fn blobs_made_in_go_opened_in_python() {
    opens_what_was_made(Go, Python);
}

#[test]
fn blobs_made_in_go_opened_in_go() {
    opens_what_was_made(Go, Go);
}

#[track_caller]
fn opens_what_was_made(maker: Language, opener: Language) {
    if !runners::is_here(maker) || !runners::is_here(opener) {
        return;
    }
    let scratch = scratch_dir();
    let (dir, saved) = (scratch.path().join("dir"), scratch.path().join("saved"));
    runners::make_private(&dir);
    for (language, list, option) in [(maker, MAKE, "--save"), (opener, OPEN, "--load")] {
        let mut command = runners::runner(language);
        command.arg(lists::path(list));
        command.arg("--dir").arg(&dir).arg(option).arg(&saved);
        runners::assert_all_held(list, run(&mut command));
    }
}

/// What C cannot say is an error of the list, not a case that held.
#[test]
fn c_refuses_a_list_of_counted_texts() {
    let scratch = scratch_dir();
    let mut command = runners::runner(C);
    command.arg(lists::path(COUNTED_TEXTS));
    command.arg("--dir").arg(scratch.path());
    let output = run(&mut command);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(output.stderr.contains("NUL"), "{output:?}");
}

/// The runner of C is plain C over every function of the library: neither touches memory that is not its
/// own, and nothing is left behind.
#[test]
fn behaviours_in_c_under_valgrind() {
    if !need(Need::Valgrind) {
        return;
    }
    let scratch = scratch_dir();
    let mut command = runners::runner_by(C, |runner| {
        let mut valgrind = std::process::Command::new("valgrind");
        valgrind
            .args(["--quiet", "--error-exitcode=99", "--leak-check=full"])
            .arg("--errors-for-leak-kinds=definite,indirect,possible")
            .arg(runner);
        valgrind
    });
    command.arg(lists::path(BEHAVIOURS));
    command.arg("--dir").arg(scratch.path());
    let output = run_within(&mut command, Duration::from_secs(600));
    runners::assert_all_held(BEHAVIOURS, output);
}
