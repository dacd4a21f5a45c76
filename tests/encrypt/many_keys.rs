//! kms_generate_data_keys.

use std::collections::HashSet;
use std::ptr;

use kmsbox::error::Status;
use kmsbox::ffi::bulk::{KMS_BULK_MAX, kms_generate_data_keys};
use kmsbox::ffi::client::kms_client;

use crate::calls::{Out, RUBBISH};
use crate::client::{Client, Place, Response, c_text, check_response};

struct Keys<'a> {
    client: *const kms_client,
    key_id: Option<&'a str>,
    key_spec: i32,
    number_of_bytes: u32,
    context: Option<&'a str>,
    count: usize,
    with_plaintexts: bool,
    capacities: [usize; 2],
    no_blobs_len: bool,
    no_plaintexts: bool,
    no_blobs: bool,
    /// The blobs are to be written over the plaintexts.
    in_place: bool,
    told: [usize; 2],
}

/// The keys, where they were wanted, and the blobs.
type Made = (Vec<u8>, Vec<u8>);

impl<'a> Keys<'a> {
    fn of(client: &Client, key_id: &'a str, count: usize) -> Self {
        Keys {
            client: client.raw(),
            key_id: Some(key_id),
            key_spec: 0,
            number_of_bytes: 0,
            context: None,
            count,
            with_plaintexts: true,
            capacities: [count * 32, count * 142],
            no_blobs_len: false,
            no_plaintexts: false,
            no_blobs: false,
            in_place: false,
            told: [0; 2],
        }
    }

    fn call(&mut self) -> Result<Made, Status> {
        let (key_id, context) = (self.key_id.map(c_text), self.context.map(c_text));
        let [mut plaintexts, mut blobs] = self.capacities.map(Out::new);
        let mut response = Response::new();
        let at_plaintexts = plaintexts.buffer_unless(self.no_plaintexts);
        let at_blobs = match self.in_place {
            true => at_plaintexts,
            false => blobs.buffer_unless(self.no_blobs),
        };
        let status = c!(kms_generate_data_keys(
            self.client,
            key_id.as_ref().map_or(ptr::null(), |text| text.as_ptr()),
            self.key_spec,
            self.number_of_bytes,
            context.as_ref().map_or(ptr::null(), |text| text.as_ptr()),
            self.count,
            at_plaintexts,
            self.capacities[0],
            plaintexts.len_unless(!self.with_plaintexts),
            at_blobs,
            self.capacities[1],
            blobs.len_unless(self.no_blobs_len),
            response.raw(),
        ));
        if !self.in_place {
            check_response(c!(&*response.raw()), status);
        }
        self.told = [plaintexts.len, blobs.len];
        if !self.with_plaintexts {
            plaintexts.len = 0;
        }
        let refused = status != 0 && status != Status::BufferTooSmall.number();
        if refused && self.with_plaintexts && !self.in_place && !self.no_plaintexts {
            let room = &mut plaintexts.buffer[..self.capacities[0]];
            assert!(room.iter().all(|byte| *byte == 0), "the keys are wiped");
            room.fill(RUBBISH);
        }
        let no_len = !self.with_plaintexts;
        let plaintexts = plaintexts.outcome(status, no_len);
        let blobs = blobs.outcome(status, self.no_blobs_len);
        Ok((plaintexts?, blobs?))
    }
}

#[test]
fn each_key_is_another_and_each_blob_holds_its_own() {
    let client = Client::in_memory();
    let key = client.create_key();
    for (spec, number, len) in [
        (0, 0, 32),
        (1, 0, 32),
        (2, 0, 16),
        (2, 7, 7),
        (9, 1024, 1024),
    ] {
        for count in [1, 3, 100] {
            let mut call = Keys::of(&client, &key, count);
            (call.key_spec, call.number_of_bytes) = (spec, number);
            call.capacities = [count * len, count * (len + 110)];
            call.context = Some("{\"a\":\"b\"}");
            let (keys, blobs) = call.call().unwrap();
            assert_eq!([keys.len(), blobs.len()], call.capacities);
            let pairs = keys.chunks(len).zip(blobs.chunks(len + 110));
            for (plaintext, blob) in pairs {
                let unwrapped = client.decrypt(Some(&key), blob, call.context).unwrap();
                assert_eq!(unwrapped.plaintext, plaintext);
                assert_eq!(unwrapped.content, 0);
            }
            let different: HashSet<_> = keys.chunks(len).collect();
            assert_eq!(different.len(), count, "{count} keys of {len} bytes");
        }
    }
}

