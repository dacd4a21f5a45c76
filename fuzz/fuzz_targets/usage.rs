//! The usage file: whoever can write it can write anything into it. What it says adds up, and one more
//! use is one more, also where the file is so long that it is added up in place.
#![no_main]

use arbitrary::Arbitrary;
use kmsbox::kms::{Kms, VersionUsage};
use kmsbox_fuzz::{KEY, PLACE, ask, plain_keystore};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    /// Long if it is 1: that costs time.
    long: u8,
    bytes: &'a [u8],
}

fuzz_target!(|input: Input<'_>| {
    PLACE.clear();
    PLACE.put("keystore", &plain_keystore());
    // Blank lines count for nothing, but make the file long.
    let padding = if input.long % 16 == 1 {
        (1 << 20) + 1
    } else {
        0
    };
    PLACE.put(
        "keystore.usage",
        &[&vec![b'\n'; padding], input.bytes].concat(),
    );
    let kms = PLACE.open().expect("the keystore is sound");
    let before = usage(&kms);
    let made =
        ask(&kms, "GenerateDataKey", &[("KeyId", &KEY.to_string())]).expect("a data key is made");
    let blob = made["CiphertextBlob"].as_str().unwrap();
    ask(&kms, "Decrypt", &[("CiphertextBlob", blob)]).expect("the blob opens");
    let after = usage(&kms);
    assert_eq!(after, before.saturating_add(1));
    ask(
        &kms,
        "CreateAlias",
        &[("KeyId", &KEY.to_string()), ("AliasName", "alias/b")],
    )
    .expect("a change is made");
    drop(kms);
    assert_eq!(after, usage(&PLACE.open().expect("the keystore is sound")));
});

fn usage(kms: &Kms) -> u64 {
    let told = kms.usage(None).expect("the usage can be read");
    let [VersionUsage { used, .. }] = &told[..] else {
        panic!("there is one version");
    };
    used.map_or(0, |(unwraps, last)| {
        assert!(!last.to_string().is_empty());
        unwraps
    })
}
