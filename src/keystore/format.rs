//! The bytes of the file: JSON, closed by a seal over every byte before it.
//!
//! `docs/keystore-format.md` describes them for other implementations.
#![forbid(unsafe_code)]

use std::fmt;
use std::io;
use std::sync::Arc;

use serde::de::{self, Deserializer as _, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::layout::Layout;
use super::root_keys::Slots;
use super::sound;
use super::state::{Alias, Key, State, id};
use super::store_key::{KEYSTORE_LABEL, Seal, StoreKey};
use crate::allocation;
use crate::clock::Timestamp;
use crate::envelope::Invalid;
use crate::error::{Error, Result, Status};

/// What a keystore's first bytes are, up to the number of its format.
pub(super) const BEGINNING: &[u8] = b"{\n  \"format\": \"kmsbox keystore ";
const FORMAT: &str = "kmsbox keystore 1";
const SEAL_BEGINS: &[u8] = b"  \"seal\": \"";
pub(super) const SEAL_ENDS: &[u8] = b"\"\n}\n";
const CLOSING_LEN: usize = SEAL_BEGINS.len() + Seal::TEXT_LEN + SEAL_ENDS.len();

/// What stands in the file beside CMKs and aliases.
#[derive(Clone)]
pub(super) struct Header {
    pub(super) keystore_id: Uuid,
    pub(super) epoch: u64,
    pub(super) slots: Slots,
}

/// A file's bytes behind the label that its seal binds, so that no second copy is needed.
pub(super) struct Labelled(Vec<u8>);

impl Labelled {
    /// An empty file with room for so many bytes.
    pub(super) fn with_room(len: usize) -> Result<Self> {
        let mut bytes = allocation::room(KEYSTORE_LABEL.len() + len)?;
        bytes.extend_from_slice(KEYSTORE_LABEL);
        Ok(Labelled(bytes))
    }

    pub(super) fn vec(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }

    /// The file alone.
    pub(super) fn file(&self) -> &[u8] {
        &self.0[KEYSTORE_LABEL.len()..]
    }
}

/// Grows by asking; the only error is that no memory is left.
struct Growing<'a>(&'a mut Vec<u8>);

impl io::Write for Growing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_reserve(bytes.len())?;
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A file parsed, nothing of it believed but what the slots need.
pub(super) struct Unverified<'a> {
    file: &'a Labelled,
    outer: OuterRef<'a>,
    pub(super) seal: Seal,
}

#[derive(Serialize)]
struct Outer<'a> {
    format: &'a str,
    #[serde(with = "id")]
    keystore_id: Uuid,
    epoch: u64,
    written: Timestamp,
    clock: Timestamp,
    slots: &'a Slots,
    keys: &'a [Arc<Key>],
    aliases: &'a [Arc<Alias>],
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OuterRef<'a> {
    format: &'a str,
    #[serde(with = "id")]
    keystore_id: Uuid,
    epoch: u64,
    written: Timestamp,
    /// Not in files from before CMKs could be deleted.
    clock: Option<Timestamp>,
    slots: Slots,
    #[serde(borrow)]
    keys: &'a RawValue,
    #[serde(borrow)]
    aliases: &'a RawValue,
    #[serde(rename = "seal")]
    _seal: &'a str,
}

/// Writes the file's bytes.
pub(super) fn encode(header: &Header, state: &State, key: &StoreKey) -> Result<(Labelled, Seal)> {
    let outer = Outer {
        format: FORMAT,
        keystore_id: header.keystore_id,
        epoch: header.epoch,
        written: state.written,
        clock: state.clock,
        slots: &header.slots,
        keys: &state.keys,
        aliases: &state.aliases,
    };
    let mut file = Labelled::with_room(1024 + 512 * state.keys.len())?;
    let bytes = file.vec();
    let mut json = serde_json::Serializer::with_formatter(Growing(bytes), Layout::default());
    outer.serialize(&mut json).map_err(|error| {
        if error.is_io() {
            return Error::new(Status::NoMemory);
        }
        Error::with(Status::Internal, error.to_string())
    })?;
    bytes.try_reserve(CLOSING_LEN)?;
    // The object stays open for one more field: the seal of what stands before it.
    bytes.truncate(bytes.len() - b"\n}".len());
    bytes.extend_from_slice(b",\n");
    let seal = key.close(bytes)?;
    bytes.extend_from_slice(SEAL_BEGINS);
    bytes.extend_from_slice(seal.to_text().as_bytes());
    bytes.extend_from_slice(SEAL_ENDS);
    Ok((file, seal))
}