#[test]
fn without_plaintexts_the_smaller_permission_is_enough() {
    let place = Place::new();
    let all = place.create();
    let key = all.create_key();
    for (permissions, with, without) in [
        ("GenerateDataKeyWithoutPlaintext", false, true),
        ("GenerateDataKey", true, false),
        ("Decrypt", false, false),
    ] {
        let client = place.open_with(&[("permissions", permissions)]).unwrap();
        for (with_plaintexts, allowed) in [(true, with), (false, without)] {
            let mut call = Keys::of(&client, &key, 5);
            call.with_plaintexts = with_plaintexts;
            if !with_plaintexts {
                (call.no_plaintexts, call.capacities[0]) = (true, 0);
            }
            match call.call() {
                Ok((keys, blobs)) => {
                    assert!(allowed, "{permissions}");
                    assert_eq!(keys.is_empty(), !with_plaintexts);
                    for blob in blobs.chunks(142) {
                        assert_eq!(all.decrypt(None, blob, None).unwrap().plaintext.len(), 32);
                    }
                }
                Err(status) => {
                    assert_eq!(status, Status::NoPermission);
                    assert!(!allowed, "{permissions}");
                }
            }
        }
    }
}

#[test]
fn it_refuses_what_it_cannot_use() {
    let client = Client::in_memory();
    let key = client.create_key();
    type Change = for<'a> fn(&mut Keys<'a>);
    let table: &[(&str, Change, Status)] = &[
        (
            "no client",
            |call| call.client = ptr::null(),
            Status::InvalidArgument,
        ),
        (
            "no key id",
            |call| call.key_id = None,
            Status::MissingParameter,
        ),
        (
            "an unknown id",
            |call| call.key_id = Some("x"),
            Status::KeyNotFound,
        ),
        (
            "a wrong spec",
            |call| call.key_spec = 3,
            Status::InvalidParameter,
        ),
        (
            "too long a key",
            |call| call.number_of_bytes = 1025,
            Status::InvalidParameter,
        ),
        (
            "a wrong context",
            |call| call.context = Some("{"),
            Status::InvalidParameter,
        ),
        ("none", |call| call.count = 0, Status::InvalidParameter),
        (
            "too many",
            |call| call.count = KMS_BULK_MAX + 1,
            Status::InvalidParameter,
        ),
        (
            "far too many",
            |call| call.count = usize::MAX,
            Status::InvalidParameter,
        ),
        (
            "no length",
            |call| call.no_blobs_len = true,
            Status::InvalidArgument,
        ),
        (
            "no blobs",
            |call| call.no_blobs = true,
            Status::InvalidArgument,
        ),
        (
            "no plaintexts",
            |call| call.no_plaintexts = true,
            Status::InvalidArgument,
        ),
        (
            "small for keys",
            |call| call.capacities[0] -= 1,
            Status::BufferTooSmall,
        ),
        (
            "small for blobs",
            |call| call.capacities[1] -= 1,
            Status::BufferTooSmall,
        ),
        (
            "one buffer for both",
            |call| call.in_place = true,
            Status::InvalidArgument,
        ),
    ];
    for (name, change, status) in table {
        let mut call = Keys::of(&client, &key, 4);
        change(&mut call);
        assert_eq!(call.call().unwrap_err(), *status, "{name}");
    }
    let mut query = Keys::of(&client, &key, 4);
    query.capacities = [0, 0];
    assert_eq!(query.call().unwrap_err(), Status::BufferTooSmall);
    assert_eq!(query.told, [4 * 32, 4 * 142]);
}

#[test]
fn what_cannot_be_written_down_is_not_released() {
    let place = Place::new();
    let key = place.create().create_key();
    let log = place.at("log");
    let client = place.open_with(&[("audit_log", log.to_str().unwrap())]);
    let client = client.unwrap();
    std::fs::create_dir(log).unwrap();
    for with_plaintexts in [true, false] {
        let mut call = Keys::of(&client, &key, 50);
        call.with_plaintexts = with_plaintexts;
        if !with_plaintexts {
            (call.no_plaintexts, call.capacities[0]) = (true, 0);
        }
        assert_eq!(call.call().unwrap_err(), Status::AuditFailed);
    }
}
