//! A keystore, an operation with a fault in it, and what must be so afterwards.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use kmsbox::clock::Timestamp;
use kmsbox::error::Status;
use kmsbox::keystore::file::SealedFile;
use kmsbox::keystore::state::Rotation;
use kmsbox::keystore::{Draft, Keystore, Patience};
use kmsbox::kms::Kms;
use kmsbox::request_id::Call;
use kmsbox::root_key::{RootKey, Source};
use kmsbox::secret::Arena;
use rsa::pkcs8::DecodePublicKey;
use serde_json::Value;

use crate::KINDS;
use crate::client::{Client, DataKey, Options, Place, ROOT_KEY, form};
use crate::operations::{Operation, Outcome, Writes};
use crate::shim::{Fault, seen};

const LONG_AGO: Timestamp = Timestamp::from_seconds(1);
/// What may lie beside each other after any operation.
const NAMES: [&str; 11] = [
    "audit.log",
    "b.key",
    "c.key",
    "copy",
    "copy.lock",
    "keystore",
    "keystore.lock",
    "keystore.usage",
    "new",
    "new.lock",
    "root.key",
];

/// A keystore that each case begins with, and what is known of it.
pub struct Template {
    keystore: Vec<u8>,
    /// The ids of CMKs, by the names that requests call them.
    keys: Vec<(&'static str, String)>,
    /// Made under `{orders}` and under `{customers}`.
    pub known: [DataKey; 2],
    /// Wrapped material for `{external}`, and its token, encoded for a request.
    material: [String; 2],
}

impl Template {
    /// With so many more CMKs than the operations need.
    pub fn new(more: usize) -> Template {
        let place = Place::new();
        place.file("root.key", &ROOT_KEY);
        place.file("b.key", &[0xB7; 32]);
        let client = place.create();
        let names = [
            "{orders}",
            "{customers}",
            "{disabled}",
            "{deleted}",
            "{due}",
            "{external}",
            "{awaiting}",
        ];
        let keys = names.map(|name| match name {
            "{external}" | "{awaiting}" => client.call("Action=CreateKey&Origin=EXTERNAL").key_id,
            _ => client.create_key(),
        });
        let keys: Vec<_> = names.into_iter().zip(keys).collect();
        let mut template = Template {
            keystore: Vec::new(),
            known: [0, 1].map(|key| client.data_key(&keys[key].1)),
            keys,
            material: [String::new(), String::new()],
        };
        for request in [
            "Action=CreateAlias&KeyId={orders}&AliasName=alias/orders",
            "Action=TagResource&KeyId={orders}&Tags=[{\"TagKey\":\"team\",\"TagValue\":\"orders\"}]",
            "Action=DisableKey&KeyId={disabled}",
            "Action=ScheduleKeyDeletion&KeyId={deleted}&PendingWindowInDays=7",
            "Action=UpdateRotationPolicy&KeyId={due}&EnableAutomaticRotation=true&RotationInterval=7d",
        ] {
            client.done(&template.named(request));
        }
        for _ in 0..more {
            client.done(&format!("Action=CreateKey&Description={}", "x".repeat(900)));
        }
        let kms = kms(&place);
        template.material =
            wrapped_material(&kms, template.id("{external}")).map(|text| form(&text));
        let import = "Action=ImportKeyMaterial&KeyId={external}&EncryptedKeyMaterial={material}&ImportToken={token}";
        client.done(&template.named(import));
        let [current, new] = ["root.key", "b.key"].map(|name| root_key(&place.at(name)));
        kms.add_root_key(&Call::default(), &current, &new).unwrap();
        make_due(&place, template.id("{due}"));
        template.keystore = fs::read(place.keystore()).unwrap();
        template
    }

    pub fn id(&self, name: &str) -> &str {
        &self
            .keys
            .iter()
            .find(|(known, _)| *known == name)
            .unwrap()
            .1
    }

