//! Processes killed at any moment of any management operation: afterwards the keystore is as it was
//! before that operation or as it is after it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/keystores.rs"]
mod keystores;
#[path = "support/killed.rs"]
mod killed;
mod support;

use std::sync::Arc;

use keystores::{Place, generate, root_key};
use killed::{call, change, import, keys, killed_in};
use kmsbox::clock::Timestamp;
use kmsbox::error::Result;
use kmsbox::keystore::state::{KeyState, Rotation, Tag};
use kmsbox::kms::{Kms, NewKey};
use kmsbox::root_key::RootKey;

const DAY: u64 = 24 * 60 * 60;
const LONG_AGO: Timestamp = Timestamp::from_seconds(1);

fn key(kms: &Kms) -> String {
    keys(kms)[0].clone()
}

fn done<T>(outcome: Result<T>) -> Result<()> {
    outcome.map(drop)
}

#[test]
fn create_key() {
    killed_in(
        "create_key",
        &[
            |kms, _| done(kms.create_key(&call(), &NewKey::default())),
            |kms, _| done(kms.create_keys(&call(), &NewKey::default(), 5)),
        ],
    );
}

#[test]
fn describe_key() {
    killed_in(
        "describe_key",
        &[
            |kms, _| kms.update_key_description(&call(), &key(kms), "orders"),
            |kms, _| kms.update_key_description(&call(), &key(kms), &"customers ".repeat(400)),
            |kms, _| kms.update_key_description(&call(), &key(kms), ""),
        ],
    );
}

#[test]
fn alias() {
    killed_in(
        "alias",
        &[
            |kms, _| kms.create_alias(&call(), &keys(kms)[0], "alias/a"),
            |kms, _| kms.update_alias(&call(), &keys(kms)[1], "alias/a"),
            |kms, _| kms.delete_alias(&call(), "alias/a"),
        ],
    );
}

#[test]
fn disable_and_enable() {
    killed_in(
        "disable_and_enable",
        &[
            |kms, _| kms.disable_key(&call(), &key(kms)),
            |kms, _| kms.enable_key(&call(), &key(kms)),
        ],
    );
}

#[test]
fn schedule_and_cancel_deletion() {
    killed_in(
        "schedule_and_cancel_deletion",
        &[
            |kms, _| done(kms.schedule_key_deletion(&call(), &key(kms), 7)),
            |kms, _| kms.cancel_key_deletion(&call(), &key(kms)),
            |kms, _| kms.set_deletion_protection(&call(), &key(kms), Some("in use")),
            |kms, _| kms.set_deletion_protection(&call(), &key(kms), None),
        ],
    );
}

#[test]
fn tag_and_untag() {
    fn tags(value: &str) -> Vec<Tag> {
        let tag = |key: &str| Tag {
            key: key.to_owned(),
            value: value.to_owned(),
        };
        vec![tag("team"), tag("stage")]
    }
    killed_in(
        "tag_and_untag",
        &[
            |kms, _| kms.tag_resource(&call(), &key(kms), &tags("orders")),
            |kms, _| kms.tag_resource(&call(), &key(kms), &tags("customers")),
            |kms, _| kms.untag_resource(&call(), &key(kms), &["team".into(), "stage".into()]),
        ],
    );
}

#[test]
fn new_version() {
    killed_in(
        "new_version",
        &[|kms, _| done(kms.create_key_version(&call(), &key(kms)))],
    );
}

#[test]
fn rotation_policy() {
    killed_in(
        "rotation_policy",
        &[
            |kms, _| kms.update_rotation_policy(&call(), &key(kms), Some(DAY * 7)),
            |kms, _| kms.update_rotation_policy(&call(), &key(kms), Some(DAY * 365)),
            |kms, _| kms.update_rotation_policy(&call(), &key(kms), None),
        ],
    );
}

/// A rotation that is due happens at a use.
#[test]
fn rotation_by_itself() {
    killed_in(
        "rotation_by_itself",
        &[
            |kms, place| {
                let key_id = key(kms);
                change(place, |draft| {
                    let key = draft.state.key_mut(key_id.parse().unwrap())?;
                    key.rotation = Some(Rotation {
                        interval_seconds: 7 * DAY,
                        next: LONG_AGO,
                    });
                    Ok(())
                })
            },
            |kms, place| {
                // Where the lock cannot be had at once (a process that is being started holds a copy of
                // it for a moment), the use goes on without; a client tries again only after a while.
                while kms
                    .describe_key(&call(), &key(kms))?
                    .is_rotation_due(Timestamp::now())
                {
                    generate(&place.open(&[]), &key(kms))?;
                }
                Ok(())
            },
        ],
    );
}

#[test]
fn import_and_delete_material() {
    killed_in(
        "import_and_delete_material",
        &[
            |kms, _| kms.delete_key_material(&call(), &keys(kms)[1]),
            |kms, place| import(kms, place, None),
            |kms, place| import(kms, place, Some(Timestamp::now().plus(DAY))),
        ],
    );
}

#[test]
fn purge() {
    killed_in(
        "purge",
        &[
            |kms, _| done(kms.create_keys(&call(), &NewKey::default(), 3)),
            |_, place| {
                change(place, |draft| {
                    let old = draft.state.keys.len() - 3;
                    for key in &mut draft.state.keys[old..] {
                        let key = Arc::make_mut(key);
                        key.put_in = KeyState::PendingDeletion;
                        key.delete_date = Some(LONG_AGO);
                    }
                    Ok(())
                })
            },
            |kms, _| {
                assert_eq!(kms.purge(&call(), false)?.len(), 3);
                Ok(())
            },
        ],
    );
}

/// From one root key to another and back, each time under a new store key.
#[test]
fn root_keys() {
    fn file(place: &Place, name: &str) -> RootKey {
        root_key(&place.path(name))
    }
    fn retire(kms: &Kms, present: &RootKey) -> Result<()> {
        let first = kms.root_keys(None)?[0].slot_id;
        kms.retire_root_key(&call(), first, present)
    }
    killed_in(
        "root_keys",
        &[
            |kms, at| done(kms.add_root_key(&call(), &file(at, "root.key"), &file(at, "b.key"))),
            |kms, at| retire(kms, &file(at, "b.key")),
            |kms, at| kms.reseal(&call(), None, &file(at, "b.key")),
            |kms, at| done(kms.add_root_key(&call(), &file(at, "b.key"), &file(at, "root.key"))),
            |kms, at| {
                let first = kms.root_keys(None)?[0].slot_id;
                kms.reseal(&call(), Some(first), &file(at, "root.key"))
            },
        ],
    );
}
