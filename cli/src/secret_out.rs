//! Where a secret may go: to a new file, to a pipe, and to a terminal only when asked.
#![forbid(unsafe_code)]

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::failure::{Failure, Result};
use crate::new_file::{self, NewFile};

/// A place that a secret may be written to. It is found before the secret is made.
pub enum SecretOut {
    /// A new file.
    File(NewFile),
    /// Standard output, where it is no terminal.
    Pipe,
    /// Standard output, a terminal, as asked.
    Terminal,
}

impl SecretOut {
    /// The place: a file where one is named (`-` is standard output), else standard output.
    pub fn find(file: Option<&Path>, show: bool) -> Result<Self> {
        match new_file::named(file) {
            Some(path) => NewFile::create(path).map(SecretOut::File),
            None => standard_output(io::stdout().is_terminal(), show),
        }
    }

    /// Writes the secret and makes sure that it lasts.
    pub fn write(self, secret: &[u8]) -> Result<()> {
        match self {
            SecretOut::File(mut file) => {
                file.write(secret)?;
                file.finish()
            }
            SecretOut::Pipe | SecretOut::Terminal => unbuffered(secret),
        }
    }
}

fn standard_output(terminal: bool, show: bool) -> Result<SecretOut> {
    match (terminal, show) {
        (false, _) => Ok(SecretOut::Pipe),
        (true, true) => Ok(SecretOut::Terminal),
        (true, false) => Err(Failure::Usage(
            "A secret would be shown on this terminal: name a file with --out, use a pipe, or \
             give --show."
                .to_owned(),
        )),
    }
}

/// Past the buffer that the standard library would leave a copy in.
fn unbuffered(secret: &[u8]) -> Result<()> {
    io::stdout()
        .as_fd()
        .try_clone_to_owned()
        .and_then(|output| File::from(output).write_all(secret))
        .map_err(|error| Failure::output(&error))
}

/// Base64 in memory that does not grow and is wiped.
pub fn base64(secret: &[u8]) -> Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(vec![0; secret.len().div_ceil(3) * 4]);
    let written = STANDARD.encode_slice(secret, &mut text[..]);
    match (written, String::from_utf8(std::mem::take(&mut *text))) {
        (Ok(_), Ok(text)) => Ok(Zeroizing::new(text)),
        _ => Err(kmsbox::error::Error::new(kmsbox::error::Status::Internal).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_shows_a_secret_only_when_asked() {
        assert!(matches!(
            standard_output(true, false),
            Err(Failure::Usage(_))
        ));
        assert!(matches!(
            standard_output(true, true),
            Ok(SecretOut::Terminal)
        ));
        for show in [true, false] {
            assert!(matches!(standard_output(false, show), Ok(SecretOut::Pipe)));
        }
    }

    #[test]
    fn base64_is_padded() {
        for (bytes, text) in [
            (&b""[..], ""),
            (b"a", "YQ=="),
            (b"ab", "YWI="),
            (b"abc", "YWJj"),
        ] {
            assert_eq!(*base64(bytes).unwrap(), text);
        }
    }
}
