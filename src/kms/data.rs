//! The data plane: data keys made, wrapped and unwrapped.
#![forbid(unsafe_code)]

use uuid::Uuid;

use super::key_name::KeyName;
use super::{KeyUse, Kms};
use crate::action::Action;
use crate::blob::{Content, HEADER_LEN, Header, Parsed, TEXT_AT};
use crate::context::Context;
use crate::envelope::{COMMITMENT_LEN, Closing, NONCE_LEN, TAG_LEN};
use crate::error::{Error, Result, Status};
use crate::random;
use crate::secret::wipe;

/// The longest data key.
pub const DATA_KEY_MAX: usize = 1024;

/// The kinds of data key that have a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeySpec {
    /// 32 bytes.
    Aes256,
    /// 16 bytes.
    Aes128,
}

impl KeySpec {
    /// The kind of this name; names are case-sensitive.
    pub fn from_name(name: &str) -> Result<KeySpec> {
        match name {
            "AES_256" => Ok(KeySpec::Aes256),
            "AES_128" => Ok(KeySpec::Aes128),
            _ => Err(Error::invalid_parameter("KeySpec", "")),
        }
    }

    /// The length of a data key. Where NumberOfBytes is given, KeySpec is not even looked at.
    pub fn data_key_len(
        number_of_bytes: Option<u64>,
        key_spec: impl FnOnce() -> Result<Option<KeySpec>>,
    ) -> Result<usize> {
        match number_of_bytes {
            Some(bytes) => usize::try_from(bytes)
                .ok()
                .filter(|bytes| (1..=DATA_KEY_MAX).contains(bytes))
                .ok_or_else(|| {
                    Error::invalid_parameter("NumberOfBytes", "It is not within 1 and 1024.")
                }),
            None => Ok(match key_spec()? {
                None | Some(KeySpec::Aes256) => 32,
                Some(KeySpec::Aes128) => 16,
            }),
        }
    }
}

impl Kms {
    /// GenerateDataKey: `plaintext` gets the key, `wrapped` the blob; both have their exact lengths.
    pub fn generate_data_key(
        &self,
        key_id: &str,
        context: &Context,
        plaintext: &mut [u8],
        wrapped: &mut [u8],
    ) -> Result<KeyUse> {
        self.permit(Action::GenerateDataKey)?;
        self.wrap_new(key_id, context, wrapped, |key| {
            plaintext.copy_from_slice(key);
        })
    }

    /// GenerateDataKeyWithoutPlaintext: `wrapped` gets the blob; its length says that of the key.
    pub fn generate_data_key_without_plaintext(
        &self,
        key_id: &str,
        context: &Context,
        wrapped: &mut [u8],
    ) -> Result<KeyUse> {
        self.permit(Action::GenerateDataKeyWithoutPlaintext)?;
        self.wrap_new(key_id, context, wrapped, |_| {})
    }

    /// Decrypt: `plaintext` gets what the blob holds and has its exact length.
    pub fn decrypt(
        &self,
        expected_key_id: Option<&str>,
        wrapped: &Parsed<'_>,
        context: &Context,
        plaintext: &mut [u8],
    ) -> Result<KeyUse> {
        self.permit(Action::Decrypt)?;
        let expected = expected_key_id.map(KeyName::parse);
        let used = KeyUse {
            key_id: Uuid::from_bytes(wrapped.header.key_id),
            key_version_id: Uuid::from_bytes(wrapped.header.key_version_id),
        };
        let closing = Closing {
            tag: *wrapped.tag,
            commitment: *wrapped.commitment,
        };
        let aad = context.aad(wrapped.header_bytes);
        self.on_view(|view| {
            if let Some(expected) = &expected
                && !expected.is(used.key_id, view)?
            {
                return Err(Error::new(Status::KeyMismatch));
            }
            let key = view.key(used.key_id)?;
            let version = view.version(key, used.key_version_id)?;
            key.usable()?;
            plaintext.copy_from_slice(wrapped.ciphertext);
            self.expanded
                .with(view.store_key(), key.key_id, version, |cmk| {
                    cmk.open(wrapped.nonce, &aad, plaintext, &closing)
                })?
                .map_err(|_| Error::new(Status::CiphertextInvalid))?;
            Ok(used)
        })
    }

    /// Makes a data key where its ciphertext will lie, shows it to `take`, and wraps it there.
    fn wrap_new(
        &self,
        key_id: &str,
        context: &Context,
        wrapped: &mut [u8],
        mut take: impl FnMut(&[u8]),
    ) -> Result<KeyUse> {
        let name = KeyName::parse(key_id);
        self.on_view(|view| {
            let key = name.find(view)?;
            key.usable()?;
            let version = view.version(key, key.primary_version)?;
            let used = KeyUse {
                key_id: key.key_id,
                key_version_id: version.key_version_id,
            };
            self.expanded
                .with(view.store_key(), key.key_id, version, |cmk| {
                    let header = Header {
                        content: Content::Bytes,
                        key_id: *used.key_id.as_bytes(),
                        key_version_id: *used.key_version_id.as_bytes(),
                    }
                    .bytes();
                    let (start, commitment) = wrapped.split_at_mut(wrapped.len() - COMMITMENT_LEN);
                    let (start, tag) = start.split_at_mut(start.len() - TAG_LEN);
                    start[..HEADER_LEN].copy_from_slice(&header);
                    // Nonce and key lie side by side: one draw.
                    if let Err(error) = random::fill(&mut start[HEADER_LEN..]) {
                        wipe(start);
                        return Err(error);
                    }
                    let (start, text) = start.split_at_mut(TEXT_AT);
                    take(text);
                    let mut nonce = [0; NONCE_LEN];
                    nonce.copy_from_slice(&start[HEADER_LEN..]);
                    let closing = cmk.seal(&nonce, &context.aad(&header), text);
                    tag.copy_from_slice(&closing.tag);
                    commitment.copy_from_slice(&closing.commitment);
                    Ok(used)
                })?
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob;

    #[test]
    fn number_of_bytes_prevails_and_32_is_the_default() {
        let never = || panic!("KeySpec must not be looked at");
        assert_eq!(KeySpec::data_key_len(Some(1), never), Ok(1));
        assert_eq!(KeySpec::data_key_len(Some(1024), never), Ok(1024));
        for wrong in [0, 1025, u64::MAX] {
            let error = KeySpec::data_key_len(Some(wrong), never).unwrap_err();
            assert_eq!(error.status(), Status::InvalidParameter);
            assert!(error.message().contains("NumberOfBytes"));
        }
        assert_eq!(KeySpec::data_key_len(None, || Ok(None)), Ok(32));
        let spec = |name| KeySpec::data_key_len(None, || KeySpec::from_name(name).map(Some));
        assert_eq!(spec("AES_256"), Ok(32));
        assert_eq!(spec("AES_128"), Ok(16));
        assert!(spec("aes_128").is_err());
        assert_eq!(blob::len(DATA_KEY_MAX), 1134);
    }
}