    /// A request with ids for names.
    pub fn named(&self, request: &str) -> String {
        let mut named = request
            .replace("{material}", &self.material[0])
            .replace("{token}", &self.material[1]);
        for (name, id) in &self.keys {
            named = named.replace(name, id);
        }
        named
    }
}

/// Material of its owner, wrapped, and the token, both in base64.
fn wrapped_material(kms: &Kms, key_id: &str) -> [String; 2] {
    use base64::Engine as _;
    let parameters = kms
        .get_parameters_for_import(&Call::default(), key_id)
        .unwrap();
    let public = rsa::RsaPublicKey::from_public_key_der(&parameters.public_key).unwrap();
    let mut rng = rsa::rand_core::UnwrapErr(rand::rngs::SysRng);
    let padding = rsa::Oaep::<sha2::Sha256>::new();
    let wrapped = public.encrypt(&mut rng, padding, &[0xC3; 32]).unwrap();
    [wrapped, parameters.token].map(|bytes| base64::engine::general_purpose::STANDARD.encode(bytes))
}

/// The next use rotates this CMK.
fn make_due(place: &Place, key_id: &str) {
    let mut options = kmsbox::options::Options::default();
    options.set_root_key(&ROOT_KEY).unwrap();
    let file =
        SealedFile::open(&place.keystore(), &options, &Arena::new(1 << 16).unwrap()).unwrap();
    let mut edit = |draft: &mut Draft| {
        draft.state.key_mut(key_id.parse().unwrap())?.rotation = Some(Rotation {
            interval_seconds: 7 * 24 * 60 * 60,
            next: LONG_AGO,
        });
        Ok(())
    };
    file.change(&mut edit, Patience::Configured).unwrap();
}

/// The root key in a file.
pub fn root_key(file: &Path) -> RootKey {
    let source = format!("file:{}", file.display());
    Source::parse(&source).unwrap().load().unwrap()
}

/// The service itself, for what C cannot ask for.
fn kms(place: &Place) -> Kms {
    Kms::open(&kms_options(place)).unwrap()
}

pub fn kms_options(place: &Place) -> kmsbox::options::Options {
    let mut options = kmsbox::options::Options::default();
    let keystore = place.keystore();
    options.set("keystore", keystore.to_str().unwrap()).unwrap();
    options.set_root_key(&ROOT_KEY).unwrap();
    options
}

/// What an operation does where nothing fails.
pub struct Peace {
    /// How many calls of each kind it makes.
    pub calls: [usize; KINDS.len()],
    shape: Value,
    lines: Vec<String>,
}

/// One case.
pub struct Stage<'a> {
    pub template: &'a Template,
    pub place: Place,
    audited: bool,
    pub fault: Fault,
    /// The client that the operation was asked of, if it is still there.
    pub client: Option<Client>,
    /// How often it has unwrapped.
    pub unwraps: u64,
}

