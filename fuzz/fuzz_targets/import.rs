//! Import tokens with a private key that was changed, sealed as GetParametersForImport would seal it.
#![no_main]

use std::sync::LazyLock;

use arbitrary::Arbitrary;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kmsbox::clock::Timestamp;
use kmsbox::error::Status;
use kmsbox_fuzz::{KEYSTORE_ID, PLACE, STORE_KEY, ask, keystore, open, seal};
use libfuzzer_sys::fuzz_target;
use rsa::pkcs8::DecodePublicKey;
use rsa::rand_core::UnwrapErr;
use rsa::{Oaep, RsaPublicKey};
use sha2::Sha256;
use uuid::Uuid;

const KEY: Uuid = Uuid::from_bytes([0x55; 16]);
/// Seconds from now that a token may still live.
const LIFE: u64 = 60 * 60;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    /// Where a byte of the private key is another one.
    private: Vec<(u16, u8)>,
    cut: u16,
    added: &'a [u8],
    /// The whole of it, if it is another one.
    instead: Option<&'a [u8]>,
    token: Vec<(u16, u8)>,
    expires: Option<u64>,
    material: &'a [u8],
    wrapped: Vec<(u8, u8)>,
}

/// A key as GetParametersForImport makes it, and the CMK's keystore.
struct Made {
    keystore: Vec<u8>,
    private: Vec<u8>,
    public: RsaPublicKey,
}

static MADE: LazyLock<Made> = LazyLock::new(|| {
    let keystore = keystore(
        format!(
            "\"epoch\": 1, \"written\": \"2026-11-21T18:30:00Z\", \"clock\": \"2026-11-21T18:30:00Z\", \
             \"keys\": [{{\"key_id\": \"{KEY}\", \"created\": \"2026-11-21T18:30:00Z\", \"state\": \"PendingImport\", \
             \"origin\": \"EXTERNAL\", \"primary_version\": \"{KEY}\", \"versions\": [{{\"key_version_id\": \"{KEY}\", \
             \"created\": \"2026-11-21T18:30:00Z\"}}]}}], \"aliases\": []"
        )
        .as_bytes(),
    );
    PLACE.put("keystore", &keystore);
    let kms = PLACE.open().expect("the keystore is sound");
    let named = [
        ("KeyId", &KEY.to_string()[..]),
        ("WrappingAlgorithm", "RSAES_OAEP_SHA_256"),
        ("WrappingKeySpec", "RSA_2048"),
    ];
    let parameters = ask(&kms, "GetParametersForImport", &named).expect("parameters are made");
    let bytes = |name: &str| STANDARD.decode(parameters[name].as_str().unwrap()).unwrap();
    let token = bytes("ImportToken");
    let (expires, sealed) = token.split_first_chunk().unwrap();
    let private = open(&STORE_KEY, &aad(u64::from_be_bytes(*expires)), sealed)
        .expect("the token is as documented");
    let public = RsaPublicKey::from_public_key_der(&bytes("PublicKey")).unwrap();
    Made {
        keystore,
        private,
        public,
    }
});

fuzz_target!(|input: Input<'_>| {
    let made = &*MADE;
    let mut private = made.private.clone();
    change(&mut private, &input.private);
    private.truncate(private.len() - usize::from(input.cut).min(private.len()));
    private.extend(input.added);
    if let Some(instead) = input.instead {
        private = instead.to_vec();
    }
    let expires = input
        .expires
        .unwrap_or(Timestamp::now().plus(LIFE).seconds());
    let genuine = [
        &expires.to_be_bytes()[..],
        &seal(&STORE_KEY, &aad(expires), &private),
    ]
    .concat();
    let mut token = genuine.clone();
    change(&mut token, &input.token);

    let mut material = [8; 32].to_vec();
    material.truncate(32_usize.saturating_sub(input.material.len()));
    material.extend(input.material);
    material.truncate(190);
    let mut rng = UnwrapErr(rand::rngs::SysRng);
    let mut wrapped = made
        .public
        .encrypt(&mut rng, Oaep::<Sha256>::new(), &material)
        .unwrap();
    let right = wrapped.clone();
    for (at, mask) in &input.wrapped {
        wrapped[usize::from(*at)] ^= mask;
    }

    PLACE.clear();
    PLACE.put("keystore", &made.keystore);
    let kms = PLACE.open().expect("the keystore is sound");
    let outcome = ask(
        &kms,
        "ImportKeyMaterial",
        &[
            ("KeyId", &KEY.to_string()),
            ("ImportToken", &STANDARD.encode(&token)),
            ("EncryptedKeyMaterial", &STANDARD.encode(&wrapped)),
        ],
    );
    let whole =
        token == genuine && wrapped == right && private == made.private && material.len() == 32;
    match outcome {
        Ok(_) => {
            // A private key that was changed may still be one that opens this.
            assert!(token == genuine && wrapped == right && material.len() == 32);
            ask(&kms, "GenerateDataKey", &[("KeyId", &KEY.to_string())])
                .expect("the CMK works now");
        }
        Err(Status::ExpiredImportToken) => assert!(input.expires.is_some()),
        Err(Status::InvalidImportToken) => {
            assert!(token != genuine || private != made.private || input.expires.is_some());
        }
        Err(Status::InvalidKeyMaterial) => assert!(!whole),
        Err(other) => panic!("{other:?}"),
    }
});

fn change(bytes: &mut [u8], changes: &[(u16, u8)]) {
    for (at, mask) in changes {
        if let Some(byte) = bytes.get_mut(usize::from(*at)) {
            *byte ^= mask;
        }
    }
}

fn aad(expires: u64) -> Vec<u8> {
    [
        b"kmsbox/import-token/v1\0",
        &KEYSTORE_ID.as_bytes()[..],
        KEY.as_bytes(),
        &expires.to_be_bytes(),
    ]
    .concat()
}