/// Parses a file as far as its slots.
pub(super) fn parse(file: &Labelled) -> Result<Unverified<'_>> {
    let bytes = file.file();
    let Some(rest) = bytes.strip_prefix(BEGINNING) else {
        return Err(Error::new(Status::NotAKeystore));
    };
    if !rest.starts_with(b"1\",\n") {
        return Err(Error::with(
            Status::NotAKeystore,
            "The keystore has another format than this version of kmsbox can read.",
        ));
    }
    let seal = closing(bytes).ok_or_else(tampered)?;
    let text = std::str::from_utf8(bytes).map_err(|_| tampered())?;
    let outer: OuterRef<'_> = serde_json::from_str(text).map_err(|_| tampered())?;
    if outer.format != FORMAT {
        return Err(tampered());
    }
    Ok(Unverified { file, outer, seal })
}

impl Unverified<'_> {
    /// What the slots stand for, not yet believed.
    pub(super) fn header(&self) -> Header {
        Header {
            keystore_id: self.outer.keystore_id,
            epoch: self.outer.epoch,
            slots: self.outer.slots.clone(),
        }
    }

    /// When the file was written, as it says itself.
    pub(super) fn written(&self) -> Timestamp {
        self.outer.written
    }

    /// Verifies the seal; only then are CMKs and aliases read.
    pub(super) fn verify(&self, key: &StoreKey) -> Result<State> {
        let labelled = &self.file.0;
        // What CMKs, aliases and their indexes take, about, in many small pieces.
        allocation::ask(4 * labelled.len())?;
        let sealed = &labelled[..labelled.len() - CLOSING_LEN];
        key.verify(sealed, &self.seal)
            .map_err(|Invalid| tampered())?;
        let state = State {
            keys: items(self.outer.keys)?,
            aliases: items(self.outer.aliases)?,
            clock: self.outer.clock.unwrap_or(self.outer.written),
            written: self.outer.written,
        };
        sound::check(&state)?;
        Ok(state)
    }
}

/// Reads a list that grows by asking. What does not parse was sealed by somebody who knows more.
fn items<'a, T: Deserialize<'a>>(list: &'a RawValue) -> Result<Vec<Arc<T>>> {
    struct List<'v, T> {
        items: &'v mut Vec<Arc<T>>,
        has_room: &'v mut bool,
    }
    impl<'de, T: Deserialize<'de>> Visitor<'de> for List<'_, T> {
        type Value = ();

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("a list")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
            while let Some(item) = seq.next_element()? {
                *self.has_room = self.items.try_reserve(1).is_ok();
                if !*self.has_room {
                    return Err(de::Error::custom("no memory"));
                }
                self.items.push(item);
            }
            Ok(())
        }
    }
    let (mut items, mut has_room) = (Vec::new(), true);
    let into = List {
        items: &mut items,
        has_room: &mut has_room,
    };
    match serde_json::Deserializer::from_str(list.get()).deserialize_seq(into) {
        Ok(()) => Ok(items),
        Err(_) if !has_room => Err(Error::new(Status::NoMemory)),
        Err(_) => Err(Error::with(
            Status::NotAKeystore,
            "The keystore holds something that a newer version of kmsbox wrote.",
        )),
    }
}

fn closing(bytes: &[u8]) -> Option<Seal> {
    let start = bytes.len().checked_sub(CLOSING_LEN)?;
    let text = bytes[start..]
        .strip_prefix(SEAL_BEGINS)?
        .strip_suffix(SEAL_ENDS)?;
    Seal::from_text(text)
}

fn tampered() -> Error {
    Error::new(Status::KeystoreTampered)
}
