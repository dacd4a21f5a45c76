//! A file opened by its root key, or made.
#![forbid(unsafe_code)]

use std::path::Path;
use std::sync::Arc;

use uuid::Uuid;

use super::format::{self, Header, Labelled, Unverified};
use super::root_keys::Slots;
use super::state::State;
use super::store_key::{KeyBytes, StoreKey};
use crate::clock::Timestamp;
use crate::error::{Error, Result, Status};
use crate::options::Options;
use crate::random;
use crate::root_key::RootKey;
use crate::secret::Arena;

/// Opens a file's bytes: believes nothing of them that its closing seal does not cover.
pub(super) fn unlock<'f>(
    path: &Path,
    file: &'f Labelled,
    options: &Options,
    root: &RootKey,
    arena: &Arc<Arena>,
) -> Result<(Unverified<'f>, StoreKey, State)> {
    let unverified = format::parse(file)?;
    let header = unverified.header();
    let keystore_id = header.keystore_id;
    if options.keystore_id.is_some_and(|id| id != keystore_id) {
        return Err(Error::invalid_option(
            "keystore_id",
            format!("the keystore at {} has another id", path.display()),
        ));
    }
    let store_key = header.slots.open(keystore_id, root)?;
    let store_key = StoreKey::new(keystore_id, &store_key, arena)?;
    let state = unverified.verify(&store_key)?;
    Ok((unverified, store_key, state))
}

/// The error with the path that it is about, where that is not said yet.
pub(super) fn at(path: &Path, error: Error) -> Error {
    match error.status() {
        Status::NotAKeystore | Status::KeystoreTampered | Status::RootKey => Error::with(
            error.status(),
            format!("{}: {}", path.display(), error.message()),
        ),
        _ => error,
    }
}

/// Where there is none.
pub(super) fn not_found(path: &Path) -> Error {
    Error::with(
        Status::KeystoreNotFound,
        format!(
            "There is no keystore at {} (the option create=true makes one).",
            path.display()
        ),
    )
}

/// The file of an empty keystore.
pub(super) fn empty(
    keystore_id: Option<Uuid>,
    root: &RootKey,
    arena: &Arc<Arena>,
) -> Result<Labelled> {
    let keystore_id = keystore_id.map_or_else(random::uuid, Ok)?;
    let mut bytes = KeyBytes::default();
    random::fill(&mut bytes[..])?;
    let header = Header {
        keystore_id,
        epoch: 1,
        slots: Slots::new(keystore_id, root, &bytes)?,
    };
    let store_key = StoreKey::new(keystore_id, &bytes, arena)?;
    Timestamp::to_be_kept()?;
    let (file, _) = format::encode(&header, &State::default(), &store_key)?;
    Ok(file)
}
