//! Material of its owner: wrapped with a key made for that, imported, deleted, expired, imported again.
//!
//! An RSA key takes long to make. One is made here, by the service; the other tests seal it into tokens
//! of their own, as the service would.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/service.rs"]
mod service;
mod support;
#[path = "parameters/table.rs"]
mod table;

use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kmsbox::blob;
use kmsbox::clock::Timestamp;
use kmsbox::context::Context;
use kmsbox::envelope::{Closing, WrappingKey};
use kmsbox::error::Status;
use kmsbox::key_name::parse_id;
use kmsbox::request_id::Call;
use kmsbox::root_key::RootKey;
use rsa::pkcs8::DecodePublicKey;
use rsa::rand_core::UnwrapErr;
use rsa::{Oaep, Pkcs1v15Encrypt, RsaPublicKey};
use serde_json::Value;
use service::{DAY, Place, ROOT_KEY, Service, ago, from_base64, string};
use sha2::Sha256;

const EXTERNAL: &[(&str, &str)] = &[("Origin", "EXTERNAL")];
const MATERIAL: [u8; 32] = [0x3C; 32];
const OTHER_MATERIAL: [u8; 32] = [0x3D; 32];

/// The key that was made once.
struct Pair {
    private_der: Vec<u8>,
    public: RsaPublicKey,
}

fn parameters(service: &Service, key: &str) -> Value {
    let parameters = [
        ("KeyId", key),
        ("WrappingAlgorithm", "RSAES_OAEP_SHA_256"),
        ("WrappingKeySpec", "RSA_2048"),
    ];
    service.done("GetParametersForImport", &parameters)
}

fn pair() -> &'static Pair {
    static PAIR: OnceLock<Pair> = OnceLock::new();
    PAIR.get_or_init(|| {
        let place = Place::new();
        let service = place.open(&[]);
        let key = service.create_key(EXTERNAL);
        let made = parameters(&service, &key);
        let token = from_base64(&string(&made["ImportToken"]));
        let (expires, sealed) = token.split_first_chunk().unwrap();
        let expires = Timestamp::from_seconds(u64::from_be_bytes(*expires));
        let mut private_der = Vec::new();
        place.edit(|draft| {
            let aad = aad(draft.store_key.keystore_id().as_bytes(), &key, expires);
            private_der = draft.store_key.open_bytes(&aad, sealed).unwrap().to_vec();
        });
        let public = from_base64(&string(&made["PublicKey"]));
        Pair {
            private_der,
            public: RsaPublicKey::from_public_key_der(&public).unwrap(),
        }
    })
}

fn aad(keystore_id: &[u8], key: &str, expires: Timestamp) -> Vec<u8> {
    let key = parse_id(key).unwrap();
    let expires = expires.seconds().to_be_bytes();
    [
        b"kmsbox/import-token/v1\0",
        keystore_id,
        key.as_bytes(),
        &expires,
    ]
    .concat()
}

/// A token for this CMK, as the service seals it.
fn token(place: &Place, key: &str, expires: Timestamp) -> Vec<u8> {
    let mut token = expires.seconds().to_be_bytes().to_vec();
    place.edit(|draft| {
        let aad = aad(draft.store_key.keystore_id().as_bytes(), key, expires);
        token.truncate(8);
        token.extend(
            draft
                .store_key
                .seal_bytes(&aad, &pair().private_der)
                .unwrap(),
        );
    });
    token
}

fn fresh_token(place: &Place, key: &str) -> Vec<u8> {
    token(place, key, Timestamp::now().plus(60))
}

fn wrapped(public: &RsaPublicKey, material: &[u8]) -> Vec<u8> {
    let mut rng = UnwrapErr(rand::rngs::SysRng);
    public
        .encrypt(&mut rng, Oaep::<Sha256>::new(), material)
        .unwrap()
}

fn import(
    service: &Service,
    key: &str,
    token: &[u8],
    encrypted: &[u8],
    expires: &str,
) -> Option<Status> {
    let parameters = [
        ("KeyId", key),
        ("ImportToken", &STANDARD.encode(token)),
        ("EncryptedKeyMaterial", &STANDARD.encode(encrypted)),
        ("KeyMaterialExpireUnix", expires),
    ];
    service.ask("ImportKeyMaterial", &parameters).status
}

/// Imports material with a new token.
fn import_new(
    place: &Place,
    service: &Service,
    key: &str,
    material: &[u8],
    expires: &str,
) -> Option<Status> {
    let token = fresh_token(place, key);
    import(
        service,
        key,
        &token,
        &wrapped(&pair().public, material),
        expires,
    )
}

