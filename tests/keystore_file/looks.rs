//! What an open client finds where its keystore was: an older copy, another keystore, nothing.

use std::fs;

use kmsbox::error::Status;

use super::{picture, place_with_key, put, set_mode, status};
use crate::client::{Client, Place};

#[track_caller]
fn assert_refused(client: &Client, key_id: &str, expected: Status) {
    let used = client.call(&format!("Action=GenerateDataKey&KeyId={key_id}"));
    assert_eq!(status(used.outcome), Some(expected), "use");
    let listed = client.call("Action=ListKeys");
    assert_eq!(status(listed.outcome), Some(expected), "a list");
    let changed = client.call("Action=CreateKey");
    assert_eq!(status(changed.outcome), Some(expected), "a change");
    // How it stands can be told all the same.
    let name = format!("KMS_ERR_{}", expected.name());
    let error = client.describe()["Error"].as_str().unwrap().to_owned();
    assert!(error.contains(&name), "{error}");
}

#[test]
fn an_older_copy_put_back() {
    let (place, client, key_id) = place_with_key();
    let older = fs::read(place.keystore()).unwrap();
    client.done(&format!("Action=DisableKey&KeyId={key_id}"));
    let newer = fs::read(place.keystore()).unwrap();

    put(&place, &older);
    let before = picture(&place.keystore());
    assert_refused(&client, &key_id, Status::KeystoreTampered);
    assert_eq!(picture(&place.keystore()), before);
    // Who has not seen the newer one cannot know; the documentation says so.
    place.open().unwrap().data_key(&key_id);

    put(&place, &newer);
    assert_eq!(
        client.refused(&format!("Action=GenerateDataKey&KeyId={key_id}")),
        Status::Disabled
    );
    client.done(&format!("Action=EnableKey&KeyId={key_id}"));
    client.data_key(&key_id);
}

/// A copy that went its own way for as many writes has the same epoch, and is not the same.
#[test]
fn a_copy_with_another_history() {
    let (place, client, key_id) = place_with_key();
    let other = Place::new();
    other.file("keystore", &fs::read(place.keystore()).unwrap());
    let elsewhere = other.open().unwrap();
    elsewhere.create_key();
    client.create_key();
    assert_eq!(client.epoch(), elsewhere.epoch());
    put(&place, &fs::read(other.keystore()).unwrap());
    assert_refused(&client, &key_id, Status::KeystoreTampered);
}

/// The same bytes in another file are the same keystore, and a later state of it is its later state.
#[test]
fn a_copy_of_the_same_or_a_later_state() {
    let (place, client, key_id) = place_with_key();
    put(&place, &fs::read(place.keystore()).unwrap());
    client.data_key(&key_id);
    let other = Place::new();
    other.file("keystore", &fs::read(place.keystore()).unwrap());
    let made = other.open().unwrap().create_key();
    put(&place, &fs::read(other.keystore()).unwrap());
    client.data_key(&made);
}

#[test]
fn another_keystore_in_its_place() {
    let (place, client, key_id) = place_with_key();
    let (other, _, other_id) = place_with_key();
    let (ours, theirs) = (
        fs::read(place.keystore()).unwrap(),
        fs::read(other.keystore()).unwrap(),
    );
    put(&place, &theirs);
    assert_refused(&client, &key_id, Status::KeystoreTampered);
    place.open().unwrap().data_key(&other_id);
    put(&place, &ours);
    client.data_key(&key_id);
}

#[test]
fn something_else_in_its_place() {
    let (place, client, key_id) = place_with_key();
    let ours = fs::read(place.keystore()).unwrap();
    put(&place, b"");
    assert_refused(&client, &key_id, Status::KeystoreTampered);
    put(&place, b"something else");
    assert_refused(&client, &key_id, Status::KeystoreTampered);
    fs::remove_file(place.keystore()).unwrap();
    fs::create_dir(place.keystore()).unwrap();
    assert_refused(&client, &key_id, Status::KeystoreTampered);
    fs::remove_dir(place.keystore()).unwrap();
    put(&place, &ours);
    client.data_key(&key_id);
}

#[test]
fn taken_away_and_brought_back() {
    let (place, client, key_id) = place_with_key();
    let made = client.data_key(&key_id);
    let away = place.at("away");
    for _ in 0..2 {
        fs::rename(place.keystore(), &away).unwrap();
        assert_refused(&client, &key_id, Status::KeystoreIo);
        let refused = client.decrypt(None, &made.blob, None);
        assert_eq!(status(refused), Some(Status::KeystoreIo));
        assert!(!place.keystore().exists(), "no other one was made");
        fs::rename(&away, place.keystore()).unwrap();
        let opened = client.decrypt(None, &made.blob, None).unwrap();
        assert_eq!(opened.plaintext, made.plaintext);
        client.create_key();
    }
}

/// A client that may create a keystore does so when it is opened, and never in place of the one it had.
#[test]
fn a_keystore_that_is_gone_is_not_made_again() {
    let place = Place::new();
    let client = place.open_with(&[("create", "true"), ("refresh_interval_ms", "0")]);
    let client = client.unwrap();
    let key_id = client.create_key();
    fs::remove_file(place.keystore()).unwrap();
    assert_refused(&client, &key_id, Status::KeystoreIo);
    assert!(!place.keystore().exists());
}

/// Within its interval a client goes on with what it knows, and looks where it does not know.
#[test]
fn within_the_interval() {
    let (place, _, key_id) = place_with_key();
    let client = place.open_with(&[("refresh_interval_ms", "3600000")]);
    let client = client.unwrap();
    fs::remove_file(place.keystore()).unwrap();
    client.data_key(&key_id);
    let unknown = client.call("Action=GenerateDataKey&KeyId=alias/unknown");
    assert_eq!(status(unknown.outcome), Some(Status::KeystoreIo));
    assert_eq!(client.refused("Action=CreateKey"), Status::KeystoreIo);
    client.data_key(&key_id);
}

#[test]
fn opened_to_the_writing_of_others() {
    let (place, client, key_id) = place_with_key();
    set_mode(&place.keystore(), 0o606);
    assert_refused(&client, &key_id, Status::KeystoreIo);
    set_mode(&place.keystore(), 0o600);
    client.data_key(&key_id);
}

/// With an interval a look happens when it is over, whether or not anything unknown is asked for.
#[test]
fn when_the_interval_is_over() {
    let (place, writer, key_id) = place_with_key();
    let client = place.open_with(&[("refresh_interval_ms", "50")]).unwrap();
    client.data_key(&key_id);
    writer.done(&format!("Action=DisableKey&KeyId={key_id}"));
    std::thread::sleep(std::time::Duration::from_millis(51));
    assert_eq!(
        client.refused(&format!("Action=GenerateDataKey&KeyId={key_id}")),
        Status::Disabled
    );
}
