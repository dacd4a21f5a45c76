//! The keystore's format against a reader and a writer that are not kmsbox: the Python script beside
//! these tests, and a keystore that it and kmsbox both must open.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use kmsbox::blob;
use kmsbox::context::Context;
use kmsbox::error::Status;
use kmsbox::keystore::state::{Origin, Tag};
use kmsbox::kms::{Kms, NewKey};
use kmsbox::options::Options;
use kmsbox::request_id::Call;
use kmsbox::root_key::Source;
use rsa::pkcs8::DecodePublicKey;

#[path = "support/hex.rs"]
mod hex;
#[path = "support/known_answers.rs"]
mod known_answers;
mod support;

use known_answers::known_answers;
use support::{Need, need, python, root, run, run_ok, scratch_dir};

const ALIAS: &str = "alias/known-answers";
const PASSPHRASE: &str = "correct horse battery staple\n";

/// The root key of tests/known_answers/keystore-v1.json, which has a passphrase too.
fn root_key() -> [u8; 32] {
    std::array::from_fn(|index| 0x80 + u8::try_from(index).unwrap())
}

#[test]
fn a_keystore_made_elsewhere_opens_and_unwraps_the_known_blobs() {
    let place = Scratch::with_known_keystore();
    let by_key = place.open().unwrap();
    let by_passphrase = {
        let mut options = place.options();
        let file = place.secret("passphrase", PASSPHRASE.as_bytes());
        options
            .set("root_key", &format!("passphrase-file:{}", file.display()))
            .unwrap();
        Kms::open(&options).unwrap()
    };
    let known = known_answers();
    for case in &known.cases {
        for context in &case.contexts {
            let context = Context::parse(context).unwrap();
            let parsed = blob::parse(&case.blob).unwrap();
            for kms in [&by_key, &by_passphrase] {
                let mut plaintext = vec![0; case.plaintext.len()];
                let used = kms.decrypt(&call(), Some(ALIAS), &parsed, &context, &mut plaintext);
                assert_eq!(plaintext, case.plaintext, "{}", case.name);
                let used = used.unwrap();
                assert_eq!(*used.key_id.as_bytes(), known.key_id);
                assert_eq!(*used.key_version_id.as_bytes(), known.key_version_id);
            }
        }
    }
}

#[test]
fn a_keystore_made_elsewhere_can_be_written_on() {
    let place = Scratch::with_known_keystore();
    let kms = place.open().unwrap();
    let key_id = kms.describe_key(&call(), ALIAS).unwrap().key_id.to_string();
    kms.create_key_version(&call(), &key_id).unwrap();
    let again = place.open().unwrap();
    let case = &known_answers().cases[0];
    let mut plaintext = vec![0; case.plaintext.len()];
    let parsed = blob::parse(&case.blob).unwrap();
    let context = Context::empty();
    again
        .decrypt(&call(), None, &parsed, &context, &mut plaintext)
        .unwrap();
    assert_eq!(plaintext, case.plaintext);
    assert!(
        again
            .generate_data_key(&call(), ALIAS, &context, &mut [0; 32], &mut [0; 142])
            .is_ok()
    );
}

#[test]
fn no_byte_of_a_keystore_can_be_changed() {
    let place = Scratch::with_known_keystore();
    let genuine = fs::read(&place.keystore).unwrap();
    let position = |text: &[u8]| {
        let mut windows = genuine.windows(text.len());
        windows.position(|window| window == text).unwrap()
    };
    let format_ends = position(b"  \"keystore_id\"");
    // The root key opens the first slot; this is the second.
    let slot_ends = position(b"\"kind\": \"passphrase\"");
    for at in 0..genuine.len() {
        let mut altered = genuine.clone();
        altered[at] ^= 1 << (at % 8);
        place.write(&altered);
        let status = place.open().err().unwrap().status();
        let expected: &[Status] = match at {
            _ if at < format_ends => &[Status::NotAKeystore],
            _ if at < slot_ends => &[Status::RootKey, Status::KeystoreTampered],
            _ => &[Status::KeystoreTampered],
        };
        assert!(expected.contains(&status), "byte {at}: {status:?}");
    }
    place.write(&genuine);
    assert!(place.open().is_ok());
}

