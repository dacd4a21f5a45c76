//! The command `kmsbox`: the life of customer master keys, from a terminal or a script.
//!
//! ```text
//! args        the command line: global options and the list of subcommands
//! commands/   the subcommands, one file for each group
//! open        global options, to a client of the library
//! naming      how CMKs are named on the command line, and encryption contexts
//! input       blobs and plaintext, from files and pipes
//! output      what goes to standard output: text or JSON
//! table       text in columns
//! new_file    files that are made, never replaced
//! secret_out  where a secret may go
//! progress    how far long work is
//! confirm     asking before something is lost
//! failure     what went wrong, and the exit code
//! ```
#![forbid(unsafe_code)]

mod args;
mod commands;
mod confirm;
mod failure;
mod input;
mod naming;
mod new_file;
mod open;
mod output;
mod progress;
mod secret_out;
mod table;

use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};
use kmsbox::error::{Error, Status};

fn main() -> ExitCode {
    let command = args::with_groups(args::Cli::command());
    let parsed = command
        .try_get_matches()
        .and_then(|matches| args::Cli::from_arg_matches(&matches));
    match parsed {
        Ok(cli) => {
            let json = cli.global.json;
            // Nobody is shown a backtrace: it says nothing that an operator could act on.
            panic::set_hook(Box::new(|_| {}));
            let ended = panic::catch_unwind(AssertUnwindSafe(|| commands::run(cli)));
            match ended.unwrap_or_else(|_| Err(Error::new(Status::Internal).into())) {
                Ok(()) => ExitCode::SUCCESS,
                Err(failure) => failure.report(json),
            }
        }
        // Help and the version come this way too; a closed pipe is no reason to complain.
        Err(error) => {
            let _ = error.print();
            ExitCode::from(if error.use_stderr() {
                failure::USAGE
            } else {
                0
            })
        }
    }
}
