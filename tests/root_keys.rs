//! Root keys: added, listed, retired; and a new store key.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/keystores.rs"]
mod keystores;
mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use keystores::*;
use kmsbox::error::Status;
use kmsbox::keystore::state::Origin;
use kmsbox::kms::{Kms, NewKey};
use kmsbox::options::Options;
use kmsbox::request_id::Call;
use kmsbox::root_key::{RootKey, Source};
use rsa::pkcs8::DecodePublicKey;
use uuid::Uuid;

fn call() -> Call {
    Call::default()
}

fn kinds(kms: &Kms) -> Vec<&'static str> {
    let slots = kms.root_keys(None).unwrap();
    slots.iter().map(|slot| slot.kind).collect()
}

fn first_slot(kms: &Kms) -> Uuid {
    kms.root_keys(None).unwrap()[0].slot_id
}

// ---- One by one ----------------------------------------------------------------------------------

#[test]
fn keys_and_passphrases_open_one_keystore() {
    let place = Place::with_keystore();
    let kms = place.open(&[]);
    let key_id = create_key(&kms);
    let made = generate(&kms, &key_id).unwrap();
    let other = place.new_root_key("other.key");
    let passphrase = place.path("passphrase");
    fs::write(&passphrase, "correct horse battery staple\n").unwrap();
    fs::set_permissions(&passphrase, fs::Permissions::from_mode(0o600)).unwrap();
    let passphrase = format!("passphrase-file:{}", passphrase.display());
    let by_passphrase = || Source::parse(&passphrase).unwrap().load().unwrap();

    // The passphrase by the first key, another key by the passphrase.
    let first = root_key(&place.root_file);
    let added = kms.add_root_key(&call(), &first, &by_passphrase()).unwrap();
    kms.add_root_key(&call(), &by_passphrase(), &root_key(&other))
        .unwrap();
    assert_eq!(kinds(&kms), ["key", "passphrase", "key"]);
    let slots = kms.root_keys(None).unwrap();
    assert_eq!(slots[1].slot_id, added);
    assert_ne!(slots[0].slot_id, slots[2].slot_id);

    let clients = [source(&place.root_file), passphrase.clone(), source(&other)]
        .map(|root_key| place.try_open_by(&root_key).unwrap());
    for client in &clients {
        opens(client, &made);
        // Each sees what the others make.
        let made = generate(client, &create_key(client)).unwrap();
        for client in &clients {
            opens(client, &made);
        }
    }

    // The first key goes: whoever has it open goes on, nobody opens by it again.
    kms.retire_root_key(&call(), slots[0].slot_id, &by_passphrase())
        .unwrap();
    assert_eq!(kinds(&kms), ["passphrase", "key"]);
    let status = refused(place.try_open_by(&source(&place.root_file)));
    assert_eq!(status, Status::RootKey);
    opens(&clients[0], &made);
    create_key(&clients[0]);
    for root_key in [&passphrase, &source(&other)] {
        opens(&place.try_open_by(root_key).unwrap(), &made);
    }
}

