//! Shell completion and man pages, made from the command line itself.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::{fs, io};

use clap::{Args, Command, CommandFactory};
use clap_complete::Shell;

use crate::args::{Cli, with_groups};
use crate::failure::{Failure, Result};
use crate::output;

/// Write the completion script of a shell
#[derive(Args)]
#[command(after_help = "\
Examples:
  kmsbox completions bash > /etc/bash_completion.d/kmsbox
  kmsbox completions zsh > ~/.zfunc/_kmsbox")]
pub struct Completions {
    /// bash, elvish, fish, powershell or zsh
    #[arg(value_enum, value_name = "SHELL", hide_possible_values = true)]
    shell: Shell,
}

impl Completions {
    pub fn run(self) -> Result<()> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "kmsbox", &mut script);
        output::bytes(&script)
    }
}

/// Write the man pages into a directory
#[derive(Args)]
#[command(after_help = "\
Examples:
  kmsbox man /usr/local/share/man/man1
  kmsbox man . && man ./kmsbox-rotate.1")]
pub struct Man {
    /// The directory; made where it is missing, pages in it are replaced
    #[arg(value_name = "DIRECTORY")]
    directory: PathBuf,
}

impl Man {
    pub fn run(self) -> Result<()> {
        let failed = |error| Failure::file("write to", &self.directory, error);
        fs::create_dir_all(&self.directory).map_err(failed)?;
        let mut command = with_groups(Cli::command()).disable_help_subcommand(true);
        command.build();
        write_pages(&command, &self.directory).map_err(failed)
    }
}

fn write_pages(command: &Command, directory: &Path) -> io::Result<()> {
    for subcommand in command.get_subcommands() {
        write_pages(subcommand, directory)?;
    }
    let page = clap_mangen::Man::new(command.clone()).manual("kmsbox");
    let mut text = Vec::new();
    page.render_title(&mut text)?;
    page.render_name_section(&mut text)?;
    page.render_synopsis_section(&mut text)?;
    page.render_options_section(&mut text)?;
    if command.has_subcommands() {
        page.render_subcommands_section(&mut text)?;
    }
    if let Some(notes) = command.get_after_help() {
        text.extend_from_slice(in_roff(&notes.to_string()).as_bytes());
    }
    fs::write(directory.join(page.get_filename()), text)
}

/// The text after a page's options: paragraphs under "Notes", what is indented as it stands, and each
/// line that ends with a colon before such lines as a heading.
fn in_roff(notes: &str) -> String {
    let mut roff = String::new();
    let mut lines = notes.lines().peekable();
    let mut literal = false;
    while let Some(line) = lines.next() {
        let indented = |line: &str| line.starts_with("  ");
        let heads = lines.peek().is_some_and(|next| indented(next));
        let escaped = line.replace('\\', "\\e").replace('-', "\\-");
        if literal && !indented(line) {
            roff.push_str(".fi\n");
            literal = false;
        }
        if roff.is_empty() && !(heads && line.ends_with(':')) {
            roff.push_str(".SH NOTES\n");
        }
        match line.strip_suffix(':') {
            Some(heading) if heads && !indented(line) => {
                roff.push_str(&format!(".SH {}\n", heading.to_uppercase()));
            }
            _ if indented(line) => {
                if !literal {
                    roff.push_str(".nf\n");
                }
                literal = true;
                roff.push_str(&format!("{escaped}\n"));
            }
            _ if line.is_empty() => roff.push_str(".PP\n"),
            _ => roff.push_str(&format!("\\&{escaped}\n")),
        }
    }
    if literal {
        roff.push_str(".fi\n");
    }
    roff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_paragraphs_and_examples_stand_as_they_are() {
        assert_eq!(
            in_roff("One.\nTwo.\n\nExamples:\n  kmsbox a \\\n      --b"),
            ".SH NOTES\n\\&One.\n\\&Two.\n.PP\n.SH EXAMPLES\n.nf\n  kmsbox a \\e\n      \\-\\-b\n.fi\n"
        );
        assert!(in_roff("Examples:\n  x").starts_with(".SH EXAMPLES\n.nf\n"));
    }
}
