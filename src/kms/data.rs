//! The data plane: data keys made, wrapped, unwrapped, and wrapped anew.
#![forbid(unsafe_code)]

use uuid::Uuid;

use super::{KeyUse, Kms};
use crate::action::Action;
use crate::audit::Event;
use crate::blob::{self, Content, HEADER_LEN, Header, MAX_TEXT, Parsed, TEXT_AT};
use crate::context::Context;
use crate::envelope::{COMMITMENT_LEN, Closing, NONCE_LEN, TAG_LEN, WrappingKey};
use crate::error::{Error, Result, Status};
use crate::key_name::KeyName;
use crate::keystore::view::View;
use crate::random;
use crate::request_id::Call;
use crate::secret::{Scratch, wipe};

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
        call: &Call,
        key_id: &str,
        context: &Context,
        plaintext: &mut [u8],
        wrapped: &mut [u8],
    ) -> Result<KeyUse> {
        let action = Action::GenerateDataKey;
        self.wrap(call, action, key_id, context, |room| {
            room.generate(context, wrapped, |key| plaintext.copy_from_slice(key))
        })
    }

    /// GenerateDataKeyWithoutPlaintext: `wrapped` gets the blob; its length says that of the key.
    pub fn generate_data_key_without_plaintext(
        &self,
        call: &Call,
        key_id: &str,
        context: &Context,
        wrapped: &mut [u8],
    ) -> Result<KeyUse> {
        let action = Action::GenerateDataKeyWithoutPlaintext;
        self.wrap(call, action, key_id, context, |room| {
            room.generate(context, wrapped, |_| {})
        })
    }

    /// Encrypt: `wrapped` gets the blob of `plaintext` and has its exact length.
    pub fn encrypt(
        &self,
        call: &Call,
        key_id: &str,
        context: &Context,
        content: Content,
        plaintext: &[u8],
        wrapped: &mut [u8],
    ) -> Result<KeyUse> {
        self.wrap(call, Action::Encrypt, key_id, context, |room| {
            room.encrypt(context, content, plaintext, wrapped)
        })
    }

    /// Decrypt: `plaintext` gets what the blob holds and has its exact length.
    pub fn decrypt(
        &self,
        call: &Call,
        expected_key_id: Option<&str>,
        wrapped: &Parsed<'_>,
        context: &Context,
        plaintext: &mut [u8],
    ) -> Result<KeyUse> {
        let source = Source {
            wrapped,
            of: SourceOf {
                expected_key_id,
                context,
            },
        };
        let event = Event {
            key: expected_key_id,
            blob: Some(KeyUse::claimed_by(wrapped)),
            ..Event::new(Action::Decrypt).with(context)
        };
        self.perform(call, &event, || {
            self.permit(Action::Decrypt)?;
            let used =
                self.on_view(|view| self.unwrap(call, view, Action::Decrypt, &source, plaintext))?;
            Ok((used, Some(used)))
        })
    }
}

impl Kms {
    /// ReEncrypt: `rewrapped` gets the blob under the destination's primary version. It is as long as
    /// the source. The plaintext is shown to nobody.
    pub fn re_encrypt(
        &self,
        call: &Call,
        source: &Source<'_>,
        destination: &Destination<'_>,
        rewrapped: &mut [u8],
    ) -> Result<KeyUse> {
        let event = Event {
            blob: Some(KeyUse::claimed_by(source.wrapped)),
            source_context: Some(source.of.context),
            ..Event::on(Action::ReEncrypt, destination.key_id).with(destination.context)
        };
        self.perform(call, &event, || {
            let used = self.rewrap(call, source, destination, rewrapped)?;
            Ok((used, Some(used)))
        })
    }

    /// ReEncrypt for each of many blobs that lie one after the other, `rewrapped` in the same places.
    /// A blob that does not open leaves zeros there and does not stop the rest.
    pub fn re_encrypt_many(
        &self,
        call: &Call,
        blobs: &[&[u8]],
        source: SourceOf<'_>,
        destination: &Destination<'_>,
        rewrapped: &mut [u8],
        mut each: impl FnMut(usize, Result<KeyUse>),
    ) -> Result<()> {
        let event = Event {
            count: Some(blobs.len()),
            source_context: Some(source.context),
            ..Event::on(Action::ReEncrypt, destination.key_id).with(destination.context)
        };
        self.perform(call, &event, || {
            self.permit(Action::ReEncryptFrom)?;
            self.permit(Action::ReEncryptTo)?;
            let mut rest = rewrapped;
            // The caller's buffer never holds a plaintext, not even for the moment of its encryption.
            let mut scratch = Scratch::zeroed(blob::len(MAX_TEXT));
            for (index, blob) in blobs.iter().enumerate() {
                let (room, after) = rest.split_at_mut(blob.len());
                rest = after;
                let mut claimed = None;
                let outcome = blob::parse(blob).and_then(|wrapped| {
                    claimed = Some(KeyUse::claimed_by(&wrapped));
                    let source = Source {
                        wrapped: &wrapped,
                        of: source,
                    };
                    self.rewrap(call, &source, destination, &mut scratch[..blob.len()])
                });
                match outcome {
                    Ok(_) => room.copy_from_slice(&scratch[..blob.len()]),
                    Err(_) => room.fill(0),
                }
                let refusal = outcome.as_ref().err().map(Error::status);
                event.tally.borrow_mut().count(claimed, refusal);
                each(index, outcome);
            }
            Ok(((), None))
        })
    }

