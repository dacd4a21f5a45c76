//! kms_re_encrypt_many.

use std::ptr;

use kmsbox::error::Status;
use kmsbox::ffi::bulk::{KMS_BULK_MAX, kms_re_encrypt_many};
use kmsbox::ffi::client::kms_client;
use kmsbox::ffi::types::kms_status;

use crate::calls::{Encrypt, Out};
use crate::client::{Client, Place, Response, c_text, check_response};

/// Stands in each status before the call.
const UNTOUCHED: kms_status = -7;

struct Blobs<'a> {
    client: *const kms_client,
    blobs: Vec<u8>,
    lens: Vec<usize>,
    count: usize,
    expected: Option<&'a str>,
    source_context: Option<&'a str>,
    destination: Option<&'a str>,
    context: Option<&'a str>,
    capacity: usize,
    no_blobs: bool,
    no_lens: bool,
    no_statuses: bool,
    no_len: bool,
    /// The new blobs are to be written over the old ones, or the statuses over the lengths.
    in_place: bool,
    statuses_over_lens: bool,
    statuses: Vec<kms_status>,
}

impl<'a> Blobs<'a> {
    fn of(client: &Client, blobs: &[Vec<u8>], destination: &'a str) -> Self {
        let together = blobs.concat();
        Blobs {
            client: client.raw(),
            capacity: together.len(),
            blobs: together,
            lens: blobs.iter().map(Vec::len).collect(),
            count: blobs.len(),
            expected: None,
            source_context: None,
            destination: Some(destination),
            context: None,
            no_blobs: false,
            no_lens: false,
            no_statuses: false,
            no_len: false,
            in_place: false,
            statuses_over_lens: false,
            statuses: Vec::new(),
        }
    }

    fn call(&mut self) -> Result<Vec<u8>, Status> {
        let texts = [
            self.expected,
            self.source_context,
            self.destination,
            self.context,
        ];
        let texts = texts.map(|text| text.map(c_text));
        let [expected, source_context, destination, context] =
            [0, 1, 2, 3].map(|n| texts[n].as_ref().map_or(ptr::null(), |text| text.as_ptr()));
        let mut out = Out::new(self.capacity);
        self.statuses = vec![UNTOUCHED; self.count.max(self.lens.len()) + 1];
        let null_or = |null: bool, at: *const u8| if null { ptr::null() } else { at };
        let mut response = Response::new();
        let rewrapped = match self.in_place {
            true => self.blobs.as_mut_ptr(),
            false => out.buffer.as_mut_ptr(),
        };
        let statuses = match (self.no_statuses, self.statuses_over_lens) {
            (true, _) => ptr::null_mut(),
            (_, true) => self.lens.as_mut_ptr().cast(),
            _ => self.statuses.as_mut_ptr(),
        };
        let status = c!(kms_re_encrypt_many(
            self.client,
            null_or(self.no_blobs, self.blobs.as_ptr()),
            null_or(self.no_lens, self.lens.as_ptr().cast()).cast(),
            self.count,
            expected,
            source_context,
            destination,
            context,
            rewrapped,
            self.capacity,
            out.len_unless(self.no_len),
            statuses,
            response.raw(),
        ));
        if !self.in_place && !self.statuses_over_lens {
            check_response(c!(&*response.raw()), status);
        }
        assert_eq!(self.statuses.pop(), Some(UNTOUCHED), "one status too many");
        if status != 0 {
            assert!(self.statuses.iter().all(|status| *status == UNTOUCHED));
        }
        out.outcome(status, self.no_len)
    }
}

#[test]
fn one_bad_blob_does_not_stop_the_rest() {
    let place = Place::new();
    let client = place.create();
    let (key, disabled, other) = (
        client.create_key(),
        client.create_key(),
        client.create_key(),
    );
    let good = |plaintext: &[u8]| Encrypt::of(&client, &key, plaintext).call().unwrap();
    let mut altered = good(b"altered");
    *altered.last_mut().unwrap() ^= 1;
    let mut bound = Encrypt::of(&client, &key, b"bound");
    bound.context = Some("{\"a\":\"b\"}");
    let foreign = Client::in_memory();
    let foreign_key = foreign.create_key();
    let no_version = {
        let mut blob = good(b"x");
        blob[22..38].fill(7);
        blob
    };
    let blobs = vec![
        good(b"first"),
        altered,
        b"garbage".to_vec(),
        vec![],
        good(&[9; 6144]),
        bound.call().unwrap(),
        foreign.data_key(&foreign_key).blob,
        no_version,
        client.data_key(&disabled).blob,
        good(b"last"),
    ];
    client.done(&format!("Action=DisableKey&KeyId={disabled}"));
    let expected = [
        0,
        Status::CiphertextInvalid.number(),
        Status::NotABlob.number(),
        Status::NotABlob.number(),
        0,
        Status::CiphertextInvalid.number(),
        Status::KeyNotFound.number(),
        Status::KeyVersionNotFound.number(),
        Status::Disabled.number(),
        0,
    ];
    let mut call = Blobs::of(&client, &blobs, &other);
    call.context = Some("{\"new\":\"\"}");
    let rewrapped = call.call().unwrap();
    assert_eq!(call.statuses, expected);
    let mut at = 0;
    for (blob, status) in blobs.iter().zip(expected) {
        let new = &rewrapped[at..at + blob.len()];
        at += blob.len();
        match status {
            0 => {
                let unwrapped = client.decrypt(Some(&other), new, call.context).unwrap();
                let old = client.decrypt(None, blob, None).unwrap();
                assert_eq!(unwrapped.plaintext, old.plaintext);
                assert_eq!(unwrapped.content, old.content);
            }
            _ => assert!(new.iter().all(|byte| *byte == 0)),
        }
    }
    assert_eq!(at, rewrapped.len());

    // What is wrong with each is wrong with all.
    for (destination, expectation, status) in [
        ("alias/none", None, Status::AliasNotFound),
        (other.as_str(), Some(other.as_str()), Status::KeyMismatch),
        (&disabled, None, Status::Disabled),
    ] {
        let mut call = Blobs::of(&client, &blobs[..1], destination);
        call.expected = expectation;
        assert_eq!(call.call().unwrap(), vec![0; blobs[0].len()]);
        assert_eq!(call.statuses, [status.number()]);
    }
}

