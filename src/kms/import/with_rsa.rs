//! The wrapping key and the import token made, and the material taken in.
#![forbid(unsafe_code)]

use uuid::Uuid;
use zeroize::Zeroizing;

use super::{ImportParameters, rsa_key, set_material, takes_import};
use crate::action::Action;
use crate::clock::Timestamp;
use crate::error::{Error, Result, Status};
use crate::keystore::state::{Imported, Key, KeyState, Origin};
use crate::keystore::store_key::{KeyBytes, StoreKey, VersionName};
use crate::kms::Kms;
use crate::request_id::Call;
use crate::secret::wiping_after;

const TOKEN_LABEL: &[u8] = b"kmsbox/import-token/v1\0";
/// How long an import token lives, in seconds.
const TOKEN_LIFE: u64 = 24 * 60 * 60;
/// A token is its expiry and what is sealed; a longer one is not even looked at.
const LONGEST_TOKEN: usize = 4096;

impl Kms {
    /// GetParametersForImport: a key that wraps the material, and a token that will open it. The
    /// keystore keeps neither: the token carries the private key, sealed.
    pub fn get_parameters_for_import(&self, call: &Call, key_id: &str) -> Result<ImportParameters> {
        let action = Action::GetParametersForImport;
        self.read_key_by_id(call, action, key_id, |key| {
            takes_import(key)?;
            wiping_after(|| self.new_import_parameters(key.key_id))
        })
    }

    fn new_import_parameters(&self, id: Uuid) -> Result<ImportParameters> {
        let (private, public_key) = rsa_key::generate()?;
        let expires = Timestamp::to_be_kept()?.plus(TOKEN_LIFE);
        let view = self.keystore.loaded();
        let aad = token_aad(view.store_key(), id, expires);
        let sealed = view.store_key().seal_bytes(&aad, &private)?;
        Ok(ImportParameters {
            key_id: id,
            token: [&expires.seconds().to_be_bytes()[..], &sealed].concat(),
            public_key,
            expires,
        })
    }

    /// ImportKeyMaterial: 32 bytes, wrapped with RSAES_OAEP_SHA_256; what was deleted or has expired can
    /// only be imported again as the same material.
    pub fn import_key_material(
        &self,
        call: &Call,
        key_id: &str,
        encrypted_material: &[u8],
        token: &[u8],
        expires: Option<Timestamp>,
    ) -> Result<()> {
        let action = Action::ImportKeyMaterial;
        self.change_named_key(
            call,
            action,
            key_id,
            |_, name| name.id(),
            |key, store_key| {
                takes_import(key)?;
                wiping_after(|| put_in_material(key, store_key, encrypted_material, token, expires))
            },
        )
    }
}

fn put_in_material(
    key: &mut Key,
    store_key: &StoreKey,
    encrypted_material: &[u8],
    token: &[u8],
    expires: Option<Timestamp>,
) -> Result<()> {
    let mut material = KeyBytes::default();
    let private = open_token(store_key, key.key_id, token)?;
    rsa_key::unwrap(&private, encrypted_material, &mut material)?;
    let check = match &key.imported {
        Some(first) if store_key.is_same(&first.check, key.key_id, &material) => {
            first.check.clone()
        }
        Some(_) => return Err(Error::new(Status::InvalidKeyMaterial)),
        None => store_key.check_of(key.key_id, &material)?,
    };
    key.imported = Some(Imported { check, expires });
    let name = VersionName {
        key_id: key.key_id,
        key_version_id: key.primary_version,
        origin: Origin::External,
    };
    let sealed = store_key.seal_material(name, &material)?;
    set_material(key, Some(sealed))?;
    if key.put_in == KeyState::PendingImport {
        key.put_in = KeyState::Enabled;
    }
    Ok(())
}

/// The private key in a token that is for this CMK and has not expired.
fn open_token(store_key: &StoreKey, key_id: Uuid, token: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    let invalid_token = || Error::new(Status::InvalidImportToken);
    let Some((expires, sealed)) = token.split_first_chunk() else {
        return Err(invalid_token());
    };
    if token.len() > LONGEST_TOKEN {
        return Err(invalid_token());
    }
    let expires = Timestamp::from_seconds(u64::from_be_bytes(*expires));
    let private = store_key
        .open_bytes(&token_aad(store_key, key_id, expires), sealed)
        .ok_or_else(invalid_token)?;
    let now = Timestamp::now();
    // One that lives longer than any was made by a clock that was ahead.
    if expires <= now || expires > now.plus(TOKEN_LIFE) {
        return Err(Error::new(Status::ExpiredImportToken));
    }
    Ok(private)
}

fn token_aad(store_key: &StoreKey, key_id: Uuid, expires: Timestamp) -> Vec<u8> {
    [
        TOKEN_LABEL,
        store_key.keystore_id().as_bytes(),
        key_id.as_bytes(),
        &expires.seconds().to_be_bytes(),
    ]
    .concat()
}
