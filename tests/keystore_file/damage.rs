//! A keystore cut, extended, or with one byte changed: at open, and under an open client.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use kmsbox::error::Status;

use super::{next_tick, picture, place_with_key, put, status};
use crate::client::Place;

/// Where the file's first lines end: what they say is not yet covered by anything.
fn regions(file: &[u8]) -> (usize, usize) {
    let position = |text: &[u8]| {
        let mut windows = file.windows(text.len());
        windows.position(|window| window == text).unwrap()
    };
    (position(b"  \"keystore_id\""), position(b"  \"keys\""))
}

/// Writes one byte where it is: a file written anew is flushed by some file systems, and there are
/// thousands to write.
fn poke(place: &Place, at: usize, byte: u8) {
    let file = File::options().write(true).open(place.keystore()).unwrap();
    file.write_all_at(&[byte], at.try_into().unwrap()).unwrap();
}

#[test]
fn one_bit_flipped_is_found_at_open() {
    let (place, client, key_id) = place_with_key();
    let genuine = fs::read(place.keystore()).unwrap();
    drop(client);
    let (marker_ends, slots_end) = regions(&genuine);
    let options = place.options();
    for (at, right) in genuine.iter().enumerate() {
        for bit in 0..8 {
            poke(&place, at, right ^ 1 << bit);
            let before = picture(&place.keystore());
            let found = options.open().unwrap_err().status;
            let expected: &[Status] = match at {
                _ if at < marker_ends => &[Status::NotAKeystore],
                // Damage in a slot and another root key are not told apart.
                _ if at < slots_end => &[Status::RootKey, Status::KeystoreTampered],
                _ => &[Status::KeystoreTampered],
            };
            assert!(expected.contains(&found), "byte {at} bit {bit}: {found:?}");
            assert_eq!(picture(&place.keystore()), before);
        }
        poke(&place, at, *right);
    }
    place.open().unwrap().data_key(&key_id);
}

#[test]
fn one_byte_changed_is_found_by_an_open_client() {
    let (place, client, key_id) = place_with_key();
    let genuine = fs::read(place.keystore()).unwrap();
    let position = |text: &[u8]| {
        let mut windows = genuine.windows(text.len());
        windows.position(|window| window == text).unwrap()
    };
    // A slot of another name may be that of a new store key, which this client cannot open.
    let slot_id = position(b"\"slot_id\": \"") + 12;
    next_tick();
    for at in 0..genuine.len() {
        let altered = genuine[at] ^ 1 << (at % 8);
        // By another file now and then.
        if at % 32 == 0 {
            let mut file = genuine.clone();
            file[at] = altered;
            put(&place, &file);
        } else {
            poke(&place, at, altered);
        }
        let before = picture(&place.keystore());
        let expected = match at {
            _ if (slot_id..slot_id + 36).contains(&at) => {
                [Status::KeystoreTampered, Status::RootKey]
            }
            _ => [Status::KeystoreTampered; 2],
        };
        let used = client.call(&format!("Action=GenerateDataKey&KeyId={key_id}"));
        let found = status(used.outcome).unwrap();
        assert!(expected.contains(&found), "byte {at}: {found:?}");
        if at % 16 == 0 {
            let changed = client.call("Action=CreateKey");
            assert_eq!(status(changed.outcome), Some(found), "byte {at}");
        }
        assert_eq!(picture(&place.keystore()), before);
        poke(&place, at, genuine[at]);
    }
    client.data_key(&key_id);
    client.create_key();
}

#[test]
fn cut_at_every_length() {
    let (place, client, key_id) = place_with_key();
    let genuine = fs::read(place.keystore()).unwrap();
    let (marker_ends, _) = regions(&genuine);
    let options = place.options();
    let file = File::options().write(true).open(place.keystore()).unwrap();
    next_tick();
    for len in (0..genuine.len()).rev() {
        file.set_len(len.try_into().unwrap()).unwrap();
        let before = picture(&place.keystore());
        let expected = match len < marker_ends {
            true => Status::NotAKeystore,
            false => Status::KeystoreTampered,
        };
        assert_eq!(status(options.open()), Some(expected), "{len} bytes");
        // Whoever knew it as a keystore knows that it was cut.
        let used = client.call(&format!("Action=GenerateDataKey&KeyId={key_id}"));
        let tampered = Some(Status::KeystoreTampered);
        assert_eq!(status(used.outcome), tampered, "{len} bytes");
        assert_eq!(picture(&place.keystore()), before);
    }
    fs::write(place.keystore(), &genuine).unwrap();
    client.data_key(&key_id);
}