#[test]
fn what_would_shut_everybody_out_is_refused() {
    let place = Place::with_keystore();
    let kms = place.open(&[]);
    let current = root_key(&place.root_file);
    let files: Vec<_> = (0..4)
        .map(|at| place.new_root_key(&format!("{at}.key")))
        .collect();
    let stranger = root_key(&files[3]);

    let last = kms.retire_root_key(&call(), first_slot(&kms), &current);
    assert_eq!(refused(last), Status::State);
    let unknown = kms.retire_root_key(&call(), Uuid::from_bytes([7; 16]), &current);
    assert_eq!(refused(unknown), Status::InvalidParameter);
    let wrong = kms.add_root_key(&call(), &stranger, &root_key(&files[0]));
    assert_eq!(refused(wrong), Status::RootKey);
    let wrong = kms.reseal(&call(), None, &stranger);
    assert_eq!(refused(wrong), Status::RootKey);
    let twice = kms.add_root_key(&call(), &current, &current);
    assert_eq!(refused(twice), Status::InvalidOption);
    assert_eq!(epoch(&kms), 1, "nothing of it was written");

    for file in &files[..3] {
        kms.add_root_key(&call(), &current, &root_key(file))
            .unwrap();
    }
    let fifth = kms.add_root_key(&call(), &current, &stranger);
    assert_eq!(refused(fifth), Status::LimitExceeded);
    let twice = kms.add_root_key(&call(), &current, &root_key(&files[1]));
    assert!([Status::InvalidOption, Status::LimitExceeded].contains(&refused(twice)));
    let one_of_four = kms.reseal(&call(), None, &current);
    assert_eq!(
        refused(one_of_four),
        Status::State,
        "a new store key for one slot of four"
    );
    assert_eq!(epoch(&kms), 4);

    for left in (1..4).rev() {
        kms.retire_root_key(&call(), first_slot(&kms), &root_key(&files[2]))
            .unwrap();
        assert_eq!(kinds(&kms).len(), left);
    }
    let last = kms.retire_root_key(&call(), first_slot(&kms), &root_key(&files[2]));
    assert_eq!(refused(last), Status::State);
    assert!(place.try_open_by(&source(&files[2])).is_ok());
}

#[test]
fn the_last_usable_root_key_stays() {
    let place = Place::with_keystore();
    let kms = place.open(&[]);
    let present = root_key(&place.root_file);
    let forgotten = place.new_root_key("forgotten.key");
    kms.add_root_key(&call(), &present, &root_key(&forgotten))
        .unwrap();
    fs::remove_file(&forgotten).unwrap();
    let slots = kms.root_keys(Some(&present)).unwrap();
    let marks = slots.iter().map(|slot| slot.this_one);
    assert_eq!(marks.collect::<Vec<_>>(), [true, false]);
    let unmarked = kms.root_keys(None).unwrap();
    assert!(unmarked.iter().all(|slot| !slot.this_one));

    let own = slots[0].slot_id;
    for outcome in [
        kms.retire_root_key(&call(), own, &present),
        kms.reseal(&call(), Some(own), &present),
    ] {
        let error = outcome.unwrap_err();
        assert_eq!(error.status(), Status::State);
        assert_eq!(
            error.message(),
            "The root key given opens only the slot to be retired; give the root key that stays."
        );
    }
    let stranger = root_key(&place.new_root_key("stranger.key"));
    let marked = kms.root_keys(Some(&stranger)).unwrap();
    assert!(marked.iter().all(|slot| !slot.this_one));
    let wrong = kms.retire_root_key(&call(), own, &stranger);
    assert_eq!(refused(wrong), Status::RootKey);
    assert_eq!(epoch(&kms), 2, "nothing of it was written");

    // The one that nobody has any more can go.
    kms.retire_root_key(&call(), slots[1].slot_id, &present)
        .unwrap();
    assert_eq!(first_slot(&kms), own);
    place.open(&[]);
}

#[test]
fn the_audit_log_names_the_slots() {
    let place = Place::with_keystore();
    let log = place.path("audit");
    let kms = place.open(&[("audit_log", log.to_str().unwrap())]);
    let old = root_key(&place.root_file);
    let new = root_key(&place.new_root_key("new.key"));
    let first = first_slot(&kms);
    let second = kms.add_root_key(&call(), &old, &new).unwrap();
    let refusal = kms.retire_root_key(&call(), second, &new);
    assert_eq!(refused(refusal), Status::State);
    kms.retire_root_key(&call(), first, &new).unwrap();
    kms.reseal(&call(), None, &new).unwrap();

    let text = fs::read_to_string(&log).unwrap();
    let told: Vec<_> = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|line| ["action", "phase", "slot_id", "resealed", "status"].map(|f| line[f].clone()))
        .collect();
    let (first, second) = (first.to_string(), second.to_string());
    let expected = serde_json::json!([
        ["AddRootKey", "intent", second, null, null],
        ["AddRootKey", "result", second, null, "KMS_OK"],
        ["RetireRootKey", "result", second, null, "KMS_ERR_STATE"],
        ["RetireRootKey", "intent", first, null, null],
        ["RetireRootKey", "result", first, null, "KMS_OK"],
        ["RetireRootKey", "intent", null, "true", null],
        ["RetireRootKey", "result", null, "true", "KMS_OK"],
    ]);
    assert_eq!(serde_json::json!(told), expected);
}

