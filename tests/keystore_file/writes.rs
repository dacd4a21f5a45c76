//! The file replaced whole: what stays of the old one, what is left behind, what happens when it fails.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};

use kmsbox::error::Status;

use super::{in_own_process, limit, picture, place_with_key, set_mode, status};
use crate::client::{Place, form};

#[test]
fn a_new_keystore_is_the_owners_alone() {
    let place = Place::new();
    drop(place.create());
    assert_eq!(place.names(), ["keystore", "keystore.lock"]);
    for name in place.names() {
        let mode = fs::metadata(place.at(&name)).unwrap().mode();
        assert_eq!(mode & 0o7777, 0o600, "{name}");
    }
}

#[test]
fn mode_and_owner_stay() {
    let (place, client, _) = place_with_key();
    let path = place.keystore();
    for mode in [0o640, 0o660, 0o600, 0o644] {
        set_mode(&path, mode);
        // Another owner, where the tests may give it one.
        let _ = chown(&path, Some(1234), Some(mode));
        let before = fs::metadata(&path).unwrap();
        client.create_key();
        let after = fs::metadata(&path).unwrap();
        assert_ne!(before.ino(), after.ino(), "it was replaced");
        assert_eq!(before.mode(), after.mode());
        assert_eq!((before.uid(), before.gid()), (after.uid(), after.gid()));
    }
}

#[test]
fn making_a_keystore_never_replaces_one() {
    let (place, _, key_id) = place_with_key();
    let before = picture(&place.keystore());
    let again = place.create();
    again.data_key(&key_id);
    assert_eq!(picture(&place.keystore()), before);
    let mut options = place.options();
    options.set("create", "true");
    options.root_key(&[1; 32]);
    assert_eq!(status(options.open()), Some(Status::RootKey));
    assert_eq!(picture(&place.keystore()), before);
}

#[test]
fn what_killed_writers_left_is_swept() {
    let (place, client, key_id) = place_with_key();
    let stale = [
        "keystore.tmp-0123456789abcdef",
        "keystore.tmp-ffffffffffffffff",
    ];
    let others = [
        "keystore.tmp-",
        "keystore.tmp-0123456789abcde",
        "keystore.tmp-0123456789abcdefa",
        "keystore.tmp-0123456789abcdeg",
        "keystore.bak",
        "other.tmp-0123456789abcdef",
        "xkeystore.tmp-0123456789abcdef",
    ];
    for name in stale.iter().chain(&others) {
        place.file(name, b"half a keystore");
    }
    // Nobody who reads minds them.
    place.open().unwrap().data_key(&key_id);
    client.create_key();
    let left = place.names();
    assert!(stale.iter().all(|name| !left.contains(&(*name).to_owned())));
    assert!(others.iter().all(|name| left.contains(&(*name).to_owned())));
    assert_eq!(left.len(), others.len() + 2);
}

#[test]
fn a_refused_change_writes_nothing() {
    let (place, client, key_id) = place_with_key();
    let before = picture(&place.keystore());
    for request in [
        "Action=CreateKey&Origin=elsewhere",
        "Action=CreateAlias&KeyId=KEY&AliasName=alias/a",
        "Action=CreateAlias&KeyId=KEY&AliasName=wrong",
        "Action=DisableKey&KeyId=00000000-0000-4000-8000-000000000000",
        "Action=CreateKeyVersion&KeyId=alias/none",
    ] {
        client.refused(&request.replace("KEY", &key_id));
        assert_eq!(picture(&place.keystore()), before, "{request}");
    }
    assert_eq!(place.names(), ["keystore", "keystore.lock"]);
}

/// The epoch counts the writes, and the file says when and what, for `less` and `diff`.
#[test]
fn an_operator_can_read_the_file() {
    let (place, client, key_id) = place_with_key();
    let description = "orders of 2026";
    client.done(&format!(
        "Action=CreateKey&Description={}",
        form(description)
    ));
    client.done(&format!("Action=DisableKey&KeyId={key_id}"));
    let text = fs::read_to_string(place.keystore()).unwrap();
    let file: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(file["format"], "kmsbox keystore 1");
    assert_eq!(file["epoch"], client.epoch());
    assert_eq!(file["keys"][0]["key_id"], key_id);
    assert_eq!(file["keys"][0]["state"], "Disabled");
    assert_eq!(file["keys"][1]["description"], description);
    assert_eq!(file["aliases"][0]["alias"], "alias/a");
    let lines = text.lines().filter(|line| line.contains("\"state\":"));
    assert_eq!(lines.count(), 2, "a line for each");
}

/// Everything is there again after a client of its own for each change.
#[test]
fn what_was_answered_lasts() {
    let place = Place::new();
    drop(place.create());
    let mut made = Vec::new();
    for number in 0..20 {
        let client = place.open().unwrap();
        let key_id = client.create_key();
        client.done(&format!(
            "Action=CreateAlias&KeyId={key_id}&AliasName=alias/{number}"
        ));
        made.push(client.data_key(&key_id));
    }
    let client = place.open().unwrap();
    assert_eq!(client.epoch(), 41);
    for (number, key) in made.iter().enumerate() {
        let expected = format!("alias/{number}");
        let opened = client.decrypt(Some(&expected), &key.blob, None).unwrap();
        assert_eq!(opened.plaintext, key.plaintext);
    }
}

/// A disk that is full is a file that cannot grow.
#[test]
fn a_full_disk_loses_nothing() {
    if !in_own_process("writes::a_full_disk_loses_nothing", |_| {}) {
        return;
    }
    let (place, client, key_id) = place_with_key();
    let made = client.data_key(&key_id);
    let before = picture(&place.keystore());
    let len = libc::rlim_t::try_from(before.bytes.len()).unwrap();
    // Without this the system would end the process instead of failing the write.
    let ignored = c!(libc::signal(libc::SIGXFSZ, libc::SIG_IGN));
    assert_ne!(ignored, libc::SIG_ERR);
    for room in [0, 1, len / 2, len] {
        limit(libc::RLIMIT_FSIZE, room);
        let empty = Place::new();
        let refusals = [
            client.call("Action=CreateKey").outcome.unwrap_err(),
            client
                .call(&format!(
                    "Action=CreateAlias&KeyId={key_id}&AliasName=alias/full"
                ))
                .outcome
                .unwrap_err(),
        ];
        for refusal in refusals {
            assert_eq!(refusal.status, Status::KeystoreIo);
            assert!(refusal.message.contains("File too large"), "{refusal:?}");
        }
        if room < len / 2 {
            let refusal = empty.open_with(&[("create", "true")]).unwrap_err();
            assert_eq!(refusal.status, Status::KeystoreIo);
            assert_eq!(empty.names(), ["keystore.lock"], "no half keystore");
        }
        assert_eq!(picture(&place.keystore()), before);
        assert_eq!(place.names(), ["keystore", "keystore.lock"]);
        let opened = client.decrypt(None, &made.blob, None).unwrap();
        assert_eq!(opened.plaintext, made.plaintext);
        place.open().unwrap().data_key(&key_id);
    }
    limit(libc::RLIMIT_FSIZE, libc::RLIM_INFINITY);
    assert_eq!(client.done("Action=ListKeys")["TotalCount"], 1);
    let again = client.create_key();
    place.open().unwrap().data_key(&again);
}