impl<'a> Stage<'a> {
    pub fn new(template: &'a Template, audited: bool, fault: Fault) -> Stage<'a> {
        let place = Place::new();
        place.file("keystore", &template.keystore);
        place.file("root.key", &ROOT_KEY);
        place.file("b.key", &[0xB7; 32]);
        place.file("c.key", &[0xC7; 32]);
        Stage {
            template,
            place,
            audited,
            fault,
            client: None,
            unwraps: 0,
        }
    }

    pub fn options(&self) -> Options {
        let mut options = self.place.options();
        options.set("refresh_interval_ms", "0");
        options.set("lock_timeout_ms", "30");
        if self.audited {
            options.set("audit_log", self.place.at("audit.log").to_str().unwrap());
        }
        options
    }

    pub fn open(&self) -> Client {
        self.options().open().unwrap()
    }

    /// As [`kms_options`], with the audit log.
    pub fn kms(&self) -> Kms {
        let mut options = kms_options(&self.place);
        if self.audited {
            let log = self.place.at("audit.log");
            options.set("audit_log", log.to_str().unwrap()).unwrap();
        }
        Kms::open(&options).unwrap()
    }

    /// Performs the operation without a fault.
    pub fn in_peace(mut self, operation: &Operation) -> Peace {
        let outcome = (operation.perform)(&mut self);
        let calls = seen();
        let peace = Peace {
            calls,
            shape: self.shape(),
            lines: self.lines(),
        };
        self.check(operation, &outcome, &peace);
        peace
    }

    /// Performs it with the fault, and checks everything.
    pub fn play(mut self, operation: &Operation, peace: &Peace) {
        let before = descriptors();
        let outcome = (operation.perform)(&mut self);
        self.check(operation, &outcome, peace);
        self.client = None;
        assert_eq!(descriptors(), before, "descriptors");
    }

    fn check(&mut self, operation: &Operation, outcome: &Outcome, peace: &Peace) {
        let made = match outcome {
            Ok(_) => true,
            Err(refusal) => {
                assert_ne!(refusal.status, Status::Internal, "{}", refusal.message);
                refusal.message.contains("was made")
            }
        };
        self.check_file(operation, made, peace);
        if self.audited {
            self.check_audit_log(operation, outcome, made, peace);
        }
        // Before anybody else unwraps.
        let used = kms(&self.place).usage(None).unwrap();
        let used: u64 = used
            .iter()
            .filter_map(|version| version.used)
            .map(|used| used.0)
            .sum();
        assert!(
            used <= self.unwraps,
            "{used} unwraps of {} were written down",
            self.unwraps
        );

        if let Some(client) = self.client.take() {
            self.check_client(&client, outcome);
        }
        let fresh = self.place.open().unwrap();
        self.check_client(&fresh, outcome);
        kms(&self.place).verify().unwrap();
        // The lock is free, and whatever a failure left is swept.
        let change = self
            .template
            .named("Action=CreateAlias&KeyId={orders}&AliasName=alias/after");
        fresh.done(&change);
        drop(fresh);
        for name in self.place.names() {
            assert!(NAMES.contains(&name.as_str()), "{name} was left");
        }
    }

    fn check_file(&self, operation: &Operation, made: bool, peace: &Peace) {
        let untouched = fs::read(self.place.keystore()).unwrap() == self.template.keystore;
        match operation.writes {
            Writes::Keystore if made => assert_eq!(self.shape(), peace.shape, "is not there"),
            Writes::Keystore => assert!(untouched, "refused, and in the file"),
            Writes::KeystoreIfPossible => assert!(untouched || self.shape() == peace.shape),
            Writes::Nothing => assert!(untouched, "written"),
            Writes::New(name) => {
                assert!(untouched, "written");
                let new = self.place.at(name);
                assert_eq!(new.exists(), made, "{name}");
                if made {
                    let mut options = self.options();
                    options.set("keystore", new.to_str().unwrap());
                    options.open().unwrap();
                }
            }
        }
    }

    fn check_audit_log(&self, operation: &Operation, outcome: &Outcome, made: bool, peace: &Peace) {
        let lines = self.lines();
        if outcome.is_ok() && operation.writes != Writes::KeystoreIfPossible {
            assert_eq!(lines, peace.lines, "the audit log of a success");
        }
        let told = lines.iter().any(|line| line.ends_with("result KMS_OK"));
        let is_change = operation.writes == Writes::Keystore;
        assert!(
            made || !is_change || !told,
            "refused, and told as made: {lines:?}"
        );
        if is_change && made {
            assert!(
                lines.iter().any(|line| line.ends_with("intent ")),
                "{lines:?}"
            );
        }
    }

    fn check_client(&self, client: &Client, outcome: &Outcome) {
        let known = &self.template.known[0];
        let made = outcome.iter().flatten();
        for data_key in made
            .chain([known])
            .filter(|made| !made.plaintext.is_empty())
        {
            let opened = client.decrypt(None, &data_key.blob, None).unwrap();
            assert_eq!(opened.plaintext, data_key.plaintext);
        }
        let described = client.describe();
        let file: Value =
            serde_json::from_slice(&fs::read(self.place.keystore()).unwrap()).unwrap();
        assert_eq!(described["Epoch"], file["epoch"], "{described}");
    }

    /// The keystore's file, without what differs by chance: new ids, dates and seals.
    fn shape(&self) -> Value {
        let old: Value = serde_json::from_slice(&self.template.keystore).unwrap();
        let mut known = HashSet::new();
        texts(&old, &mut known);
        let mut file = serde_json::from_slice(&fs::read(self.place.keystore()).unwrap()).unwrap();
        blank(&mut file, &known);
        file
    }

    /// The whole lines of the audit log: action, phase and status.
    fn lines(&self) -> Vec<String> {
        let log = fs::read(self.place.at("audit.log")).unwrap_or_default();
        let lines = log.split(|byte| *byte == b'\n');
        let lines = lines.filter_map(|line| serde_json::from_slice::<Value>(line).ok());
        let field = |line: &Value, name| line[name].as_str().unwrap_or_default().to_owned();
        lines
            .map(|line| {
                ["action", "phase", "status"]
                    .map(|name| field(&line, name))
                    .join(" ")
            })
            .collect()
    }
}

fn texts(value: &Value, into: &mut HashSet<String>) {
    match value {
        Value::String(text) => drop(into.insert(text.clone())),
        Value::Array(items) => items.iter().for_each(|item| texts(item, into)),
        Value::Object(fields) => fields.values().for_each(|field| texts(field, into)),
        _ => {}
    }
}

fn blank(value: &mut Value, known: &HashSet<String>) {
    match value {
        // Old dates too: a new one may be of the same second.
        Value::String(text) if humantime::parse_rfc3339(text).is_ok() => {
            *text = "a date".to_owned();
        }
        Value::String(text) if !known.contains(text) => {
            if uuid::Uuid::try_parse(text).is_ok() {
                *text = "an id".to_owned();
            } else if text.len() > 60 && !text.contains(' ') {
                *text = "a seal".to_owned();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| blank(item, known)),
        Value::Object(fields) => fields.values_mut().for_each(|field| blank(field, known)),
        _ => {}
    }
}

/// Without the one that is open to count them.
fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}
