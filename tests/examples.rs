//! The programs in c_examples, compiled as their readers compile them and run on real files: they do
//! what their comments say, refuse what they must, leave nothing behind, and are clean under valgrind.
#![allow(clippy::expect_used, clippy::panic)]

#[path = "examples/data_key.rs"]
mod data_key;
#[path = "examples/demo.rs"]
mod demo;
#[path = "examples/encrypt_file.rs"]
mod encrypt_file;
#[path = "examples/partitions.rs"]
mod partitions;
mod support;

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use support::{Link, Need, Output, compile, contains, need, root, run, run_ok, scratch_dir};
use tempfile::TempDir;

/// Exit statuses of encrypt_file.c and partitions.c.
const REFUSED: i32 = 1;
const USAGE: i32 = 2;
const FAILED: i32 = 3;

const BOTH: [Link; 2] = [Link::Shared, Link::Static];

/// The compiled program; compiled once per test run. The two builds differ in the standard too: the
/// programs are C99 and stay it.
fn program(name: &str, link: Link) -> PathBuf {
    static COMPILED: Mutex<Option<HashMap<String, PathBuf>>> = Mutex::new(None);
    let build = format!("{name}-{link:?}").to_lowercase();
    let mut compiled = COMPILED.lock().expect("no compilation failed before");
    let path = compiled
        .get_or_insert_default()
        .entry(build)
        .or_insert_with_key(|build| {
            let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("c_examples");
            fs::create_dir_all(&folder).expect("the target directory can be written");
            let source = root().join("c_examples").join(name).with_extension("c");
            let needs_libcrypto = fs::read_to_string(&source)
                .expect("the example is there")
                .contains("<openssl/");
            let standard = if link == Link::Shared {
                "-std=c99"
            } else {
                "-std=c17"
            };
            let out = folder.join(build);
            let extra = [standard, "-lcrypto"];
            compile(
                &source,
                &out,
                link,
                &extra[..if needs_libcrypto { 2 } else { 1 }],
            );
            out
        });
    path.clone()
}

/// A program run by valgrind, which ends with 99 where it finds a fault or a leak.
fn under_valgrind(program: &Path) -> Command {
    let mut command = Command::new("valgrind");
    command
        .args(["--quiet", "--error-exitcode=99", "--leak-check=full"])
        .arg(program);
    command
}

/// A directory with root keys, and where keystores and files go.
struct Place(TempDir);

impl Place {
    fn new() -> Place {
        let place = Place(scratch_dir());
        place.root_key("root.key", 0x91);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Makes a root key of bytes that are no printable text.
    fn root_key(&self, name: &str, byte: u8) {
        self.write(name, &[byte; 32]);
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o600))
            .expect("it is mine");
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path(name), bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
    }

    /// Every file in it, at any depth, by its path from here.
    fn files(&self) -> BTreeSet<String> {
        fn collect(folder: &Path, top: &Path, found: &mut BTreeSet<String>) {
            for entry in fs::read_dir(folder).expect("it can be read") {
                let path = entry.expect("it can be read").path();
                if path.is_dir() {
                    collect(&path, top, found);
                } else {
                    let from_top = path.strip_prefix(top).expect("it lies below");
                    found.insert(from_top.to_string_lossy().into_owned());
                }
            }
        }
        let mut found = BTreeSet::new();
        collect(self.0.path(), self.0.path(), &mut found);
        found
    }

    /// No file has these bytes in it.
    fn assert_nowhere(&self, secret: &[u8]) {
        for name in self.files() {
            let bytes = self.read(&name);
            assert!(!contains(&bytes, secret), "{name} has plaintext in it");
        }
    }

    /// Runs a command here; paths in its arguments are relative.
    fn run(&self, command: &mut Command, arguments: &[&str]) -> Output {
        run(command.args(arguments).current_dir(self.0.path()))
    }

    fn run_ok(&self, command: &mut Command, arguments: &[&str]) -> Output {
        run_ok(command.args(arguments).current_dir(self.0.path()))
    }

    /// Makes a keystore, or another CMK in it, by `partitions admin`, and tells the CMK's id.
    fn new_cmk(&self, keystore: &str, root_key: &str) -> String {
        let mut partitions = Command::new(program("partitions", Link::Shared));
        let root_key = format!("file:{root_key}");
        let output = self.run_ok(&mut partitions, &["admin", keystore, &root_key]);
        output.stdout.trim().to_owned()
    }
}

#[track_caller]
fn assert_ended(output: &Output, status: i32, says: &str) {
    assert_eq!(output.status.code(), Some(status), "{output:?}");
    assert!(output.stderr.contains(says), "not said: {says}\n{output:?}");
}

/// Bytes without a pattern, the same at every run.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// Every program is explained beside it, and the one that the front page shows is the one tested here.
#[test]
fn the_pages_show_these_programs() {
    let read = |name: &str| {
        fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    };
    let page = read("c_examples/README.md");
    for entry in fs::read_dir(root().join("c_examples")).expect("it can be read") {
        let name = entry.expect("it can be read").file_name();
        let name = name.to_string_lossy();
        if name.ends_with(".c") {
            assert!(
                page.contains(&*name),
                "c_examples/README.md does not name {name}"
            );
        }
    }
    let shown = format!("```c\n{}```\n", read("c_examples/data_key.c"));
    assert!(
        read("README.md").contains(&shown),
        "README.md shows another data_key.c"
    );
}
