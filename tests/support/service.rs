//! The service through its document door, in Rust: requests by name, answers taken apart, and the
//! keystore's state changed from behind.

// Every test program compiles this file for itself and uses only a part of it.
#![allow(dead_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "xml.rs"]
pub mod xml;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kmsbox::clock::Timestamp;
use kmsbox::document::perform;
use kmsbox::error::Status;
use kmsbox::key_name::parse_id;
use kmsbox::keystore::file::SealedFile;
use kmsbox::keystore::state::{Imported, Key, KeyState, Origin, Version};
use kmsbox::keystore::store_key::{KeyBytes, VersionName};
use kmsbox::keystore::{Draft, Keystore as _, Patience};
use kmsbox::kms::Kms;
use kmsbox::options::Options;
use kmsbox::request_id::Call;
use kmsbox::secret::Arena;
use serde_json::Value;

use crate::support::scratch_dir;

/// 32 bytes that are not printable text.
pub const ROOT_KEY: [u8; 32] = [0xA7; 32];

pub const DAY: u64 = 24 * 60 * 60;

/// A directory with a keystore, removed with the value.
pub struct Place(tempfile::TempDir);

impl Place {
    pub fn new() -> Place {
        Place(scratch_dir())
    }

    /// A path in it.
    pub fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn keystore(&self) -> PathBuf {
        self.at("keystore")
    }

    /// Opens the keystore, made if it is missing, looked at before every call.
    pub fn open(&self, more: &[(&str, &str)]) -> Service {
        open(&self.keystore(), more)
    }

    /// Changes the state under the seal, past every rule of the service.
    pub fn edit(&self, mut edit: impl FnMut(&mut Draft)) {
        let arena = Arena::new(1 << 20).unwrap();
        let options = options(&self.keystore(), &[]);
        let file = SealedFile::open(&self.keystore(), &options, &arena).unwrap();
        let mut edit = |draft: &mut Draft| {
            edit(draft);
            Ok(())
        };
        file.change(&mut edit, Patience::Configured).unwrap();
    }

    /// As [`Place::edit`], for one CMK.
    pub fn edit_key(&self, key_id: &str, edit: impl Fn(&mut Key)) {
        let id = parse_id(key_id).unwrap();
        self.edit(|draft| edit(draft.state.key_mut(id).unwrap()));
    }

    /// Ends the deletion window of a CMK.
    pub fn end_window(&self, key_id: &str) {
        self.edit_key(key_id, |key| {
            key.put_in = KeyState::PendingDeletion;
            key.delete_date = Some(ago(1));
        });
    }

    /// Gives an EXTERNAL CMK its material without an RSA key, which would take long to make.
    pub fn import(&self, key_id: &str) {
        let id = parse_id(key_id).unwrap();
        self.edit(|draft| {
            let store_key = Arc::clone(&draft.store_key);
            let material = KeyBytes::new([0x5E; 32]);
            let key = draft.state.key_mut(id).unwrap();
            let name = VersionName {
                key_id: id,
                key_version_id: key.primary_version,
                origin: Origin::External,
            };
            let sealed = store_key.seal_material(name, &material).unwrap();
            key.versions = vec![Arc::new(Version::new(
                key.primary_version,
                key.created,
                Some(sealed),
            ))];
            key.imported = Some(Imported {
                check: store_key.check_of(id, &material).unwrap(),
                expires: None,
            });
            key.put_in = KeyState::Enabled;
        });
    }

    /// The keystore's file as JSON.
    pub fn file(&self) -> Value {
        serde_json::from_slice(&fs::read(self.keystore()).unwrap()).unwrap()
    }

    /// What the file keeps of one CMK.
    pub fn key_in_file(&self, key_id: &str) -> Option<Value> {
        let file = self.file();
        let mut keys = file["keys"].as_array().unwrap().iter();
        keys.find(|key| key["key_id"] == key_id).cloned()
    }

    /// How often the file was written.
    pub fn epoch(&self) -> u64 {
        self.file()["epoch"].as_u64().unwrap()
    }
}

/// So many seconds before now.
pub fn ago(seconds: u64) -> Timestamp {
    Timestamp::from_seconds(Timestamp::now().seconds() - seconds)
}

/// Options of a client of this keystore.
pub fn options(keystore: &Path, more: &[(&str, &str)]) -> Options {
    let mut options = Options::default();
    options.set_root_key(&ROOT_KEY).unwrap();
    let usual = [
        ("keystore", keystore.to_str().unwrap()),
        ("refresh_interval_ms", "0"),
        ("lock_timeout_ms", "60000"),
    ];
    for (name, value) in usual.iter().chain(more) {
        options.set(name, value).unwrap();
    }
    options
}

/// Opens a keystore, made if it is missing and may be.
pub fn open(keystore: &Path, more: &[(&str, &str)]) -> Service {
    let read_only = more.contains(&("read_only", "true"));
    let mut options = options(keystore, more);
    options.create = !read_only;
    Service::open(&options)
}

