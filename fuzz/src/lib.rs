//! What the targets share: a keystore whose store key is known, so that what lies behind its seals can
//! be changed, and requests whose answers are read.

mod answers;
mod sealed;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::LazyLock;

use kmsbox::error::Result;
use kmsbox::kms::Kms;
use kmsbox::options::Options;
use tempfile::TempDir;

pub use answers::{Refused, ask, judge, whole};
pub use sealed::{
    KEY, KEYSTORE_ID, MATERIAL, ROOT_KEY, STORE_KEY, VERSION, keystore, material_aad, open,
    plain_keystore, seal, template,
};

/// The folder that a run works in. One target is one process, and its runs come one after the other.
pub struct Place(TempDir);

pub static PLACE: LazyLock<Place> = LazyLock::new(|| Place(TempDir::new().unwrap()));

impl Place {
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn keystore(&self) -> PathBuf {
        self.path("keystore")
    }

    /// Puts a file there that its owner alone may use.
    pub fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    /// Removes what runs before this one left.
    pub fn clear(&self) {
        for entry in fs::read_dir(self.0.path()).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
    }

    pub fn open(&self) -> Result<Kms> {
        let mut options = Options::default();
        options.set("keystore", self.keystore().to_str().unwrap())?;
        options.set("create", "true")?;
        options.set_root_key(&ROOT_KEY)?;
        Kms::open(&options)
    }
}
