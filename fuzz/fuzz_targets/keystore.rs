//! A keystore's members, changed and sealed by one who has the store key: the library opens it or
//! refuses it, and what it has opened it can use, write and open again.
#![no_main]

use kmsbox::error::Status;
use kmsbox::kms::Kms;
use kmsbox_fuzz::{PLACE, ask, keystore, template, whole};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|members: &[u8]| {
    PLACE.clear();
    PLACE.put("keystore", &keystore(&template(members)));
    let Some(kms) = opened() else {
        return;
    };
    let _ = kms
        .verify()
        .map_err(|error| assert_eq!(error.status(), Status::KeystoreTampered));
    let told = whole(&kms);
    let ids: Vec<String> = told
        .iter()
        .filter_map(|told| Some(told["KeyMetadata"]["KeyId"].as_str()?.to_owned()))
        .collect();
    // A few operations on each of a few CMKs: which, follows from the bytes.
    let mut dice = members.iter().fold(0xcbf29ce484222325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x100000001b3)
    });
    for id in ids.iter().take(4) {
        for _ in 0..3 {
            operate(&kms, id, dice >> 40);
            dice = dice.wrapping_mul(0x5851f42d4c957f2d).wrapping_add(1);
        }
    }
    let told = settled(&kms);
    drop(kms);
    let again = opened().expect("what was open opens again");
    assert_eq!(told, settled(&again));
});

/// All but the date of the next rotation: one further off than an interval is told as an interval from now.
fn settled(kms: &Kms) -> Vec<Value> {
    let mut told = whole(kms);
    for told in &mut told {
        if let Some(key) = told.get_mut("KeyMetadata").and_then(Value::as_object_mut) {
            key.remove("NextRotationDate");
        }
    }
    told
}

fn opened() -> Option<Kms> {
    PLACE
        .open()
        .inspect_err(|error| {
            let refusals = [Status::KeystoreTampered, Status::NotAKeystore];
            assert!(refusals.contains(&error.status()), "{error}");
        })
        .ok()
}

fn operate(kms: &Kms, id: &str, choice: u64) {
    let key = ("KeyId", id);
    let _ = match choice % 16 {
        0 => ask(kms, "CreateKeyVersion", &[key]),
        1 => ask(kms, "DisableKey", &[key]),
        2 => ask(kms, "EnableKey", &[key]),
        3 => ask(
            kms,
            "ScheduleKeyDeletion",
            &[key, ("PendingWindowInDays", "7")],
        ),
        4 => ask(kms, "CancelKeyDeletion", &[key]),
        5 => ask(
            kms,
            "UpdateRotationPolicy",
            &[
                key,
                ("EnableAutomaticRotation", "true"),
                ("RotationInterval", "7d"),
            ],
        ),
        6 => ask(
            kms,
            "TagResource",
            &[key, ("Tags", r#"[{"TagKey":"a","TagValue":"b"}]"#)],
        ),
        7 => ask(kms, "UntagResource", &[key, ("TagKeys", r#"["a","team"]"#)]),
        8 => ask(kms, "CreateAlias", &[key, ("AliasName", "alias/new")]),
        9 => ask(kms, "UpdateAlias", &[key, ("AliasName", "alias/a")]),
        10 => ask(kms, "DeleteAlias", &[("AliasName", "alias/a")]),
        11 => ask(kms, "DeleteKeyMaterial", &[key]),
        12 => ask(
            kms,
            "ImportKeyMaterial",
            &[
                key,
                ("ImportToken", "AAAA"),
                ("EncryptedKeyMaterial", "AAAA"),
            ],
        ),
        13 => ask(kms, "CreateKey", &[]),
        14 => ask(
            kms,
            "SetDeletionProtection",
            &[
                ("ProtectedResourceArn", id),
                ("EnableDeletionProtection", "true"),
            ],
        ),
        _ => ask(kms, "GenerateDataKey", &[key]).inspect(|made| {
            let blob = made["CiphertextBlob"].as_str().expect("there is a blob");
            let opened = ask(kms, "Decrypt", &[("CiphertextBlob", blob)])
                .expect("what was made now opens now");
            assert_eq!(opened["Plaintext"], made["Plaintext"]);
        }),
    };
}
