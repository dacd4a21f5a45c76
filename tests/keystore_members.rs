//! Every member that a keystore's file can have, in a file that no part of kmsbox made.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/hex.rs"]
mod hex;
#[path = "support/keystores.rs"]
mod keystores;
#[path = "support/known_answers.rs"]
mod known_answers;
mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use keystores::*;
use kmsbox::blob;
use kmsbox::context::Context;
use kmsbox::error::{Result, Status};
use kmsbox::keystore::state::{KeyState, Origin};
use kmsbox::kms::Kms;
use kmsbox::request_id::Call;
use known_answers::known_answers;
use rsa::pkcs8::DecodePublicKey;
use support::{Need, need, python, root, run_ok};

const ROTATING: &str = "d80b5e27-94c1-4a3f-8e6d-51f7a20c9b34";
const GONE: &str = "095d3b8e-7a62-4c1f-b0e4-d9f82a6715c3";
const WAITING: &str = "4a7fc029-e1b6-4d85-92f3-60c8d5b17e9a";
const ALIAS: &str = "alias/known-answers";
/// What was imported into the CMK that waits, before it was deleted.
const MATERIAL: [u8; 32] = [0xa7; 32];

fn call() -> Call {
    Call::default()
}

fn place() -> Place {
    let place = Place::new();
    let root_key: Vec<u8> = (0x80..0xa0).collect();
    place.put_root_key(&place.root_file, &root_key);
    let file = include_bytes!("known_answers/keystore-v1-whole.json");
    fs::write(&place.keystore, file).unwrap();
    fs::set_permissions(&place.keystore, fs::Permissions::from_mode(0o600)).unwrap();
    place
}

fn opens_the_known_blobs(kms: &Kms) {
    for case in &known_answers().cases {
        let parsed = blob::parse(&case.blob).unwrap();
        let context = Context::parse(&case.contexts[0]).unwrap();
        let mut plaintext = vec![0; case.plaintext.len()];
        kms.decrypt(&call(), Some(ALIAS), &parsed, &context, &mut plaintext)
            .unwrap();
        assert_eq!(plaintext, case.plaintext, "{}", case.name);
    }
}

#[test]
fn all_of_it_is_understood() {
    let place = place();
    let kms = place.open(&[]);
    assert_eq!(kms.verify().unwrap(), (3, 4));
    opens_the_known_blobs(&kms);

    let imported = kms.describe_key(&call(), ALIAS).unwrap();
    assert_eq!(imported.origin, Origin::External);
    assert_eq!(imported.deletion_protection.as_deref(), Some("in use"));
    let tags = imported.tags.iter().map(|tag| (&*tag.key, &*tag.value));
    assert_eq!(
        tags.collect::<Vec<_>>(),
        [("team", "orders"), ("stage", "")]
    );
    let expires = imported.imported.unwrap().expires.unwrap();
    assert_eq!(expires.to_string(), "2100-01-01T00:00:00Z");
    let rotating = kms.describe_key(&call(), ROTATING).unwrap();
    assert_eq!(rotating.rotation.unwrap().interval_seconds, 31_536_000);
    assert_eq!(rotating.versions.len(), 2);
    generate(&kms, ROTATING).unwrap();

    for gone in [GONE, "alias/gone"] {
        let status = refused(kms.describe_key(&call(), gone));
        let expected = [Status::KeyNotFound, Status::AliasNotFound];
        assert!(expected.contains(&status), "{gone}: {status:?}");
    }
    assert_eq!(kms.gone_keys().unwrap().len(), 1);
}

#[test]
fn its_check_knows_the_material() {
    let place = place();
    let kms = place.open(&[]);
    let import = |material: &[u8]| -> Result<()> {
        let parameters = kms.get_parameters_for_import(&call(), WAITING)?;
        let public = rsa::RsaPublicKey::from_public_key_der(&parameters.public_key).unwrap();
        let mut rng = rsa::rand_core::UnwrapErr(rand::rngs::SysRng);
        let padding = rsa::Oaep::<sha2::Sha256>::new();
        let wrapped = public.encrypt(&mut rng, padding, material).unwrap();
        kms.import_key_material(&call(), WAITING, &wrapped, &parameters.token, None)
    };
    let waiting = || kms.describe_key(&call(), WAITING).unwrap().state();
    assert_eq!(waiting(), KeyState::PendingImport);
    assert_eq!(refused(generate(&kms, WAITING)), Status::PendingImport);
    assert_eq!(refused(import(&[0xa6; 32])), Status::InvalidKeyMaterial);
    import(&MATERIAL).unwrap();
    assert_eq!(waiting(), KeyState::Enabled);
    opens(&kms, &generate(&kms, WAITING).unwrap());
}

#[test]
fn what_is_written_on_it_is_read_elsewhere() {
    if !need(Need::PyCryptography) {
        return;
    }
    let place = place();
    let kms = place.open(&[]);
    let root_key = root_key(&place.root_file);
    create_key(&kms);
    kms.reseal(&call(), None, &root_key).unwrap();
    opens_the_known_blobs(&place.open(&[]));
    let said = run_ok(
        Command::new(python())
            .arg("-B")
            .arg(root().join("tests/format/kmsbox_format.py"))
            .args(["keystore", place.keystore.to_str().unwrap()])
            .args(["--root-key-file", place.root_file.to_str().unwrap()]),
    );
    let found: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(found["epoch"], 43);
    assert_eq!(found["keys"][ROTATING].as_object().unwrap().len(), 2);
}