#[test]
fn extended_or_rearranged() {
    let (place, client, key_id) = place_with_key();
    let genuine = fs::read_to_string(place.keystore()).unwrap();
    let lines: Vec<&str> = genuine.split_inclusive('\n').collect();
    let mut swapped = lines.clone();
    swapped.swap(2, 3);
    let cases = [
        format!("{genuine}\n"),
        format!("{genuine} "),
        format!("{genuine}\0"),
        format!("{genuine}{genuine}"),
        format!("{genuine}{}", lines[lines.len() - 2]),
        swapped.concat(),
        // What means the same to a JSON reader is not the same.
        genuine.replace("\": \"", "\":\""),
        genuine.replace("\n", "\r\n"),
        genuine.replace("\"Enabled\"", "\"Disabled\""),
        genuine.replace("alias/a", "alias/b"),
        genuine.replace("\"aliases\": [", "\"aliases\": [ "),
    ];
    next_tick();
    for (number, altered) in cases.iter().enumerate() {
        assert_ne!(*altered, genuine, "case {number}");
        fs::write(place.keystore(), altered).unwrap();
        let found = place.open().unwrap_err().status;
        let expected = match altered.starts_with("{\n  \"format\": \"kmsbox keystore 1\",\n") {
            true => Status::KeystoreTampered,
            false => Status::NotAKeystore,
        };
        assert_eq!(found, expected, "case {number}");
        let used = client.call(&format!("Action=GenerateDataKey&KeyId={key_id}"));
        let tampered = Some(Status::KeystoreTampered);
        assert_eq!(status(used.outcome), tampered, "case {number}");
    }
}

/// A seal of one file closes no other, though both are of one keystore.
#[test]
fn the_seal_of_another_state() {
    let (place, client, _key_id) = place_with_key();
    let before = fs::read(place.keystore()).unwrap();
    client.create_key();
    let after = fs::read(place.keystore()).unwrap();
    let closing = |file: &[u8]| file.len() - 111;
    let mixed = [
        [&before[..closing(&before)], &after[closing(&after)..]].concat(),
        [&after[..closing(&after)], &before[closing(&before)..]].concat(),
    ];
    drop(client);
    for file in mixed {
        put(&place, &file);
        assert_eq!(status(place.open()), Some(Status::KeystoreTampered));
    }
    put(&place, &after);
    place.open().unwrap();
}

#[test]
fn another_root_key() {
    let (place, client, key_id) = place_with_key();
    let before = picture(&place.keystore());
    for bit in 0..256 {
        let mut key = crate::client::ROOT_KEY;
        key[bit / 8] ^= 1 << (bit % 8);
        let mut options = place.options();
        options.root_key(&key);
        let refusal = options.open().unwrap_err();
        assert_eq!(refusal.status, Status::RootKey);
    }
    assert_eq!(picture(&place.keystore()), before);
    client.data_key(&key_id);
}

/// Two keystores with one root key are still two.
#[test]
fn a_slot_of_another_keystore() {
    let (one, _, _) = place_with_key();
    let (two, _, _) = place_with_key();
    let read = |place: &Place| fs::read_to_string(place.keystore()).unwrap();
    let slot = |file: &str| {
        let start = file.find("\"sealed_store_key\"").unwrap();
        file[start..start + file[start..].find('\n').unwrap()].to_owned()
    };
    let (a, b) = (read(&one), read(&two));
    put(&one, a.replace(&slot(&a), &slot(&b)).as_bytes());
    assert_eq!(status(one.open()), Some(Status::RootKey));
}

/// Told before a root key is tried: each may take the time of a passphrase.
#[test]
fn as_many_slots_as_no_keystore_has() {
    let (place, _client, _) = place_with_key();
    let genuine = fs::read_to_string(place.keystore()).unwrap();
    let (before, rest) = genuine.split_once("\"slots\": [").unwrap();
    let (slot, after) = rest.split_once("\n  ],\n").unwrap();
    for slots in [String::new(), [slot; 5].join(",")] {
        let file = format!("{before}\"slots\": [{slots}\n  ],\n{after}");
        put(&place, file.as_bytes());
        let refusal = place.open().unwrap_err();
        assert_eq!(refusal.status, Status::KeystoreTampered);
        assert!(refusal.message.contains("one to four slots"), "{refusal:?}");
    }
}