#[test]
fn the_whole_way() {
    let place = Place::new();
    let service = place.open(&[]);
    let key = service.create_key(EXTERNAL);
    let about = service.describe(&key);
    assert_eq!(
        (&about["KeyState"], &about["Origin"]),
        (&"PendingImport".into(), &"EXTERNAL".into())
    );
    let epoch = place.epoch();
    let before = Timestamp::now();
    let made = parameters(&service, &key);
    assert_eq!(made["KeyId"], *key);
    let fields = made.as_object().unwrap().keys().map(String::as_str);
    let fields: Vec<_> = fields.filter(|name| *name != "RequestId").collect();
    assert_eq!(fields, table::IMPORT_FIELDS);
    let day = [before, Timestamp::now()].map(|now| now.plus(DAY).to_string());
    assert!(day.contains(&string(&made["TokenExpireTime"])), "{made}");
    assert_eq!(place.epoch(), epoch, "the keystore keeps nothing of it");

    let public =
        RsaPublicKey::from_public_key_der(&from_base64(&string(&made["PublicKey"]))).unwrap();
    let token = from_base64(&string(&made["ImportToken"]));
    assert_eq!(
        import(&service, &key, &token, &wrapped(&public, &MATERIAL), ""),
        None
    );
    let about = service.describe(&key);
    assert_eq!(about["KeyState"], "Enabled");
    assert_eq!(about["MaterialExpireTime"], "");
    let data_key = service.data_key(&key);
    assert_eq!(service.decrypt(&data_key.blob), data_key.plaintext);
    assert_eq!(place.open(&[]).decrypt(&data_key.blob), data_key.plaintext);

    // The owner can open its blobs without the service.
    let blob = from_base64(&data_key.blob);
    let parsed = blob::parse(&blob).unwrap();
    let mut text = parsed.ciphertext.to_vec();
    let closing = Closing {
        tag: *parsed.tag,
        commitment: *parsed.commitment,
    };
    let aad = Context::empty().aad(parsed.header_bytes).unwrap();
    let cmk = WrappingKey::new(&MATERIAL);
    assert!(cmk.open(parsed.nonce, &aad, &mut text, &closing).is_ok());
    assert_eq!(text, from_base64(&data_key.plaintext));
}

#[test]
fn each_failure_has_one_answer() {
    let place = Place::new();
    let service = place.open(&[]);
    let [key, other] = [(); 2].map(|()| service.create_key(EXTERNAL));
    let public = &pair().public;
    let right = wrapped(public, &MATERIAL);
    let good = fresh_token(&place, &key);
    let flipped = |at: usize| {
        let mut token = good.clone();
        token[at] ^= 1;
        token
    };
    let elsewhere = Place::new();
    elsewhere.open(&[]);
    let epoch = |place: &Place| place.epoch();

    let last = good.len() - 1;
    let mut tokens = vec![
        ("nothing sealed", good[..8].to_vec()),
        ("short", good[..7].to_vec()),
        ("cut", good[..last].to_vec()),
        ("longer", [&good[..], &[0]].concat()),
        ("huge", vec![0; 4097]),
        ("of another CMK", fresh_token(&place, &other)),
        ("of another keystore", fresh_token(&elsewhere, &key)),
        ("prolonged", {
            let old = token(&place, &key, ago(60));
            let later = Timestamp::now().plus(60).seconds().to_be_bytes();
            [&later[..], &old[8..]].concat()
        }),
    ];
    for at in [0, 7, 8, 31, 32, 500, last - 32, last] {
        tokens.push(("flipped", flipped(at)));
    }
    let expired = token(&place, &key, ago(0));
    let before = epoch(&place);
    for (name, token) in &tokens {
        let status = import(&service, &key, token, &right, "");
        assert_eq!(status, Some(Status::InvalidImportToken), "{name}");
    }
    assert_eq!(
        import(&service, &key, &expired, &right, ""),
        Some(Status::ExpiredImportToken)
    );

    let mut materials: Vec<_> = [0, 1, 16, 31, 33, 64, 190]
        .map(|len| ("of another length", wrapped(public, &vec![7; len])))
        .into();
    let mut altered = right.clone();
    altered[100] ^= 1;
    let mut rng = UnwrapErr(rand::rngs::SysRng);
    let pkcs1 = public
        .encrypt(&mut rng, Pkcs1v15Encrypt, &MATERIAL)
        .unwrap();
    materials.extend([
        ("altered", altered),
        ("with another padding", pkcs1),
        ("not wrapped", MATERIAL.to_vec()),
        ("cut", right[..255].to_vec()),
        ("longer", [&right[..], &[0]].concat()),
        ("zeros", vec![0; 256]),
        ("beyond the modulus", vec![255; 256]),
    ]);
    let mut texts = Vec::new();
    for (name, material) in &materials {
        let parameters = [
            ("KeyId", &*key),
            ("ImportToken", &STANDARD.encode(&good)),
            ("EncryptedKeyMaterial", &STANDARD.encode(material)),
        ];
        let (status, text) = service.refused("ImportKeyMaterial", &parameters);
        assert_eq!(status, Status::InvalidKeyMaterial, "{name}");
        texts.push(text);
    }
    texts.dedup();
    assert_eq!(texts.len(), 1, "they are not told apart: {texts:?}");
    assert_eq!(epoch(&place), before, "nothing was changed");
    assert_eq!(service.describe(&key)["KeyState"], "PendingImport");
    assert_eq!(import(&service, &key, &good, &right, ""), None);
}

