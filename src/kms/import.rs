//! Material of its owner: wrapped for one CMK with a key made for that, and imported.
#![forbid(unsafe_code)]

use rsa::pkcs8::{DecodePrivateKey, EncodePrivateKey, EncodePublicKey};
use rsa::rand_core::UnwrapErr;
use rsa::{Oaep, RsaPrivateKey};
use sha2::Sha256;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::keys::not_pending_deletion;
use super::{KeyUse, Kms};
use crate::action::Action;
use crate::clock::Timestamp;
use crate::error::{Error, Result, Status};
use crate::keystore::state::{Imported, Key, KeyState, Origin, Version};
use crate::keystore::store_key::{KeyBytes, StoreKey, VersionName};
use crate::random;
use crate::request_id::Call;

const TOKEN_LABEL: &[u8] = b"kmsbox/import-token/v1\0";
/// How long an import token lives, in seconds.
const TOKEN_LIFE: u64 = 24 * 60 * 60;
const RSA_BITS: usize = 2048;
/// A token is its expiry and what is sealed; a longer one is not even looked at.
const LONGEST_TOKEN: usize = 4096;

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
    /// GetParametersForImport: a key that wraps the material, and a token that will open it. The
    /// keystore keeps neither: the token carries the private key, sealed.
    pub fn get_parameters_for_import(&self, call: &Call, key_id: &str) -> Result<ImportParameters> {
        let action = Action::GetParametersForImport;
        self.read_key_by_id(call, action, key_id, |key| {
            takes_import(key)?;
            self.new_import_parameters(key.key_id)
        })
    }

    fn new_import_parameters(&self, id: Uuid) -> Result<ImportParameters> {
        let internal = |_| Error::with(Status::Internal, "The RSA key could not be encoded.");
        // The generator below cannot report that the system gives no random bytes; this can.
        random::fill(&mut [0; 1])?;
        let private = RsaPrivateKey::new(&mut UnwrapErr(rand::rngs::SysRng), RSA_BITS)
            .map_err(|_| Error::with(Status::Internal, "No RSA key could be made."))?;
        let public_key = private
            .to_public_key()
            .to_public_key_der()
            .map_err(|_| Error::with(Status::Internal, "The RSA key could not be encoded."))?
            .into_vec();
        let private = private.to_pkcs8_der().map_err(internal)?;
        let expires = Timestamp::to_be_kept()?.plus(TOKEN_LIFE);
        let view = self.keystore.loaded();
        let sealed = view.store_key().seal_bytes(
            &token_aad(view.store_key(), id, expires),
            private.as_bytes(),
        )?;
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
                let material = open_material(store_key, key.key_id, encrypted_material, token)?;
                match &key.imported {
                    Some(first) if !store_key.is_same(&first.check, key.key_id, &material) => {
                        return Err(Error::new(Status::InvalidKeyMaterial));
                    }
                    Some(first) => {
                        let check = first.check.clone();
                        key.imported = Some(Imported { check, expires });
                    }
                    None => {
                        let check = store_key.check_of(key.key_id, &material)?;
                        key.imported = Some(Imported { check, expires });
                    }
                }
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
            },
        )
    }

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
fn set_material(
    key: &mut Key,
    sealed: Option<crate::keystore::store_key::SealedKey>,
) -> Result<()> {
    let KeyUse { key_version_id, .. } = KeyUse::of(key);
    let version = key
        .versions
        .iter_mut()
        .find(|version| version.key_version_id == key_version_id);
    let version = version.ok_or(Error::new(Status::Internal))?;
    *version = Version::new(key_version_id, version.created, sealed).into();
    Ok(())
}

/// Every way in which the material does not come out is one error.
fn open_material(
    store_key: &StoreKey,
    key_id: Uuid,
    encrypted_material: &[u8],
    token: &[u8],
) -> Result<KeyBytes> {
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
    let private = RsaPrivateKey::from_pkcs8_der(&private).map_err(|_| invalid_token())?;
    let invalid_material = || Error::new(Status::InvalidKeyMaterial);
    let mut rng = UnwrapErr(rand::rngs::SysRng);
    let material = private
        .decrypt_blinded(&mut rng, Oaep::<Sha256>::new(), encrypted_material)
        .map(Zeroizing::new)
        .map_err(|_| invalid_material())?;
    let mut key = KeyBytes::default();
    if material.len() != key.len() {
        return Err(invalid_material());
    }
    key.copy_from_slice(&material);
    Ok(key)
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
