//! Every member that a keystore's file can have, in a file that no part of kmsbox made.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/hex.rs"]
mod hex;
#[path = "support/keystores.rs"]
mod keystores;
#[path = "support/known_answers.rs"]
mod known_answers;
#[path = "support/material.rs"]
mod material;
mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keystores::*;
use kmsbox::blob;
use kmsbox::context::Context;
use kmsbox::envelope::WrappingKey;
use kmsbox::error::{Result, Status};
use kmsbox::keystore::state::{KeyState, Origin};
use kmsbox::kms::Kms;
use kmsbox::request_id::Call;
use kmsbox::root_key::Source;
use known_answers::known_answers;
use rsa::pkcs8::DecodePublicKey;
use serde_json::Value;
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

    for gone in [GONE, "alias/gone"] {
        let status = refused(kms.describe_key(&call(), gone));
        let expected = [Status::KeyNotFound, Status::AliasNotFound];
        assert!(expected.contains(&status), "{gone}: {status:?}");
    }
    assert_eq!(kms.gone_keys().unwrap().len(), 1);

    // It may be due by now, and that change would purge.
    generate(&kms, ROTATING).unwrap();
}

/// Whoever has the store key can seal anything.
#[test]
fn what_kmsbox_never_writes_is_refused_at_open_and_at_a_look() {
    let genuine = include_str!("known_answers/keystore-v1-whole.json");
    for (from, to, status, why) in [
        (
            "alias/gone",
            ALIAS,
            Status::KeystoreTampered,
            "An alias is there twice.",
        ),
        (
            "\"primary_version\": \"71a4f0d6-",
            "\"primary_version\": \"81a4f0d6-",
            Status::KeystoreTampered,
            "The primary version of a CMK is not one of its versions.",
        ),
        (
            "31536000",
            "0",
            Status::KeystoreTampered,
            "An interval of rotation is not 7 to 730 days.",
        ),
        (
            "PendingDeletion",
            "Resting",
            Status::NotAKeystore,
            "a newer version of kmsbox wrote.",
        ),
    ] {
        let place = place();
        let kms = place.open(&[AT_ONCE]);
        assert!(genuine.contains(from), "{from}");
        fs::write(&place.keystore, sealed(&genuine.replace(from, to))).unwrap();
        for error in [
            Kms::open(&place.options(&[])).err().unwrap(),
            kms.describe_key(&call(), ROTATING).unwrap_err(),
        ] {
            assert_eq!(error.status(), status);
            assert!(error.message().ends_with(why), "{}", error.message());
        }
        fs::write(&place.keystore, sealed(genuine)).unwrap();
        place.open(&[]).describe_key(&call(), ROTATING).unwrap();
    }
}

