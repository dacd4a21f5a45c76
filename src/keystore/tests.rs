//! What only someone with a store key could make of a file, and what a keystore tells the service.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used)]

use std::fs;
use std::sync::Arc;

use super::Keystore;
use super::file::SealedFile;
use super::format::{self, Header};
use super::root_keys::Slots;
use super::state::State;
use super::store_key::{KeyBytes, StoreKey};
use super::view::View;
use crate::error::Status;
use crate::kms::{Kms, NewKey};
use crate::options::Options;
use crate::random;
use crate::request_id::Call;
use crate::root_key::RootKey;
use crate::secret::Arena;

#[test]
fn the_last_epoch_can_be_read_and_not_changed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keystore");
    let (keystore_id, root) = (random::uuid().unwrap(), [0xA7; 32]);
    let bytes = KeyBytes::new([1; 32]);
    let slots = Slots::new(keystore_id, &RootKey::from_bytes(&root).unwrap(), &bytes);
    let header = |epoch| Header {
        keystore_id,
        epoch,
        slots: slots.as_ref().unwrap().clone(),
    };
    let key = StoreKey::new(keystore_id, &bytes, &Arena::new(0).unwrap()).unwrap();
    let mut options = Options::default();
    options.set_root_key(&root).unwrap();
    options.set("keystore", path.to_str().unwrap()).unwrap();
    let create = |kms: &Kms| kms.create_key(&Call::default(), &NewKey::default());

    for epoch in [u64::MAX - 1, u64::MAX] {
        let (file, _) = format::encode(&header(epoch), &State::default(), &key).unwrap();
        fs::write(&path, file.file()).unwrap();
        let kms = Kms::open(&options).unwrap();
        let created = create(&kms).map(|_| ());
        assert_eq!(created.is_ok(), epoch < u64::MAX);
        let refused = create(&kms).unwrap_err();
        assert_eq!(refused.status(), Status::LimitExceeded);
        assert!(refused.message().contains("epoch"), "{refused}");
        assert!(kms.describe().unwrap().as_bytes().len() > 2);
        if created.is_err() {
            assert_eq!(fs::read(&path).unwrap(), file.file());
        }
    }
}

/// Counts are written down at a look; a file that is another one is read, and what is in both is kept.
#[test]
fn a_look_is_told_of_once_and_reads_only_what_is_new() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keystore");
    let mut options = Options::default();
    options.set_root_key(&[0xA7; 32]).unwrap();
    options.set("keystore", path.to_str().unwrap()).unwrap();
    options.set("create", "true").unwrap();
    options.set("refresh_interval_ms", "0").unwrap();
    let kms = Kms::open(&options).unwrap();
    let create = || kms.create_key(&Call::default(), &NewKey::default());
    create().unwrap();

    let keystore = SealedFile::open(&path, &options, &Arena::new(0).unwrap()).unwrap();
    let view = || Arc::clone(&keystore.view().unwrap());
    assert!(!keystore.looked());
    let first = view();
    assert!(keystore.looked());
    assert!(!keystore.looked());
    assert!(Arc::ptr_eq(&first, &view()));

    create().unwrap();
    let second = view();
    assert_eq!(second.state().keys.len(), 2);
    // The expanded key hangs on the version.
    let version = |view: &View| Arc::clone(&view.state().keys[0].versions[0]);
    assert!(Arc::ptr_eq(&version(&first), &version(&second)));
}
