//! A keystore with a CMK and room for databases, and the programs that work on them.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use crate::client::{Client, Place, ROOT_KEY};
use crate::support::{Link, Need, Output, compile, need, on_keystore, root, run};

const FAILED: i32 = 1;

pub const SLOT_LEN: usize = 4096;
pub const PREFIX_LEN: usize = 2 * SLOT_LEN;
const BLOB: std::ops::Range<usize> = 64..64 + 158;
const VERSION_IN_BLOB: std::ops::Range<usize> = 22..38;

/// Whether there is all that the example needs.
#[track_caller]
pub fn all_there() -> bool {
    need(Need::Cxx) && need(Need::RocksDb) && need(Need::OpenSsl)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    Example,
    /// By the address sanitizer, with leaks, and the one for undefined behaviour.
    SanitizedExample,
    /// tests/rocksdb/parts.cpp, with both as well.
    Parts,
    /// tests/rocksdb/databases.cpp, likewise.
    Databases,
}

/// A program, compiled once.
pub fn program(program: Program) -> Command {
    static COMPILED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());
    let mut compiled = COMPILED.lock().expect("no compilation failed before");
    let name = format!("rocksdb-{program:?}").to_lowercase();
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if !compiled.contains(&out) {
        let folder = root().join("c_examples/rocksdb");
        let parts = [
            "aes_ctr.cpp",
            "file_prefix.cpp",
            "guarded_file_system.cpp",
            "kmsbox_encryption.cpp",
        ];
        let parts = parts.map(|part| folder.join(part).display().to_string());
        let include = format!("-I{}", folder.display());
        let mut extra = vec!["-std=c++17", &include];
        extra.extend(parts.iter().map(String::as_str));
        extra.extend(["-lrocksdb", "-lcrypto", "-pthread"]);
        if program != Program::Example {
            let sanitized = [
                "-fsanitize=address,undefined",
                "-fno-sanitize-recover=all",
                // RocksDB of the packages has no type information to check by.
                "-fno-sanitize=vptr",
            ];
            extra.extend(sanitized);
        }
        let main = match program {
            Program::Parts => root().join("tests/rocksdb/parts.cpp"),
            Program::Databases => root().join("tests/rocksdb/databases.cpp"),
            _ => folder.join("rocksdb_example.cpp"),
        };
        compile(&main, &out, Link::Shared, &extra);
        compiled.push(out.clone());
    }
    Command::new(out)
}

/// A keystore with a CMK, and room for databases.
pub struct Shop {
    pub place: Place,
    pub client: Client,
    pub cmk: String,
}

/// A file of a database that has something in it.
pub struct File {
    /// From the directory of the database.
    pub path: String,
    pub bytes: Vec<u8>,
}

impl Shop {
    pub fn new() -> Shop {
        let place = Place::new();
        place.file("root.key", &ROOT_KEY);
        let client = place.create();
        let cmk = client.create_key();
        Shop { place, client, cmk }
    }

    /// A command that is run here, with the keystore in its environment.
    pub fn in_place(&self, command: Command) -> Command {
        on_keystore(command, self.place.path())
    }

    /// The example, here.
    pub fn example(&self, words: &[&str]) -> Command {
        let mut command = self.in_place(program(Program::Example));
        command.args(words);
        command
    }

    /// Runs the example under the CMK of this shop.
    pub fn run(&self, words: &[&str]) -> Output {
        run(&mut self.example(&[&["--cmk", &self.cmk], words].concat()))
    }

    #[track_caller]
    pub fn done(&self, words: &[&str]) -> String {
        let output = self.run(words);
        assert!(output.status.success(), "{words:?}: {output:?}");
        output.stdout
    }

    #[track_caller]
    pub fn refused(&self, words: &[&str], says: &str) {
        assert_refused(&self.run(words), says);
    }

    /// Makes the database `db` with so many entries.
    #[track_caller]
    pub fn fill(&self, count: usize) {
        self.done(&["db", "fill", &count.to_string()]);
    }

    #[track_caller]
    pub fn assert_entries(&self, database: &str, count: usize) {
        assert_eq!(self.done(&[database, "scan"]), format!("{count} entries\n"));
    }

    /// Gives the CMK a new version.
    pub fn rotate(&self) {
        let cmk = &self.cmk;
        self.client
            .done(&format!("Action=CreateKeyVersion&KeyId={cmk}"));
    }

    /// The CMK's present version, as bytes.
    pub fn primary(&self) -> Vec<u8> {
        let blob = self.client.data_key(&self.cmk).blob;
        blob[VERSION_IN_BLOB].to_vec()
    }

    /// Wraps all keys of a database anew, which must succeed for each file.
    #[track_caller]
    pub fn rewrapped(&self, database: &str) {
        let count = self.files(database).len();
        assert_eq!(self.done(&[database, "rewrap"]), format!("{count} files\n"));
        for file in self.files(database) {
            assert_eq!(file.version(), self.primary(), "{}", file.path);
            assert_eq!(file.slot(0), file.slot(1), "{}", file.path);
        }
    }

    /// All files of a database but the empty ones, sorted.
    pub fn files(&self, database: &str) -> Vec<File> {
        let mut files: Vec<_> = fs::read_dir(self.place.at(database))
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                File {
                    path: entry.file_name().into_string().unwrap(),
                    bytes: fs::read(entry.path()).unwrap(),
                }
            })
            .filter(|file| !file.bytes.is_empty())
            .collect();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        files
    }

    /// How many files there are by this ending, just now: some may go meanwhile.
    pub fn count(&self, database: &str, ending: &str) -> usize {
        let entries = fs::read_dir(self.place.at(database));
        entries.map_or(0, |entries| {
            let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
            names.filter(|name| name.ends_with(ending)).count()
        })
    }
}

impl File {
    pub fn slot(&self, number: usize) -> &[u8] {
        &self.bytes[number * SLOT_LEN..][..SLOT_LEN]
    }

    /// Of the first slot.
    pub fn blob(&self) -> &[u8] {
        &self.slot(0)[BLOB]
    }

    pub fn version(&self) -> &[u8] {
        &self.blob()[VERSION_IN_BLOB]
    }

    /// What RocksDB wrote, encrypted.
    pub fn data(&self) -> &[u8] {
        &self.bytes[PREFIX_LEN..]
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} bytes)", self.path, self.bytes.len())
    }
}

#[track_caller]
pub fn assert_refused(output: &Output, says: &str) {
    assert_eq!(output.status.code(), Some(FAILED), "{output:?}");
    assert!(output.stderr.contains(says), "not said: {says}\n{output:?}");
    assert_eq!(output.stdout, "");
}

/// A part of tests/rocksdb/parts.cpp or databases.cpp that came to its end.
#[track_caller]
pub fn assert_done(output: &Output) {
    let good = output.status.success() && output.stdout.ends_with("done\n");
    assert!(good, "{output:?}");
}
