//! Small stacks: what docs/c.md says that a call needs is enough, with room to spare.

use crate::host;
use crate::support::{root, run_ok, scratch_dir};

/// What the page promises, in KiB.
const MOST_CALLS: usize = 32;
const IMPORT: usize = 96;
/// For what else may run on the stack: a signal handler of the host with its frame.
const SPARE: usize = 8;

#[test]
fn small_stacks() {
    let read = |file: &str| std::fs::read_to_string(root().join(file)).unwrap();
    let header = format!(
        "Stack: a call needs less than {MOST_CALLS} KiB, GetParametersForImport and ImportKeyMaterial less \
         than {IMPORT} KiB."
    );
    for (file, promise) in [
        (
            "docs/c.md",
            format!("| `GetParametersForImport`, `ImportKeyMaterial` | {IMPORT} KiB |"),
        ),
        ("docs/c.md", format!("| all others | {MOST_CALLS} KiB |")),
        ("include/kmsbox.h", header),
    ] {
        assert!(read(file).contains(&promise), "{file}: {promise}");
    }
    let scratch = scratch_dir();
    let told = run_ok(host("stacks", &scratch).arg(scratch.path())).stdout;
    println!("{told}");
    let needs: Vec<(&str, usize)> = told
        .lines()
        .map(|line| line.rsplit_once(' ').unwrap())
        .map(|(call, need)| (call, need.parse().unwrap()))
        .collect();
    assert!(needs.len() > 20, "{told}");
    for (call, need) in needs {
        let promised = if call.contains("Import") {
            IMPORT
        } else {
            MOST_CALLS
        };
        assert!(need > 1000, "{call}: this test must see what a call uses");
        assert!(
            need <= (promised - SPARE) * 1024,
            "{call} needs {need} bytes"
        );
    }
}
