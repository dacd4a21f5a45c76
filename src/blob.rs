//! The CiphertextBlob, format 1: where each byte lies.
//!
//! ```text
//!   0   4  magic 89 4B 4D 42
//!   4   1  format version, 1
//!   5   1  content: 0 bytes, 1 text
//!   6  16  key id
//!  22  16  key version id
//!  38  24  nonce
//!  62   n  ciphertext, n from 1 to 6144
//!   …  16  tag
//!   …  32  key commitment
//! ```
//!
//! Blobs lie in users' databases for years: this layout can be added to by another format version,
//! never changed.

#![forbid(unsafe_code)]

use crate::envelope::{COMMITMENT_LEN, NONCE_LEN, TAG_LEN};
use crate::error::{Error, Result, Status};

/// What a blob has beyond its ciphertext.
pub const OVERHEAD: usize = HEADER_LEN + NONCE_LEN + TAG_LEN + COMMITMENT_LEN;
/// The length of the header, which the wrap's AAD binds.
pub const HEADER_LEN: usize = 38;
/// Where the ciphertext begins.
pub const TEXT_AT: usize = HEADER_LEN + NONCE_LEN;
/// The longest plaintext.
pub const MAX_TEXT: usize = 6144;

/// Neither ASCII, UTF-8 nor base64 can begin so: a blob is not taken for text, nor text for a blob.
const MAGIC: [u8; 4] = [0x89, b'K', b'M', b'B'];
const FORMAT_VERSION: u8 = 1;
/// How the magic looks once the blob is in base64.
const MAGIC_IN_BASE64: &[u8] = b"iUtNQ";

/// The length of the blob of so long a plaintext; 0 where there is none.
pub const fn len(plaintext_len: usize) -> usize {
    match plaintext_len {
        1..=MAX_TEXT => OVERHEAD + plaintext_len,
        _ => 0,
    }
}

/// The length of the plaintext in so long a blob.
pub fn plaintext_len(blob_len: usize) -> Option<usize> {
    let plaintext_len = blob_len.checked_sub(OVERHEAD)?;
    (1..=MAX_TEXT)
        .contains(&plaintext_len)
        .then_some(plaintext_len)
}

/// What the plaintext is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Content {
    /// Any bytes: a data key.
    Bytes = 0,
    /// Valid UTF-8.
    Text = 1,
}

/// What a blob says of itself before its nonce. The AAD binds all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the plaintext is.
    pub content: Content,
    /// The id of the CMK.
    pub key_id: [u8; 16],
    /// The id of the CMK's version.
    pub key_version_id: [u8; 16],
}

impl Header {
    /// The header's bytes.
    pub fn bytes(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4] = FORMAT_VERSION;
        bytes[5] = self.content as u8;
        bytes[6..22].copy_from_slice(&self.key_id);
        bytes[22..].copy_from_slice(&self.key_version_id);
        bytes
    }
}

/// A blob taken apart; nothing in it is proved yet.
#[derive(Debug)]
pub struct Parsed<'a> {
    /// The header, read.
    pub header: Header,
    /// The header as it stands in the blob.
    pub header_bytes: &'a [u8; HEADER_LEN],
    /// The nonce.
    pub nonce: &'a [u8; NONCE_LEN],
    /// The ciphertext.
    pub ciphertext: &'a [u8],
    /// The authentication tag.
    pub tag: &'a [u8; TAG_LEN],
    /// The key commitment.
    pub commitment: &'a [u8; COMMITMENT_LEN],
}

/// Takes a blob apart, or says why the bytes are none ([`Status::NotABlob`]).
pub fn parse(blob: &[u8]) -> Result<Parsed<'_>> {
    if blob.starts_with(MAGIC_IN_BASE64) {
        return refuse("The CiphertextBlob is in base64 here; give its bytes.");
    }
    let (header_bytes, rest) = (blob.split_first_chunk()).ok_or_else(too_short)?;
    let header = parse_header(header_bytes)?;
    let (nonce, rest) = rest.split_first_chunk().ok_or_else(too_short)?;
    let (rest, commitment) = rest.split_last_chunk().ok_or_else(too_short)?;
    let (ciphertext, tag) = rest.split_last_chunk().ok_or_else(too_short)?;
    match ciphertext.len() {
        0 => Err(too_short()),
        1..=MAX_TEXT => Ok(Parsed {
            header,
            header_bytes,
            nonce,
            ciphertext,
            tag,
            commitment,
        }),
        _ => refuse("The CiphertextBlob is longer than any that kmsbox makes."),
    }
}

