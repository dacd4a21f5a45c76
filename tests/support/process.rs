//! Child processes with their output captured and an end in sight: at its limit a child is killed
//! together with everything it started.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// How long a child may take unless a test says otherwise. Generous: valgrind on a busy machine.
pub const LIMIT: Duration = Duration::from_secs(180);

/// How a child ended and what it said.
#[derive(Debug)]
pub struct Output {
    /// Its exit status.
    pub status: ExitStatus,
    /// All of its standard output.
    pub stdout: String,
    /// All of its standard error.
    pub stderr: String,
}

/// A child in a process group of its own, its standard input empty and its output being collected.
pub struct Running {
    child: Child,
    shown: String,
    started: Instant,
    stdout: Pipe,
    stderr: Pipe,
    /// Has been waited for: its id may by now be another process's.
    ended: Option<ExitStatus>,
}

/// Runs a command to its end, within [`LIMIT`].
#[track_caller]
pub fn run(command: &mut Command) -> Output {
    run_within(command, LIMIT)
}

/// Runs a command to its end; past the limit it is killed and the test fails.
#[track_caller]
pub fn run_within(command: &mut Command, limit: Duration) -> Output {
    spawn(command).finish(limit)
}

/// Runs a command that must succeed; where it does not, the test fails and shows all it said.
#[track_caller]
pub fn run_ok(command: &mut Command) -> Output {
    let output = run(command);
    assert!(
        output.status.success(),
        "{}: {command:?}\n--- stdout\n{}--- stderr\n{}",
        output.status,
        output.stdout,
        output.stderr
    );
    output
}

/// Starts a command and returns at once.
#[track_caller]
pub fn spawn(command: &mut Command) -> Running {
    let shown = format!("{command:?}");
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn();
    let mut child = child.unwrap_or_else(|error| panic!("{shown}: {error}"));
    Running {
        stdout: Pipe::of(child.stdout.take()),
        stderr: Pipe::of(child.stderr.take()),
        child,
        shown,
        started: Instant::now(),
        ended: None,
    }
}

impl Running {
    /// The process id, which is also that of its process group.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has not ended yet.
    pub fn is_running(&mut self) -> bool {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().unwrap_or_default();
        }
        self.ended.is_none()
    }

    /// Kills it and everything it started (SIGKILL).
    pub fn kill(&mut self) {
        if self.ended.is_none() {
            // By the shell's own kill: the standard library has no call for a process group.
            let _ = Command::new("sh")
                .args(["-c", "kill -s KILL -- -\"$1\"", "sh"])
                .arg(self.id().to_string())
                .stderr(Stdio::null())
                .status();
        }
    }

    /// Waits for its end, until `limit` after its start; then it is killed and the test fails.
    #[track_caller]
    pub fn finish(mut self, limit: Duration) -> Output {
        let deadline = self.started + limit;
        let mut in_time = self.stdout.read(deadline) && self.stderr.read(deadline);
        while in_time && self.is_running() {
            std::thread::sleep(Duration::from_millis(1));
            in_time = Instant::now() < deadline;
        }
        if !in_time {
            self.kill();
            let soon = Instant::now() + Duration::from_secs(1);
            self.stdout.read(soon);
            self.stderr.read(soon);
        }
        let (stdout, stderr) = (self.stdout.text(), self.stderr.text());
        match self.ended {
            Some(status) if in_time => Output {
                status,
                stdout,
                stderr,
            },
            _ => panic!(
                "killed after {limit:?}: {}\n--- stdout\n{stdout}--- stderr\n{stderr}",
                self.shown
            ),
        }
    }
}

impl Drop for Running {
    /// A test that fails half-way leaves no child behind.
    fn drop(&mut self) {
        if self.ended.is_none() {
            self.kill();
            let _ = self.child.wait();
        }
    }
}

/// One output of a child, read to its end on a thread of its own: a full pipe never stops the child.
struct Pipe {
    receiver: Receiver<Vec<u8>>,
    bytes: Option<Vec<u8>>,
}

impl Pipe {
    fn of(pipe: Option<impl Read + Send + 'static>) -> Pipe {
        let (sender, receiver) = channel();
        if let Some(mut pipe) = pipe {
            std::thread::spawn(move || {
                let mut bytes = Vec::new();
                let _ = pipe.read_to_end(&mut bytes);
                let _ = sender.send(bytes);
            });
        }
        Pipe {
            receiver,
            bytes: None,
        }
    }

    /// Waits for the end of the output; `false` where it is still open at the deadline.
    fn read(&mut self, deadline: Instant) -> bool {
        if self.bytes.is_none() {
            let left = deadline.saturating_duration_since(Instant::now());
            self.bytes = match self.receiver.recv_timeout(left) {
                Ok(bytes) => Some(bytes),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => Some(Vec::new()),
            };
        }
        self.bytes.is_some()
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(self.bytes.as_deref().unwrap_or_default()).into_owned()
    }
}
