//! One call of the system fails, at every place where one is made, in every operation: what was acknowledged
//! is there, what was refused is not, nothing is left lying about, and the client goes on.
//!
//! tests/c/faults.c is preloaded into this program, run again as a worker, and fails the calls.
//! What makes RSA keys takes long, and is tried with `KMSBOX_LONG_TESTS=1` only.
#![allow(
    unsafe_code,
    reason = "calls the C functions, and those of the library that makes calls fail"
)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::print_stdout)]

#[path = "support/client.rs"]
#[macro_use]
mod client;
#[path = "faults/operations.rs"]
mod operations;
#[path = "faults/shim.rs"]
mod shim;
#[path = "faults/stage.rs"]
mod stage;
mod support;

use std::any::Any;
use std::collections::BTreeSet;
use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use operations::{OPERATIONS, Operation};
use shim::Fault;
use stage::{Peace, Stage, Template};
use support::{root, run_ok, spawn};

/// What is made to fail, and with which errors. The order is that of `enum kind` in tests/c/faults.c.
const KINDS: [(&str, &[i32]); 12] = [
    ("open", &[libc::EMFILE, libc::EINTR]),
    ("read", &[libc::EIO, libc::EINTR]),
    ("write", &[libc::ENOSPC, libc::EINTR, SHORT]),
    ("sync", &[libc::EIO, libc::EINTR]),
    // As a file system that knows no RENAME_NOREPLACE: a new file is linked then.
    ("rename", &[libc::EIO, libc::EINVAL]),
    ("lock", &[libc::ENOLCK, libc::EINTR]),
    ("stat", &[libc::EIO]),
    ("rights", &[libc::EPERM]),
    ("map", &[libc::ENOMEM]),
    ("lock memory", &[libc::EPERM]),
    ("random", &[libc::EPERM, libc::EINTR]),
    (LARGE_MEMORY, &[libc::ENOMEM]),
];
/// Only pieces above 16 KiB are refused.
const LARGE_MEMORY: &str = "memory";
/// The call does half of what it was asked for.
const SHORT: i32 = 0;

/// What the worker is told: whether there is an audit log, and at which case to begin.
const AUDITED: &str = "KMSBOX_FAULTS_AUDITED";
const FROM: &str = "KMSBOX_FAULTS_FROM";
/// What the worker prints goes to the one who started it, by these.
const CASE: &str = "@case ";
const WRONG: &str = "@wrong ";
const SEEN: &str = "@seen ";

#[test]
fn without_an_audit_log() {
    fail_everything(false);
}

#[test]
fn with_an_audit_log() {
    fail_everything(true);
}

fn fail_everything(audited: bool) {
    let scratch = support::scratch_dir();
    let library = scratch.path().join("faults.so");
    run_ok(
        support::tool("CC", "cc")
            .args(support::STRICT)
            .args(["-O1", "-shared", "-fPIC", "-o"])
            .arg(&library)
            .arg(root().join("tests/c/faults.c")),
    );
    let began = Instant::now();
    let (mut cases, mut wrong) = (0, Vec::new());
    let mut seen = BTreeSet::new();
    loop {
        let ended = spawn(&mut worker(&library, audited, cases)).finish(Duration::from_secs(3600));
        let last = ended.stdout.lines().rfind(|line| line.starts_with(CASE));
        let lines = ended.stdout.lines();
        cases += lines.clone().filter(|line| line.starts_with(CASE)).count();
        let said = |mark| {
            lines
                .clone()
                .filter_map(move |line| line.strip_prefix(mark))
        };
        seen.extend(said(SEEN).map(str::to_owned));
        wrong.extend(said(WRONG).map(str::to_owned));
        if ended.status.success() {
            break;
        }
        // A case that ends the process is wrong; the worker goes on with the next.
        wrong.push(format!("{}: {}", last.unwrap(), ended.status));
        assert!(wrong.len() < 1000, "{}\n{}", wrong.join("\n"), ended.stderr);
    }
    println!(
        "{cases} faults in {} operations, audit log {audited}, {:.1?}; {} wrong",
        OPERATIONS.len(),
        began.elapsed(),
        wrong.len()
    );
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    let never: Vec<_> = KINDS
        .iter()
        .filter(|(kind, _)| !seen.contains(*kind))
        .collect();
    assert!(never.is_empty(), "no operation makes such calls: {never:?}");
}

fn worker(library: &Path, audited: bool, from: usize) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args(["play_the_worker", "--exact", "--nocapture"])
        .env("LD_PRELOAD", library)
        .env(AUDITED, audited.to_string())
        .env(FROM, from.to_string());
    command
}

/// The worker's part; elsewhere it does nothing.
#[test]
fn play_the_worker() {
    let Ok(audited) = env::var(AUDITED) else {
        return;
    };
    let from = env::var(FROM).unwrap().parse().unwrap();
    Worker {
        audited: audited == "true",
        from,
        cases: 0,
    }
    .work();
}

struct Worker {
    audited: bool,
    from: usize,
    cases: usize,
}

impl Worker {
    fn work(&mut self) {
        let long = support::long_tests();
        let small = Template::new(0);
        // So large that its file, and what is read of it, takes large memory.
        let large = Template::new(60);
        for operation in OPERATIONS {
            if operation.slow && !long {
                continue;
            }
            let [small, large] = [&small, &large].map(|template| {
                let stage = Stage::new(template, self.audited, Fault::none());
                (template, stage.in_peace(operation))
            });
            for (kind, (name, errors)) in KINDS.iter().enumerate() {
                let (template, peace) = match *name {
                    LARGE_MEMORY => &large,
                    _ => &small,
                };
                if peace.calls[kind] > 0 {
                    println!("{SEEN}{name}");
                }
                for error in *errors {
                    self.fail_each(operation, template, peace, (kind, *error));
                }
            }
        }
    }

    /// Fails the first call of this kind, then the second, and so on; steps grow where there are hundreds,
    /// such as one for each blob of many.
    fn fail_each(
        &mut self,
        operation: &Operation,
        template: &Template,
        peace: &Peace,
        (kind, error): (usize, i32),
    ) {
        let calls = peace.calls[kind];
        let mut at = 1;
        while at <= calls {
            self.cases += 1;
            if self.cases > self.from {
                let name = format!(
                    "{}{}: {} {at} of {calls} fails with {error}",
                    operation.name,
                    if self.audited { ", audited" } else { "" },
                    KINDS[kind].0
                );
                println!("{CASE}{name}");
                let fault = Fault { kind, at, error };
                let checked = catch_unwind(AssertUnwindSafe(|| {
                    Stage::new(template, self.audited, fault).play(operation, peace);
                }));
                if let Err(panic) = checked {
                    println!("{WRONG}{name}: {}", text_of(panic.as_ref()));
                }
            }
            at += 1 + at / 16;
        }
    }
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    text.unwrap_or_default().replace('\n', " ")
}
