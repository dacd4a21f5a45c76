//! A root key as bytes, hex or base64.
#![forbid(unsafe_code)]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::LEN;

const NO_TEXT: &str = "does not hold hex or base64 of 32 bytes";
const NEITHER: &str = "does not hold 32 raw bytes, nor hex or base64 of 32 bytes";

/// A file's content: raw, hex or base64; a line end after text is allowed.
pub(super) fn from_file(content: &[u8], key: &mut [u8]) -> Result<(), &'static str> {
    if content.len() == LEN {
        // Chance makes 32 random bytes all printable once in 10^13; somebody who typed a password
        // or cut a hex string in half makes them so every time.
        if content
            .iter()
            .all(|byte| matches!(byte, b' '..=b'~' | b'\n' | b'\r'))
        {
            return Err("holds 32 bytes of printable text, which is no random key");
        }
        key.copy_from_slice(content);
        return Ok(());
    }
    from_text(content, key).map_err(|_| NEITHER)
}

/// Hex or base64.
pub(super) fn from_text(text: &[u8], key: &mut [u8]) -> Result<(), &'static str> {
    let text = without_line_end(text);
    if text.len() == 2 * LEN {
        return from_hex(text, key);
    }
    // The decoder estimates room in threes, so it is given one byte more than the key.
    let mut decoded = zeroize::Zeroizing::new([0; LEN + 1]);
    match STANDARD.decode_slice(text, &mut decoded[..]) {
        Ok(LEN) => {
            key.copy_from_slice(&decoded[..LEN]);
            Ok(())
        }
        _ => Err(NO_TEXT),
    }
}

pub(super) fn without_line_end(text: &[u8]) -> &[u8] {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    text.strip_suffix(b"\r").unwrap_or(text)
}

fn from_hex(text: &[u8], key: &mut [u8]) -> Result<(), &'static str> {
    for (byte, pair) in key.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Ok(())
}

fn digit(character: u8) -> Result<u8, &'static str> {
    match character {
        b'0'..=b'9' => Ok(character - b'0'),
        b'a'..=b'f' => Ok(character - b'a' + 10),
        b'A'..=b'F' => Ok(character - b'A' + 10),
        _ => Err(NO_TEXT),
    }
}
