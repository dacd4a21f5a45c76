//! Keystores as a whole: backup, restore, root keys, the audit log, purging.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::Arc;

use kmsbox::clock::Timestamp;
use kmsbox::keystore::file::SealedFile;
use kmsbox::keystore::state::KeyState;
use kmsbox::keystore::{Draft, Keystore, Patience};
use kmsbox::options::Options;
use kmsbox::secret::Arena;
use support::{Place, ended, source};

#[test]
fn a_backup_is_restored_and_a_dry_run_only_says_so() {
    let place = Place::with_key();
    let blob = place.piped(&["encrypt", "alias/orders"], b"secret").text();
    let made = place.json(&["backup", "copy"]);
    assert_eq!(made["Keys"], 1);
    assert_eq!(made["DryRun"], false);
    assert_eq!(place.read("copy"), place.read("keystore"));
    assert!(!place.path("copy.lock").exists());

    let to = place.path("new/keystore");
    fs::create_dir(place.path("new")).unwrap();
    let restore = ["restore", "copy", "--keystore", to.to_str().unwrap()];
    let said = place.ok(&[&restore[..], &["--dry-run"]].concat());
    assert!(said.starts_with("Would restore:"), "{said}");
    assert!(said.ends_with("Nothing was written.\n"), "{said}");
    for expected in ["CMKs:           1", "Aliases:        1"] {
        assert!(said.contains(expected), "{said}");
    }
    assert_eq!(fs::read_dir(place.path("new")).unwrap().count(), 0);
    assert_eq!(
        place.json(&[&restore[..], &["--dry-run"]].concat())["DryRun"],
        true
    );

    assert!(place.ok(&restore).starts_with("Restored:"));
    let decrypt = [
        "decrypt",
        "--blob",
        blob.trim(),
        "--keystore",
        to.to_str().unwrap(),
    ];
    assert_eq!(place.ok(&decrypt), "secret");
    assert!(place.fails(3, &restore).contains("there already"));
    // What the root key does not open whole is not restored.
    let mut bytes = place.read("copy");
    let at = bytes
        .windows(7)
        .position(|part| part == b"Enabled")
        .unwrap();
    bytes[at] ^= 1;
    place.write("altered", bytes);
    let third = place.path("third");
    let altered = ["restore", "altered", "--keystore", third.to_str().unwrap()];
    assert!(
        place
            .fails(3, &altered)
            .contains("KMS_ERR_KEYSTORE_TAMPERED")
    );
    assert!(!third.exists());
}

#[test]
fn root_keys_are_added_and_retired() {
    let place = Place::with_key();
    let blob = place.piped(&["encrypt", "alias/orders"], b"secret").text();
    let old = place.json(&["root-key", "list"])["RootKeys"][0]["SlotId"].clone();
    let old = old.as_str().unwrap();
    assert!(
        place
            .fails(1, &["root-key", "retire", old, "-y"])
            .contains("last")
    );
    let added = place.json(&["root-key", "add", "file:new.key", "--make"]);
    assert!(
        place
            .fails(1, &["root-key", "add", "file:new.key"])
            .contains("already")
    );
    let listed = place.ok(&["root-key", "list"]);
    assert_eq!(listed.lines().count(), 3);
    let added = added["SlotId"].as_str().unwrap();
    let marked = |slot: &str| {
        let mut lines = listed.lines().filter(|line| line.starts_with(slot));
        lines.next().unwrap().ends_with("this one")
    };
    assert_eq!((marked(old), marked(added)), (true, false));
    let before = place.read("keystore");
    for more in [&["-y"][..], &["--reseal", "-y"]] {
        let own = place.fails(1, &[&["root-key", "retire", old], more].concat());
        assert!(own.contains("give the root key that stays"), "{own}");
    }
    assert_eq!(place.read("keystore"), before);

    let new = ["--root-key", "file:new.key"];
    let slots = place.json(&[&new[..], &["root-key", "list"]].concat());
    let ones = slots["RootKeys"].as_array().unwrap().iter();
    let ones: Vec<_> = ones
        .map(|slot| (&slot["SlotId"], &slot["ThisOne"]))
        .collect();
    assert_eq!(
        serde_json::json!(ones),
        serde_json::json!([[old, false], [added, true]])
    );
    let said = place.ok(&[&new[..], &["root-key", "retire", old, "--reseal", "-y"]].concat());
    assert!(said.contains("root keys left: 1"), "{said}");
    assert!(place.fails(3, &["list"]).contains("KMS_ERR_ROOT_KEY"));
    let decrypt = ["decrypt", "--blob", blob.trim()];
    assert_eq!(place.ok(&[&new[..], &decrypt].concat()), "secret");
    place.ok(&[&new[..], &["root-key", "retire", "--reseal", "-y"]].concat());
    assert_eq!(place.ok(&[&new[..], &decrypt].concat()), "secret");
}