#[test]
fn only_who_may_changes_them() {
    let place = Place::with_keystore();
    let current = root_key(&place.root_file);
    let new = root_key(&place.new_root_key("new.key"));
    for (option, value) in [("read_only", "true"), ("permissions", "Decrypt,CreateKey")] {
        let kms = place.open(&[(option, value)]);
        let added = kms.add_root_key(&call(), &current, &new);
        assert_eq!(refused(added), Status::NoPermission);
        let sealed = kms.reseal(&call(), None, &current);
        assert_eq!(refused(sealed), Status::NoPermission);
        assert_eq!(
            kinds(&kms),
            ["key"],
            "to see them needs no right to change them"
        );
    }
    let adder = place.open(&[("permissions", "AddRootKey")]);
    adder.add_root_key(&call(), &current, &new).unwrap();
    let retired = adder.retire_root_key(&call(), first_slot(&adder), &new);
    assert_eq!(refused(retired), Status::NoPermission);
}

#[test]
fn a_keystore_in_memory_has_none() {
    let place = Place::new();
    let mut options = Options::default();
    options.set("keystore", "memory:").unwrap();
    options.set("root_key", &source(&place.root_file)).unwrap();
    let kms = Kms::open(&options).unwrap();
    let root: &RootKey = &root_key(&place.root_file);
    let new = root_key(&place.new_root_key("new.key"));
    assert_eq!(refused(kms.root_keys(None)), Status::UnsupportedOperation);
    let added = kms.add_root_key(&call(), root, &new);
    assert_eq!(refused(added), Status::UnsupportedOperation);
    let retired = kms.retire_root_key(&call(), Uuid::nil(), root);
    assert_eq!(refused(retired), Status::UnsupportedOperation);
    let sealed = kms.reseal(&call(), None, root);
    assert_eq!(refused(sealed), Status::UnsupportedOperation);
}

// ---- A new store key -----------------------------------------------------------------------------

#[test]
fn a_new_store_key_shuts_out_the_retired_root_key() {
    let place = Place::with_keystore();
    let operator = place.open(&[AT_ONCE]);
    let early = place.open(&[AT_ONCE]);
    let late_file = place.path("late.key");
    place.put_root_key(&late_file, &fs::read(&place.root_file).unwrap());
    let late = Kms::open(&place.options_by(&source(&late_file), &[AT_ONCE])).unwrap();
    let by_bytes = place.open_by_bytes(&[AT_ONCE]);
    let key_id = create_key(&operator);
    operator.create_key_version(&call(), &key_id).unwrap();
    let made = generate(&operator, &key_id).unwrap();
    let old_file = place.path("old.key");
    place.put_root_key(&old_file, &fs::read(&place.root_file).unwrap());
    let old_slot = first_slot(&operator);
    let sealed_before = place.file();

    let new_key = random_key();
    let new_file = place.path("new.key");
    place.put_root_key(&new_file, &new_key);
    operator
        .add_root_key(&call(), &root_key(&old_file), &root_key(&new_file))
        .unwrap();
    place.put_root_key(&place.root_file, &new_key);
    operator
        .reseal(&call(), Some(old_slot), &root_key(&new_file))
        .unwrap();
    assert_eq!(epoch(&operator), 5, "retired and sealed anew in one write");

    // Every seal is another one.
    let sealed_after = place.file();
    let material = |file: &serde_json::Value, at: usize| {
        let sealed = &file["keys"][0]["versions"][at]["sealed_material"];
        sealed.as_str().unwrap().to_owned()
    };
    for at in 0..2 {
        assert_ne!(material(&sealed_before, at), material(&sealed_after, at));
    }

    // A client whose source has the new root key notices nothing.
    opens(&operator, &made);
    opens(&early, &made);
    create_key(&early);
    // One whose source still has the old one waits for it; one that has no source must be opened again.
    for client in [&late, &by_bytes] {
        assert_eq!(refused(decrypt(client, &made.blob)), Status::RootKey);
        let new = client.create_key(&call(), &NewKey::default());
        assert_eq!(refused(new), Status::RootKey);
    }
    place.put_root_key(&late_file, &new_key);
    opens(&late, &made);
    create_key(&late);
    assert_eq!(refused(decrypt(&by_bytes, &made.blob)), Status::RootKey);
    opens(&place.open_by_bytes(&[]), &made);

    let status = refused(place.try_open_by(&source(&old_file)));
    assert_eq!(status, Status::RootKey);
    assert_eq!(operator.verify().unwrap(), (3, 4));
}

