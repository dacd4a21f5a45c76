//! GenerateDataKey, GenerateDataKeyWithoutPlaintext and Decrypt.

use std::collections::HashSet;

use kmsbox::error::Status;

use super::{ask, with_alias};
use crate::client::{Ask, Client, is_id};

#[test]
fn how_long_a_data_key_is() {
    let (default, aes_256, aes_128) = (0, 1, 2);
    // KeySpec, NumberOfBytes, length of the key.
    let cases = [
        (default, 0, 32),
        (aes_256, 0, 32),
        (aes_128, 0, 16),
        (default, 1, 1),
        (default, 1024, 1024),
        // NumberOfBytes prevails, and KeySpec is not looked at.
        (aes_256, 16, 16),
        (aes_128, 32, 32),
        (aes_128, 33, 33),
        (99, 24, 24),
    ];
    let (client, key_id) = with_alias("alias/lengths");
    for (key_spec, number_of_bytes, len) in cases {
        let ask = Ask {
            key_spec,
            number_of_bytes,
            ..ask(&key_id)
        };
        let made = client.generate(ask).unwrap();
        assert_eq!(made.plaintext.len(), len);
        assert_eq!(made.blob.len(), 110 + len);
        let again = client.decrypt(None, &made.blob, None).unwrap();
        assert_eq!(again.plaintext, made.plaintext);

        let unseen = client.generate_without_plaintext(ask).unwrap();
        assert_eq!(unseen.blob.len(), 110 + len);
        let seen = client.decrypt(None, &unseen.blob, None).unwrap();
        assert_eq!(seen.plaintext.len(), len);
    }
}

#[test]
fn every_length_comes_back() {
    let (client, key_id) = with_alias("alias/lengths");
    for number_of_bytes in 1..=1024 {
        let ask = Ask {
            number_of_bytes,
            ..ask(&key_id)
        };
        let made = client.generate(ask).unwrap();
        let again = client.decrypt(Some(&key_id), &made.blob, None).unwrap();
        assert_eq!(again.plaintext, made.plaintext);
        assert_eq!(u32::try_from(again.plaintext.len()), Ok(number_of_bytes));
    }
}

#[test]
fn the_answer_names_key_and_version() {
    let (client, key_id) = with_alias("alias/named");
    let described = client.done(&format!("Action=DescribeKey&KeyId={key_id}"));
    let version = &described["KeyMetadata"]["PrimaryKeyVersion"];
    for asked in [&key_id, "alias/named", &super::arn(&key_id)] {
        for made in [
            client.generate(ask(asked)).unwrap(),
            client.generate_without_plaintext(ask(asked)).unwrap(),
        ] {
            assert_eq!(made.key_id, key_id, "{asked}");
            assert_eq!(made.key_version_id, version.as_str().unwrap());
            let opened = client.decrypt(Some(asked), &made.blob, None).unwrap();
            assert_eq!(opened.key_id, key_id);
            assert_eq!(opened.key_version_id, made.key_version_id);
            assert_eq!(opened.content, 0, "bytes");
        }
    }
    assert!(is_id(version.as_str().unwrap()));
    assert_ne!(key_id, version.as_str().unwrap());
}

#[test]
fn no_two_data_keys_or_blobs_are_alike() {
    let (client, key_id) = with_alias("alias/many");
    let mut keys = HashSet::new();
    let mut nonces = HashSet::new();
    for _ in 0..2000 {
        let made = client.generate(ask(&key_id)).unwrap();
        assert!(nonces.insert(made.blob[38..62].to_vec()));
        assert!(keys.insert(made.plaintext));
    }
    assert!(!keys.contains(&vec![0; 32]));
}

/// The plaintext stands nowhere in the blob.
#[test]
fn the_blob_shows_nothing_of_the_key() {
    let (client, key_id) = with_alias("alias/hidden");
    let made = client.data_key(&key_id);
    for part in made.plaintext.chunks(8) {
        assert!(!made.blob.windows(8).any(|window| window == part));
    }
}

