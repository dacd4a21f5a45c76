//! Another process with a client of its own, that does what a test tells it: tests/c/worker.c.

// Every test program compiles this file for itself and uses only a part of it.
#![allow(dead_code)]
#![allow(clippy::expect_used, clippy::panic)]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use crate::support::{Link, compile, root, run_ok};

/// The root key of every keystore in these tests.
pub const ROOT_KEY: [u8; 32] = *b"\x91 root key of the tests alone\x07\xfe\x13";

/// No answer takes longer, even where many processes write at once.
const LIMIT: Duration = Duration::from_secs(120);

/// The process. It is killed when the value goes.
pub struct Worker {
    child: Child,
    requests: ChildStdin,
    answers: Receiver<String>,
}

/// What the library said.
#[derive(Debug)]
pub struct Answer {
    /// Such as `KMS_OK`.
    pub status: String,
    pub message: String,
    pub request_id: String,
    pub key_id: String,
    pub key_version_id: String,
    /// The document, or what was made.
    pub result: String,
}

/// A data key and its blob, both in hex.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataKey {
    pub key: String,
    pub blob: String,
}

/// The program, linked with the static library so that it can be copied anywhere; compiled once.
pub fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("worker");
        // Another test program may be running the one that is there.
        let fresh = path.with_extension(std::process::id().to_string());
        compile(&root().join("tests/c/worker.c"), &fresh, Link::Static, &[]);
        fs::rename(&fresh, &path).expect("the target directory can be written");
        path
    })
}

/// A copy of the program where another user can run it: the target directory may be closed to others.
pub fn program_for_others() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::Builder::new()
        .prefix("kmsbox-")
        .permissions(fs::Permissions::from_mode(0o755))
        .tempdir()
        .expect("there is a directory for temporary files");
    let copy = directory.path().join("worker");
    // Not by this process: a child that another thread starts meanwhile would inherit the open file,
    // and a file that somebody has open for writing cannot be run.
    run_ok(Command::new("cp").arg(program()).arg(&copy));
    (directory, copy)
}

impl Worker {
    /// Starts one. It has no client yet.
    pub fn start() -> Worker {
        Worker::start_by(&mut Command::new(program()))
    }

    /// Starts one by a command that ends in the program.
    pub fn start_by(command: &mut Command) -> Worker {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let requests = child.stdin.take().expect("it is piped");
        let output = child.stdout.take().expect("it is piped");
        let (sender, answers) = channel();
        // Ends with the child.
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Worker {
            child,
            requests,
            answers,
        }
    }

    /// Starts one with a client on this keystore, with further options.
    #[track_caller]
    pub fn open(keystore: &Path, options: &[&str]) -> Worker {
        let mut worker = Worker::start();
        worker.ask_open(keystore, options).ok();
        worker
    }

    /// Asks for a client; its answer is to come.
    #[track_caller]
    pub fn send_open(&mut self, keystore: &Path, options: &[&str]) {
        let keystore = format!("keystore={}", keystore.display());
        let root_key = format!("root={}", to_hex(&ROOT_KEY));
        let words = [&["open", &keystore, &root_key], options].concat();
        self.send(&words);
    }

    #[track_caller]
    pub fn ask_open(&mut self, keystore: &Path, options: &[&str]) -> Answer {
        self.send_open(keystore, options);
        self.answer()
    }

    /// Sends a request; its answer is to come.
    #[track_caller]
    pub fn send(&mut self, words: &[&str]) {
        let line = words.join("\t") + "\n";
        self.requests
            .write_all(line.as_bytes())
            .expect("the worker reads");
    }

    /// Waits for the answer.
    #[track_caller]
    pub fn answer(&mut self) -> Answer {
        self.answer_within(LIMIT)
            .expect("the worker ended, or took too long")
    }

    /// Waits for the answer; None where it does not come in time.
    pub fn answer_within(&mut self, limit: Duration) -> Option<Answer> {
        let line = self.answers.recv_timeout(limit).ok()?;
        let words: Vec<_> = line.split('\t').map(str::to_owned).collect();
        let words = <[String; 6]>::try_from(words).expect("an answer has six words");
        let [status, message, request_id, key_id, key_version_id, result] = words;
        Some(Answer {
            status,
            message,
            request_id,
            key_id,
            key_version_id,
            result,
        })
    }

    #[track_caller]
    pub fn ask(&mut self, words: &[&str]) -> Answer {
        self.send(words);
        self.answer()
    }

    /// One API request.
    #[track_caller]
    pub fn call(&mut self, request: &str) -> Answer {
        self.ask(&["call", request])
    }

    /// Makes a CMK and tells its id.
    #[track_caller]
    pub fn create_key(&mut self) -> String {
        self.call("Action=CreateKey").ok().key_id
    }

    #[track_caller]
    pub fn generate(&mut self, key_id: &str) -> Answer {
        self.ask(&["generate", key_id])
    }

    /// Unwraps, whichever CMK it is under.
    #[track_caller]
    pub fn decrypt(&mut self, blob: &str) -> Answer {
        self.ask(&["decrypt", "-", blob])
    }

    /// What the client tells of itself.
    #[track_caller]
    pub fn describe(&mut self) -> serde_json::Value {
        let answer = self.ask(&["describe"]).ok();
        serde_json::from_str(&answer.result).expect("a description is JSON")
    }

    /// Closes the client; the process stays.
    #[track_caller]
    pub fn free(&mut self) {
        self.ask(&["free"]).ok();
    }

    /// SIGKILL, and waits until it is gone.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Answer {
    /// The answer, which must be a success.
    #[track_caller]
    pub fn ok(self) -> Answer {
        assert_eq!(self.status, "KMS_OK", "{}", self.message);
        self
    }

    /// The answer, which must have this status.
    #[track_caller]
    pub fn refused(self, status: &str) -> Answer {
        assert_eq!(self.status, status, "{} {}", self.message, self.result);
        self
    }

    /// What `generate` made.
    #[track_caller]
    pub fn data_key(self) -> DataKey {
        let answer = self.ok();
        let (key, blob) = answer.result.split_once(' ').expect("key and blob");
        DataKey {
            key: key.to_owned(),
            blob: blob.to_owned(),
        }
    }
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
