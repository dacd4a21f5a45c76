//! The secrets of a keystore, taken out of its file by means of the root key as
//! docs/keystore-format.md tells it, and found again in the memory of processes.

// Every test program compiles this file for itself and uses only a part of it.
#![allow(dead_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use aes::Aes256Enc;
use aes::cipher::consts::U12;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes_gcm::AesGcm;
use aes_gcm::aead::Aead;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kmsbox::envelope::{Closing, WrappingKey};
use rsa::RsaPrivateKey;
use rsa::pkcs8::DecodePrivateKey;
use rsa::traits::PrivateKeyParts;
use serde_json::Value;
use uuid::Uuid;

/// A secret and what to call it in a failed test.
pub struct Secret {
    pub name: String,
    pub bytes: Vec<u8>,
    /// What gives it away where it is found.
    traces: Vec<[u8; TRACE]>,
}

/// 16 bytes of a secret or of its text are found and reported.
const TRACE: usize = 16;

const PAGE: usize = 4096;

impl Secret {
    /// A key or any bytes: found by either end, also in hex and base64. 32 bytes are found expanded too.
    pub fn new(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Secret {
        let bytes = bytes.into();
        let mut texts = vec![bytes.clone(), hex(&bytes).into_bytes()];
        texts.push(hex(&bytes).to_uppercase().into_bytes());
        texts.push(STANDARD.encode(&bytes).into_bytes());
        let ends = |text: &Vec<u8>| {
            let (first, last) = (text.first_chunk(), text.last_chunk());
            [first, last].map(|end| *end.expect("16 bytes at least"))
        };
        let mut traces: Vec<_> = texts.iter().flat_map(ends).collect();
        if let Ok(key) = <&[u8; 32]>::try_from(&bytes[..]) {
            traces.extend(round_keys(key));
        }
        let name = name.into();
        Secret {
            name,
            bytes,
            traces,
        }
    }

    /// A number, big-endian: found by any 16 of its bytes that are aligned in it, in both orders.
    pub fn number(name: impl Into<String>, bytes: &[u8]) -> Secret {
        let reversed: Vec<u8> = bytes.iter().rev().copied().collect();
        let traces = [bytes, &reversed]
            .into_iter()
            .flat_map(|order| order.as_chunks().0.to_vec())
            .collect();
        Secret {
            name: name.into(),
            bytes: bytes.to_vec(),
            traces,
        }
    }
}

/// The later round keys of AES-256 (the first two are the key), and the subkey of CMAC.
fn round_keys(key: &[u8; 32]) -> Vec<[u8; 16]> {
    // The schedule of FIPS 197.
    let mut words: Vec<[u8; 4]> = key.as_chunks().0.to_vec();
    let mut constant = 1_u8;
    for at in 8..60 {
        let mut word = words[at - 1];
        if at % 8 == 0 {
            word.rotate_left(1);
        }
        if at % 4 == 0 {
            word = word.map(substitute);
        }
        if at % 8 == 0 {
            word[0] ^= constant;
            constant <<= 1;
        }
        let before = words[at - 8];
        words.push(std::array::from_fn(|byte| word[byte] ^ before[byte]));
    }
    let mut found: Vec<[u8; 16]> = words
        .as_chunks::<4>()
        .0
        .iter()
        .skip(2)
        .map(|key| key.concat().try_into().unwrap())
        .collect();
    found.push(subkey(key));
    found
}

/// AES's S-box: the inverse in GF(2^8), and an affine map.
fn substitute(byte: u8) -> u8 {
    let times = |mut a: u8, mut b: u8| {
        let mut product = 0;
        while b > 0 {
            product ^= a * (b & 1);
            a = (a << 1) ^ (0x1B * (a >> 7));
            b >>= 1;
        }
        product
    };
    let inverse = (0..254).fold(1, |power, _| times(power, byte));
    (0..5).fold(0x63, |sum, turn| sum ^ inverse.rotate_left(turn))
}

/// The store key, and the material of every version of every CMK.
pub fn of_keystore(keystore: &Path, root_key: &[u8; 32]) -> Vec<Secret> {
    let file: Value = serde_json::from_slice(&fs::read(keystore).unwrap()).unwrap();
    let keystore_id = id(&file["keystore_id"]);
    let slots = file["slots"].as_array().unwrap().iter();
    let by_key = slots.filter(|slot| slot["kind"] == "key");
    let store_key = by_key.filter_map(|slot| {
        let aad = [
            b"kmsbox/slot/v1\0".as_slice(),
            &keystore_id,
            &id(&slot["slot_id"]),
            &[0],
        ];
        open(root_key, &aad.concat(), &sealed(&slot["sealed_store_key"]))
    });
    let store_key: [u8; 32] = only(store_key).try_into().unwrap();
    let mut secrets = vec![Secret::new("the store key", store_key)];
    for key in file["keys"].as_array().unwrap() {
        let origin = u8::from(key["origin"] == "EXTERNAL");
        for version in key["versions"].as_array().unwrap() {
            let aad = [
                b"kmsbox/version/v1\0".as_slice(),
                &keystore_id,
                &id(&key["key_id"]),
                &id(&version["key_version_id"]),
                &[origin],
            ];
            let Some(sealed) = version.get("sealed_material").map(sealed) else {
                continue;
            };
            let material = open(&store_key, &aad.concat(), &sealed).unwrap();
            let name = format!("the material of {}", version["key_version_id"]);
            secrets.push(Secret::new(name, material));
        }
    }
    secrets
}

/// The private RSA key in an import token: its primes, its exponents, and what Montgomery's arithmetic makes of
/// a prime.
pub fn of_token(keystore: &Path, store_key: &[u8], key_id: &str, token: &[u8]) -> Vec<Secret> {
    let file: Value = serde_json::from_slice(&fs::read(keystore).unwrap()).unwrap();
    let (expires, sealed) = token.split_at(8);
    let aad = [
        b"kmsbox/import-token/v1\0".as_slice(),
        &id(&file["keystore_id"]),
        &Uuid::parse_str(key_id).unwrap().into_bytes(),
        expires,
    ];
    let der = open(store_key.try_into().unwrap(), &aad.concat(), sealed).unwrap();
    let private = RsaPrivateKey::from_pkcs8_der(&der).unwrap();
    let mut secrets = vec![
        Secret::number("the private exponent", &private.d().to_be_bytes()),
        Secret::number("dp", &private.dp().unwrap().to_be_bytes()),
        Secret::number("dq", &private.dq().unwrap().to_be_bytes()),
    ];
    for (prime, number) in private.primes().iter().zip(1..) {
        let prime = prime.to_be_bytes();
        // 2^1024 less the prime: an odd number, so only its last bit is not the complement's.
        let mut negative: Vec<u8> = prime.iter().map(|byte| !byte).collect();
        *negative.last_mut().unwrap() |= 1;
        let shifted = prime.windows(2).map(|two| (two[0] << 7) | (two[1] >> 1));
        let half: Vec<u8> = [prime[0] >> 1].into_iter().chain(shifted).collect();
        secrets.extend([
            Secret::number(format!("prime {number}"), &prime),
            Secret::number(format!("prime {number}, negated"), &negative),
            Secret::number(format!("half of prime {number}"), &half),
        ]);
    }
    secrets
}

/// What a blob holds, and the key of its message.
pub fn of_blob(keystore: &[Secret], blob: &[u8]) -> [Secret; 2] {
    let version = Uuid::from_slice(&blob[22..38]).unwrap().to_string();
    let material = only(
        keystore
            .iter()
            .filter(|secret| secret.name.contains(&version)),
    );
    let message_key = message_key(&material.bytes, blob);
    let end = blob.len() - 48;
    // Counter mode: encrypting the ciphertext is decrypting it.
    let opened = AesGcm::<Aes256Enc, U12>::new_from_slice(&message_key).unwrap();
    let nonce = blob[50..62].try_into().unwrap();
    let mut text = opened.encrypt(nonce, &blob[62..end]).unwrap();
    text.truncate(end - 62);
    [
        Secret::new("a message key", message_key),
        Secret::new("a data key", text),
    ]
}

fn only<T>(mut values: impl Iterator<Item = T>) -> T {
    let value = values.next().expect("there is one");
    assert!(values.next().is_none(), "there are several");
    value
}

/// The key of one message, derived from the material and the first half of the nonce: as good as the
/// data key for whoever has the blob. (The counter mode of SP 800-108 with CMAC.)
pub fn message_key(material: &[u8], blob: &[u8]) -> Vec<u8> {
    let cipher = Aes256Enc::new_from_slice(material).unwrap();
    let doubled = u128::from_be_bytes(subkey(material));
    let mut key = Vec::new();
    for counter in [1, 2] {
        let mut block = [0; 16];
        block[..4].copy_from_slice(&[0, counter, b'X', 0]);
        block[4..].copy_from_slice(&blob[38..50]);
        let mut block = (u128::from_be_bytes(block) ^ doubled).to_be_bytes();
        cipher.encrypt_block((&mut block).into());
        key.extend(block);
    }
    key
}

fn id(text: &Value) -> [u8; 16] {
    *Uuid::parse_str(text.as_str().unwrap()).unwrap().as_bytes()
}

/// The subkey of CMAC.
fn subkey(key: &[u8]) -> [u8; 16] {
    let mut block = [0; 16];
    let cipher = Aes256Enc::new_from_slice(key).unwrap();
    cipher.encrypt_block((&mut block).into());
    let block = u128::from_be_bytes(block);
    ((block << 1) ^ (0x87 * (block >> 127))).to_be_bytes()
}

/// A sealed value of the keystore as bytes.
pub fn sealed(text: &Value) -> Vec<u8> {
    STANDARD.decode(text.as_str().unwrap()).unwrap()
}

/// Opens nonce, ciphertext, tag and commitment; None where the key is another one.
pub fn open(key: &[u8; 32], aad: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, rest) = sealed.split_first_chunk()?;
    let (rest, commitment) = rest.split_last_chunk()?;
    let (text, tag) = rest.split_last_chunk()?;
    let closing = Closing {
        tag: *tag,
        commitment: *commitment,
    };
    let mut text = text.to_vec();
    let opened = WrappingKey::new(key).open(nonce, aad, &mut text, &closing);
    opened.ok().map(|()| text)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

// ---- In the memory of a process --------------------------------------------------------------------

/// A stretch of memory that a process can read.
pub struct Region {
    pub start: u64,
    /// As /proc/PID/maps writes it.
    pub line: String,
    /// As /proc/PID/smaps writes them: "lo" is locked, "dd" is left out of dumps.
    pub flags: Vec<String>,
    bytes: Vec<u8>,
}

impl Region {
    pub fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|found| found == flag)
    }
}

