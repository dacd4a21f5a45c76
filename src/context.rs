//! The EncryptionContext: JSON in, canonical bytes out.
//!
//! The JSON text is never bound itself, since two texts can say the same: the pairs are, in one
//! order and with lengths before them, so that no two contexts give the same bytes.

#![forbid(unsafe_code)]

mod json;

use std::borrow::Cow;

use smallvec::{CollectionAllocErr, SmallVec};

use crate::allocation;
use crate::blob::HEADER_LEN;
use crate::error::{Error, Result, Status};

/// The most characters (Unicode scalar values) that a context's shortest JSON may have.
const MAX_CHARACTERS: usize = 8192;
/// A longer text is not looked at: no spelling of an allowed context that people meet needs it.
const MAX_UNPARSED: usize = 64 * 1024;
/// Says what the sealed bytes are, so that nothing sealed for another purpose opens as a blob.
const WRAP_LABEL: &[u8] = b"kmsbox/wrap/v1\0";

/// A context, as the bytes that are bound to a blob: `u32 count`, then for each pair in ascending
/// order of the key's bytes `u32 length, key, u32 length, value`, integers big-endian.
#[derive(Clone, PartialEq, Eq)]
pub struct Context {
    canonical: SmallVec<[u8; 256]>,
}

impl Context {
    /// The context without pairs, which is also the one that was not given.
    pub fn empty() -> Self {
        Context {
            canonical: SmallVec::from_slice(&0_u32.to_be_bytes()),
        }
    }

    /// Reads a context from JSON; the empty text is the empty context.
    pub fn parse(json: &str) -> Result<Self> {
        if json.is_empty() {
            return Ok(Self::empty());
        }
        if json.len() > MAX_UNPARSED {
            return refuse("Its text is longer than 64 KiB.");
        }
        // The parser's pairs grow: the shortest takes six characters, and 48 bytes twice.
        allocation::ask(16 * json.len())?;
        let mut pairs = json::parse(json).or_else(refuse)?;
        sort(&mut pairs)?;
        // The shortest JSON cannot be longer than this one.
        if json.len() > MAX_CHARACTERS {
            limit(&pairs)?;
        }
        Self::encode(&pairs)
    }

    /// The same from bytes that need not be UTF-8.
    pub fn parse_bytes(json: &[u8]) -> Result<Self> {
        match str::from_utf8(json) {
            Ok(json) => Self::parse(json),
            Err(_) => refuse("It is not UTF-8."),
        }
    }

    /// The canonical bytes.
    pub fn canonical(&self) -> &[u8] {
        &self.canonical
    }

    /// The pairs, in order of their keys.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut rest = &self.canonical[4..];
        std::iter::from_fn(move || {
            let mut text = || {
                let (length, after) = rest.split_first_chunk()?;
                let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
                let (text, after) = after.split_at_checked(length)?;
                rest = after;
                std::str::from_utf8(text).ok()
            };
            Some((text()?, text()?))
        })
    }

    /// What a wrap binds: the label, the blob's header, this context.
    pub fn aad(&self, header: &[u8; HEADER_LEN]) -> Result<SmallVec<[u8; 512]>> {
        let mut aad = SmallVec::new();
        let len = WRAP_LABEL.len() + HEADER_LEN + self.canonical.len();
        aad.try_reserve_exact(len).map_err(no_memory)?;
        aad.extend_from_slice(WRAP_LABEL);
        aad.extend_from_slice(header);
        aad.extend_from_slice(&self.canonical);
        Ok(aad)
    }

    fn encode(sorted: &[Pair<'_>]) -> Result<Self> {
        let texts = || sorted.iter().flat_map(|(key, value)| [key, value]);
        let len = 4 + texts().map(|text| 4 + text.len()).sum::<usize>();
        let mut canonical = SmallVec::new();
        canonical.try_reserve_exact(len).map_err(no_memory)?;
        canonical.resize(len, 0);
        let mut rest = &mut canonical[..];
        put(&mut rest, &length(sorted.len())?);
        for text in texts() {
            put(&mut rest, &length(text.len())?);
            put(&mut rest, text.as_bytes());
        }
        Ok(Context { canonical })
    }
}

fn no_memory(_: CollectionAllocErr) -> Error {
    Error::new(Status::NoMemory)
}

fn length(len: usize) -> Result<[u8; 4]> {
    match u32::try_from(len) {
        Ok(len) => Ok(len.to_be_bytes()),
        Err(_) => refuse(TOO_LONG),
    }
}

fn put(rest: &mut &mut [u8], bytes: &[u8]) {
    let (place, after) = std::mem::take(rest).split_at_mut(bytes.len());
    place.copy_from_slice(bytes);
    *rest = after;
}

/// Writes the shortest JSON of the pairs, in their order; refuses what [`Context::parse`] would.
pub fn json_from_pairs<'a>(
    pairs: impl Iterator<Item = (&'a str, &'a str)> + Clone,
) -> Result<String> {
    let mut sorted = Pairs::new();
    let count = pairs.clone().count();
    sorted.try_reserve_exact(count).map_err(no_memory)?;
    sorted.extend((pairs.clone()).map(|(key, value)| (Cow::Borrowed(key), Cow::Borrowed(value))));
    sort(&mut sorted)?;
    limit(&sorted)?;
    json::write(pairs)
}

/// Few contexts have more pairs; those that do take one allocation.
type Pairs<'a> = SmallVec<[Pair<'a>; 4]>;
type Pair<'a> = (Cow<'a, str>, Cow<'a, str>);

const TOO_LONG: &str = "Its shortest JSON is longer than 8192 characters.";

/// Sorts the pairs by their keys' UTF-8 bytes and refuses what JSON's grammar does not.
fn sort(pairs: &mut [Pair<'_>]) -> Result<()> {
    // `str` compares by bytes. UTF-16 code units, by which some languages sort, have another order.
    pairs.sort_unstable();
    if pairs.windows(2).any(|two| two[0].0 == two[1].0) {
        return refuse("A key is there twice.");
    }
    let mut texts = pairs.iter().flat_map(|(key, value)| [key, value]);
    if texts.any(|text| text.as_bytes().contains(&0)) {
        // C could not carry it.
        return refuse("A key or a value holds a NUL.");
    }
    Ok(())
}

fn limit(pairs: &[Pair<'_>]) -> Result<()> {
    let shortest = json::shortest_len(pairs.iter().map(|(key, value)| (&**key, &**value)));
    if shortest > MAX_CHARACTERS {
        return refuse(TOO_LONG);
    }
    Ok(())
}

/// The reasons are fixed texts, so that no key or value of a context can reach a message.
fn refuse<T>(why: &'static str) -> Result<T> {
    Err(Error::invalid_parameter("EncryptionContext", why))
}

#[cfg(test)]
mod tests;
