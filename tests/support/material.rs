//! The secrets of a keystore, taken out of its file by means of the root key as
//! docs/keystore-format.md tells it, and found again in the memory of processes.

// Every test program compiles this file for itself and uses only a part of it.
#![allow(dead_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use aes::Aes256Enc;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kmsbox::envelope::{Closing, WrappingKey};
use serde_json::Value;
use uuid::Uuid;

/// A secret and what to call it in a failed test.
pub struct Secret {
    pub name: String,
    pub bytes: Vec<u8>,
}

impl Secret {
    pub fn new(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Secret {
        Secret {
            name: name.into(),
            bytes: bytes.into(),
        }
    }
}

/// The store key, and the material of every version of every CMK.
pub fn of_keystore(keystore: &Path, root_key: &[u8; 32]) -> Vec<Secret> {
    let file: Value = serde_json::from_slice(&fs::read(keystore).unwrap()).unwrap();
    let keystore_id = id(&file["keystore_id"]);
    let slot = &file["slots"][0];
    let kind_key = [0];
    let slot_aad = [
        b"kmsbox/slot/v1\0".as_slice(),
        &keystore_id,
        &id(&slot["slot_id"]),
        &kind_key,
    ];
    let store_key = open(root_key, &slot_aad.concat(), &slot["sealed_store_key"]);
    let mut secrets = vec![Secret::new("the store key", store_key)];
    for key in file["keys"].as_array().unwrap() {
        for version in key["versions"].as_array().unwrap() {
            let made_here = [0];
            let aad = [
                b"kmsbox/version/v1\0".as_slice(),
                &keystore_id,
                &id(&key["key_id"]),
                &id(&version["key_version_id"]),
                &made_here,
            ];
            let material = open(&store_key, &aad.concat(), &version["sealed_material"]);
            let name = format!("the material of {}", version["key_version_id"]);
            secrets.push(Secret::new(name, material));
        }
    }
    secrets
}

/// The key of one message, derived from the material and the first half of the nonce: as good as the
/// data key for whoever has the blob. (The counter mode of SP 800-108 with CMAC.)
pub fn message_key(material: &[u8], blob: &[u8]) -> Vec<u8> {
    let cipher = Aes256Enc::new_from_slice(material).unwrap();
    let mut subkey = [0; 16];
    cipher.encrypt_block((&mut subkey).into());
    let doubled = u128::from_be_bytes(subkey);
    let doubled = (doubled << 1) ^ (0x87 * (doubled >> 127));
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

/// What docs/keystore-format.md calls a sealed key.
pub fn open(key: &[u8; 32], aad: &[u8], sealed: &Value) -> [u8; 32] {
    let sealed = STANDARD.decode(sealed.as_str().unwrap()).unwrap();
    let mut text: [u8; 32] = sealed[24..56].try_into().unwrap();
    let closing = Closing {
        tag: sealed[56..72].try_into().unwrap(),
        commitment: sealed[72..].try_into().unwrap(),
    };
    let nonce = sealed[..24].try_into().unwrap();
    let opened = WrappingKey::new(key).open(nonce, aad, &mut text, &closing);
    assert!(opened.is_ok());
    text
}

// ---- In the memory of a process --------------------------------------------------------------------

/// A stretch of memory that a process can write.
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
        write!(f, "{name} at {at:x} in {}", self.region.line)
    }
}

/// A copy of everything that a process can write to. It should be at rest.
pub fn memory_of(process: u32) -> Vec<Region> {
    let smaps = fs::read_to_string(format!("/proc/{process}/smaps")).unwrap();
    let memory = File::open(format!("/proc/{process}/mem")).unwrap();
    let mut regions: Vec<Region> = Vec::new();
    let mut writable = false;
    for line in smaps.lines() {
        let (first, rest) = line.split_once(' ').unwrap_or((line, ""));
        if let Some((start, end)) = first.split_once('-') {
            writable = rest.starts_with("rw");
            if writable {
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
        } else if first == "VmFlags:" && writable {
            let flags = rest.split_whitespace().map(str::to_owned).collect();
            regions.last_mut().unwrap().flags = flags;
        }
    }
    regions
}

/// Where the secrets lie. Any 16 bytes that are one end of a secret give it away: a key schedule begins
/// with the key, half of it in each of its first two rounds.
pub fn find<'a>(secrets: &'a [Secret], memory: &'a [Region]) -> Vec<Hit<'a>> {
    const END: usize = 16;
    let mut ends = Vec::new();
    for secret in secrets {
        let len = secret.bytes.len();
        ends.push((&secret.bytes[..END], secret));
        ends.push((&secret.bytes[len - END..], secret));
    }
    // Most windows are told off by their first byte alone.
    let mut begins = [false; 256];
    ends.iter()
        .for_each(|(end, _)| begins[usize::from(end[0])] = true);
    let mut hits = Vec::new();
    for region in memory {
        for (offset, window) in region.bytes.windows(END).enumerate() {
            if !begins[usize::from(window[0])] {
                continue;
            }
            for (_, secret) in ends.iter().filter(|(end, _)| *end == window) {
                let at = region.start + u64::try_from(offset).unwrap();
                hits.push(Hit { secret, region, at });
            }
        }
    }
    hits
}
