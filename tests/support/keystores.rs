//! Keystores for tests of the service itself, and other processes that use them: the test program,
//! run again with its part in the environment.

// Every test program compiles this file for itself and uses only a part of it.
#![allow(dead_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::print_stdout)]

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio, exit};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use kmsbox::blob;
use kmsbox::context::Context;
use kmsbox::error::{Result, Status};
use kmsbox::kms::{KeyUse, Kms, NewKey};
use kmsbox::options::Options;
use kmsbox::random;
use kmsbox::request_id::Call;
use kmsbox::root_key::{RootKey, Source};

/// Many writers on a slow disk wait longer for their turn than a server should.
pub const PATIENT: (&str, &str) = ("lock_timeout_ms", "100000");
pub const AT_ONCE: (&str, &str) = ("refresh_interval_ms", "0");
pub const CREATE: (&str, &str) = ("create", "true");

/// No answer of another process takes longer.
const LIMIT: Duration = Duration::from_secs(120);
const PART: &str = "KMSBOX_TEST_PART";
const PLACE: &str = "KMSBOX_TEST_PLACE";

/// A directory with a keystore and what opens it.
pub struct Place {
    pub directory: PathBuf,
    pub keystore: PathBuf,
    /// The source of the root key: a file whose content a test may replace.
    pub root_file: PathBuf,
    _scratch: Option<tempfile::TempDir>,
}

impl Place {
    /// An empty directory with a root key.
    pub fn new() -> Place {
        let scratch = crate::support::scratch_dir();
        let place = Place::at(scratch.path());
        place.put_root_key(&place.root_file, &random_key());
        Place {
            _scratch: Some(scratch),
            ..place
        }
    }

    /// One with a keystore in it.
    pub fn with_keystore() -> Place {
        let place = Place::new();
        drop(place.open(&[CREATE]));
        place
    }

    /// The place that another process made.
    pub fn at(directory: &Path) -> Place {
        Place {
            directory: directory.to_owned(),
            keystore: directory.join("keystore"),
            root_file: directory.join("root.key"),
            _scratch: None,
        }
    }

