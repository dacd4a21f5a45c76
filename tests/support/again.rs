//! This test program again, as another process that does the other half of a test.

// Every test program compiles this file for itself and uses only a part of it.
#![allow(dead_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::env;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdout, Command, Stdio};

const ROLE: &str = "KMSBOX_TEST_AGAIN";
const ARGUMENTS: &str = "KMSBOX_TEST_ARGUMENTS";
const READY: &str = "the other half is ready";

/// Seen from the other process.
pub struct Again(String);

/// Seen from the test: killed with the value.
pub struct Process {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Again {
    /// `None` in the test itself.
    pub fn of(test: &str) -> Option<Again> {
        (env::var(ROLE).ok()? == test).then(|| Again(env::var(ARGUMENTS).unwrap()))
    }

    /// Starts this test as another process.
    pub fn start(test: &str, arguments: &[&str]) -> Process {
        Again::start_by(Command::new(env::current_exe().unwrap()), test, arguments)
    }

    /// Starts it by a command that ends in this program.
    pub fn start_by(mut command: Command, test: &str, arguments: &[&str]) -> Process {
        let mut child = command
            .args(["--exact", test, "--nocapture", "--test-threads=1"])
            .env(ROLE, test)
            .env(ARGUMENTS, arguments.join("\n"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Process { child, output }
    }

    pub fn arguments<const N: usize>(&self) -> [String; N] {
        let arguments: Vec<_> = self.0.split('\n').map(str::to_owned).collect();
        arguments.try_into().unwrap()
    }

    /// Waits until the test lets all go on.
    pub fn ready(&self) {
        let mut output = io::stdout();
        write!(output, "\n{READY}\n").unwrap();
        output.flush().unwrap();
        io::stdin().read_line(&mut String::new()).unwrap();
    }
}

impl Process {
    pub fn wait_until_ready(&mut self) {
        let mut line = String::new();
        while line.trim_end() != READY {
            line.clear();
            let read = self.output.read_line(&mut line).unwrap();
            assert_ne!(read, 0, "the process ended too early");
        }
    }

    pub fn go(&mut self) {
        let stdin = self.child.stdin.as_mut().unwrap();
        stdin.write_all(b"go\n").unwrap();
    }

    /// Waits for its end, which must be a good one.
    #[track_caller]
    pub fn end(mut self) {
        drop(self.child.stdin.take());
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).unwrap();
        assert!(self.child.wait().unwrap().success(), "{rest}");
        assert!(rest.contains("1 passed"), "it ran the test: {rest}");
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