/// A secret that was found, or half of one.
pub struct Hit<'a> {
    pub secret: &'a Secret,
    pub region: &'a Region,
    pub at: u64,
}

impl std::fmt::Display for Hit<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (name, at) = (&self.secret.name, self.at);
        write!(
            f,
            "{name} at {at:x} in {} {}",
            self.region.line,
            self.region.flags.join(" ")
        )
    }
}

/// A copy of everything that a process can read. It should be at rest.
pub fn memory_of(process: u32) -> Vec<Region> {
    let smaps = fs::read_to_string(format!("/proc/{process}/smaps")).unwrap();
    let memory = File::open(format!("/proc/{process}/mem")).unwrap();
    let mut regions: Vec<Region> = Vec::new();
    let mut wanted = false;
    for line in smaps.lines() {
        let (first, rest) = line.split_once(' ').unwrap_or((line, ""));
        if let Some((start, end)) = first.split_once('-') {
            // Of what cannot be written, a file's pages are as in the file, and the kernel's are its own.
            wanted = rest.starts_with("rw") || rest.starts_with('r') && !rest.contains(['/', '[']);
            if wanted {
                let [start, end] = [start, end].map(|at| u64::from_str_radix(at, 16).unwrap());
                let mut bytes = vec![0; usize::try_from(end - start).unwrap()];
                memory.read_exact_at(&mut bytes, start).expect(line);
                regions.push(Region {
                    start,
                    line: line.to_owned(),
                    flags: Vec::new(),
                    bytes,
                });
            }
        } else if first == "VmFlags:" && wanted {
            let flags = rest.split_whitespace().map(str::to_owned).collect();
            regions.last_mut().unwrap().flags = flags;
        }
    }
    regions
}