fn parse_header(bytes: &[u8; HEADER_LEN]) -> Result<Header> {
    if bytes[..4] != MAGIC {
        return refuse("The CiphertextBlob is not one of kmsbox: its first bytes are others.");
    }
    if bytes[4] != FORMAT_VERSION {
        return refuse("The CiphertextBlob has a format version that this kmsbox does not know.");
    }
    let content = match bytes[5] {
        0 => Content::Bytes,
        1 => Content::Text,
        _ => return refuse("The CiphertextBlob holds a content that this kmsbox does not know."),
    };
    let mut header = Header {
        content,
        key_id: [0; 16],
        key_version_id: [0; 16],
    };
    header.key_id.copy_from_slice(&bytes[6..22]);
    header.key_version_id.copy_from_slice(&bytes[22..]);
    Ok(header)
}

fn too_short() -> Error {
    Error::with(
        Status::NotABlob,
        "The CiphertextBlob is too short: it was cut, or is not one of kmsbox.",
    )
}

fn refuse<T>(why: &'static str) -> Result<T> {
    Err(Error::with(Status::NotABlob, why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_agree() {
        assert_eq!(OVERHEAD, 110);
        assert_eq!(TEXT_AT, 62);
        assert_eq!(len(0), 0);
        assert_eq!(len(1), 111);
        assert_eq!(len(32), 142);
        assert_eq!(len(1024), 1134);
        assert_eq!(len(MAX_TEXT), 6254);
        assert_eq!(len(MAX_TEXT + 1), 0);
        assert_eq!(len(usize::MAX), 0);
        for n in 1..=MAX_TEXT {
            assert_eq!(plaintext_len(len(n)), Some(n));
        }
        for n in [0, 1, 110, 6255, usize::MAX] {
            assert_eq!(plaintext_len(n), None);
        }
    }

    #[test]
    fn a_header_reads_back_from_every_field() {
        let header = Header {
            content: Content::Text,
            key_id: *b"0123456789abcdef",
            key_version_id: *b"ABCDEFGHIJKLMNOP",
        };
        let mut blob = vec![0; len(3)];
        blob[..HEADER_LEN].copy_from_slice(&header.bytes());
        for (byte, value) in blob[HEADER_LEN..].iter_mut().zip(0..) {
            *byte = value;
        }
        let parsed = parse(&blob).unwrap();
        assert_eq!(parsed.header, header);
        assert_eq!(parsed.header_bytes[..], blob[..38]);
        assert_eq!(parsed.nonce[..], blob[38..62]);
        assert_eq!(parsed.ciphertext, &blob[62..65]);
        assert_eq!(parsed.tag[..], blob[65..81]);
        assert_eq!(parsed.commitment[..], blob[81..]);
    }

    #[test]
    fn other_bytes_are_refused_with_a_reason() {
        let blob = [&HEADER[..], &[0; 104]].concat();
        assert!(parse(&blob).is_ok());
        let altered = |at: usize, byte: u8| {
            let mut other = blob.clone();
            other[at] = byte;
            let error = parse(&other).err();
            error.map(|e| e.message().to_owned()).unwrap_or_default()
        };
        for at in 0..4 {
            assert!(altered(at, 0).contains("first bytes"));
        }
        assert!(altered(4, 2).contains("format version"));
        assert!(altered(5, 2).contains("content"));
        let in_base64 = parse(b"iUtNQgEAAAAAAAAAAAAAAAAA").unwrap_err();
        assert!(in_base64.message().contains("base64"));
        assert_eq!(in_base64.status(), Status::NotABlob);
    }

    #[test]
    fn every_other_length_is_refused() {
        let longest = [&HEADER[..], &[0; 6217]].concat();
        assert_eq!(longest.len(), 6255);
        for len in (0..=110).chain([6255]) {
            let error = parse(&longest[..len]).unwrap_err();
            assert_eq!(error.status(), Status::NotABlob, "length {len}");
        }
        assert!(parse(&longest[..111]).is_ok());
        assert!(parse(&longest[..6254]).is_ok());
    }

    const HEADER: [u8; HEADER_LEN] = {
        let mut header = [7; HEADER_LEN];
        (header[0], header[1], header[2], header[3]) = (0x89, 0x4B, 0x4D, 0x42);
        (header[4], header[5]) = (1, 0);
        header
    };
}