/// The file with a seal that holds, by the store key of the known one.
fn sealed(file: &str) -> Vec<u8> {
    let (body, _) = file.split_once("  \"seal\"").unwrap();
    let known: Value =
        serde_json::from_str(include_str!("known_answers/keystore-v1-whole.json")).unwrap();
    let root_key = std::array::from_fn(|index| 0x80 + u8::try_from(index).unwrap());
    let slot = &known["slots"][0];
    let id = |value: &Value| hex::decode(&value.as_str().unwrap().replace('-', ""));
    let aad = [
        b"kmsbox/slot/v1\0",
        &id(&known["keystore_id"])[..],
        &id(&slot["slot_id"]),
        &[0],
    ];
    let store_key = material::sealed(&slot["sealed_store_key"]);
    let store_key = material::open(&root_key, &aad.concat(), &store_key).unwrap();
    let nonce = [9; 24];
    let aad = [b"kmsbox/keystore/v1\0", body.as_bytes()].concat();
    let store_key = WrappingKey::new(&store_key.try_into().unwrap());
    let closing = store_key.seal(&nonce, &aad, &mut []);
    let seal = STANDARD.encode([&nonce[..], &closing.tag, &closing.commitment].concat());
    format!("{body}  \"seal\": \"{seal}\"\n}}\n").into_bytes()
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

/// What the command of 0.1.0 wrote, with every feature that it had: later versions open it and go on.
#[test]
fn what_a_release_wrote_opens_for_ever() {
    let place = Place::new();
    let release = root().join("tests/known_answers/release-0.1.0");
    for (name, to) in [
        ("keystore.json", "keystore"),
        ("usage.txt", "keystore.usage"),
    ] {
        fs::copy(release.join(name), place.path(to)).unwrap();
        let owner_only = fs::Permissions::from_mode(0o600);
        fs::set_permissions(place.path(to), owner_only).unwrap();
    }
    for (name, bytes) in [("first", 0x20..0x40), ("second", 0x40..0x60)] {
        let hex: String = bytes.map(|byte: u8| format!("{byte:02x}")).collect();
        place.put_root_key(&place.path(name), hex.as_bytes());
    }
    place.put_root_key(&place.path("pass"), b"frozen with 0.1.0\n");
    let open = |source: &str, name: &str| {
        let source = format!("{source}:{}", place.path(name).display());
        Kms::open(&place.options_by(&source, &[])).unwrap()
    };
    let blobs = fs::read_to_string(release.join("blobs.txt")).unwrap();
    let blobs: Vec<Vec<&str>> = (blobs.lines().filter(|line| !line.starts_with('#')))
        .map(|line| line.split('\t').collect())
        .collect();
    assert_eq!(blobs.len(), 7);
    let opens_all_of = |kms: &Kms, states: &[KeyState]| {
        let of_state = |alias: &str| match kms.describe_key(&call(), alias) {
            Ok(key) => states.contains(&key.state()),
            // Its deletion window ends with November 2027.
            Err(_) if alias == "alias/deleted" => false,
            Err(error) => panic!("{alias}: {error}"),
        };
        let wanted: Vec<_> = blobs.iter().filter(|blob| of_state(blob[0])).collect();
        for blob in &wanted {
            let bytes = |at: usize| STANDARD.decode(blob[at]).unwrap();
            let (plaintext, wrapped) = (bytes(2), bytes(3));
            let parsed = blob::parse(&wrapped).unwrap();
            let context = Context::parse(blob[1]).unwrap();
            let mut opened = vec![0; plaintext.len()];
            kms.decrypt(&call(), Some(blob[0]), &parsed, &context, &mut opened)
                .unwrap();
            assert_eq!(opened, plaintext, "{blob:?}");
        }
        wanted.len()
    };

    let kms = open("file", "second");
    let used = |kms: &Kms| {
        let used = kms.usage(Some("alias/orders")).unwrap();
        let used = used.iter().map(|version| version.used.unwrap().0);
        used.collect::<Vec<_>>()
    };
    assert_eq!(used(&kms), [3, 1]);
    assert_eq!(kms.root_keys(None).unwrap().len(), 3);
    assert_eq!(opens_all_of(&kms, &[KeyState::Enabled]), 5);
    drop(kms);
    assert_eq!(
        opens_all_of(&open("passphrase-file", "pass"), &[KeyState::Enabled]),
        5
    );

    let kms = open("file", "first");
    let id = |alias: &str| {
        kms.describe_key(&call(), alias)
            .map(|key| key.key_id.to_string())
    };
    kms.enable_key(&call(), &id("alias/disabled").unwrap())
        .unwrap();
    kms.create_key_version(&call(), "alias/orders").unwrap();
    if let Ok(deleted) = id("alias/deleted") {
        kms.cancel_key_deletion(&call(), &deleted).unwrap();
    }
    let root_key = Source::parse(format!("file:{}", place.path("first").display()));
    let root_key = root_key.unwrap().load().unwrap();
    let mut slots = kms.root_keys(Some(&root_key)).unwrap();
    slots.retain(|slot| !slot.this_one);
    kms.retire_root_key(&call(), slots[0].slot_id, &root_key)
        .unwrap();
    kms.reseal(&call(), Some(slots[1].slot_id), &root_key)
        .unwrap();
    drop(kms);
    let kms = open("file", "first");
    assert!(opens_all_of(&kms, &[KeyState::Enabled]) >= 6);
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
