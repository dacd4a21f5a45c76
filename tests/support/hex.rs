//! Hexadecimal, for the vectors in the tests.

// Every test program compiles this file for itself and uses only a part of it.
#![allow(dead_code)]

/// The bytes; panics where the text is not hexadecimal.
pub fn decode(text: &str) -> Vec<u8> {
    assert!(
        text.len().is_multiple_of(2),
        "an odd number of digits: {text}"
    );
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal"))
        .collect()
}

/// The bytes, when there are `N` of them.
pub fn array<const N: usize>(text: &str) -> [u8; N] {
    decode(text).try_into().expect("another length")
}