#[test]
fn a_root_key_made_for_nothing_is_taken_away() {
    let place = Place::empty();
    let init = ["init", "--make-root-key"];
    place.fails(3, &[&init[..], &["--keystore", "none/keystore"]].concat());
    assert!(!place.path("root.key").exists());
    // Found out only when the keystore is about to be made.
    fs::create_dir(place.path("open")).unwrap();
    fs::set_permissions(place.path("open"), fs::Permissions::from_mode(0o777)).unwrap();
    place.fails(3, &[&init[..], &["--keystore", "open/keystore"]].concat());
    assert!(!place.path("root.key").exists());
    place.ok(&init);
    // One that was there before is not this command's to remove.
    let again = [&init[..], &["--keystore", "none/keystore"]].concat();
    place.fails(3, &again);
    place.ok(&["verify"]);

    let add = |name: &str| ["root-key", "add", name, "--make"].map(str::to_owned);
    // Too long for the name of a file, which is found out when the first line is written.
    let name = "a".repeat(256);
    let unheard = ["--audit-log", &name];
    let refused = add("file:refused.key");
    let args: Vec<&str> = refused.iter().map(String::as_str).chain(unheard).collect();
    place.fails(3, &args);
    assert!(!place.path("refused.key").exists());
    for name in ["file:2.key", "file:3.key", "file:4.key"] {
        place.ok(&add(name).each_ref().map(String::as_str));
    }
    let fifth = add("file:5.key");
    let said = place.fails(1, &fifth.each_ref().map(String::as_str));
    assert!(said.contains("KMS_ERR_LIMIT_EXCEEDED"), "{said}");
    assert!(!place.path("5.key").exists());
    for name in ["root.key", "2.key", "3.key", "4.key"] {
        place.ok(&["--root-key", &source(&place.path(name)), "verify"]);
    }
}

/// Nor is one made where the keystore's path is a link that leads nowhere.
#[test]
fn no_root_key_is_made_for_a_link_to_nothing() {
    let place = Place::empty();
    symlink("nowhere", place.path("keystore")).unwrap();
    let said = place.fails(3, &["init", "--make-root-key"]);
    assert!(said.contains("leads nowhere"), "{said}");
    assert!(!place.path("root.key").exists());
}

/// A file system's names are bytes.
#[test]
fn names_that_are_not_utf_8() {
    let place = Place::empty();
    let name = |bytes: &[u8]| place.directory.join(OsStr::from_bytes(bytes));
    let keystore = name(b"\xFFks");
    let root_key = [b"file:", name(b"\xFEroot").as_os_str().as_bytes()].concat();
    let root_key = OsString::from_vec(root_key);
    let run = |args: &[&str]| {
        let mut command = place.command(args);
        command.env("KMSBOX_KEYSTORE", &keystore);
        command.env_remove("KMSBOX_ROOT_KEY");
        command.arg("--root-key").arg(&root_key);
        let ended = ended(command, b"");
        assert_eq!(ended.code, 0, "{args:?}: {}", ended.stderr);
        ended
    };
    run(&["init", "--make-root-key"]);
    let left = name(b"\xFFks.tmp-0123456789abcdef");
    let others = name(b"\xFEks.tmp-0123456789abcdef");
    fs::write(&left, "").unwrap();
    fs::write(&others, "").unwrap();
    run(&["create-key"]);
    assert!(!left.exists(), "what a killed writer left is swept");
    assert!(others.exists());
    // Where such a name is only shown, it is shown with a sign for each byte that is no text.
    let shown = run(&["verify", "--json"]).json()["Keystore"].clone();
    assert!(shown.as_str().unwrap().ends_with("/\u{FFFD}ks"), "{shown}");
}

