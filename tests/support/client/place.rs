//! Where a keystore of a test lives.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::{Client, Options, ROOT_KEY, Refusal};
use crate::support::scratch_dir;

/// A directory for a keystore and what belongs to it, removed with the value.
pub struct Place(tempfile::TempDir);

impl Place {
    pub fn new() -> Place {
        Place(scratch_dir())
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// A path in it.
    pub fn at(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    pub fn keystore(&self) -> PathBuf {
        self.at("keystore")
    }

    /// A file that only its owner may use.
    pub fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.at(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    /// Options that name the keystore and the root key.
    pub fn options(&self) -> Options {
        let mut options = Options::new();
        options.root_key(&ROOT_KEY);
        options.set("keystore", self.keystore().to_str().unwrap());
        options
    }

    /// Opens the keystore.
    pub fn open(&self) -> Result<Client, Refusal> {
        self.options().open()
    }

    /// Opens the keystore with more options.
    pub fn open_with(&self, more: &[(&str, &str)]) -> Result<Client, Refusal> {
        let mut options = self.options();
        for (name, value) in more {
            options.set(name, value);
        }
        options.open()
    }

    /// Makes the keystore.
    pub fn create(&self) -> Client {
        self.open_with(&[("create", "true")]).unwrap()
    }

    /// The names of the files in it, sorted.
    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path()).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}
