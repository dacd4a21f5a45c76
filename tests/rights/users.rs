//! Several users, their shared place, and access lists.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use kmsbox::options::Options;

use crate::service::{self, Service};
use crate::set_mode;

/// A user who is in one group.
#[derive(Clone, Copy)]
pub struct User {
    pub id: u32,
    pub group: u32,
}

impl User {
    /// Works as this user, on a thread of its own: the system call changes one thread alone.
    pub fn does<R: Send>(self, work: impl FnOnce() -> R + Send) -> R {
        let change = |call, id: u32| {
            // SAFETY: takes three numbers.
            let done = unsafe { libc::syscall(call, id, id, id) };
            assert_eq!(done, 0);
        };
        thread::scope(|scope| {
            let thread = scope.spawn(|| {
                // SAFETY: an empty list needs no memory.
                let left = unsafe { libc::syscall(libc::SYS_setgroups, 0, 0) };
                assert_eq!(left, 0);
                change(libc::SYS_setresgid, self.group);
                change(libc::SYS_setresuid, self.id);
                work()
            });
            thread.join().unwrap()
        })
    }
}

/// A directory that other users can reach, with a folder for a keystore in it.
pub struct Shared {
    _temporary: tempfile::TempDir,
    directory: PathBuf,
}

impl Shared {
    pub fn new() -> Shared {
        let temporary = tempfile::tempdir().unwrap();
        let directory = temporary.path().join("folder");
        fs::create_dir(&directory).unwrap();
        for path in [temporary.path(), &directory] {
            set_mode(path, 0o755);
        }
        Shared {
            _temporary: temporary,
            directory,
        }
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    pub fn keystore(&self) -> PathBuf {
        self.at("keystore")
    }

    pub fn options(&self, more: &[(&str, &str)]) -> Options {
        service::options(&self.keystore(), more)
    }

    /// Opens the keystore, made if it is missing.
    pub fn open(&self, more: &[(&str, &str)]) -> Service {
        service::open(&self.keystore(), more)
    }

    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.directory).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

pub const ACCESS: &str = "system.posix_acl_access";
pub const DEFAULT: &str = "system.posix_acl_default";

/// An access list; users come before the group, and the group before the mask.
pub struct List(Vec<u8>);

impl List {
    /// What the owner may.
    pub fn of(owner: u16) -> List {
        List(2_u32.to_le_bytes().to_vec()).entry(1, owner, u32::MAX)
    }

    pub fn user(self, id: u32, may: u16) -> List {
        self.entry(2, may, id)
    }

    pub fn group(self, may: u16) -> List {
        self.entry(4, may, u32::MAX)
    }

    pub fn mask(self, may: u16) -> List {
        self.entry(16, may, u32::MAX)
    }

    /// Gives it to a file; others may nothing.
    pub fn put(self, path: &Path, attribute: &str) {
        let list = self.entry(32, 0, u32::MAX);
        rustix::fs::setxattr(path, attribute, &list.0, rustix::fs::XattrFlags::empty()).unwrap();
    }

    fn entry(mut self, tag: u16, may: u16, id: u32) -> List {
        self.0.extend(tag.to_le_bytes());
        self.0.extend(may.to_le_bytes());
        self.0.extend(id.to_le_bytes());
        self
    }
}
