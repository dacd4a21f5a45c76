//! The command line: global options and the list of subcommands. Each subcommand's own options stand
//! in its file.
#![forbid(unsafe_code)]

use std::fmt::Write;

use clap::{Command, Parser, Subcommand};

use crate::commands::{
    alias, call, data, import, inspect, keys, keystore, list, pages, re_encrypt, root_key, state,
    usage,
};
use crate::failure;
use crate::open::Global;

/// The whole command line.
#[derive(Parser)]
#[command(
    name = "kmsbox",
    version,
    about = "Keeps customer master keys (CMKs) in a sealed file, and wraps data keys under them.",
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,

    #[command(subcommand)]
    pub command: Subcommands,
}

/// The subcommands.
#[derive(Subcommand)]
pub enum Subcommands {
    Init(keystore::Init),
    CreateKey(keys::CreateKey),
    List(list::List),
    Describe(keys::Describe),
    Alias(alias::AliasArgs),
    Rotate(state::Rotate),
    Disable(state::Disable),
    Enable(state::Enable),
    ScheduleDeletion(state::ScheduleDeletion),
    CancelDeletion(state::CancelDeletion),
    Protect(state::Protect),
    Purge(state::Purge),
    Import(import::Import),
    DeleteMaterial(import::DeleteMaterial),
    GenerateDataKey(data::GenerateDataKey),
    Encrypt(data::Encrypt),
    Decrypt(data::Decrypt),
    ReEncrypt(re_encrypt::ReEncrypt),
    Inspect(inspect::Inspect),
    Usage(usage::Usage),
    Verify(keystore::Verify),
    Backup(keystore::Backup),
    Restore(keystore::Restore),
    RootKey(root_key::RootKeyArgs),
    Call(call::CallArgs),
    Completions(pages::Completions),
    Man(pages::Man),
}

/// What an operator looks for together.
const GROUPS: &[(&str, &[&str])] = &[
    (
        "CMKs",
        &[
            "create-key",
            "list",
            "describe",
            "alias",
            "rotate",
            "disable",
            "enable",
            "import",
        ],
    ),
    (
        "Deletion",
        &[
            "schedule-deletion",
            "cancel-deletion",
            "protect",
            "purge",
            "delete-material",
        ],
    ),
    (
        "Data",
        &[
            "generate-data-key",
            "encrypt",
            "decrypt",
            "re-encrypt",
            "inspect",
        ],
    ),
    (
        "The keystore",
        &["init", "verify", "usage", "backup", "restore", "root-key"],
    ),
    ("More", &["call", "completions", "man", "help"]),
];

const EXAMPLES: &str = "\
Examples:
  export KMSBOX_KEYSTORE=/var/lib/orders/keystore
  export KMSBOX_ROOT_KEY=file:/etc/orders/root.key
  kmsbox init --make-root-key               make a root key and a keystore
  kmsbox create-key --alias alias/orders    make a CMK
  kmsbox list                               see what there is
  kmsbox help rotate                        the page of one command";

/// Lists the subcommands of the first page in groups.
pub fn with_groups(command: Command) -> Command {
    let width = GROUPS
        .iter()
        .flat_map(|(_, names)| names.iter())
        .map(|name| name.len())
        .max()
        .unwrap_or(0);
    let about = |name: &str| match command.find_subcommand(name).and_then(Command::get_about) {
        Some(about) => about.to_string(),
        None => "Show this page, or the page of one command".to_owned(),
    };
    let mut template = String::from("{about-with-newline}\n{usage-heading} {usage}\n");
    for (group, names) in GROUPS {
        let _ = write!(template, "\n{group}:\n");
        for name in *names {
            let _ = writeln!(template, "  {name:width$}  {}", about(name));
        }
    }
    template.push_str("\nOptions:\n{options}{after-help}");
    let after_help = format!("{}\n\n{EXAMPLES}", failure::HELP);
    command.help_template(template).after_help(after_help)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use std::collections::BTreeSet;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_subcommand_is_in_one_group() {
        let grouped: Vec<_> = GROUPS
            .iter()
            .flat_map(|(_, names)| *names)
            .copied()
            .collect();
        let mut command = Cli::command();
        command.build();
        let known: BTreeSet<_> = command.get_subcommands().map(|c| c.get_name()).collect();
        assert_eq!(grouped.iter().copied().collect::<BTreeSet<_>>(), known);
        assert_eq!(grouped.len(), known.len());
    }
}
