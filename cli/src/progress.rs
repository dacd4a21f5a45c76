//! How far long work is.
#![forbid(unsafe_code)]

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use crate::output;

/// How often it is shown.
const SHOWN_EVERY: Duration = Duration::from_millis(200);

/// How far it is, on standard error: a line that changes where that is a terminal, and one at the end.
pub struct Progress {
    began: Instant,
    shown: Instant,
    terminal: bool,
    visible: bool,
    input_len: Option<u64>,
}

impl Progress {
    /// Begins; `input_len` is how long the input is, where that is known.
    pub fn new(input_len: Option<u64>) -> Self {
        Progress {
            began: Instant::now(),
            shown: Instant::now(),
            terminal: io::stderr().is_terminal(),
            visible: false,
            input_len,
        }
    }

    /// Shows how far it is, now and then.
    pub fn show(&mut self, blobs: u64, refused: u64, read: u64) {
        if !self.terminal || self.shown.elapsed() < SHOWN_EVERY {
            return;
        }
        self.shown = Instant::now();
        self.visible = true;
        let part = match self.input_len {
            Some(len) if len > 0 => format!("{:3}%  ", read.saturating_mul(100) / len),
            _ => String::new(),
        };
        let mut stderr = io::stderr().lock();
        let _ = write!(stderr, "\r{part}{}\x1b[K", self.words(blobs, refused));
        let _ = stderr.flush();
    }

    /// Makes room for another line.
    pub fn clear(&mut self) {
        if std::mem::take(&mut self.visible) {
            let _ = write!(io::stderr().lock(), "\r\x1b[K");
        }
    }

    /// Says what was done.
    pub fn finish(&mut self, blobs: u64, refused: u64) {
        self.clear();
        // One blob is an answer of its own.
        if blobs > 1 {
            output::note(self.words(blobs, refused));
        }
    }

    fn words(&self, blobs: u64, refused: u64) -> String {
        let millis = self.began.elapsed().as_millis().max(1);
        let rate = u128::from(blobs) * 1000 / millis;
        let refused = match refused {
            0 => String::new(),
            some => format!(", {some} refused"),
        };
        format!(
            "{blobs} blobs{refused}, {}.{:01} s, {rate} a second",
            millis / 1000,
            millis % 1000 / 100
        )
    }
}
