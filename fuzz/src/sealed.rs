//! Keystores written from docs/keystore-format.md, with seals that hold.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kmsbox::envelope::{Closing, WrappingKey};
use kmsbox::key_name::parse_id;
use serde_json::Value;
use uuid::Uuid;

pub const ROOT_KEY: [u8; 32] = [7; 32];
pub const STORE_KEY: [u8; 32] = [9; 32];
/// The material of every version that is sealed here.
pub const MATERIAL: [u8; 32] = [5; 32];
pub const KEYSTORE_ID: Uuid = Uuid::from_bytes([0x11; 16]);
/// The CMK of [`plain_keystore`], and its version.
pub const KEY: Uuid = Uuid::from_bytes([0x33; 16]);
pub const VERSION: Uuid = Uuid::from_bytes([0x44; 16]);

const SLOT_ID: Uuid = Uuid::from_bytes([0x22; 16]);
/// One for all: nothing here is a secret.
const NONCE: [u8; 24] = [3; 24];

/// Nonce, ciphertext, tag, commitment.
pub fn seal(key: &[u8; 32], aad: &[u8], text: &[u8]) -> Vec<u8> {
    let mut bytes = text.to_vec();
    let closing = WrappingKey::new(key).seal(&NONCE, aad, &mut bytes);
    [&NONCE[..], &bytes, &closing.tag, &closing.commitment].concat()
}

/// What [`seal`] sealed.
pub fn open(key: &[u8; 32], aad: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, rest) = sealed.split_first_chunk()?;
    let (rest, commitment) = rest.split_last_chunk()?;
    let (text, tag) = rest.split_last_chunk()?;
    let mut text = text.to_vec();
    let closing = Closing {
        tag: *tag,
        commitment: *commitment,
    };
    WrappingKey::new(key)
        .open(nonce, aad, &mut text, &closing)
        .ok()?;
    Some(text)
}

/// A keystore: the members `format`, `keystore_id`, `slots`, then those given, then the seal.
pub fn keystore(members: &[u8]) -> Vec<u8> {
    let slot_aad = [
        b"kmsbox/slot/v1\0",
        &KEYSTORE_ID.as_bytes()[..],
        SLOT_ID.as_bytes(),
        &[0],
    ]
    .concat();
    let slot = STANDARD.encode(seal(&ROOT_KEY, &slot_aad, &STORE_KEY));
    let head = format!(
        "{{\n  \"format\": \"kmsbox keystore 1\",\n  \"keystore_id\": \"{KEYSTORE_ID}\",\n  \"slots\": [{{\
         \"slot_id\": \"{SLOT_ID}\", \"kind\": \"key\", \"created\": \"2026-11-21T18:30:00Z\", \
         \"sealed_store_key\": \"{slot}\"}}],\n"
    );
    let body = [head.as_bytes(), members, b",\n"].concat();
    let closing = STANDARD.encode(seal(
        &STORE_KEY,
        &[b"kmsbox/keystore/v1\0", &body[..]].concat(),
        &[],
    ));
    [
        &body,
        &b"  \"seal\": \""[..],
        closing.as_bytes(),
        b"\"\n}\n",
    ]
    .concat()
}

/// One CMK, enabled, with the alias `alias/a`.
pub fn plain_keystore() -> Vec<u8> {
    keystore(&template(
        format!(
            "\"epoch\": 1, \"written\": \"2026-11-21T18:30:00Z\", \"clock\": \"2026-11-21T18:30:00Z\", \
             \"keys\": [{{\"key_id\": \"{KEY}\", \"created\": \"2026-11-21T18:30:00Z\", \"state\": \"Enabled\", \
             \"primary_version\": \"{VERSION}\", \"versions\": [{{\"key_version_id\": \"{VERSION}\", \
             \"created\": \"2026-11-21T18:30:00Z\", \"sealed_material\": \"*\"}}]}}], \
             \"aliases\": [{{\"alias\": \"alias/a\", \"key_id\": \"{KEY}\", \"created\": \"2026-11-21T18:30:00Z\"}}]"
        )
        .as_bytes(),
    ))
}

/// The members with material, sealed for where it stands, wherever they have `"*"` for it. So a change of
/// an id does not end at a seal of material that no longer holds.
pub fn template(members: &[u8]) -> Vec<u8> {
    let object = [b"{", members, b"}"].concat();
    let Ok(Value::Object(mut object)) = serde_json::from_slice(&object) else {
        return members.to_vec();
    };
    let mut filled = false;
    for key in object
        .get_mut("keys")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        filled |= fill(key).is_some();
    }
    if !filled {
        return members.to_vec();
    }
    let text = Value::Object(object).to_string();
    text[1..text.len() - 1].as_bytes().to_vec()
}

/// The AAD of a version's seal.
pub fn material_aad(key_id: Uuid, key_version_id: Uuid, origin: u8) -> Vec<u8> {
    [
        b"kmsbox/version/v1\0",
        &KEYSTORE_ID.as_bytes()[..],
        key_id.as_bytes(),
        key_version_id.as_bytes(),
        &[origin],
    ]
    .concat()
}

fn fill(key: &mut Value) -> Option<()> {
    let key_id = parse_id(key.get("key_id")?.as_str()?)?;
    let origin = u8::from(key.get("origin").is_some_and(|origin| origin == "EXTERNAL"));
    if let Some(check) = key
        .get_mut("imported")
        .and_then(|imported| imported.get_mut("check"))
        && check == "*"
    {
        let aad = [
            b"kmsbox/material-check/v1\0",
            &KEYSTORE_ID.as_bytes()[..],
            key_id.as_bytes(),
        ]
        .concat();
        *check = STANDARD.encode(seal(&STORE_KEY, &aad, &[1; 32])).into();
    }
    for version in key.get_mut("versions")?.as_array_mut()? {
        let key_version_id = parse_id(version.get("key_version_id")?.as_str()?)?;
        if let Some(material) = version.get_mut("sealed_material")
            && material == "*"
        {
            let aad = material_aad(key_id, key_version_id, origin);
            *material = STANDARD.encode(seal(&STORE_KEY, &aad, &MATERIAL)).into();
        }
    }
    Some(())
}
