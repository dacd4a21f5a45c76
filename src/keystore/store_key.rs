//! The store key: it seals each version's material, and closes the file.
#![forbid(unsafe_code)]

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::envelope::{
    COMMITMENT_LEN, Closing, Invalid, KEY_LEN, NONCE_LEN, SEAL_LEN, TAG_LEN, WrappingKey,
};
use crate::error::{Error, Result, Status};
use crate::random;
use crate::secret::{Arena, Secret};

const VERSION_LABEL: &[u8] = b"kmsbox/version/v1\0";
/// What stands before the file's bytes in the AAD of its closing seal.
pub(super) const KEYSTORE_LABEL: &[u8] = b"kmsbox/keystore/v1\0";
/// Origin `Aliyun_KMS`: material made here.
const MADE_HERE: u8 = 0;

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
    pub fn new_material(&self, key_id: Uuid, key_version_id: Uuid) -> Result<SealedKey> {
        let mut material = KeyBytes::default();
        random::fill(&mut material[..])?;
        SealedKey::seal(
            &self.key,
            &self.version_aad(key_id, key_version_id),
            &material,
        )
    }

    /// Unseals the material of a version.
    pub fn material(
        &self,
        key_id: Uuid,
        key_version_id: Uuid,
        sealed: &SealedKey,
    ) -> Result<KeyBytes> {
        sealed
            .open(&self.key, &self.version_aad(key_id, key_version_id))
            .map_err(|Invalid| Error::new(Status::KeystoreTampered))
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

    fn version_aad(&self, key_id: Uuid, key_version_id: Uuid) -> Vec<u8> {
        [
            VERSION_LABEL,
            self.keystore_id.as_bytes(),
            key_id.as_bytes(),
            key_version_id.as_bytes(),
            &[MADE_HERE],
        ]
        .concat()
    }
}

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
