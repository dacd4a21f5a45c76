//! A scratch directory with a keystore, and the real command run in it.
// Each test program uses a part.
#![allow(dead_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use serde_json::Value;

/// The command under test.
pub const KMSBOX: &str = env!("CARGO_BIN_EXE_kmsbox");

/// How a command ended and what it said.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl Ended {
    /// Standard output as text.
    pub fn text(&self) -> String {
        String::from_utf8(self.stdout.clone()).unwrap()
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// A directory of its own, for its owner alone, and what a command needs to know of it.
pub struct Place {
    _temporary: tempfile::TempDir,
    pub directory: PathBuf,
}

impl Place {
    /// Without a keystore.
    pub fn empty() -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let directory = temporary.path().canonicalize().unwrap().join("place");
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&directory)
            .unwrap();
        Place {
            _temporary: temporary,
            directory,
        }
    }

    /// With a keystore and its root key.
    pub fn new() -> Self {
        let place = Self::empty();
        place.ok(&["init", "--make-root-key"]);
        place
    }

    /// With a keystore and a CMK behind `alias/orders`.
    pub fn with_key() -> Self {
        let place = Self::new();
        place.ok(&["create-key", "--alias", "alias/orders"]);
        place
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o600)).unwrap();
    }

    pub fn mode(&self, name: &str) -> u32 {
        fs::metadata(self.path(name)).unwrap().permissions().mode() & 0o777
    }

    /// The command, in this place, with an environment of its own.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(KMSBOX);
        command
            .args(args)
            .current_dir(&self.directory)
            .env_clear()
            .env("KMSBOX_KEYSTORE", self.path("keystore"))
            .env("KMSBOX_ROOT_KEY", source(&self.path("root.key")))
            .stdin(Stdio::null());
        command
    }

    /// A library that gives the command another world where it is preloaded.
    pub fn preloaded(&self) -> PathBuf {
        let shim = self.path("preloaded.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/c/preloaded.c");
        let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
        let mut words = compiler.split_whitespace();
        let compiled = Command::new(words.next().unwrap())
            .args(words)
            .args(["-shared", "-fPIC", "-o"])
            .args([&shim, &source])
            .arg("-ldl")
            .status();
        assert!(compiled.unwrap().success());
        shim
    }

    pub fn run(&self, args: &[&str]) -> Ended {
        ended(self.command(args), b"")
    }

    /// With something on standard input.
    pub fn piped(&self, args: &[&str], input: &[u8]) -> Ended {
        let mut command = self.command(args);
        command.stdin(Stdio::piped());
        ended(command, input)
    }

    /// Runs what must succeed; gives its standard output as text.
    #[track_caller]
    pub fn ok(&self, args: &[&str]) -> String {
        let ended = self.run(args);
        assert_eq!(ended.code, 0, "{args:?}: {}", ended.stderr);
        ended.text()
    }

    /// Runs what must succeed with `--json`; gives what it printed.
    #[track_caller]
    pub fn json(&self, args: &[&str]) -> Value {
        let ended = self.run(&[args, &["--json"]].concat());
        assert_eq!(ended.code, 0, "{args:?}: {}", ended.stderr);
        ended.json()
    }

    /// Runs what must fail with this exit code; gives what it said.
    #[track_caller]
    pub fn fails(&self, code: i32, args: &[&str]) -> String {
        let ended = self.run(args);
        assert_eq!(ended.code, code, "{args:?}: {ended:?}");
        assert!(!ended.stderr.is_empty(), "{args:?}");
        ended.stderr
    }
}

/// A root key's source.
pub fn source(path: &Path) -> String {
    format!("file:{}", path.display())
}

/// Runs a command to its end.
pub fn ended(mut command: Command, input: &[u8]) -> Ended {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let stdin = child.stdin.take();
    let input = input.to_vec();
    let feeder = thread::spawn(move || {
        if let Some(mut stdin) = stdin {
            // A command that is done early leaves the rest unread.
            let _ = stdin.write_all(&input);
        }
    });
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    Ended {
        code: output.status.code().unwrap_or(-1),
        stdout: output.stdout,
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}
