//! What the writers were told is made, and what the keystore's file holds.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::CREATE;
use crate::support::scratch_dir;
use crate::worker::{DataKey, Worker};

/// A keystore, and the file in which writers tell what was acknowledged.
pub struct Place {
    scratch: tempfile::TempDir,
    pub keystore: PathBuf,
}

impl Place {
    pub fn new() -> Place {
        let scratch = scratch_dir();
        let keystore = scratch.path().join("keystore");
        Worker::open(&keystore, &[CREATE]).free();
        Place { scratch, keystore }
    }

    pub fn made_path(&self) -> String {
        self.scratch.path().join("made").display().to_string()
    }

    pub fn made(&self) -> Made {
        let mut made = Made::default();
        let text = fs::read_to_string(self.made_path()).unwrap_or_default();
        for line in text.lines() {
            let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
            match &words[..] {
                [kind, key] if kind == "key" => made.keys.push(key.clone()),
                [kind, alias, key] if kind == "alias" => {
                    made.aliases.insert(alias.clone(), key.clone());
                }
                [kind, key, version, plaintext, blob] if kind == "version" => {
                    let data_key = DataKey {
                        key: plaintext.clone(),
                        blob: blob.clone(),
                    };
                    let version = (key.clone(), version.clone(), data_key);
                    made.versions.push(version);
                }
                _ => panic!("a torn line: {line}"),
            }
        }
        made
    }
}

/// What was acknowledged.
#[derive(Default)]
pub struct Made {
    pub keys: Vec<String>,
    pub aliases: HashMap<String, String>,
    /// Key, version, and a data key wrapped under it.
    pub versions: Vec<(String, String, DataKey)>,
}

impl Made {
    pub fn changes(&self) -> usize {
        self.keys.len() + self.aliases.len() + self.versions.len()
    }

    /// All of it is there for a client.
    pub fn check_all(&self, worker: &mut Worker) {
        for key in &self.keys {
            let described = worker.call(&format!("Action=DescribeKey&KeyId={key}"));
            assert_eq!(described.ok().key_id, *key);
        }
        for (alias, key) in &self.aliases {
            assert_eq!(worker.generate(alias).ok().key_id, *key);
        }
        for (_, version, data_key) in &self.versions {
            let opened = worker.decrypt(&data_key.blob).ok();
            assert_eq!(opened.result, data_key.key);
            assert_eq!(opened.key_version_id, *version);
        }
    }
}

/// What the file holds.
pub struct Kept {
    pub epoch: usize,
    pub keys: HashSet<String>,
    pub versions: HashSet<(String, String)>,
    pub aliases: HashMap<String, String>,
}

impl Kept {
    pub fn read(keystore: &Path) -> Kept {
        let bytes = fs::read(keystore).unwrap();
        let file: serde_json::Value = serde_json::from_slice(&bytes).expect("a whole file");
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        let list = |value: &serde_json::Value| value.as_array().unwrap().clone();
        let mut kept = Kept {
            epoch: usize::try_from(file["epoch"].as_u64().unwrap()).unwrap(),
            keys: HashSet::new(),
            versions: HashSet::new(),
            aliases: HashMap::new(),
        };
        for key in list(&file["keys"]) {
            let key_id = text(&key["key_id"]);
            for version in list(&key["versions"]) {
                let version_id = text(&version["key_version_id"]);
                kept.versions.insert((key_id.clone(), version_id));
            }
            assert!(kept.keys.insert(key_id), "an id twice");
        }
        for alias in list(&file["aliases"]) {
            let twice = kept
                .aliases
                .insert(text(&alias["alias"]), text(&alias["key_id"]));
            assert_eq!(twice, None, "an alias twice");
        }
        kept
    }

    /// CreateKey makes a version too.
    pub fn changes(&self) -> usize {
        self.versions.len() + self.aliases.len()
    }

    #[track_caller]
    pub fn contains_all(&self, made: &Made, round: usize) {
        for key in &made.keys {
            assert!(self.keys.contains(key), "round {round}: CMK {key}");
        }
        for (alias, key) in &made.aliases {
            assert_eq!(self.aliases.get(alias), Some(key), "round {round}");
        }
        for (key, version, _) in &made.versions {
            let version = (key.clone(), version.clone());
            assert!(
                self.versions.contains(&version),
                "round {round}: {version:?}"
            );
        }
    }
}