    /// The same directory and root key, with another file as the keystore.
    pub fn of(&self, keystore: &Path) -> Place {
        Place {
            keystore: keystore.to_owned(),
            ..Place::at(&self.directory)
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Writes a root key where a client may read it at any moment.
    pub fn put_root_key(&self, file: &Path, key: &[u8]) {
        let fresh = file.with_extension("fresh");
        fs::write(&fresh, key).unwrap();
        fs::set_permissions(&fresh, fs::Permissions::from_mode(0o600)).unwrap();
        fs::rename(&fresh, file).unwrap();
    }

    /// A root key in a file of its own.
    pub fn new_root_key(&self, name: &str) -> PathBuf {
        let file = self.path(name);
        self.put_root_key(&file, &random_key());
        file
    }

    pub fn options_by(&self, root_key: &str, more: &[(&str, &str)]) -> Options {
        let mut options = Options::default();
        let keystore = self.keystore.to_str().unwrap();
        for (name, value) in [("keystore", keystore), ("root_key", root_key)] {
            options.set(name, value).unwrap();
        }
        for (name, value) in more {
            options.set(name, value).unwrap();
        }
        options
    }

    pub fn options(&self, more: &[(&str, &str)]) -> Options {
        self.options_by(&source(&self.root_file), more)
    }

    /// A client whose root key comes from the file.
    #[track_caller]
    pub fn open(&self, more: &[(&str, &str)]) -> Kms {
        Kms::open(&self.options(more)).unwrap()
    }

    pub fn try_open_by(&self, root_key: &str) -> Result<Kms> {
        Kms::open(&self.options_by(root_key, &[]))
    }

    /// A client whose root key was given as bytes.
    pub fn open_by_bytes(&self, more: &[(&str, &str)]) -> Kms {
        let mut options = Options::default();
        options
            .set("keystore", self.keystore.to_str().unwrap())
            .unwrap();
        for (name, value) in more {
            options.set(name, value).unwrap();
        }
        let bytes = fs::read(&self.root_file).unwrap();
        options.set_root_key(&bytes.try_into().unwrap()).unwrap();
        Kms::open(&options).unwrap()
    }

    /// What is beside each other in the directory.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(&self.directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// The keystore's file as JSON.
    pub fn file(&self) -> serde_json::Value {
        serde_json::from_slice(&fs::read(&self.keystore).unwrap()).unwrap()
    }

    /// Starts the test of this name once more, in a process of its own, to play a part here.
    pub fn start(&self, test: &str, part: &str) -> Other {
        let mut child = Command::new(env::current_exe().unwrap())
            .args([test, "--exact", "--nocapture"])
            .env(PART, part)
            .env(PLACE, &self.directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let requests = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        // Ends with the child. What the test harness prints is not for us.
        thread::spawn(move || {
            for line in output.lines().map_while(std::result::Result::ok) {
                if let Some(said) = line.strip_prefix(MARK)
                    && sender.send(said.to_owned()).is_err()
                {
                    break;
                }
            }
        });
        Other {
            child,
            requests,
            lines,
        }
    }
}

const MARK: &str = "@@ ";

/// In a process that was started to play this part, plays it and ends; elsewhere does nothing.
pub fn part(name: &str, play: impl FnOnce(&Place)) {
    if env::var(PART).as_deref() != Ok(name) {
        return;
    }
    play(&Place::at(Path::new(&env::var(PLACE).unwrap())));
    exit(0);
}

/// Tells the process that started this one.
pub fn say(text: impl std::fmt::Display) {
    // The harness leaves its line open.
    println!("\n{MARK}{text}");
    std::io::stdout().flush().unwrap();
}

/// Waits for what the process that started this one tells; `None` when it has ended.
pub fn hear() -> Option<String> {
    let mut line = String::new();
    let read = std::io::stdin().read_line(&mut line).unwrap();
    (read > 0).then(|| line.trim_end().to_owned())
}

/// Another process. It is killed when the value goes.
pub struct Other {
    child: Child,
    requests: ChildStdin,
    lines: Receiver<String>,
}

impl Other {
    #[track_caller]
    pub fn tell(&mut self, text: &str) {
        writeln!(self.requests, "{text}").expect("the other process has ended");
    }

    /// What it says next.
    #[track_caller]
    pub fn hear(&self) -> String {
        let line = self.lines.recv_timeout(LIMIT);
        line.expect("the other process has ended, or takes too long")
    }

    /// What it has said by now, if anything.
    pub fn said(&self) -> Option<String> {
        self.lines.try_recv().ok()
    }

    #[track_caller]
    pub fn ask(&mut self, text: &str) -> String {
        self.tell(text);
        self.hear()
    }

    /// Waits until it has said more than it had by now, and so has gone on.
    #[track_caller]
    pub fn goes_on(&self) {
        self.lines.try_iter().for_each(drop);
        self.hear();
        self.hear();
    }

    /// By SIGKILL, at once.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for its end, which must be a good one.
    #[track_caller]
    pub fn end(mut self) {
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A data key and its blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataKey {
    pub plaintext: Vec<u8>,
    pub blob: Vec<u8>,
}

/// A new data key of 32 bytes.
pub fn generate(kms: &Kms, key_id: &str) -> Result<DataKey> {
    let mut made = DataKey {
        plaintext: vec![0; 32],
        blob: vec![0; blob::len(32)],
    };
    let DataKey { plaintext, blob } = &mut made;
    kms.generate_data_key(&Call::default(), key_id, &Context::empty(), plaintext, blob)?;
    Ok(made)
}

/// Decrypts it.
pub fn decrypt(kms: &Kms, blob: &[u8]) -> Result<(KeyUse, Vec<u8>)> {
    let parsed = blob::parse(blob)?;
    let mut plaintext = vec![0; parsed.ciphertext.len()];
    let context = Context::empty();
    let used = kms.decrypt(&Call::default(), None, &parsed, &context, &mut plaintext)?;
    Ok((used, plaintext))
}

/// Decrypts it, and finds the key that was made.
#[track_caller]
pub fn opens(kms: &Kms, data_key: &DataKey) -> KeyUse {
    let (used, plaintext) = decrypt(kms, &data_key.blob).unwrap();
    assert_eq!(plaintext, data_key.plaintext);
    used
}

/// Decrypts many.
#[track_caller]
pub fn all_open(kms: &Kms, data_keys: &[DataKey]) {
    for data_key in data_keys {
        opens(kms, data_key);
    }
}

/// Makes a CMK and tells its id.
#[track_caller]
pub fn create_key(kms: &Kms) -> String {
    let key = kms.create_key(&Call::default(), &NewKey::default());
    key.unwrap().key_id.to_string()
}

/// The status of a refusal.
#[track_caller]
pub fn refused<T>(outcome: Result<T>) -> Status {
    match outcome {
        Ok(_) => panic!("it was not refused"),
        Err(error) => error.status(),
    }
}

/// How many writes the keystore has seen.
pub fn epoch(kms: &Kms) -> u64 {
    described(kms)["Epoch"].as_u64().unwrap()
}

/// What the client says of itself.
pub fn described(kms: &Kms) -> serde_json::Value {
    serde_json::from_slice(kms.describe().unwrap().as_bytes()).unwrap()
}

/// The option's value for a file with a key.
pub fn source(file: &Path) -> String {
    format!("file:{}", file.display())
}

/// The root key in a file.
pub fn root_key(file: &Path) -> RootKey {
    Source::parse(source(file)).unwrap().load().unwrap()
}

/// 32 bytes, none of them text.
pub fn random_key() -> Vec<u8> {
    let mut key = vec![0; 32];
    random::fill(&mut key).unwrap();
    key.iter_mut().for_each(|byte| *byte |= 0x80);
    key
}

pub fn random_below(bound: u64) -> u64 {
    let mut bytes = [0; 8];
    random::fill(&mut bytes).unwrap();
    u64::from_le_bytes(bytes) % bound
}
