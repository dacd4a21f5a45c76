//! What went wrong: one sentence on standard error, and the exit code.
#![forbid(unsafe_code)]

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::process::ExitCode;

use kmsbox::error::{Error, Status, after_the_change};
use serde_json::{Value, json};

use crate::table::json_text;
use crate::table::printable;

/// The service refused.
pub const REFUSED: u8 = 1;
/// The command line cannot be understood.
pub const USAGE: u8 = 2;
/// A keystore, a root key or another file cannot be used.
pub const FILES: u8 = 3;
/// Something inside kmsbox or the system.
pub const INTERNAL: u8 = 4;
/// Nobody confirmed.
pub const UNCONFIRMED: u8 = 5;
/// A change was made, but something failed after it.
pub const MADE: u8 = 6;
/// As the shell reports a program that wrote into a closed pipe.
pub const BROKEN_PIPE: u8 = 141;

/// The exit codes, as the help shows them.
pub const HELP: &str = "\
Exit codes:
  0    done
  1    the service refused: no such CMK, wrong state, a blob that does not open
  2    the command line cannot be understood
  3    a keystore, root key or other file cannot be read, written or trusted
  4    an error inside kmsbox, no memory, or no random bytes
  5    not confirmed: answered no, or no terminal to ask at and no --yes
  6    the change was made, but something failed after it: do not repeat it
  141  the reader of a pipe went away";

pub type Result<T, E = Failure> = std::result::Result<T, E>;

/// Why a command ends.
#[derive(Debug)]
pub enum Failure {
    /// The library's error; its status gives the exit code.
    Service(Error),
    /// The library's error, a refusal whatever its status is elsewhere.
    Refused(Error),
    /// The command line.
    Usage(String),
    /// A file other than the keystore.
    Files(String),
    /// Nobody confirmed.
    Unconfirmed(String),
    /// A file, but only after a change was made.
    Made(String),
    /// Some of many were refused; each has been reported.
    Reported,
    /// The reader of standard output went away.
    BrokenPipe,
}

impl Failure {
    /// A file that could not be used.
    pub fn file(what: &str, path: &Path, error: impl Display) -> Self {
        Failure::Files(format!("Could not {what} {}: {error}.", path.display()))
    }

    /// Standard output that could not be written to.
    pub fn output(error: &io::Error) -> Self {
        match error.kind() {
            ErrorKind::BrokenPipe => Failure::BrokenPipe,
            _ => Failure::Files(format!("Could not write to standard output: {error}.")),
        }
    }

    /// The same, where a change was made before: whoever repeats the command makes it twice.
    pub fn after_the_change(self) -> Self {
        const BUT: &str = "its outcome cannot be shown";
        match self {
            Failure::Service(error) if !error.is_after_the_change() => {
                Failure::Service(error.after_the_change(BUT))
            }
            Failure::Files(text) => Failure::Made(after_the_change(BUT, &text)),
            other => other,
        }
    }

    /// Writes the sentence and gives the exit code.
    pub fn report(&self, json: bool) -> ExitCode {
        let mut stderr = io::stderr().lock();
        let _ = match self {
            Failure::Reported | Failure::BrokenPipe => Ok(()),
            failure if json => writeln!(stderr, "{}", json_text(&failure.json())),
            failure => writeln!(stderr, "kmsbox: {}", failure.sentence()),
        };
        ExitCode::from(self.exit_code())
    }

    fn sentence(&self) -> String {
        match self {
            Failure::Service(error) | Failure::Refused(error) => sentence_of(error),
            Failure::Usage(text)
            | Failure::Files(text)
            | Failure::Unconfirmed(text)
            | Failure::Made(text) => text.clone(),
            Failure::Reported | Failure::BrokenPipe => String::new(),
        }
    }

    fn json(&self) -> Value {
        let own = |status: &str| json!({"Status": status, "Code": "", "Message": self.sentence()});
        match self {
            Failure::Service(error) | Failure::Refused(error) => json_of(error),
            Failure::Usage(_) => own("USAGE"),
            Failure::Files(_) | Failure::Made(_) => own("FILE"),
            Failure::Unconfirmed(_) => own("UNCONFIRMED"),
            Failure::Reported | Failure::BrokenPipe => Value::Null,
        }
    }

    fn exit_code(&self) -> u8 {
        match self {
            Failure::Service(error) if error.is_after_the_change() => MADE,
            Failure::Service(error) => code_of(error.status()),
            Failure::Refused(_) | Failure::Reported => REFUSED,
            Failure::Usage(_) => USAGE,
            Failure::Files(_) => FILES,
            Failure::Unconfirmed(_) => UNCONFIRMED,
            Failure::Made(_) => MADE,
            Failure::BrokenPipe => BROKEN_PIPE,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Service(error)
    }
}

/// Whether every further operation would fail in the same way.
pub fn is_fatal(error: &Error) -> bool {
    code_of(error.status()) != REFUSED
}

/// An error of the library in one sentence.
pub fn sentence_of(error: &Error) -> String {
    let status = error.status();
    format!(
        "KMS_ERR_{} ({}): {}",
        status.name(),
        status.code(),
        printable(error.message())
    )
}

/// An error of the library for programs.
pub fn json_of(error: &Error) -> Value {
    let status = error.status();
    let mut fields = json!({
        "Status": format!("KMS_ERR_{}", status.name()),
        "Code": status.code(),
        "HttpStatus": status.http(),
        "Message": error.message(),
    });
    if let Some(made) = error.made() {
        fields["KeyId"] = made.key_id.to_string().into();
    }
    fields
}

fn code_of(status: Status) -> u8 {
    match status {
        // Purging stops until somebody confirms it.
        Status::Clock => REFUSED,
        // Where a keystore is not the one that the option names.
        Status::InvalidOption => FILES,
        _ => match status.number() {
            400..900 => FILES,
            900.. => INTERNAL,
            _ => REFUSED,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_an_exit_code_of_its_group() {
        for status in Status::ALL {
            let expected = match status.number() {
                102 | 400..=405 | 410 | 411 => FILES,
                406 | 100..400 => REFUSED,
                900.. => INTERNAL,
                other => panic!("a status in no group: {other}"),
            };
            assert_eq!(code_of(*status), expected, "{status:?}");
        }
    }

    #[test]
    fn the_help_names_every_exit_code() {
        for code in [
            REFUSED,
            USAGE,
            FILES,
            INTERNAL,
            UNCONFIRMED,
            MADE,
            BROKEN_PIPE,
        ] {
            assert!(HELP.contains(&format!("\n  {code} ")), "{code}");
        }
    }

    #[test]
    fn a_sentence_names_status_and_code() {
        let error = Error::new(Status::KeyNotFound);
        assert_eq!(
            sentence_of(&error),
            "KMS_ERR_KEY_NOT_FOUND (Forbidden.KeyNotFound): The specified Key is not found."
        );
        assert_eq!(json_of(&error)["HttpStatus"], 404);
    }
}
