//! Where a program or session of the documentation runs: a folder of its own, in an environment in which
//! the installed kmsbox is found as if the system had it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::support::go::cgo_flags;
use super::support::{self, installed, scratch_dir};

/// A folder that only this user may enter.
pub struct Place(tempfile::TempDir);

impl Place {
    pub fn empty() -> Place {
        Place(scratch_dir())
    }

    /// With a root key, `root.key`.
    pub fn with_root_key() -> Place {
        let place = Place::empty();
        // No printable text: that would be refused as a passphrase in the wrong place.
        place.write("root.key", [0x91; 32]);
        let own = fs::Permissions::from_mode(0o600);
        fs::set_permissions(place.path().join("root.key"), own).unwrap();
        place
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// A command that runs here and finds what is installed: command, header, libraries, kmsbox.pc.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let installed = installed();
        let mut command = Command::new(program);
        command.current_dir(self.path());
        for (variable, _) in std::env::vars().filter(|(name, _)| name.starts_with("KMSBOX_")) {
            command.env_remove(variable);
        }
        for (variable, folder) in [
            ("CPATH", &installed.include),
            ("LIBRARY_PATH", &installed.lib),
            ("LD_LIBRARY_PATH", &installed.lib),
            ("PKG_CONFIG_PATH", &installed.pkg_config),
            ("PYTHONPATH", &python_package()),
        ] {
            command.env(variable, first(&[folder], variable));
        }
        // The Python of the tests may be of a virtual environment.
        let python = support::python();
        let pythons = python.parent().unwrap_or(Path::new(""));
        command.env("PATH", first(&[&installed.bin, pythons], "PATH"));
        command
            .env("KMSBOX_LIBRARY", installed.lib.join("libkmsbox.so"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("CGO_CFLAGS", cgo_flags(installed))
            .env("LC_ALL", "C.UTF-8");
        command
    }

    /// A command with KEYSTORE, not there yet, and ROOT_KEY_FILE as its arguments.
    pub fn with_arguments(&self, program: impl AsRef<std::ffi::OsStr>, before: &[&str]) -> Command {
        let mut command = self.command(program);
        command.args(before).args(["keystore", "root.key"]);
        command
    }
}

/// The folder from which Python imports the package.
fn python_package() -> PathBuf {
    let binding = support::root().join("bindings/python");
    let src = binding.join("src");
    if src.is_dir() { src } else { binding }
}

/// Folders in front of those that the environment has.
fn first(folders: &[&Path], variable: &str) -> std::ffi::OsString {
    let mut all: Vec<PathBuf> = folders.iter().map(|folder| (*folder).to_owned()).collect();
    // An empty name would be the current folder.
    all.retain(|folder| !folder.as_os_str().is_empty());
    if let Some(others) = std::env::var_os(variable) {
        all.extend(std::env::split_paths(&others));
    }
    std::env::join_paths(all).unwrap()
}