#[test]
fn a_blob_is_refused_when_one_bit_is_flipped() {
    let (client, key_id) = with_alias("alias/flipped");
    let made = client.data_key(&key_id);
    for bit in 0..8 * made.blob.len() {
        let mut blob = made.blob.clone();
        blob[bit / 8] ^= 1 << (bit % 8);
        let status = client.decrypt(None, &blob, None).unwrap_err().status;
        let expected = match bit / 8 {
            0..5 => Status::NotABlob,
            // The content is 0 or 1, and bound.
            5 if bit == 40 => Status::CiphertextInvalid,
            5 => Status::NotABlob,
            6..22 => Status::KeyNotFound,
            22..38 => Status::KeyVersionNotFound,
            _ => Status::CiphertextInvalid,
        };
        assert_eq!(status, expected, "bit {bit}");
        // An expected key is compared before anything is said about existence.
        let status = client
            .decrypt(Some(&key_id), &blob, None)
            .unwrap_err()
            .status;
        let expected = match expected {
            Status::KeyNotFound => Status::KeyMismatch,
            other => other,
        };
        assert_eq!(status, expected, "bit {bit}");
    }
}

#[test]
fn a_blob_is_refused_when_it_is_cut_or_extended() {
    let (client, key_id) = with_alias("alias/cut");
    let blob = client.data_key(&key_id).blob;
    for len in 0..blob.len() {
        let expected = match len {
            0..111 => Status::NotABlob,
            _ => Status::CiphertextInvalid,
        };
        let refusal = client.decrypt(None, &blob[..len], None).unwrap_err();
        assert_eq!(refusal.status, expected, "{len} bytes");
    }
    for more in [1, 2, 100, 6112] {
        let longer = [&blob[..], &vec![0; more]].concat();
        let refusal = client.decrypt(None, &longer, None).unwrap_err();
        assert_eq!(refusal.status, Status::CiphertextInvalid, "{more} more");
    }
    let too_long = [&blob[..], &[0; 6113]].concat();
    let refusal = client.decrypt(None, &too_long, None).unwrap_err();
    assert_eq!(refusal.status, Status::NotABlob);
}

#[test]
fn what_is_no_blob() {
    let (client, key_id) = with_alias("alias/none");
    let blob = client.data_key(&key_id).blob;
    let in_base64 = {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(&blob)
    };
    let cases = [
        &b""[..],
        &[0; 142],
        &[0xFF; 142],
        "a text of the length of a blob ".repeat(5).as_bytes(),
        in_base64.as_bytes(),
    ]
    .map(|wrong| client.decrypt(None, wrong, None).unwrap_err());
    for refusal in &cases {
        assert_eq!(refusal.status, Status::NotABlob);
    }
    assert!(cases[4].message.contains("base64"), "{}", cases[4].message);
}

#[test]
fn a_blob_of_another_keystore() {
    let (client, key_id) = with_alias("alias/here");
    let (other, other_id) = with_alias("alias/here");
    let foreign = other.data_key(&other_id).blob;
    let status = |expected| {
        let outcome = client.decrypt(expected, &foreign, None);
        outcome.unwrap_err().status
    };
    assert_eq!(status(None), Status::KeyNotFound);
    assert_eq!(status(Some(&other_id)), Status::KeyNotFound);
    assert_eq!(status(Some(&key_id)), Status::KeyMismatch);
    assert_eq!(status(Some("alias/here")), Status::KeyMismatch);
}

/// Two blobs of one CMK do not lend each other any part.
#[test]
fn parts_of_two_blobs_make_no_third() {
    let client = Client::in_memory();
    let key_id = client.create_key();
    let (one, two) = (client.data_key(&key_id).blob, client.data_key(&key_id).blob);
    // Nonce, ciphertext, tag, commitment.
    for part in [38..62, 62..94, 94..110, 110..142] {
        let mut mixed = one.clone();
        mixed[part.clone()].copy_from_slice(&two[part]);
        let refusal = client.decrypt(None, &mixed, None).unwrap_err();
        assert_eq!(refusal.status, Status::CiphertextInvalid);
    }
}
