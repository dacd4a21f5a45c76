//! Material of its owner: wrapped for one CMK with a key made for that, and imported.
#![forbid(unsafe_code)]

#[cfg(feature = "import")]
mod with_rsa;
#[cfg(not(feature = "import"))]
mod without_rsa;

#[cfg(feature = "import")]
mod rsa_key;

use uuid::Uuid;

use super::keys::not_pending_deletion;
use super::{KeyUse, Kms};
use crate::action::Action;
use crate::clock::Timestamp;
use crate::error::{Error, Result, Status};
use crate::keystore::state::{Key, KeyState, Origin, Version};
use crate::keystore::store_key::SealedKey;
use crate::request_id::Call;

/// What GetParametersForImport answers.
pub struct ImportParameters {
    /// The CMK.
    pub key_id: Uuid,
    /// To be given back with the material.
    pub token: Vec<u8>,
    /// The public key that wraps the material, as DER of SubjectPublicKeyInfo.
    pub public_key: Vec<u8>,
    /// When the token expires.
    pub expires: Timestamp,
}

impl Kms {
    /// DeleteKeyMaterial: the CMK waits for its material again.
    pub fn delete_key_material(&self, call: &Call, key_id: &str) -> Result<()> {
        self.change_key(call, Action::DeleteKeyMaterial, key_id, |key| {
            takes_import(key)?;
            set_material(key, None)?;
            if let Some(imported) = &mut key.imported {
                imported.expires = None;
            }
            key.put_in = KeyState::PendingImport;
            Ok(())
        })
    }
}

fn takes_import(key: &Key) -> Result<()> {
    not_pending_deletion(key)?;
    match key.origin {
        Origin::External => Ok(()),
        Origin::MadeHere => Err(Error::new(Status::UnsupportedOrigin)),
    }
}

/// Replaces the material of the one version that such a CMK has.
fn set_material(key: &mut Key, sealed: Option<SealedKey>) -> Result<()> {
    let KeyUse { key_version_id, .. } = KeyUse::of(key);
    let version = key
        .versions
        .iter_mut()
        .find(|version| version.key_version_id == key_version_id);
    let version = version.ok_or(Error::new(Status::Internal))?;
    *version = Version::new(key_version_id, version.created, sealed).into();
    Ok(())
}