    /// GenerateDataKey, or GenerateDataKeyWithoutPlaintext where `plaintexts` is `None`, for as many
    /// keys of `key_len` as `wrapped` has room for; one lies after the other.
    pub fn generate_data_keys(
        &self,
        call: &Call,
        key_id: &str,
        context: &Context,
        key_len: usize,
        mut plaintexts: Option<&mut [u8]>,
        wrapped: &mut [u8],
    ) -> Result<KeyUse> {
        let action = match plaintexts {
            Some(_) => Action::GenerateDataKey,
            None => Action::GenerateDataKeyWithoutPlaintext,
        };
        let blob_len = blob::len(key_len);
        let event = Event {
            count: Some(wrapped.len() / blob_len),
            ..Event::on(action, key_id).with(context)
        };
        self.perform(call, &event, || {
            self.permit(action)?;
            let mut scratch = Scratch::zeroed(blob_len);
            let used = self.under(call, action, key_id, |room| {
                let blobs = wrapped.chunks_exact_mut(blob_len);
                for (index, blob) in blobs.enumerate() {
                    let at = index * key_len;
                    // As in `re_encrypt_many`.
                    room.generate(context, &mut scratch, |key| {
                        if let Some(plaintexts) = &mut plaintexts {
                            plaintexts[at..at + key_len].copy_from_slice(key);
                        }
                    })?;
                    blob.copy_from_slice(&scratch);
                }
                Ok(())
            })?;
            Ok((used, Some(used)))
        })
    }

    fn rewrap(
        &self,
        call: &Call,
        source: &Source<'_>,
        destination: &Destination<'_>,
        rewrapped: &mut [u8],
    ) -> Result<KeyUse> {
        self.permit(Action::ReEncryptFrom)?;
        self.permit(Action::ReEncryptTo)?;
        let wrapped = source.wrapped;
        let mut plaintext = Scratch::zeroed(wrapped.ciphertext.len());
        self.on_view(|view| {
            // Both permissions come before anything is said about either CMK.
            let to = KeyName::parse(destination.key_id).find(view);
            self.permit_on(Action::ReEncryptTo, view, to)
                .map(|_| ())
                .or_else(|error| match error.status() {
                    Status::NoPermission => Err(error),
                    _ => Ok(()),
                })?;
            self.unwrap(call, view, Action::ReEncryptFrom, source, &mut plaintext)
        })?;
        self.under(call, Action::ReEncryptTo, destination.key_id, |room| {
            room.encrypt(
                destination.context,
                wrapped.header.content,
                &plaintext,
                rewrapped,
            )
        })
    }

