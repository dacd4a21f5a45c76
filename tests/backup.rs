//! Backup and restore, and what a client makes of a file that was put back.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/keystores.rs"]
mod keystores;
mod support;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use keystores::*;
use kmsbox::error::{Result, Status};
use kmsbox::keystore::backup::{Copy, restore};
use kmsbox::kms::{Kms, NewKey};
use kmsbox::options::Options;
use kmsbox::request_id::Call;

fn call() -> Call {
    Call::default()
}

fn backup(place: &Place, to: &Path) -> Result<Copy> {
    place.open(&[]).backup(&place.options(&[]), to)
}

// ---- A copy --------------------------------------------------------------------------------------

#[test]
fn a_backup_is_a_keystore_that_the_root_key_opens() {
    let place = Place::with_keystore();
    let kms = place.open(&[]);
    let key_id = create_key(&kms);
    kms.create_alias(&call(), &key_id, "alias/orders").unwrap();
    kms.create_key_version(&call(), &key_id).unwrap();
    let made = generate(&kms, &key_id).unwrap();

    let to = place.path("copy");
    let copy = backup(&place, &to).unwrap();
    assert_eq!((copy.epoch, copy.keys, copy.aliases), (4, 1, 1));
    let id = described(&kms)["KeystoreId"].as_str().unwrap().to_owned();
    assert_eq!(copy.keystore_id.to_string(), id);
    assert_eq!(copy.written.to_string(), place.file()["written"]);
    assert_eq!(fs::read(&to).unwrap(), fs::read(&place.keystore).unwrap());
    assert_eq!(fs::metadata(&to).unwrap().mode() & 0o777, 0o600);
    let beside = place.names().into_iter().filter(|n| n.starts_with("copy"));
    assert_eq!(
        beside.collect::<Vec<_>>(),
        ["copy"],
        "no lock, nothing half made"
    );
    assert_eq!(epoch(&kms), 4, "the keystore is as it was");

    let copied = place.of(&to).open(&[]);
    assert_eq!(copied.verify().unwrap(), (1, 2));
    opens(&copied, &made);
    opens(&copied, &generate(&copied, "alias/orders").unwrap());
    let stranger = source(&place.new_root_key("stranger.key"));
    let status = refused(place.of(&to).try_open_by(&stranger));
    assert_eq!(status, Status::RootKey);
}

#[test]
fn a_backup_replaces_nothing() {
    let place = Place::with_keystore();
    let (file, directory, link) = (
        place.path("file"),
        place.path("directory"),
        place.path("link"),
    );
    fs::write(&file, "precious").unwrap();
    fs::create_dir(&directory).unwrap();
    symlink(place.path("nowhere"), &link).unwrap();
    for taken in [&file, &directory, &place.keystore] {
        assert_eq!(refused(backup(&place, taken)), Status::KeystoreIo);
    }
    assert_eq!(refused(backup(&place, &link)), Status::KeystoreNotFound);
    assert_eq!(fs::read(&file).unwrap(), b"precious");
    assert!(!place.path("nowhere").exists());
    assert_eq!(place.open(&[]).verify().unwrap(), (0, 0));

    let missing = place.path("missing").join("copy");
    assert_eq!(refused(backup(&place, &missing)), Status::KeystoreNotFound);
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o777)).unwrap();
    let open_to_all = directory.join("copy");
    assert_eq!(refused(backup(&place, &open_to_all)), Status::KeystoreIo);
    assert!(!open_to_all.exists());
}

