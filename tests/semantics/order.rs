//! Which refusal comes first when several things are wrong: every combination of them.

use std::ptr;

use kmsbox::error::Status;
use kmsbox::ffi::data_key::{kms_decrypt, kms_generate_data_key};

use super::NO_SUCH_ID;
use crate::client::{Client, Place, c_text};

/// What can be wrong with a call, in the order in which it is refused.
type Fault = (&'static str, Status);

/// Runs a call with every combination of faults; the first one of the table must win.
fn every_combination(faults: &[Fault], call: impl Fn(&dyn Fn(&str) -> bool) -> i32) {
    for combination in 0..1_u32 << faults.len() {
        let present: Vec<&Fault> = (faults.iter().enumerate())
            .filter(|(index, _)| combination & 1 << index != 0)
            .map(|(_, fault)| fault)
            .collect();
        let wrong = |name: &str| {
            assert!(faults.iter().any(|(known, _)| *known == name), "{name}");
            present.iter().any(|(fault, _)| *fault == name)
        };
        let status = Status::from_number(call(&wrong));
        let expected = present.first().map(|(_, status)| *status);
        assert_eq!(status, expected, "{present:?}");
    }
}

/// Two clients of one keystore, one of them without the permissions asked for, and two CMKs, one of them
/// disabled.
struct Fixture {
    _place: Place,
    free: Client,
    bound: Client,
    enabled: String,
    disabled: String,
    blobs: [Vec<u8>; 2],
}

impl Fixture {
    fn new() -> Fixture {
        let place = Place::new();
        let free = place.create();
        let (enabled, disabled) = (free.create_key(), free.create_key());
        let blobs = [&enabled, &disabled].map(|key_id| free.data_key(key_id).blob);
        free.done(&format!("Action=DisableKey&KeyId={disabled}"));
        let bound = place
            .open_with(&[("permissions", "GenerateDataKeyWithoutPlaintext")])
            .unwrap();
        Fixture {
            _place: place,
            free,
            bound,
            enabled,
            disabled,
            blobs,
        }
    }

    fn client(&self, without_permission: bool) -> &Client {
        match without_permission {
            true => &self.bound,
            false => &self.free,
        }
    }
}

#[test]
fn unwrapping() {
    let fixture = Fixture::new();
    let faults = [
        ("context", Status::InvalidParameter),
        ("blob", Status::NotABlob),
        ("capacity", Status::BufferTooSmall),
        ("permission", Status::NoPermission),
        ("expected", Status::KeyMismatch),
        ("key", Status::KeyNotFound),
        ("version", Status::KeyVersionNotFound),
        ("state", Status::Disabled),
        ("tag", Status::CiphertextInvalid),
    ];
    every_combination(&faults, |wrong| {
        let mut blob = fixture.blobs[usize::from(wrong("state"))].clone();
        for (fault, at) in [("key", 6), ("version", 22), ("tag", 100)] {
            if wrong(fault) {
                blob[at] ^= 1;
            }
        }
        // The key is expected that the blob names, whether or not it exists.
        let named: [u8; 16] = blob[6..22].try_into().unwrap();
        let expected = match wrong("expected") {
            true => NO_SUCH_ID.to_owned(),
            false => uuid::Uuid::from_bytes(named).to_string(),
        };
        if wrong("blob") {
            blob[4] = 2;
        }
        let context = if wrong("context") { "[]" } else { "{}" };
        let (expected, context) = (c_text(&expected), c_text(context));
        let (mut key, mut len) = ([0; 32], 0);
        c!(kms_decrypt(
            fixture.client(wrong("permission")).raw(),
            expected.as_ptr(),
            blob.as_ptr(),
            blob.len(),
            context.as_ptr(),
            key.as_mut_ptr(),
            key.len() - usize::from(wrong("capacity")),
            &mut len,
            ptr::null_mut(),
        ))
    });
}

#[test]
fn wrapping() {
    let fixture = Fixture::new();
    let faults = [
        ("context", Status::InvalidParameter),
        ("capacity", Status::BufferTooSmall),
        ("permission", Status::NoPermission),
        ("key", Status::KeyNotFound),
        ("state", Status::Disabled),
    ];
    every_combination(&faults, |wrong| {
        let key_id = match (wrong("key"), wrong("state")) {
            (true, _) => NO_SUCH_ID,
            (false, true) => &fixture.disabled,
            (false, false) => &fixture.enabled,
        };
        let context = if wrong("context") { "{\"a\":1}" } else { "" };
        let (key_id, context) = (c_text(key_id), c_text(context));
        let (mut key, mut key_len) = ([0; 32], 0);
        let (mut blob, mut blob_len) = ([0; 142], 0);
        c!(kms_generate_data_key(
            fixture.client(wrong("permission")).raw(),
            key_id.as_ptr(),
            0,
            0,
            context.as_ptr(),
            key.as_mut_ptr(),
            key.len(),
            &mut key_len,
            blob.as_mut_ptr(),
            blob.len() - usize::from(wrong("capacity")),
            &mut blob_len,
            ptr::null_mut(),
        ))
    });
}

/// Every argument is looked at before the capacity, and all of it before the permission.
#[test]
fn arguments_come_first() {
    let fixture = Fixture::new();
    let blob = &fixture.blobs[0];
    let (missing, invalid) = (Status::MissingParameter, Status::InvalidParameter);
    for (client, expected, context, status) in [
        (&fixture.bound, Some(""), None, missing),
        (&fixture.bound, None, Some("{"), invalid),
        (&fixture.bound, Some(NO_SUCH_ID), None, Status::NoPermission),
        (&fixture.free, Some(NO_SUCH_ID), None, Status::KeyMismatch),
    ] {
        let refusal = client.decrypt(expected, blob, context).unwrap_err();
        assert_eq!(refusal.status, status, "{expected:?} {context:?}");
    }
}

/// The same order for a request.
#[test]
fn requests() {
    let fixture = Fixture::new();
    let (bound, free) = (&fixture.bound, &fixture.free);
    let read_only = fixture._place.open_with(&[("read_only", "true")]).unwrap();
    let exists = &fixture.enabled;
    let cases = [
        // Arguments come before the permission.
        (
            bound,
            "Action=DescribeKey".to_owned(),
            Status::MissingParameter,
        ),
        (
            bound,
            "Action=GenerateDataKey".to_owned(),
            Status::MissingParameter,
        ),
        (
            bound,
            "Action=ListKeys&PageSize=0".to_owned(),
            Status::InvalidParameter,
        ),
        (
            bound,
            "Action=CreateKey&Origin=x".to_owned(),
            Status::InvalidParameter,
        ),
        (
            bound,
            format!("Action=CreateAlias&KeyId={exists}"),
            Status::MissingParameter,
        ),
        (
            bound,
            format!("Action=CreateAlias&KeyId={exists}&AliasName=x"),
            Status::InvalidParameter,
        ),
        (
            bound,
            "Action=EnableKey&KeyId=alias/a".to_owned(),
            Status::NoPermission,
        ),
        (
            free,
            "Action=EnableKey&KeyId=alias/a".to_owned(),
            Status::UnsupportedAlias,
        ),
        (
            bound,
            "Action=Decrypt&CiphertextBlob=x".to_owned(),
            Status::NotABlob,
        ),
        // The permission comes before anything is said about the key.
        (
            bound,
            format!("Action=DescribeKey&KeyId={NO_SUCH_ID}"),
            Status::NoPermission,
        ),
        (
            bound,
            "Action=DescribeKey&KeyId=alias/none".to_owned(),
            Status::NoPermission,
        ),
        (
            bound,
            format!("Action=GenerateDataKey&KeyId={NO_SUCH_ID}"),
            Status::NoPermission,
        ),
        (
            &read_only,
            format!("Action=DisableKey&KeyId={NO_SUCH_ID}"),
            Status::NoPermission,
        ),
        (
            &read_only,
            "Action=DisableKey&KeyId=x".to_owned(),
            Status::NoPermission,
        ),
        (
            &read_only,
            "Action=CreateAlias&KeyId=x&AliasName=alias/x".to_owned(),
            Status::NoPermission,
        ),
        (
            &read_only,
            "Action=CreateKeyVersion&KeyId=x".to_owned(),
            Status::NoPermission,
        ),
        // The key comes before what else the action minds.
        (
            free,
            format!("Action=CreateKeyVersion&KeyId={}", fixture.disabled),
            Status::Disabled,
        ),
        (
            free,
            "Action=CreateAlias&KeyId=x&AliasName=alias/x".to_owned(),
            Status::KeyNotFound,
        ),
    ];
    let wrong: Vec<String> = (cases.iter())
        .filter_map(|(client, request, expected)| {
            let status = client.refused(request);
            (status != *expected).then(|| format!("{request}: {status:?}, not {expected:?}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}
