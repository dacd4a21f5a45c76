//! The store key: it seals each version's material, and closes the file.
#![forbid(unsafe_code)]

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ctutils::CtEq;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::state::Origin;
use crate::envelope::{
    COMMITMENT_LEN, Closing, Invalid, KEY_LEN, NONCE_LEN, SEAL_LEN, TAG_LEN, WrappingKey,
};
use crate::error::{Error, Result, Status};
use crate::random;
use crate::secret::{Arena, Secret};

const VERSION_LABEL: &[u8] = b"kmsbox/version/v1\0";
/// What stands before the file's bytes in the AAD of its closing seal.
pub(super) const KEYSTORE_LABEL: &[u8] = b"kmsbox/keystore/v1\0";
const MATERIAL_CHECK_LABEL: &[u8] = b"kmsbox/material-check/v1\0";

/// Key bytes on their way from one place of safety to another.
pub type KeyBytes = Zeroizing<[u8; KEY_LEN]>;

/// The store key of one keystore, expanded, in the arena.
pub struct StoreKey {
    keystore_id: Uuid,
    key: Secret<WrappingKey>,
}

impl StoreKey {
    /// Expands the store key into the arena.
    pub fn new(keystore_id: Uuid, key: &KeyBytes, arena: &Arc<Arena>) -> Result<Self> {
        let key = arena
            .place(|| WrappingKey::new(key))
            .ok_or(Error::new(Status::NoMemory))?;
        Ok(StoreKey { keystore_id, key })
    }

    /// The keystore that this key belongs to.
    pub fn keystore_id(&self) -> Uuid {
        self.keystore_id
    }

    /// Makes material for a version and seals it.
    pub fn new_material(&self, version: VersionName) -> Result<SealedKey> {
        let mut material = KeyBytes::default();
        random::fill(&mut material[..])?;
        self.seal_material(version, &material)
    }

    /// Seals the material of a version.
    pub fn seal_material(&self, version: VersionName, material: &KeyBytes) -> Result<SealedKey> {
        SealedKey::seal(&self.key, &self.version_aad(version), material)
    }

    /// Unseals the material of a version.
    pub fn material(&self, version: VersionName, sealed: &SealedKey) -> Result<KeyBytes> {
        sealed
            .open(&self.key, &self.version_aad(version))
            .map_err(|Invalid| Error::new(Status::KeystoreTampered))
    }

    /// What will tell later whether material is this one, without telling anything of it.
    pub fn check_of(&self, key_id: Uuid, material: &KeyBytes) -> Result<MaterialCheck> {
        let digest = digest_of(key_id, material);
        SealedKey::seal(&self.key, &self.check_aad(key_id), &digest).map(MaterialCheck)
    }

    /// Whether material is the one that the check was made of.
    pub fn is_same(&self, check: &MaterialCheck, key_id: Uuid, material: &KeyBytes) -> bool {
        let digest = digest_of(key_id, material);
        match check.0.open(&self.key, &self.check_aad(key_id)) {
            Ok(first) => first.ct_eq(&digest).to_bool(),
            Err(Invalid) => false,
        }
    }

    /// The check under another store key.
    pub(crate) fn reseal_check(
        &self,
        check: &MaterialCheck,
        key_id: Uuid,
        new: &StoreKey,
    ) -> Result<MaterialCheck> {
        let digest = check.0.open(&self.key, &self.check_aad(key_id));
        let digest = digest.map_err(|Invalid| Error::new(Status::KeystoreTampered))?;
        SealedKey::seal(&new.key, &new.check_aad(key_id), &digest).map(MaterialCheck)
    }

    /// Seals bytes that leave the keystore and come back: nonce, ciphertext, tag, commitment.
    pub fn seal_bytes(&self, aad: &[u8], bytes: &[u8]) -> Result<Vec<u8>> {
        let mut sealed = vec![0; SEAL_LEN + bytes.len()];
        let (nonce, rest) = sealed.split_at_mut(NONCE_LEN);
        random::fill(nonce)?;
        let mut fixed = [0; NONCE_LEN];
        fixed.copy_from_slice(nonce);
        let (text, tail) = rest.split_at_mut(bytes.len());
        text.copy_from_slice(bytes);
        let closing = self.key.seal(&fixed, aad, text);
        tail[..TAG_LEN].copy_from_slice(&closing.tag);
        tail[TAG_LEN..].copy_from_slice(&closing.commitment);
        Ok(sealed)
    }

