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
    let page = clap_mangen::Man::new(command.clone());
    let mut sections = Vec::new();
    page.render_name_section(&mut sections)?;
    page.render_synopsis_section(&mut sections)?;
    page.render_options_section(&mut sections)?;
    if command.has_subcommands() {
        page.render_subcommands_section(&mut sections)?;
    }
    let mut text = title(&page.get_filename());
    text.push_str(&String::from_utf8_lossy(&sections));
    if let Some(notes) = command.get_after_help() {
        text.push_str(&in_roff(&notes.to_string()));
    }
    text.push_str(
        if command.is_subcommand_required_set() && command.get_version().is_some() {
            ABOUT_ALL
        } else {
            ".SH SEE ALSO\n.BR kmsbox (1)\n"
        },
    );
    fs::write(directory.join(page.get_filename()), tidied(&text))
}

/// The date of the pages: of the last change to what they say.
const DATE: &str = "2026-11-21";

/// The end of the first page.
const ABOUT_ALL: &str = "\
.SH ENVIRONMENT
.TP
.B KMSBOX_KEYSTORE
The keystore file, where
.B \\-\\-keystore
is not given.
.TP
.B KMSBOX_ROOT_KEY
Where the root key is, where
.B \\-\\-root\\-key
is not given.
.TP
.B KMSBOX_AUDIT_LOG
The audit log, where
.B \\-\\-audit\\-log
is not given.
.SH SEE ALSO
.BR kmsbox (3)
";

/// The first line of a page, which the crate would leave without its date.
fn title(filename: &str) -> String {
    let name = filename.trim_end_matches(".1").to_uppercase();
    let version = env!("CARGO_PKG_VERSION");
    format!(".TH \"{name}\" \"1\" \"{DATE}\" \"kmsbox {version}\" \"kmsbox\"\n")
}

/// The same page as a strict reader of man pages wants it: no line of text is longer than 80 bytes, none
/// ends with a space, no paragraph is empty, and the quotation mark is defined once.
fn tidied(page: &str) -> String {
    let mut out: Vec<String> = Vec::new();
    let mut literal = false;
    for line in page.lines().map(str::trim_end) {
        match line {
            ".nf" => literal = true,
            ".fi" => literal = false,
            _ => {}
        }
        let defines = line.starts_with(".ie ") || line.starts_with(".el ");
        if defines && out.iter().any(|before| before == line) {
            continue;
        }
        if line.starts_with(".SH") && out.last().is_some_and(|last| last == ".PP") {
            out.pop();
        }
        // Only plain text may be broken; a word that begins with a dot or a quote would be a request.
        if literal || line.starts_with('.') {
            out.push(line.to_owned());
        } else {
            let mut part = String::new();
            for word in line.split(' ') {
                let fits = part.len() + 1 + word.len() <= 80;
                if !part.is_empty() && (fits || word.starts_with(['.', '\''])) {
                    part.push(' ');
                } else if !part.is_empty() {
                    out.push(std::mem::take(&mut part));
                }
                part.push_str(word);
            }
            out.push(part);
        }
    }
    out.join("\n") + "\n"
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

    #[test]
    fn a_page_is_tidied_without_a_change_to_what_it_says() {
        let long = "word ".repeat(30);
        let page =
            format!(".ie a\n.el b\n.SH X\n{long}\n.PP\n.ie a\n.el b\n.SH Y\n.nf\n{long}\n.fi\n");
        let filled = "word ".repeat(16).trim_end().to_owned();
        let rest = "word ".repeat(14).trim_end().to_owned();
        let literal = long.trim_end();
        assert_eq!(
            tidied(&page),
            format!(".ie a\n.el b\n.SH X\n{filled}\n{rest}\n.SH Y\n.nf\n{literal}\n.fi\n")
        );
        let dots = format!("{} .dot 'quote end", "x".repeat(76));
        assert_eq!(
            tidied(&dots),
            format!("{} .dot 'quote\nend\n", "x".repeat(76))
        );
    }
}