#[test]
fn a_keystore_cannot_be_cut_or_extended() {
    let place = Scratch::with_known_keystore();
    let genuine = fs::read(&place.keystore).unwrap();
    for len in 0..genuine.len() {
        place.write(&genuine[..len]);
        let status = place.open().err().unwrap().status();
        let expected = match len < b"{\n  \"format\": \"kmsbox keystore 1\",\n".len() {
            true => Status::NotAKeystore,
            false => Status::KeystoreTampered,
        };
        assert_eq!(status, expected, "{len} bytes");
    }
    for more in [&b"\n"[..], b" ", b"}", &genuine] {
        place.write(&[&genuine, more].concat());
        let status = place.open().err().unwrap().status();
        assert_eq!(status, Status::KeystoreTampered);
    }
}

#[test]
fn another_program_opens_the_known_answers() {
    if !need(Need::PyCryptography) {
        return;
    }
    let known = root().join("tests/known_answers");
    let said = run_ok(script().arg("blobs").arg(known.join("blobs-v1.txt"))).stdout;
    let answers = known_answers();
    assert_eq!(
        said.trim_end(),
        format!(
            "{} blobs open, {} contexts are refused",
            answers.cases.len(),
            answers.refused_contexts.len()
        )
    );
}

#[test]
fn another_program_reads_what_kmsbox_writes() {
    if !need(Need::PyCryptography) {
        return;
    }
    let place = Scratch::new();
    let root_key = place.secret("root.key", &root_key());
    let mut options = place.options();
    options.set("create", "true").unwrap();
    options
        .set("root_key", &format!("file:{}", root_key.display()))
        .unwrap();
    let kms = Kms::open(&options).unwrap();
    let description = "orders \"2026\" \u{e9}\u{10000}\n".to_owned();
    let tag = |key: &str| Tag {
        key: key.to_owned(),
        value: "\u{20ac}".to_owned(),
    };
    let new = NewKey {
        description,
        tags: vec![tag("team"), tag("stage")],
        rotation_interval: Some(7 * 86_400),
        ..NewKey::default()
    };
    let key = kms.create_key(&call(), &new).unwrap();
    let key_id = key.key_id.to_string();
    kms.create_alias(&call(), &key_id, "alias/orders").unwrap();
    kms.create_key_version(&call(), &key_id).unwrap();
    kms.set_deletion_protection(&call(), &key_id, Some("in use"))
        .unwrap();
    let other = kms.create_key(&call(), &NewKey::default()).unwrap();
    kms.disable_key(&call(), &other.key_id.to_string()).unwrap();
    let doomed = kms.create_key(&call(), &NewKey::default()).unwrap();
    kms.schedule_key_deletion(&call(), &doomed.key_id.to_string(), 7)
        .unwrap();
    let external = || NewKey {
        origin: Origin::External,
        ..NewKey::default()
    };
    let waiting = kms.create_key(&call(), &external()).unwrap();
    let imported = kms.create_key(&call(), &external()).unwrap();
    let imported = imported.key_id.to_string();
    let material = [0xd5; 32];
    import(&kms, &imported, &material);

    let by_root_key = |command: &str| {
        let mut script = script();
        script.arg(command).arg(&place.keystore);
        script.arg("--root-key-file").arg(&root_key);
        script
    };
    let said = run_ok(&mut by_root_key("keystore")).stdout;
    let found: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(found["keys"][&key_id].as_object().unwrap().len(), 2);
    assert_eq!(found["keys"].as_object().unwrap().len(), 4);
    assert!(!said.contains(&waiting.key_id.to_string()));
    assert_eq!(found["epoch"], 12);
    assert!(!said.contains("material"));
    let shown = run_ok(by_root_key("keystore").arg("--show-material")).stdout;
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    let mut versions = shown["keys"][&imported].as_object().unwrap().values();
    assert_eq!(*versions.next().unwrap(), "d5".repeat(32));

    // Under a new store key all of it opens again.
    let root = Source::parse(format!("file:{}", root_key.display()));
    let root = root.unwrap().load().unwrap();
    kms.reseal(&call(), None, &root).unwrap();
    let said = run_ok(&mut by_root_key("keystore")).stdout;
    let resealed: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(resealed["keys"], found["keys"]);

    for (len, context) in [
        (32, ""),
        (1, "{\"table\":\"orders\"}"),
        (
            1024,
            "{\"\u{10000}\":\"2\",\"\u{e000}\":\"\\ud800\\udc00\\n\",\"\":\"\"}",
        ),
    ] {
        let mut data_key = vec![0; len];
        let mut wrapped = vec![0; blob::len(len)];
        let parsed = Context::parse(context).unwrap();
        kms.generate_data_key(
            &call(),
            "alias/orders",
            &parsed,
            &mut data_key,
            &mut wrapped,
        )
        .unwrap();
        let file = place.secret("blob", &wrapped);
        let open = |context: &str| {
            let mut script = by_root_key("open");
            script.arg("--blob").arg(&file);
            run(script.arg("--context").arg(context))
        };
        let opened = open(context);
        assert_eq!(hex::decode(opened.stdout.trim_end()), data_key);
        let refused = open("{\"table\":\"other\"}");
        assert!(!refused.status.success());
        assert!(refused.stderr.contains("the tag does not hold"));
        fs::remove_file(file).unwrap();
    }
}

