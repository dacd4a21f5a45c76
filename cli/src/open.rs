//! From the global options to a client of the library.
#![forbid(unsafe_code)]

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use clap::Args;
use kmsbox::audit::Sink;
use kmsbox::kms::Kms;
use kmsbox::options::{Options, Place};
use kmsbox::root_key::Source;

use crate::failure::{Failure, Result};
use crate::new_file;

/// Options that every subcommand takes.
#[derive(Args)]
#[command(next_help_heading = "Options of every command")]
pub struct Global {
    /// The keystore file
    #[arg(
        long,
        global = true,
        env = "KMSBOX_KEYSTORE",
        hide_env_values = true,
        value_name = "PATH"
    )]
    pub keystore: Option<PathBuf>,

    /// Where the root key is: file:PATH, credential:NAME, env:NAME, passphrase-file:PATH
    #[arg(
        long,
        global = true,
        env = "KMSBOX_ROOT_KEY",
        hide_env_values = true,
        value_name = "SOURCE"
    )]
    pub root_key: Option<OsString>,

    /// Append a line about each operation to this file
    #[arg(
        long,
        global = true,
        env = "KMSBOX_AUDIT_LOG",
        hide_env_values = true,
        value_name = "PATH"
    )]
    pub audit_log: Option<PathBuf>,

    /// Write JSON, for programs
    #[arg(long, global = true)]
    pub json: bool,

    /// Do not ask before something is lost or redirected
    #[arg(short, long, global = true)]
    pub yes: bool,
}

/// Whether a command may change the keystore.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// It only looks: permission to read the file is enough.
    Read,
    /// It may change something.
    Write,
}

impl Global {
    /// Opens the keystore.
    pub fn open(&self, access: Access) -> Result<Kms> {
        self.open_beside(access, &[])
    }

    /// Opens the keystore for a command that makes these files too, named by its arguments.
    pub fn open_beside(&self, access: Access, files: &[(&str, Option<&Path>)]) -> Result<Kms> {
        let options = self.options(access)?;
        let named: Vec<_> = files
            .iter()
            .filter_map(|(argument, path)| Some((*argument, new_file::named(*path)?)))
            .collect();
        options.keep_apart(&named)?;
        Ok(Kms::open(&options)?)
    }

    /// The library's options, without looking at any file.
    pub fn options(&self, access: Access) -> Result<Options> {
        let mut options = Options::default();
        options.keystore = Some(Place::File(self.keystore()?.to_owned()));
        options.read_only = access == Access::Read;
        options.audit = self.audit_log.clone().map(Sink::file);
        options.set_root_key_source(self.root_key()?)?;
        Ok(options)
    }

    /// The keystore's path.
    pub fn keystore(&self) -> Result<&Path> {
        match self.keystore.as_deref() {
            None => Err(Failure::Usage(
                "Which keystore? Give --keystore PATH or set KMSBOX_KEYSTORE.".to_owned(),
            )),
            Some(path) if path == Path::new("memory:") => Err(Failure::Usage(
                "A keystore in memory would end with this command; name a file.".to_owned(),
            )),
            Some(path) => Ok(path),
        }
    }

    /// The root key's source.
    pub fn root_key(&self) -> Result<Source> {
        let source = self.root_key.as_deref().ok_or_else(|| {
            Failure::Usage(
                "Where is the root key? Give --root-key SOURCE or set KMSBOX_ROOT_KEY, for \
                 instance file:/etc/kmsbox/root.key."
                    .to_owned(),
            )
        })?;
        source_of(source)
    }
}

/// Understands a source of a root key. What is no source may be a root key given by mistake: it is
/// not repeated.
pub fn source_of(text: &OsStr) -> Result<Source> {
    const KINDS: [&str; 4] = ["file:", "credential:", "env:", "passphrase-file:"];
    let begins = |kind: &&str| text.as_bytes().starts_with(kind.as_bytes());
    if !KINDS.iter().any(begins) {
        return Err(Failure::Usage(
            "The source of a root key begins with file:, credential:, env: or passphrase-file:. \
             The root key itself does not belong on a command line."
                .to_owned(),
        ));
    }
    Source::parse(text).map_err(|why| Failure::Usage(format!("The root key's source: {why}.")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_key_given_by_mistake_is_not_repeated() {
        let key = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
        for mistake in [key.to_owned(), format!("hex:{key}")] {
            match source_of(mistake.as_ref()) {
                Err(Failure::Usage(text)) => assert!(!text.contains("0011"), "{text}"),
                _ => panic!("{mistake} is no source"),
            }
        }
        assert!(source_of("file:/k".as_ref()).is_ok());
        assert!(matches!(
            source_of("file:".as_ref()),
            Err(Failure::Usage(_))
        ));
    }
}
