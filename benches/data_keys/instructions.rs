//! Instructions of one call, counted by valgrind: exact, and the same on a busy machine as on an idle
//! one. What the kernel does is not in them, nor what a cache miss costs.

use std::fs;
use std::process::Command;

use crate::allocations;
use crate::cases::{COUNTED, TIMED, Worker, named};
use crate::store::Store;

const CALLS: usize = 1000;

pub fn print() {
    if Command::new("valgrind").arg("--version").output().is_err() {
        println!("instructions: not counted, since there is no valgrind here");
        return;
    }
    println!("instructions and allocations of one call, outside the kernel");
    println!(
        "(valgrind knows no AES instructions wider than 128 bits; processors with them need fewer)"
    );
    println!("{:<36} | instructions | allocations", "");
    for case in TIMED.into_iter().chain(COUNTED) {
        // What does not belong to the calls is in both runs.
        let (less, more) = (counted(case.name, CALLS), counted(case.name, 2 * CALLS));
        println!(
            "{:<36} | {:>12} | {:>11}",
            case.name,
            per_call(less.instructions, more.instructions),
            per_call(less.allocations, more.allocations),
        );
    }
}

/// Runs one case; what `print` starts under valgrind.
pub fn calls(case: &str, calls: usize) {
    let case = named(case).expect("a case");
    let store = Store::with_keys(1);
    // The look that is due each second would come after a random number of calls.
    let client = store.open(&[(c"refresh_interval_ms", c"3600000")]);
    let mut worker = Worker::new(case, &client, &store.key_ids[0]);
    let before = allocations::of_this_thread();
    worker.run(calls);
    println!("{}", allocations::of_this_thread() - before);
}

struct Counted {
    instructions: usize,
    allocations: usize,
}

fn counted(case: &str, calls: usize) -> Counted {
    let directory = tempfile::tempdir().expect("a directory");
    let profile = directory.path().join("callgrind");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--toggle-collect=*Worker*run*"])
        .arg(format!("--callgrind-out-file={}", profile.display()))
        .arg(std::env::current_exe().expect("this program"))
        .args(["calls", case, &calls.to_string()])
        .output()
        .expect("valgrind");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let profile = fs::read_to_string(profile).expect("a profile");
    let total = profile
        .lines()
        .find_map(|line| line.strip_prefix("totals: "));
    let number = |text: Option<&str>| text.and_then(|text| text.trim().parse().ok());
    let counted = Counted {
        instructions: number(total).expect("a number of instructions"),
        allocations: number(Some(&said)).expect("a number of allocations"),
    };
    assert!(counted.instructions > calls, "the symbols were stripped");
    counted
}

fn per_call(less: usize, more: usize) -> String {
    let hundredths = (more - less) * 100 / CALLS;
    match (hundredths / 100, hundredths % 100) {
        (whole, 0) => whole.to_string(),
        (whole, rest) => format!("{whole}.{rest:02}"),
    }
}