/// Nothing is made under a name that the keystore has, or will have.
#[test]
fn a_new_file_is_not_one_of_the_keystores() {
    let place = Place::empty();
    for name in ["keystore", "keystore.lock", "keystore.tmp-0123456789abcdef"] {
        let root_key = source(&place.path(name));
        let said = place.fails(3, &["--root-key", &root_key, "init", "--make-root-key"]);
        assert!(
            said.contains("\"root_key\"") && said.contains("\"keystore\""),
            "{said}"
        );
        assert_eq!(fs::read_dir(&place.directory).unwrap().count(), 0);
    }
    place.ok(&["init", "--make-root-key"]);
    place.ok(&["create-key", "--alias", "alias/orders"]);
    let blob = place.ok(&["encrypt", "alias/orders", "root.key"]);
    let blob = blob.trim();
    let names = || {
        let entries = fs::read_dir(&place.directory).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = names();
    let commands: [(&str, &[&str]); 8] = [
        ("--out", &["generate-data-key", "alias/orders", "--out"]),
        (
            "--plaintext",
            &["generate-data-key", "alias/orders", "--plaintext"],
        ),
        ("--out", &["encrypt", "alias/orders", "root.key", "--out"]),
        ("--out", &["decrypt", "--blob", blob, "--out"]),
        (
            "--out",
            &[
                "re-encrypt",
                "--blob",
                blob,
                "--to",
                "alias/orders",
                "--out",
            ],
        ),
        ("--out", &["call", "Action=ListKeys", "--out"]),
        ("--parameters", &["import", "alias/orders", "--parameters"]),
        ("FILE", &["backup"]),
    ];
    for (argument, command) in commands {
        for name in ["keystore.usage", "keystore.tmp-0123456789abcdef"] {
            let said = place.fails(3, &[command, &[name]].concat());
            assert!(
                said.contains(&format!("\"{argument}\"")),
                "{command:?}: {said}"
            );
            assert_eq!(names(), before, "{command:?}");
        }
    }
    let made = ["root-key", "add", "file:keystore.usage", "--make"];
    assert!(place.fails(3, &made).contains("\"SOURCE\""));
    // A backup that the new keystore's first writer would sweep.
    fs::create_dir(place.path("new")).unwrap();
    let swept = "new/keystore.tmp-0123456789abcdef";
    fs::copy(place.path("keystore"), place.path(swept)).unwrap();
    place.fails(3, &["restore", swept, "--keystore", "new/keystore"]);
    assert!(place.path(swept).exists());
}

#[test]
fn a_passphrase_opens_a_keystore() {
    let place = Place::empty();
    place.write("passphrase", "correct horse battery staple\n");
    let with = ["--root-key", "passphrase-file:passphrase"];
    place.ok(&[&with[..], &["init"]].concat());
    let listed = place.json(&[&with[..], &["root-key", "list"]].concat());
    assert_eq!(listed["RootKeys"][0]["Kind"], "passphrase");
    assert!(
        place
            .fails(
                2,
                &[&with[..], &["init", "--keystore", "b", "--make-root-key"]].concat()
            )
            .contains("file:PATH")
    );
}

#[test]
fn an_id_can_be_given() {
    let place = Place::empty();
    let id = "5b1c2f6e-8a0d-4c0b-9a58-4f3c8d1e7a90";
    let made = place.json(&["init", "--make-root-key", "--keystore-id", id]);
    assert_eq!(made["KeystoreId"], id);
    assert_eq!(place.json(&["verify"])["KeystoreId"], id);
    let text = String::from_utf8(place.read("root.key")).unwrap();
    assert_eq!(text.trim_end().len(), 64, "hex, so that it can be printed");
    assert!(
        place
            .ok(&["--root-key", &source(&place.path("root.key")), "list"])
            .is_empty()
    );
}

#[test]
fn the_audit_log_tells_of_each_operation() {
    let place = Place::with_key();
    let audited = ["--audit-log", "audit"];
    place.ok(&[&audited[..], &["disable", "alias/orders"]].concat());
    place.fails(
        1,
        &[&audited[..], &["generate-data-key", "alias/orders"]].concat(),
    );
    let text = String::from_utf8(place.read("audit")).unwrap();
    let lines: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let told: Vec<_> = lines
        .iter()
        .map(|line| {
            let field = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
            (field("action"), field("phase"), field("status"))
        })
        .collect();
    let told: Vec<_> = told
        .iter()
        .map(|(a, b, c)| (a.as_str(), b.as_str(), c.as_str()))
        .collect();
    assert!(told.contains(&("DisableKey", "intent", "")), "{told:?}");
    assert!(
        told.contains(&("DisableKey", "result", "KMS_OK")),
        "{told:?}"
    );
    assert_eq!(
        told.last(),
        Some(&(
            "GenerateDataKeyWithoutPlaintext",
            "result",
            "KMS_ERR_DISABLED"
        ))
    );
    assert_eq!(place.mode("audit"), 0o600);
}

/// Ends the deletion window of every CMK, and says when the keystore was last written: a window cannot
/// be waited for, and only the library can write the sealed file.
fn end_windows(place: &Place, clock: Timestamp) {
    let mut options = Options::default();
    let root_key = source(&place.path("root.key"));
    options.set("root_key", &root_key).unwrap();
    let arena = Arena::new(1 << 20).unwrap();
    let keystore = SealedFile::open(&place.path("keystore"), &options, &arena).unwrap();
    let mut edit = |draft: &mut Draft| {
        draft.state.clock = clock;
        for key in &mut draft.state.keys {
            let key = Arc::make_mut(key);
            key.put_in = KeyState::PendingDeletion;
            key.delete_date = Some(Timestamp::from_seconds(1));
        }
        Ok(())
    };
    keystore.change(&mut edit, Patience::Configured).unwrap();
}

#[test]
fn what_has_gone_is_purged_after_a_yes() {
    let place = Place::with_key();
    let id = place.json(&["describe", "alias/orders"])["KeyId"].clone();
    let id = id.as_str().unwrap();
    assert_eq!(place.ok(&["purge"]), "There is nothing to purge.\n");
    end_windows(&place, Timestamp::now());
    assert!(
        place
            .fails(1, &["describe", id])
            .contains("KMS_ERR_KEY_NOT_FOUND")
    );
    let asked = place.fails(5, &["purge"]);
    assert!(asked.contains(id), "{asked}");
    let holds = |place: &Place| {
        String::from_utf8(place.read("keystore"))
            .unwrap()
            .contains(id)
    };
    assert!(holds(&place));
    let purged = place.json(&["purge", "--yes"]);
    assert_eq!(purged["Purged"], serde_json::json!([id]));
    assert!(!holds(&place));
}

#[test]
fn a_clock_that_may_be_wrong_purges_nothing_until_confirmed() {
    let day = 24 * 60 * 60;
    let now = Timestamp::now().seconds();
    for clock in [now + day, now - 31 * day] {
        let place = Place::with_key();
        end_windows(&place, Timestamp::from_seconds(clock));
        let before = place.read("keystore");
        let refused = place.fails(1, &["purge", "--yes"]);
        assert!(refused.contains("KMS_ERR_CLOCK"), "{refused}");
        assert_eq!(place.read("keystore"), before);
        place.ok(&["purge", "--yes", "--confirm-clock"]);
        assert_eq!(place.json(&["verify"])["Keys"], 0);
    }
}
