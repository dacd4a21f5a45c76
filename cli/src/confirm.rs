//! Asking before something is lost or redirected.
#![forbid(unsafe_code)]

use std::io::{self, BufRead, IsTerminal, Write};

use crate::failure::{Failure, Result};

/// Asks unless `--yes` was given. Without a terminal nobody can answer, and that is a no.
pub fn confirm(yes: bool, question: &str) -> Result<()> {
    let stdin = io::stdin();
    let terminal = stdin.is_terminal() && io::stderr().is_terminal();
    ask(
        yes,
        terminal,
        question,
        &mut stdin.lock(),
        &mut io::stderr(),
    )
}

fn ask(
    yes: bool,
    terminal: bool,
    question: &str,
    answers: &mut dyn BufRead,
    prompt: &mut dyn Write,
) -> Result<()> {
    if yes {
        return Ok(());
    }
    if !terminal {
        return Err(Failure::Unconfirmed(format!(
            "{question} There is no terminal to confirm this at; give --yes to go ahead."
        )));
    }
    let mut answer = String::new();
    write!(prompt, "{question}\nType \"yes\" to go ahead: ")
        .and_then(|()| prompt.flush())
        .and_then(|()| answers.read_line(&mut answer))
        .map_err(|error| Failure::Unconfirmed(format!("Nobody could be asked: {error}.")))?;
    match answer.trim() {
        "yes" => Ok(()),
        _ => Err(Failure::Unconfirmed(
            "Not confirmed; nothing was changed.".to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(yes: bool, terminal: bool, answer: &str) -> (bool, String) {
        let mut prompt = Vec::new();
        let outcome = ask(yes, terminal, "Sure?", &mut answer.as_bytes(), &mut prompt);
        (outcome.is_ok(), String::from_utf8(prompt).unwrap())
    }

    #[test]
    fn only_yes_is_yes() {
        assert!(asked(false, true, "yes\n").0);
        for answer in ["", "\n", "y\n", "no\n", "YES\n", "yes please\n"] {
            assert!(!asked(false, true, answer).0, "{answer}");
        }
        assert!(asked(false, true, "no\n").1.starts_with("Sure?"));
    }

    #[test]
    fn without_a_terminal_nobody_is_asked() {
        assert_eq!(asked(false, false, "yes\n"), (false, String::new()));
        assert_eq!(asked(true, false, ""), (true, String::new()));
        assert_eq!(asked(true, true, "no\n"), (true, String::new()));
    }
}