/// A client.
pub struct Service {
    pub kms: Kms,
}

/// What a request is answered with, in whichever format.
#[derive(Debug)]
pub struct Reply {
    /// `None`: it was done.
    pub status: Option<Status>,
    pub document: Value,
    pub text: String,
}

impl Service {
    pub fn open(options: &Options) -> Service {
        Service {
            kms: Kms::open(options).unwrap(),
        }
    }

    /// A keystore in memory.
    pub fn in_memory() -> Service {
        Service::open(&options(Path::new("memory:"), &[]))
    }

    /// Performs a request and checks that its document says what its outcome does.
    #[track_caller]
    pub fn ask_raw(&self, request: &str) -> Reply {
        let call = Call::default();
        let answer = perform(&self.kms, &call, request.as_bytes());
        let text = String::from_utf8(answer.document.unwrap().as_bytes().to_vec()).unwrap();
        let document = match text.starts_with('<') {
            true => xml::parse(&text),
            false => serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}")),
        };
        assert_eq!(document["RequestId"], call.request_id().as_str());
        let status = answer.outcome.as_ref().err().map(|error| error.status());
        if let Some(status) = status {
            let mut fields: Vec<_> = document.as_object().unwrap().keys().collect();
            fields.sort();
            assert_eq!(fields, ["Code", "HttpStatus", "Message", "RequestId"]);
            assert_eq!(number(&document["HttpStatus"]), u64::from(status.http()));
            assert_eq!(document["Code"], status.code());
            assert_ne!(document["Message"], "");
        }
        Reply {
            status,
            document,
            text,
        }
    }

    #[track_caller]
    pub fn ask(&self, action: &str, parameters: &[(&str, &str)]) -> Reply {
        self.ask_raw(&request(action, parameters))
    }

    /// A request that must be done; its document.
    #[track_caller]
    pub fn done(&self, action: &str, parameters: &[(&str, &str)]) -> Value {
        let reply = self.ask(action, parameters);
        assert_eq!(
            reply.status, None,
            "{action} {parameters:?}: {}",
            reply.text
        );
        reply.document
    }

    /// A request that must be refused; how, and the message.
    #[track_caller]
    pub fn refused(&self, action: &str, parameters: &[(&str, &str)]) -> (Status, String) {
        let reply = self.ask(action, parameters);
        let Some(status) = reply.status else {
            panic!("{action} {parameters:?} was done: {}", reply.text);
        };
        (status, string(&reply.document["Message"]))
    }

    /// Makes a CMK and tells its id.
    #[track_caller]
    pub fn create_key(&self, parameters: &[(&str, &str)]) -> String {
        let made = self.done("CreateKey", parameters);
        string(&made["KeyMetadata"]["KeyId"])
    }

    /// DescribeKey's KeyMetadata.
    #[track_caller]
    pub fn describe(&self, key_id: &str) -> Value {
        self.done("DescribeKey", &[("KeyId", key_id)])["KeyMetadata"].take()
    }

    /// The blob of a new data key and the version it is under.
    #[track_caller]
    pub fn data_key(&self, key_id: &str) -> DataKey {
        let made = self.done("GenerateDataKey", &[("KeyId", key_id)]);
        DataKey {
            blob: string(&made["CiphertextBlob"]),
            plaintext: string(&made["Plaintext"]),
            version: string(&made["KeyVersionId"]),
        }
    }

    /// What a blob holds.
    #[track_caller]
    pub fn decrypt(&self, blob: &str) -> String {
        string(&self.done("Decrypt", &[("CiphertextBlob", blob)])["Plaintext"])
    }

    /// The versions of a CMK, in order of creation.
    #[track_caller]
    pub fn versions(&self, key_id: &str) -> Vec<String> {
        let list = self.done("ListKeyVersions", &[("KeyId", key_id), ("PageSize", "100")]);
        let versions = list["KeyVersions"]["KeyVersion"].as_array().unwrap();
        versions
            .iter()
            .map(|v| string(&v["KeyVersionId"]))
            .collect()
    }
}

/// A data key, as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataKey {
    pub blob: String,
    pub plaintext: String,
    pub version: String,
}

/// A request as the API wants it written.
pub fn request(action: &str, parameters: &[(&str, &str)]) -> String {
    let mut request = format!("Action={action}");
    for (name, value) in parameters {
        request += &format!("&{name}={}", encode(value));
    }
    request
}

/// Encodes a value for a form.
pub fn encode(value: &str) -> String {
    let unreserved = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(byte);
    let encode = |byte: u8| match unreserved(&byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    value.bytes().map(encode).collect()
}

#[track_caller]
pub fn string(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// A number, which XML writes as text.
#[track_caller]
pub fn number(value: &Value) -> u64 {
    let text = value.as_str().map(|text| text.parse().unwrap());
    text.or_else(|| value.as_u64()).unwrap()
}

pub fn from_base64(text: &str) -> Vec<u8> {
    STANDARD.decode(text).unwrap()
}