#[test]
fn many_at_once() {
    let client = Client::in_memory();
    let key = client.create_key();
    let blobs: Vec<_> = (0..2000).map(|_| client.data_key(&key).blob).collect();
    client.done(&format!("Action=CreateKeyVersion&KeyId={key}"));
    let mut call = Blobs::of(&client, &blobs, &key);
    let rewrapped = call.call().unwrap();
    assert!(call.statuses.iter().all(|status| *status == 0));
    let version = client.data_key(&key).key_version_id;
    for (old, new) in blobs.iter().zip(rewrapped.chunks(142)) {
        let unwrapped = client.decrypt(None, new, None).unwrap();
        assert_eq!(unwrapped.key_version_id, version);
        assert_eq!(
            unwrapped.plaintext,
            client.decrypt(None, old, None).unwrap().plaintext
        );
    }
}

#[test]
fn it_refuses_what_it_cannot_use() {
    let client = Client::in_memory();
    let key = client.create_key();
    let blobs = [client.data_key(&key).blob, client.data_key(&key).blob];
    type Change = for<'a> fn(&mut Blobs<'a>);
    let table: &[(&str, Change, Status)] = &[
        (
            "no client",
            |call| call.client = ptr::null(),
            Status::InvalidArgument,
        ),
        (
            "no blobs",
            |call| call.no_blobs = true,
            Status::InvalidArgument,
        ),
        (
            "no lengths",
            |call| call.no_lens = true,
            Status::InvalidArgument,
        ),
        (
            "no statuses",
            |call| call.no_statuses = true,
            Status::InvalidArgument,
        ),
        (
            "no length",
            |call| call.no_len = true,
            Status::InvalidArgument,
        ),
        ("none", |call| call.count = 0, Status::InvalidParameter),
        (
            "too many",
            |call| call.count = KMS_BULK_MAX + 1,
            Status::InvalidParameter,
        ),
        (
            "no destination",
            |call| call.destination = None,
            Status::MissingParameter,
        ),
        (
            "an empty expectation",
            |call| call.expected = Some(""),
            Status::MissingParameter,
        ),
        (
            "a wrong context",
            |call| call.context = Some("[]"),
            Status::InvalidParameter,
        ),
        (
            "a wrong source context",
            |call| call.source_context = Some("[]"),
            Status::InvalidParameter,
        ),
        (
            "lengths beyond memory",
            |call| call.lens = vec![usize::MAX, 2],
            Status::InvalidArgument,
        ),
        (
            "too small",
            |call| call.capacity -= 1,
            Status::BufferTooSmall,
        ),
        (
            "over the old ones",
            |call| call.in_place = true,
            Status::InvalidArgument,
        ),
        (
            "over the lengths",
            |call| call.statuses_over_lens = true,
            Status::InvalidArgument,
        ),
    ];
    for (name, change, status) in table {
        let mut call = Blobs::of(&client, &blobs, &key);
        change(&mut call);
        assert_eq!(call.call().unwrap_err(), *status, "{name}");
    }
}

#[test]
fn without_both_permissions_no_blob_is_looked_at() {
    let place = Place::new();
    let all = place.create();
    let (key, other) = (all.create_key(), all.create_key());
    let blobs = [
        all.data_key(&key).blob,
        b"garbage".to_vec(),
        all.data_key(&other).blob,
    ];
    for permissions in ["ReEncryptFrom", "ReEncryptTo", "Encrypt,Decrypt"] {
        let client = place.open_with(&[("permissions", permissions)]).unwrap();
        let refused = Blobs::of(&client, &blobs, &key).call();
        assert_eq!(refused, Err(Status::NoPermission), "{permissions}");
    }
    // Where the permission is for one CMK, each blob is looked at.
    let one = format!("ReEncryptFrom@{key},ReEncryptTo");
    let client = place.open_with(&[("permissions", &one)]).unwrap();
    let mut call = Blobs::of(&client, &blobs, &other);
    call.call().unwrap();
    let [not_a_blob, forbidden] = [Status::NotABlob, Status::NoPermission].map(Status::number);
    assert_eq!(call.statuses, [0, not_a_blob, forbidden]);
}
