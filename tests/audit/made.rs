//! A change that was made although the log could not be told how it ended: it says so.

use std::ffi::{c_char, c_void};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kmsbox::audit::Sink;
use kmsbox::error::{Error, Status};
use kmsbox::ffi::options::kms_options_set_audit_callback;
use kmsbox::keystore::state::KeyState;
use kmsbox::kms::Kms;
use kmsbox::request_id::Call;
use kmsbox::root_key::RootKey;
use serde_json::Value;

use crate::client::{Ask, Options, ROOT_KEY, Response};
use crate::service::{self, DAY, Place, Service, ago, request};
use crate::support::contains;

const MADE: &str = "The change was made, but the audit log does not tell how it ended. ";

/// Takes no line that tells a result, from when the flag is set.
unsafe extern "C" fn take(flag: *mut c_void, line: *const c_char, len: usize) -> i32 {
    // SAFETY: the library hands back the flag that the test gave, and as many bytes as it says.
    let (refuses, line) = unsafe {
        let line = std::slice::from_raw_parts(line.cast::<u8>(), len);
        (&*flag.cast::<AtomicBool>(), line)
    };
    i32::from(refuses.load(Ordering::Relaxed) && contains(line, b"\"phase\":\"result\""))
}

#[test]
fn every_change_says_that_it_was_made() {
    let place = Place::new();
    let refuses = AtomicBool::new(false);
    let mut options = Options::new();
    options.root_key(&ROOT_KEY);
    options.set("keystore", place.keystore().to_str().unwrap());
    options.set("create", "true");
    let flag = ptr::from_ref(&refuses).cast_mut().cast();
    let set = kms_options_set_audit_callback;
    assert_eq!(
        c!(set(options.raw(), Some(take), flag, Response::new().raw())),
        0
    );
    let client = options.open().unwrap();
    let keys: Vec<_> = (0..2).map(|_| client.create_key()).collect();
    let key = ("KeyId", &*keys[0]);
    let external = client.done("Action=CreateKey&Origin=EXTERNAL")["KeyMetadata"]["KeyId"].take();
    let external = external.as_str().unwrap();
    place.import(external);
    client.done("Action=ListKeys");
    refuses.store(true, Ordering::Relaxed);

    let alias = ("AliasName", "alias/a");
    let days = ("PendingWindowInDays", "7");
    let tags = ("Tags", r#"[{"TagKey":"a","TagValue":"b"}]"#);
    let every = [
        ("EnableAutomaticRotation", "true"),
        ("RotationInterval", "7d"),
    ];
    for (action, parameters) in [
        ("CreateKey", &[][..]),
        ("UpdateKeyDescription", &[key, ("Description", "d")]),
        ("CreateKeyVersion", &[key]),
        ("UpdateRotationPolicy", &[key, every[0], every[1]]),
        ("CreateAlias", &[key, alias]),
        ("UpdateAlias", &[("KeyId", &*keys[1]), alias]),
        ("DeleteAlias", &[alias]),
        ("TagResource", &[key, tags]),
        ("UntagResource", &[key, ("TagKeys", r#"["a"]"#)]),
        ("DisableKey", &[key]),
        ("EnableKey", &[key]),
        (
            "SetDeletionProtection",
            &[
                ("ProtectedResourceArn", key.1),
                ("EnableDeletionProtection", "false"),
            ],
        ),
        ("DeleteKeyMaterial", &[("KeyId", external)]),
        ("ScheduleKeyDeletion", &[key, days]),
        ("CancelKeyDeletion", &[key]),
    ] {
        let epoch = client.epoch();
        let answer = client.call(&request(action, parameters));
        let refusal = answer.outcome.as_ref().unwrap_err();
        assert_eq!(refusal.status, Status::AuditFailed, "{action}");
        assert!(
            refusal.message.starts_with(MADE),
            "{action}: {}",
            refusal.message
        );
        assert_eq!(answer.json()["Message"], refusal.message, "{action}");
        assert_eq!(client.epoch(), epoch + 1, "{action}");
        assert_eq!(place.epoch(), epoch + 1, "{action}");
        let in_file = place
            .key_in_file(&answer.key_id)
            .expect("the response names the CMK");
        let version = &in_file["primary_version"];
        assert_eq!(version, &*answer.key_version_id, "{action}");
        assert_eq!(
            keys.contains(&answer.key_id),
            !["CreateKey", "DeleteKeyMaterial"].contains(&action)
        );
    }
    // What changes nothing, and what was refused, is not said to be made.
    let epoch = client.epoch();
    let ask = Ask {
        key_id: key.1,
        ..Ask::default()
    };
    let messages = [
        client.generate(ask).unwrap_err(),
        client.call("Action=ListKeys").outcome.unwrap_err(),
        client
            .call(&request("EnableKey", &[("KeyId", "nobody")]))
            .outcome
            .unwrap_err(),
    ];
    for refusal in messages {
        assert_eq!(refusal.status, Status::AuditFailed);
        assert!(!refusal.message.contains("made"), "{}", refusal.message);
    }
    assert_eq!(client.epoch(), epoch);
}

/// A client whose log takes no line with both of these in it.
fn refusing(place: &Place, parts: &'static [&'static str]) -> Service {
    let mut options = service::options(&place.keystore(), &[]);
    options.create = true;
    let takes = move |line: &[u8]| !parts.iter().all(|part| contains(line, part));
    options.audit = Some(Sink::Host(Arc::new(takes)));
    Service::open(&options)
}

#[track_caller]
fn was_made(place: &Place, change: impl FnOnce() -> Result<(), Error>) {
    let epoch = place.epoch();
    let error = change().unwrap_err();
    assert_eq!(error.status(), Status::AuditFailed);
    assert!(
        error.is_after_the_change() && error.message().starts_with(MADE),
        "{error}"
    );
    assert_eq!(place.epoch(), epoch + 1);
}

#[test]
fn root_keys_and_purges_too() {
    let place = Place::new();
    let key = place.open(&[]).create_key(&[]);
    let Service { kms } = refusing(&place, &["\"phase\":\"result\""]);
    let call = Call::default();
    let root = |byte| RootKey::from_bytes(&[byte; 32]).unwrap();
    let (old, new) = (root(0xA7), root(0xA8));
    let slots = |kms: &Kms| kms.root_keys(None).unwrap();
    was_made(&place, || kms.add_root_key(&call, &old, &new).map(drop));
    let added = slots(&kms)[1].slot_id;
    was_made(&place, || kms.retire_root_key(&call, added, &old));
    assert_eq!(slots(&kms).len(), 1);
    was_made(&place, || kms.reseal(&call, None, &old));
    place.edit_key(&key, |key| {
        key.put_in = KeyState::PendingDeletion;
        key.delete_date = Some(ago(1));
    });
    was_made(&place, || kms.purge(&call, false).map(drop));
    assert_eq!(place.key_in_file(&key), None);
}

#[test]
fn a_rotation_within_a_call_is_never_hidden() {
    let place = Place::new();
    let all = place.open(&[]);
    let every = [
        ("EnableAutomaticRotation", "true"),
        ("RotationInterval", "7d"),
    ];
    let key = all.create_key(&every);
    let due = || place.edit_key(&key, |key| key.rotation.as_mut().unwrap().next = ago(DAY));
    // The call goes on, under the new version: the intent tells of that.
    due();
    let client = refusing(&place, &["\"phase\":\"result\"", "\"CreateKeyVersion\""]);
    let made = client.data_key(&key);
    assert_eq!(all.versions(&key)[1..], [made.version]);
    // Nothing is released where that cannot be told either.
    due();
    let client = refusing(&place, &["\"phase\":\"result\""]);
    let refused: Value = client.ask("GenerateDataKey", &[("KeyId", &key)]).document;
    assert_eq!(
        (&refused["Plaintext"], &refused["Code"]),
        (&Value::Null, &"InternalFailure".into())
    );
    assert_eq!(all.versions(&key).len(), 3);
    // And nothing is made where the intent cannot be told.
    due();
    let client = refusing(&place, &["\"phase\":\"intent\""]);
    assert_eq!(client.data_key(&key).version, all.versions(&key)[2]);
    assert_eq!(all.versions(&key).len(), 3);
}
