//! What only someone with a store key could make of a file.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used)]

use std::fs;

use super::format::{self, Header};
use super::root_keys::Slots;
use super::state::State;
use super::store_key::{KeyBytes, StoreKey};
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