    /// Opens what [`StoreKey::seal_bytes`] sealed; `None` where it does not open.
    pub fn open_bytes(&self, aad: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, rest) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let (rest, commitment) = rest.split_last_chunk()?;
        let (text, tag) = rest.split_last_chunk()?;
        let closing = Closing {
            tag: *tag,
            commitment: *commitment,
        };
        let mut bytes = Zeroizing::new(text.to_vec());
        self.key.open(nonce, aad, &mut bytes, &closing).ok()?;
        Some(bytes)
    }

    /// Closes a file: `labelled` is [`KEYSTORE_LABEL`] and the bytes.
    pub(super) fn close(&self, labelled: &[u8]) -> Result<Seal> {
        let mut nonce = [0; NONCE_LEN];
        random::fill(&mut nonce)?;
        let closing = self.key.seal(&nonce, labelled, &mut []);
        Ok(Seal(assemble(&nonce, &[], &closing)))
    }

    /// Verifies the closing seal of a file.
    pub(super) fn verify(&self, labelled: &[u8], seal: &Seal) -> Result<(), Invalid> {
        let (nonce, _, closing) = take_apart::<SEAL_LEN, 0>(&seal.0);
        self.key.open(&nonce, labelled, &mut [], &closing)
    }

    fn version_aad(&self, version: VersionName) -> Vec<u8> {
        [
            VERSION_LABEL,
            self.keystore_id.as_bytes(),
            version.key_id.as_bytes(),
            version.key_version_id.as_bytes(),
            &[version.origin.byte()],
        ]
        .concat()
    }

    fn check_aad(&self, key_id: Uuid) -> Vec<u8> {
        [
            MATERIAL_CHECK_LABEL,
            self.keystore_id.as_bytes(),
            key_id.as_bytes(),
        ]
        .concat()
    }
}

/// Material is random, so that its digest tells nothing; it is sealed all the same.
fn digest_of(key_id: Uuid, material: &KeyBytes) -> KeyBytes {
    let mut hash = Sha256::new();
    hash.update(MATERIAL_CHECK_LABEL);
    hash.update(key_id.as_bytes());
    hash.update(&material[..]);
    Zeroizing::new(hash.finalize().into())
}

/// What the seal of a version's material binds.
#[derive(Clone, Copy)]
pub struct VersionName {
    /// The CMK.
    pub key_id: Uuid,
    /// The version.
    pub key_version_id: Uuid,
    /// Where its material comes from.
    pub origin: Origin,
}

/// Tells one material from another, for whoever has the store key.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MaterialCheck(SealedKey);

/// A key of 32 bytes, sealed: nonce, ciphertext, tag, commitment.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedKey([u8; Self::LEN]);

impl SealedKey {
    const LEN: usize = SEAL_LEN + KEY_LEN;

    /// Seals a key under another.
    pub(super) fn seal(under: &WrappingKey, aad: &[u8], key: &KeyBytes) -> Result<Self> {
        let mut nonce = [0; NONCE_LEN];
        random::fill(&mut nonce)?;
        let mut text = key.clone();
        let closing = under.seal(&nonce, aad, &mut text[..]);
        Ok(SealedKey(assemble(&nonce, &text[..], &closing)))
    }

    /// Unseals it.
    pub(super) fn open(&self, under: &WrappingKey, aad: &[u8]) -> Result<KeyBytes, Invalid> {
        let (nonce, text, closing) = take_apart::<{ Self::LEN }, KEY_LEN>(&self.0);
        let mut key = Zeroizing::new(text);
        under.open(&nonce, aad, &mut key[..], &closing)?;
        Ok(key)
    }
}

/// The closing seal of a file: nonce, tag, commitment.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Seal([u8; SEAL_LEN]);

impl Seal {
    /// The length of the seal in base64.
    pub(super) const TEXT_LEN: usize = SEAL_LEN / 3 * 4;

    pub(super) fn to_text(&self) -> String {
        STANDARD.encode(self.0)
    }

    pub(super) fn from_text(text: &[u8]) -> Option<Self> {
        from_base64(text).map(Seal)
    }
}

fn assemble<const N: usize>(nonce: &[u8; NONCE_LEN], text: &[u8], closing: &Closing) -> [u8; N] {
    let mut bytes = [0; N];
    let (head, tail) = bytes.split_at_mut(NONCE_LEN + text.len());
    head[..NONCE_LEN].copy_from_slice(nonce);
    head[NONCE_LEN..].copy_from_slice(text);
    tail[..TAG_LEN].copy_from_slice(&closing.tag);
    tail[TAG_LEN..].copy_from_slice(&closing.commitment);
    bytes
}

fn take_apart<const N: usize, const TEXT: usize>(
    bytes: &[u8; N],
) -> ([u8; NONCE_LEN], [u8; TEXT], Closing) {
    const {
        assert!(N == SEAL_LEN + TEXT);
    }
    let mut nonce = [0; NONCE_LEN];
    let mut text = [0; TEXT];
    let mut closing = Closing {
        tag: [0; TAG_LEN],
        commitment: [0; COMMITMENT_LEN],
    };
    let (head, tail) = bytes.split_at(NONCE_LEN + TEXT);
    nonce.copy_from_slice(&head[..NONCE_LEN]);
    text.copy_from_slice(&head[NONCE_LEN..]);
    closing.tag.copy_from_slice(&tail[..TAG_LEN]);
    closing.commitment.copy_from_slice(&tail[TAG_LEN..]);
    (nonce, text, closing)
}

impl Serialize for SealedKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(self.0))
    }
}

impl<'de> Deserialize<'de> for SealedKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <&str>::deserialize(deserializer)?;
        from_base64(text.as_bytes())
            .map(SealedKey)
            .ok_or_else(|| de::Error::custom("not base64 of a sealed key"))
    }
}

/// Decodes exactly `N` bytes.
pub(super) fn from_base64<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let decoded = STANDARD.decode(text).ok()?;
    decoded.try_into().ok()
}
