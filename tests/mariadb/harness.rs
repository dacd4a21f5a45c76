//! tests/mariadb/harness.c, which takes the place of the server: compiled once, run step by step.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::site::{Site, build, plugin};
use super::support::{Output, STRICT, root, run, run_ok, tool};

pub fn harness() -> &'static Path {
    static HARNESS: OnceLock<PathBuf> = OnceLock::new();
    HARNESS.get_or_init(|| {
        let out = plugin().with_file_name("harness");
        compile(tool("CC", "cc"), &out, &[]);
        out
    })
}

fn compile(mut compile: Command, out: &Path, extra: &[&str]) {
    compile
        .args(STRICT)
        .args(["-std=c11", "-g", "-isystem", "/usr/include/mariadb/server"])
        .args(extra)
        .arg(root().join("tests/mariadb/harness.c"))
        .arg("-o")
        .arg(out)
        .args(["-ldl", "-pthread"]);
    run_ok(&mut compile);
}

pub fn call(command: Command, site: &Site, steps: &[&str]) -> Output {
    call_with(command, plugin(), site, steps)
}

fn call_with(mut command: Command, plugin: &Path, site: &Site, steps: &[&str]) -> Output {
    command
        .arg(plugin)
        .args(site.settings())
        .arg("--")
        .args(steps);
    run(&mut command)
}

/// The lines that the steps print, without the plugin's notes.
#[track_caller]
pub fn lines(output: Output) -> Vec<String> {
    assert!(output.status.success(), "{output:?}");
    let noted = |line: &&str| !line.starts_with("note ");
    output
        .stdout
        .lines()
        .filter(noted)
        .map(str::to_owned)
        .collect()
}

#[track_caller]
pub fn steps(site: &Site, steps: &[&str]) -> Vec<String> {
    lines(call(Command::new(harness()), site, steps))
}

pub fn valgrind() -> Command {
    let mut command = Command::new("valgrind");
    command
        .args([
            "--quiet",
            "--error-exitcode=99",
            "--leak-check=full",
            "--fair-sched=yes",
        ])
        .arg(harness());
    command
}

/// The harness and the plugin under ThreadSanitizer. Older ones cannot do with all the randomness that
/// newer kernels put into addresses, and not everyone may switch that off.
pub fn watched_threads(site: &Site, steps: &[&str]) -> Output {
    let sanitize = "-fsanitize=thread";
    let harness = plugin().with_file_name("harness-tsan");
    // By the plugin's compiler: there is one ThreadSanitizer in a process.
    compile(Command::new("cc"), &harness, &[sanitize]);
    let plugin = build("kmsbox-tsan.so", sanitize);
    let mut command = Command::new("sh");
    let fixed = "setarch -R true 2>/dev/null && exec setarch -R \"$0\" \"$@\"; exec \"$0\" \"$@\"";
    command.args(["-c", fixed]).arg(harness);
    call_with(command, &plugin, site, steps)
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