#[test]
fn another_program_opens_a_passphrase_slot_of_kmsbox() {
    if !need(Need::PyArgon2id) {
        return;
    }
    let place = Scratch::new();
    let passphrase = place.secret("passphrase", PASSPHRASE.as_bytes());
    let mut options = place.options();
    options.set("create", "true").unwrap();
    options
        .set(
            "root_key",
            &format!("passphrase-file:{}", passphrase.display()),
        )
        .unwrap();
    Kms::open(&options)
        .unwrap()
        .create_key(&call(), &NewKey::default())
        .unwrap();
    let keystore = |passphrase: &Path| {
        let mut script = script();
        script.arg("keystore").arg(&place.keystore);
        run(script.arg("--passphrase-file").arg(passphrase))
    };
    let opened = keystore(&passphrase);
    assert!(opened.status.success(), "{}", opened.stderr);
    assert!(opened.stdout.contains("\"opens\""));
    let wrong = place.secret("wrong", b"correct horse battery");
    let refused = keystore(&wrong);
    assert!(!refused.status.success());
    assert!(refused.stderr.contains("no slot opens"));
}

fn call() -> Call {
    Call::default()
}

fn import(kms: &Kms, key_id: &str, material: &[u8]) {
    let parameters = kms.get_parameters_for_import(&call(), key_id).unwrap();
    let public = rsa::RsaPublicKey::from_public_key_der(&parameters.public_key).unwrap();
    let mut rng = rsa::rand_core::UnwrapErr(rand::rngs::SysRng);
    let padding = rsa::Oaep::<sha2::Sha256>::new();
    let wrapped = public.encrypt(&mut rng, padding, material).unwrap();
    kms.import_key_material(&call(), key_id, &wrapped, &parameters.token, None)
        .unwrap();
}

fn script() -> Command {
    let mut command = Command::new(python());
    // It would leave compiled copies in the sources.
    command.arg("-B");
    command.arg(root().join("tests/format/kmsbox_format.py"));
    command
}

/// A directory for a keystore and the secrets that open it.
struct Scratch {
    directory: tempfile::TempDir,
    keystore: PathBuf,
}

impl Scratch {
    fn new() -> Self {
        let directory = scratch_dir();
        let keystore = directory.path().join("keystore");
        Scratch {
            directory,
            keystore,
        }
    }

    fn with_known_keystore() -> Self {
        let place = Self::new();
        place.write(include_bytes!("known_answers/keystore-v1.json"));
        place
    }

    fn write(&self, keystore: &[u8]) {
        // Some file systems write a file that is truncated out to the disk at once; a new one not.
        let _ = fs::remove_file(&self.keystore);
        fs::write(&self.keystore, keystore).unwrap();
        fs::set_permissions(&self.keystore, fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// A file that only its owner may read.
    fn secret(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.directory.path().join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    fn options(&self) -> Options {
        let mut options = Options::default();
        options
            .set("keystore", self.keystore.to_str().unwrap())
            .unwrap();
        options
    }

    fn open(&self) -> kmsbox::error::Result<Kms> {
        let mut options = self.options();
        options.set_root_key(&root_key())?;
        Kms::open(&options)
    }
}