/// Where the secrets lie. Any 16 bytes that are one end of a secret give it away: a key schedule begins
/// with the key, half of it in each of its first two rounds.
pub fn find<'a>(
    secrets: impl IntoIterator<Item = &'a Secret>,
    memory: &'a [Region],
) -> Vec<Hit<'a>> {
    let mut traces: HashMap<&[u8], &Secret> = HashMap::new();
    // Most windows are told off by their first two bytes alone.
    let mut begins = vec![false; 1 << 16];
    for secret in secrets {
        for trace in &secret.traces {
            // The leading zeros of a number are no secret.
            if trace[..8] != [0; 8] {
                traces.insert(trace, secret);
                begins[usize::from(u16::from_ne_bytes([trace[0], trace[1]]))] = true;
            }
        }
    }
    let mut hits = Vec::new();
    for region in memory {
        for (page, bytes) in region.bytes.chunks(PAGE).enumerate() {
            if bytes.iter().all(|byte| *byte == 0) {
                continue;
            }
            // Together with what follows, for the sake of what lies across.
            let first = page * PAGE;
            let last = region.bytes.len().min(first + PAGE + TRACE - 1);
            for (offset, window) in region.bytes[first..last].windows(TRACE).enumerate() {
                if !begins[usize::from(u16::from_ne_bytes([window[0], window[1]]))] {
                    continue;
                }
                if let Some(secret) = traces.get(window) {
                    let at = region.start + u64::try_from(first + offset).unwrap();
                    hits.push(Hit { secret, region, at });
                }
            }
        }
    }
    hits
}