#[test]
fn only_the_same_material_comes_back() {
    let place = Place::new();
    let service = place.open(&[]);
    let key = service.create_key(EXTERNAL);
    assert_eq!(import_new(&place, &service, &key, &MATERIAL, ""), None);
    let made = service.data_key(&key);
    let other = Some(Status::InvalidKeyMaterial);
    // Over what is there.
    assert_eq!(
        import_new(&place, &service, &key, &OTHER_MATERIAL, ""),
        other
    );
    assert_eq!(import_new(&place, &service, &key, &MATERIAL, ""), None);
    assert_eq!(service.decrypt(&made.blob), made.plaintext);

    for _ in 0..2 {
        service.done("DeleteKeyMaterial", &[("KeyId", &key)]);
        assert_eq!(service.describe(&key)["KeyState"], "PendingImport");
        let in_file = place.key_in_file(&key).unwrap();
        assert_eq!(in_file["versions"][0].get("sealed_material"), None);
        let decrypt = [("CiphertextBlob", &*made.blob)];
        assert_eq!(
            service.refused("Decrypt", &decrypt).0,
            Status::PendingImport
        );
        assert_eq!(
            place.open(&[]).refused("Decrypt", &decrypt).0,
            Status::PendingImport
        );

        assert_eq!(
            import_new(&place, &service, &key, &OTHER_MATERIAL, ""),
            other
        );
        assert_eq!(service.describe(&key)["KeyState"], "PendingImport");
        assert_eq!(import_new(&place, &service, &key, &MATERIAL, ""), None);
        assert_eq!(service.decrypt(&made.blob), made.plaintext);
        assert_eq!(service.versions(&key), [&*made.version]);
    }
    // Another CMK may have the same material, and is another CMK.
    let twin = service.create_key(EXTERNAL);
    assert_eq!(import_new(&place, &service, &twin, &MATERIAL, ""), None);
    assert_ne!(service.data_key(&twin).version, made.version);
}

#[test]
fn a_new_store_key_keeps_what_is_known_of_the_material() {
    let place = Place::new();
    let service = place.open(&[]);
    let key = service.create_key(EXTERNAL);
    assert_eq!(import_new(&place, &service, &key, &MATERIAL, ""), None);
    let made = service.data_key(&key);
    let old_token = fresh_token(&place, &key);
    let root = RootKey::from_bytes(&ROOT_KEY).unwrap();
    service.kms.reseal(&Call::default(), None, &root).unwrap();

    let service = place.open(&[]);
    assert_eq!(service.decrypt(&made.blob), made.plaintext);
    service.done("DeleteKeyMaterial", &[("KeyId", &key)]);
    let right = wrapped(&pair().public, &MATERIAL);
    let status = import(&service, &key, &old_token, &right, "");
    assert_eq!(status, Some(Status::InvalidImportToken));
    let status = import_new(&place, &service, &key, &OTHER_MATERIAL, "");
    assert_eq!(status, Some(Status::InvalidKeyMaterial));
    assert_eq!(import_new(&place, &service, &key, &MATERIAL, ""), None);
    assert_eq!(service.decrypt(&made.blob), made.plaintext);
}

#[test]
fn expiry() {
    let place = Place::new();
    let service = place.open(&[]);
    let key = service.create_key(EXTERNAL);
    let later = Timestamp::now().plus(60 * 60);
    let unix = later.seconds().to_string();
    assert_eq!(import_new(&place, &service, &key, &MATERIAL, &unix), None);
    let about = service.describe(&key);
    assert_eq!(about["KeyState"], "Enabled");
    assert_eq!(about["MaterialExpireTime"], later.to_string());
    let made = service.data_key(&key);

    for disabled in [false, true] {
        if disabled {
            service.done("DisableKey", &[("KeyId", &key)]);
        }
        place.edit_key(&key, |key| {
            key.imported.as_mut().unwrap().expires = Some(ago(1))
        });
        assert_eq!(service.describe(&key)["KeyState"], "PendingImport");
        for (action, parameters) in [
            ("Decrypt", [("CiphertextBlob", &*made.blob)]),
            ("GenerateDataKey", [("KeyId", &*key)]),
        ] {
            let (status, _) = service.refused(action, &parameters);
            assert_eq!(status, Status::PendingImport);
        }
        let status = import_new(&place, &service, &key, &OTHER_MATERIAL, "");
        assert_eq!(status, Some(Status::InvalidKeyMaterial));
        // 0 is never.
        assert_eq!(import_new(&place, &service, &key, &MATERIAL, "0"), None);
        let about = service.describe(&key);
        assert_eq!(about["MaterialExpireTime"], "");
        let then = if disabled { "Disabled" } else { "Enabled" };
        assert_eq!(about["KeyState"], then);
    }
    service.done("EnableKey", &[("KeyId", &key)]);
    assert_eq!(service.decrypt(&made.blob), made.plaintext);
}