#[test]
fn a_new_store_key_needs_room_in_no_full_cache() {
    let place = Place::with_keystore();
    // The least that can be given: 64 slots.
    let small = [("locked_memory_max", "16384"), AT_ONCE];
    let operator = place.open(&small);
    let engine = place.open(&small);
    let keys = operator
        .create_keys(&call(), &NewKey::default(), 200)
        .unwrap();
    let made: Vec<_> = keys
        .iter()
        .map(|key| generate(&operator, &key.key_id.to_string()).unwrap())
        .collect();
    let root = root_key(&place.root_file);
    for _ in 0..3 {
        all_open(&engine, &made);
        operator.reseal(&call(), None, &root).unwrap();
        all_open(&operator, &made);
    }
    all_open(&engine, &made);
    let memory = &described(&engine)["KeyMemory"];
    assert_eq!(memory["Mapped"], 16384);
}

#[test]
fn imported_material_is_known_again_under_a_new_store_key() {
    let place = Place::with_keystore();
    let kms = place.open(&[]);
    let new = NewKey {
        origin: Origin::External,
        ..NewKey::default()
    };
    let key_id = kms.create_key(&call(), &new).unwrap().key_id.to_string();
    let material = random_key();
    let wrapped = |material: &[u8]| {
        let parameters = kms.get_parameters_for_import(&call(), &key_id).unwrap();
        let public = rsa::RsaPublicKey::from_public_key_der(&parameters.public_key).unwrap();
        let mut rng = rsa::rand_core::UnwrapErr(rand::rngs::SysRng);
        let padding = rsa::Oaep::<sha2::Sha256>::new();
        let wrapped = public.encrypt(&mut rng, padding, material).unwrap();
        (wrapped, parameters.token)
    };
    let import = |(wrapped, token): &(Vec<u8>, Vec<u8>)| {
        kms.import_key_material(&call(), &key_id, wrapped, token, None)
    };
    let early = wrapped(&material);
    import(&early).unwrap();
    let made = generate(&kms, &key_id).unwrap();

    let root = root_key(&place.root_file);
    kms.reseal(&call(), None, &root).unwrap();
    opens(&kms, &made);
    opens(&place.open(&[]), &made);
    assert_eq!(refused(import(&early)), Status::InvalidImportToken);

    kms.delete_key_material(&call(), &key_id).unwrap();
    // Also while there is no material, only the check of it.
    kms.reseal(&call(), None, &root).unwrap();
    let another = import(&wrapped(&random_key()));
    assert_eq!(refused(another), Status::InvalidKeyMaterial);
    assert_eq!(refused(decrypt(&kms, &made.blob)), Status::PendingImport);
    import(&wrapped(&material)).unwrap();
    opens(&place.open(&[]), &made);
}