    /// One operation that wraps under the primary version of a CMK.
    fn wrap(
        &self,
        call: &Call,
        action: Action,
        key_id: &str,
        context: &Context,
        fill: impl FnMut(&Room<'_>) -> Result<()>,
    ) -> Result<KeyUse> {
        let event = Event::on(action, key_id).with(context);
        self.perform(call, &event, || {
            self.permit(action)?;
            let used = self.under(call, action, key_id, fill)?;
            Ok((used, Some(used)))
        })
    }

    /// Lends the primary version of a CMK, rotated before where that is due.
    fn under(
        &self,
        call: &Call,
        action: Action,
        key_id: &str,
        mut fill: impl FnMut(&Room<'_>) -> Result<()>,
    ) -> Result<KeyUse> {
        let name = KeyName::parse(key_id);
        let mut tried = false;
        loop {
            let outcome = self.on_view(|view| {
                let key = self.permit_on(action, view, name.find(view))?;
                let version = view.version(key, key.primary_version)?;
                key.usable()?;
                if !tried && self.should_rotate(call, view, key, version) {
                    return Ok(Lent::RotateFirst(key.key_id));
                }
                let used = KeyUse {
                    key_id: key.key_id,
                    key_version_id: version.key_version_id,
                };
                self.expanded.with(view.store_key(), key, version, |cmk| {
                    fill(&Room { cmk, used })
                })??;
                Ok(Lent::Used(used))
            })?;
            match outcome {
                Lent::Used(used) => return Ok(used),
                Lent::RotateFirst(key_id) => {
                    tried = true;
                    self.rotate_due(call, key_id);
                }
            }
        }
    }

    fn unwrap(
        &self,
        call: &Call,
        view: &View,
        action: Action,
        source: &Source<'_>,
        plaintext: &mut [u8],
    ) -> Result<KeyUse> {
        let wrapped = source.wrapped;
        let used = KeyUse::claimed_by(wrapped);
        let found = match self.permit_on(action, view, view.key(used.key_id)) {
            Err(error) if error.status() == Status::NoPermission => return Err(error),
            found => found,
        };
        if let Some(expected) = source.of.expected_key_id
            && !KeyName::parse(expected).is(used.key_id, view)?
        {
            return Err(Error::new(Status::KeyMismatch));
        }
        let key = found?;
        let version = view.version(key, used.key_version_id)?;
        key.usable()?;
        let closing = Closing {
            tag: *wrapped.tag,
            commitment: *wrapped.commitment,
        };
        let aad = source.of.context.aad(wrapped.header_bytes)?;
        plaintext.copy_from_slice(wrapped.ciphertext);
        self.expanded
            .with(view.store_key(), key, version, |cmk| {
                cmk.open(wrapped.nonce, &aad, plaintext, &closing)
            })?
            .map_err(|_| Error::new(Status::CiphertextInvalid))?;
        if !call.is_dry_run() {
            version.live.unwraps.add(1);
        }
        Ok(used)
    }
}

impl KeyUse {
    /// What a blob says that it is under; nothing has proved that yet.
    fn claimed_by(wrapped: &Parsed<'_>) -> Self {
        KeyUse {
            key_id: Uuid::from_bytes(wrapped.header.key_id),
            key_version_id: Uuid::from_bytes(wrapped.header.key_version_id),
        }
    }
}

/// What ReEncrypt reads.
pub struct Source<'a> {
    /// The blob.
    pub wrapped: &'a Parsed<'a>,
    /// What it is under and bound to.
    pub of: SourceOf<'a>,
}

/// What a blob to be wrapped anew is under and bound to.
#[derive(Clone, Copy)]
pub struct SourceOf<'a> {
    /// The CMK that it must be under; `None`: any.
    pub expected_key_id: Option<&'a str>,
    /// Its context.
    pub context: &'a Context,
}

/// What ReEncrypt writes for.
pub struct Destination<'a> {
    /// The CMK that the new blob is under.
    pub key_id: &'a str,
    /// The new blob's context.
    pub context: &'a Context,
}

enum Lent {
    Used(KeyUse),
    RotateFirst(Uuid),
}

/// A CMK's primary version, lent for wrapping.
struct Room<'a> {
    cmk: &'a WrappingKey,
    used: KeyUse,
}

impl Room<'_> {
    /// Makes a data key where its ciphertext will lie, shows it to `take`, and wraps it there.
    fn generate(
        &self,
        context: &Context,
        wrapped: &mut [u8],
        take: impl FnOnce(&[u8]),
    ) -> Result<()> {
        self.close(context, Content::Bytes, wrapped, |nonce_and_text| {
            // They lie side by side: one draw.
            random::fill(nonce_and_text)?;
            take(&nonce_and_text[NONCE_LEN..]);
            Ok(())
        })
    }

    fn encrypt(
        &self,
        context: &Context,
        content: Content,
        plaintext: &[u8],
        wrapped: &mut [u8],
    ) -> Result<()> {
        self.close(context, content, wrapped, |nonce_and_text| {
            let (nonce, text) = nonce_and_text.split_at_mut(NONCE_LEN);
            random::fill(nonce)?;
            text.copy_from_slice(plaintext);
            Ok(())
        })
    }

    fn close(
        &self,
        context: &Context,
        content: Content,
        wrapped: &mut [u8],
        prepare: impl FnOnce(&mut [u8]) -> Result<()>,
    ) -> Result<()> {
        let header = Header {
            content,
            key_id: *self.used.key_id.as_bytes(),
            key_version_id: *self.used.key_version_id.as_bytes(),
        }
        .bytes();
        let aad = context.aad(&header)?;
        let (start, commitment) = wrapped.split_at_mut(wrapped.len() - COMMITMENT_LEN);
        let (start, tag) = start.split_at_mut(start.len() - TAG_LEN);
        start[..HEADER_LEN].copy_from_slice(&header);
        if let Err(error) = prepare(&mut start[HEADER_LEN..]) {
            wipe(start);
            return Err(error);
        }
        let (start, text) = start.split_at_mut(TEXT_AT);
        let mut nonce = [0; NONCE_LEN];
        nonce.copy_from_slice(&start[HEADER_LEN..]);
        let closing = self.cmk.seal(&nonce, &aad, text);
        tag.copy_from_slice(&closing.tag);
        commitment.copy_from_slice(&closing.commitment);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