#[test]
fn backups_made_while_others_write_are_whole() {
    part("writer", |place| {
        let kms = place.open(&[PATIENT]);
        for round in 0.. {
            create_key(&kms);
            if round % 3 == 0 {
                let root = root_key(&place.root_file);
                kms.reseal(&call(), None, &root).unwrap();
            }
            say(round);
        }
    });
    let place = Place::with_keystore();
    let test = "backups_made_while_others_write_are_whole";
    let writers = ["writer"; 2].map(|part| place.start(test, part));
    let mut last = 0;
    for round in 0..30 {
        writers[round % 2].goes_on();
        let to = place.path(&format!("copy{round}"));
        let copy = backup(&place, &to).unwrap();
        assert!(copy.epoch > last);
        last = copy.epoch;
        let copied = place.of(&to).open(&[]);
        assert_eq!(copied.verify().unwrap(), (copy.keys, copy.keys));
    }
    drop(writers);
    println!("30 backups, the last at epoch {last}");
}

// ---- And back ------------------------------------------------------------------------------------

#[test]
fn a_dry_run_says_what_a_restore_does() {
    let place = Place::with_keystore();
    let kms = place.open(&[]);
    let key_id = create_key(&kms);
    let made = generate(&kms, &key_id).unwrap();
    let copy = place.path("copy");
    backup(&place, &copy).unwrap();
    drop(kms);

    // On another machine, so to say.
    let other = Place::new();
    other.put_root_key(&other.root_file, &fs::read(&place.root_file).unwrap());
    let options = other.options(&[]);
    let before = other.names();
    let foreseen = restore(&copy, &other.keystore, &options, true).unwrap();
    assert_eq!(other.names(), before, "a dry run leaves nothing");
    let done = restore(&copy, &other.keystore, &options, false).unwrap();
    assert_eq!(format!("{foreseen:?}"), format!("{done:?}"));
    assert_eq!((done.epoch, done.keys), (2, 1));

    let restored = other.open(&[]);
    opens(&restored, &made);
    opens(&restored, &generate(&restored, &key_id).unwrap());
    create_key(&restored);
    let content = fs::read(&other.keystore).unwrap();
    for dry_run in [true, false] {
        let again = restore(&copy, &other.keystore, &options, dry_run);
        assert_eq!(refused(again), Status::KeystoreIo);
    }
    assert_eq!(fs::read(&other.keystore).unwrap(), content);
}

#[test]
fn what_is_altered_or_foreign_is_not_restored() {
    let place = Place::with_keystore();
    let kms = place.open(&[]);
    create_key(&kms);
    let genuine = fs::read(&place.keystore).unwrap();
    let copy = place.path("copy");
    let to = place.path("restored");
    let refusal = |content: &[u8], options: &Options| {
        fs::write(&copy, content).unwrap();
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o600)).unwrap();
        let statuses = [true, false].map(|dry_run| refused(restore(&copy, &to, options, dry_run)));
        assert_eq!(statuses[0], statuses[1], "a dry run tells the same");
        assert!(!to.exists());
        statuses[0]
    };
    let options = place.options(&[]);
    for at in (0..genuine.len()).step_by(23) {
        let mut altered = genuine.clone();
        altered[at] ^= 4;
        let status = refusal(&altered, &options);
        let expected = [
            Status::NotAKeystore,
            Status::RootKey,
            Status::KeystoreTampered,
        ];
        assert!(expected.contains(&status), "byte {at}: {status:?}");
    }
    let cut = &genuine[..genuine.len() - 1];
    assert_eq!(refusal(cut, &options), Status::KeystoreTampered);
    assert_eq!(refusal(b"", &options), Status::NotAKeystore);
    assert_eq!(refusal(b"my diary", &options), Status::NotAKeystore);
    let stranger = source(&place.new_root_key("stranger.key"));
    let by_stranger = place.options_by(&stranger, &[]);
    assert_eq!(refusal(&genuine, &by_stranger), Status::RootKey);
    let another_id = place.options(&[("keystore_id", "7c9a1be2-4d05-4f61-b3e8-0a6d52f7c914")]);
    assert_eq!(refusal(&genuine, &another_id), Status::InvalidOption);
    fs::remove_file(&copy).unwrap();
    let missing = restore(&copy, &to, &options, false);
    assert_eq!(refused(missing), Status::KeystoreNotFound);
}

