//! The subcommands, one file for each group.
#![forbid(unsafe_code)]

pub mod alias;
pub mod call;
pub mod data;
pub mod import;
pub mod inspect;
pub mod keys;
pub mod keystore;
pub mod list;
pub mod pages;
pub mod re_encrypt;
pub mod root_key;
pub mod state;
pub mod usage;

use crate::args::{Cli, Subcommands};
use crate::failure::Result;

/// Runs the subcommand.
pub fn run(cli: Cli) -> Result<()> {
    let global = &cli.global;
    match cli.command {
        Subcommands::Init(args) => args.run(global),
        Subcommands::CreateKey(args) => args.run(global),
        Subcommands::List(args) => args.run(global),
        Subcommands::Describe(args) => args.run(global),
        Subcommands::Alias(args) => args.run(global),
        Subcommands::Rotate(args) => args.run(global),
        Subcommands::Disable(args) => args.run(global),
        Subcommands::Enable(args) => args.run(global),
        Subcommands::ScheduleDeletion(args) => args.run(global),
        Subcommands::CancelDeletion(args) => args.run(global),
        Subcommands::Protect(args) => args.run(global),
        Subcommands::Purge(args) => args.run(global),
        Subcommands::Import(args) => args.run(global),
        Subcommands::DeleteMaterial(args) => args.run(global),
        Subcommands::GenerateDataKey(args) => args.run(global),
        Subcommands::Encrypt(args) => args.run(global),
        Subcommands::Decrypt(args) => args.run(global),
        Subcommands::ReEncrypt(args) => args.run(global),
        Subcommands::Inspect(args) => args.run(global),
        Subcommands::Usage(args) => args.run(global),
        Subcommands::Verify(args) => args.run(global),
        Subcommands::Backup(args) => args.run(global),
        Subcommands::Restore(args) => args.run(global),
        Subcommands::RootKey(args) => args.run(global),
        Subcommands::Call(args) => args.run(global),
        Subcommands::Completions(args) => args.run(),
        Subcommands::Man(args) => args.run(),
    }
}
