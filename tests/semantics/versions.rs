//! Versions of a CMK: the primary one wraps, any unwraps.

use kmsbox::error::Status;

use super::{ask, with_alias};
use crate::client::Place;

#[test]
fn the_primary_wraps_and_any_unwraps() {
    let (client, key_id) = with_alias("alias/rotated");
    let mut made = vec![client.data_key(&key_id)];
    for _ in 0..5 {
        let answer = client.call("Action=CreateKeyVersion&KeyId=alias/rotated");
        let version = &answer.json()["KeyVersion"];
        assert_eq!(version["KeyId"], key_id);
        let version_id = version["KeyVersionId"].as_str().unwrap();
        assert_eq!(answer.key_version_id, version_id);

        let after = client.data_key("alias/rotated");
        assert_eq!(after.key_version_id, version_id);
        assert!(
            made.iter()
                .all(|before| before.key_version_id != version_id)
        );
        made.push(after);

        for key in &made {
            let opened = client.decrypt(Some(&key_id), &key.blob, None).unwrap();
            assert_eq!(opened.plaintext, key.plaintext);
            assert_eq!(opened.key_version_id, key.key_version_id);
        }
        let described = client.done(&format!("Action=DescribeKey&KeyId={key_id}"));
        assert_eq!(described["KeyMetadata"]["PrimaryKeyVersion"], version_id);
    }
}

/// A blob says which version it is under; under another of the same CMK it does not open, and a version
/// of another CMK is not found.
#[test]
fn versions_are_keys_of_their_own() {
    let (client, key_id) = with_alias("alias/versions");
    let other_id = client.create_key();
    let old = client.data_key(&key_id);
    client.done(&format!("Action=CreateKeyVersion&KeyId={key_id}"));
    let new = client.data_key(&key_id);
    let other = client.data_key(&other_id);

    let with_version_of = |from: &[u8]| {
        let mut blob = old.blob.clone();
        blob[22..38].copy_from_slice(&from[22..38]);
        client.decrypt(None, &blob, None).unwrap_err().status
    };
    assert_eq!(with_version_of(&new.blob), Status::CiphertextInvalid);
    assert_eq!(with_version_of(&other.blob), Status::KeyVersionNotFound);
}

#[test]
fn versions_outlive_the_client() {
    let place = Place::new();
    let made = {
        let client = place.create();
        let key_id = client.create_key();
        let old = client.data_key(&key_id);
        client.done(&format!("Action=CreateKeyVersion&KeyId={key_id}"));
        [old, client.data_key(&key_id)]
    };
    assert_ne!(made[0].key_version_id, made[1].key_version_id);
    let again = place.open().unwrap();
    for key in &made {
        let opened = again.decrypt(Some(&key.key_id), &key.blob, None).unwrap();
        assert_eq!(opened.plaintext, key.plaintext);
    }
    let after = again.generate(ask(&made[0].key_id)).unwrap();
    assert_eq!(after.key_version_id, made[1].key_version_id);
}

#[test]
fn a_disabled_cmk_gets_no_version() {
    let (client, key_id) = with_alias("alias/disabled");
    client.done(&format!("Action=DisableKey&KeyId={key_id}"));
    let create = format!("Action=CreateKeyVersion&KeyId={key_id}");
    assert_eq!(client.refused(&create), Status::Disabled);
    client.done(&format!("Action=EnableKey&KeyId={key_id}"));
    client.done(&create);
}

/// More versions than the locked memory has room for.
#[test]
fn every_version_stays_usable_where_memory_is_short() {
    let client = crate::client::Client::in_memory_with(&[("locked_memory_max", "16384")]);
    let key_id = client.create_key();
    let made: Vec<_> = (0..200)
        .map(|_| {
            client.done(&format!("Action=CreateKeyVersion&KeyId={key_id}"));
            client.data_key(&key_id)
        })
        .collect();
    for key in made.iter().chain(made.iter().rev().step_by(7)) {
        let opened = client.decrypt(None, &key.blob, None).unwrap();
        assert_eq!(opened.plaintext, key.plaintext);
    }
    let memory = &client.describe()["KeyMemory"];
    assert_eq!(memory["Max"], 16384);
    assert!(memory["Used"].as_u64().unwrap() <= 16384);
}