#[test]
fn who_saw_a_newer_state_refuses_an_older_one_put_back() {
    let place = Place::with_keystore();
    let engine = place.open(&[AT_ONCE]);
    let key_id = create_key(&engine);
    let made = generate(&engine, &key_id).unwrap();
    let copy = place.path("copy");
    backup(&place, &copy).unwrap();
    place.open(&[]).disable_key(&call(), &key_id).unwrap();
    assert_eq!(refused(decrypt(&engine, &made.blob)), Status::Disabled);

    let newer = fs::read(&place.keystore).unwrap();
    fs::remove_file(&place.keystore).unwrap();
    assert_eq!(refused(decrypt(&engine, &made.blob)), Status::KeystoreIo);
    restore(&copy, &place.keystore, &place.options(&[]), false).unwrap();
    assert_eq!(
        refused(decrypt(&engine, &made.blob)),
        Status::KeystoreTampered
    );
    let new = engine.create_key(&call(), &NewKey::default());
    assert_eq!(refused(new), Status::KeystoreTampered);
    // Whoever comes only now cannot know.
    opens(&place.open(&[]), &made);

    // Writes on the old state reach the epoch that was seen, and are still another state.
    let late = place.open(&[]);
    create_key(&late);
    assert_eq!(epoch(&late), 3);
    assert_eq!(
        refused(decrypt(&engine, &made.blob)),
        Status::KeystoreTampered
    );
    fs::write(&place.keystore, newer).unwrap();
    assert_eq!(refused(decrypt(&engine, &made.blob)), Status::Disabled);
}

#[test]
fn another_keystore_of_the_same_root_key_is_refused() {
    let place = Place::with_keystore();
    let engine = place.open(&[AT_ONCE]);
    let made = generate(&engine, &create_key(&engine)).unwrap();
    let another = place.of(&place.path("another"));
    let other = another.open(&[CREATE]);
    for _ in 0..5 {
        create_key(&other);
    }
    fs::rename(&another.keystore, &place.keystore).unwrap();
    assert_eq!(
        refused(decrypt(&engine, &made.blob)),
        Status::KeystoreTampered
    );
    let new = engine.create_key(&call(), &NewKey::default());
    assert_eq!(refused(new), Status::KeystoreTampered);
}

// ---- The id --------------------------------------------------------------------------------------

#[test]
fn a_keystore_has_the_id_that_it_must_have() {
    const ID: &str = "5d0f3c1e-8a54-4b7e-9f0b-2f6c1d9a7e34";
    const OTHER: &str = "6d0f3c1e-8a54-4b7e-9f0b-2f6c1d9a7e34";
    let place = Place::new();
    let with_id = |id| [("keystore_id", id)];
    let kms = place.open(&[CREATE, ("keystore_id", ID)]);
    assert_eq!(described(&kms)["KeystoreId"], ID);
    let key_id = create_key(&kms);
    let made = generate(&kms, &key_id).unwrap();
    opens(&place.open(&with_id(ID)), &made);
    opens(&place.open(&[]), &made);
    let other = Kms::open(&place.options(&with_id(OTHER)));
    assert_eq!(refused(other), Status::InvalidOption);
    let other = Kms::open(&place.options(&[CREATE, ("keystore_id", OTHER)]));
    assert_eq!(refused(other), Status::InvalidOption, "it is not made anew");

    for wrong in ["", "orders", &ID.to_uppercase(), &ID[1..]] {
        let set = Options::default().set("keystore_id", wrong);
        assert_eq!(refused(set), Status::InvalidOption, "{wrong}");
    }
    let mut options = Options::default();
    options.set("keystore", "memory:").unwrap();
    options.set("keystore_id", ID).unwrap();
    options.set("root_key", &source(&place.root_file)).unwrap();
    let memory = Kms::open(&options).unwrap();
    assert_eq!(described(&memory)["KeystoreId"], ID);
    let nowhere = memory.backup(&options, &place.path("copy"));
    assert_eq!(refused(nowhere), Status::UnsupportedOperation);
}
