//! The parameters of each action: needed ones, unknown ones, repeated ones, and each range from both
//! sides.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/service.rs"]
mod service;
mod support;
#[path = "parameters/table.rs"]
mod table;

use std::collections::BTreeSet;

use kmsbox::error::Status;
use service::{Service, request};
use table::{ID, TABLE, usual};

#[test]
fn the_table_is_the_code_s() {
    let code: BTreeSet<(&str, BTreeSet<&str>)> = kmsbox::document::actions()
        .map(|(action, known)| (action.name(), known.iter().copied().collect()))
        .collect();
    let table = TABLE
        .iter()
        .map(|(action, needed, taken)| (*action, needed.iter().chain(*taken).copied().collect()));
    assert_eq!(table.collect::<BTreeSet<_>>(), code);
}

#[test]
fn needed_unknown_and_repeated() {
    let service = Service::in_memory();
    for (action, needed, taken) in TABLE {
        let all: Vec<_> = needed.iter().map(|name| (*name, usual(name))).collect();
        for (index, name) in needed.iter().enumerate() {
            let mut without = all.clone();
            without.remove(index);
            let mut empty = all.clone();
            empty[index].1 = "";
            for parameters in [without, empty] {
                if (*name, parameters.len()) == ("Description", needed.len()) {
                    continue; // A description may be emptied.
                }
                let (status, message) = service.refused(action, &parameters);
                assert_eq!(status, Status::MissingParameter, "{action} {parameters:?}");
                assert_eq!(
                    message,
                    format!("The parameter \"{name}\" is needed but not provided.")
                );
            }
        }
        for name in ["Colour", "keyid", "KeyID", "BypassPolicy"] {
            let (status, message) = service.refused(action, &[&all[..], &[(name, "x")]].concat());
            assert_eq!(status, Status::InvalidParameter, "{action} {name}");
            assert!(message.contains(&format!("\"{name}\"")), "{message}");
        }
        for name in needed
            .iter()
            .chain(*taken)
            .chain(&["Action", "Format", "RegionId"])
        {
            let twice = [(*name, usual(name)), (*name, usual(name))];
            let (status, message) = service.refused(action, &[&all[..], &twice].concat());
            assert_eq!(status, Status::InvalidParameter, "{action} {name}");
            assert!(message.contains("twice"), "{message}");
        }
    }
    for (request, status) in [
        ("", Status::MissingParameter),
        ("Action=", Status::MissingParameter),
        ("Action=generateDataKey", Status::UnsupportedOperation),
        ("Action=AsymmetricSign", Status::UnsupportedOperation),
        // What kmsbox knows as permissions alone is no action of the API.
        ("Action=ReEncryptFrom", Status::UnsupportedOperation),
        ("Action=Purge", Status::UnsupportedOperation),
        ("Action=ListKeys&Format=YAML", Status::InvalidParameter),
        (
            "Action=ListKeys&Version=2015-01-01",
            Status::InvalidParameter,
        ),
        ("Action=ListKeys&PageSize=%zz", Status::InvalidParameter),
    ] {
        assert_eq!(service.ask_raw(request).status, Some(status), "{request}");
    }
}

#[test]
fn what_the_service_alone_needs_is_passed_over() {
    let service = Service::in_memory();
    let all = "Format=json&Version=2016-01-20&RegionId=cn-hangzhou&AccessKeyId=a&SecurityToken=t\
               &Signature=s%2Bs&SignatureMethod=HMAC-SHA1&SignatureType=&SignatureVersion=1.0\
               &SignatureNonce=n&Timestamp=2026-11-21T18%3A30%3A00Z&Action=ListKeys";
    assert_eq!(service.ask_raw(all).status, None);
    assert!(
        service
            .ask_raw("Action=ListKeys&Format=xml")
            .text
            .starts_with("<KMS>")
    );
}

/// An action and the rest of its parameters, one parameter, values that it takes, values that it does
/// not.
type Range = (
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static str,
    Vec<String>,
    Vec<String>,
);

#[rustfmt::skip]
fn ranges() -> Vec<Range> {
    let texts = |list: &[&str]| list.iter().map(|text| text.to_string()).collect::<Vec<_>>();
    let letters = |count: usize| "a".repeat(count);
    let wide = |count: usize| "💾".repeat(count);
    let tags = |count: usize| tags((0..count).map(|n| (format!("k{n}"), "v".to_owned())));
    let tag = |key: usize, value: usize| self::tags([(letters(key), letters(value))].into_iter());
    let filters = |count: usize| format!("[{}]", vec![r#"{"Key":"KeyState","Values":["Enabled"]}"#; count].join(","));
    let pages = || (texts(&["1", "100", ""]), texts(&["0", "101", "-1", "x", "1.0", "+1", " 1"]));
    let page_numbers = || (texts(&["1", "4294967295", ""]), texts(&["0", "4294967296", "-1", "x"]));
    let intervals = || (
        texts(&["7d", "730d", "168h", "17520h", "10080m", "1051200m", "604800s", "63072000s"]),
        texts(&["6d", "731d", "167h", "17521h", "10079m", "1051201m", "604799s", "63072001s", "7", "d", "7D",
            "7w", "-7d", "7.5d", "7 d", "7d ", "18446744073709551615d", "99999999999999999999999s", "7é"]),
    );
    let booleans = || (texts(&["false"]), texts(&["True", "FALSE", "1", "yes"]));
    let descriptions = || (vec![letters(8192), wide(8192)], vec![letters(8193), wide(8193)]);
    let wrong_tags = || vec![tags(21), tag(0, 1), tag(129, 1), tag(1, 257), "{}".into(), "x".into(), "[{}]".into(),
        r#"[{"TagKey":"a"}]"#.into(), r#"[{"TagKey":"a","TagValue":1}]"#.into(),
        r#"[{"TagKey":"a","TagValue":"1","More":"x"}]"#.into(),
        r#"[{"TagKey":"a","TagValue":"1"},{"TagKey":"a","TagValue":"2"}]"#.into()];
    let contexts = || (texts(&["", "{}", "{\"a\":\"b\"}"]), texts(&["[]", "{\"a\":1}", "{\"a\":\"b\",\"a\":\"b\"}", "x"]));
    let data_key = || [
        ("NumberOfBytes", (texts(&["1", "1024", ""]), texts(&["0", "1025", "-1", "+1", "x"]))),
        ("KeySpec", (texts(&["AES_256", "AES_128", ""]), texts(&["aes_256", "AES_512", " AES_128"]))),
        ("EncryptionContext", contexts()),
    ];

    let mut ranges = vec![];
    let mut add = |action, rest, parameter, (good, bad)| ranges.push((action, rest, parameter, good, bad));
    const KEY: &[(&str, &str)] = &[("KeyId", "KEY")];
    const BLOB: &[(&str, &str)] = &[("CiphertextBlob", "BLOB")];
    const REENCRYPT: &[(&str, &str)] = &[("CiphertextBlob", "BLOB"), ("DestinationKeyId", "KEY")];

    add("ScheduleKeyDeletion", KEY, "PendingWindowInDays",
        (texts(&["7", "366"]), texts(&["6", "367", "0", "-7", "+7", "7.0", "7d", " 7", "18446744073709551623"])));
    add("CreateKey", &[("EnableAutomaticRotation", "true")], "RotationInterval", intervals());
    add("UpdateRotationPolicy", &[("KeyId", "KEY"), ("EnableAutomaticRotation", "true")], "RotationInterval", intervals());
    add("CreateKey", &[], "EnableAutomaticRotation", booleans());
    add("UpdateRotationPolicy", KEY, "EnableAutomaticRotation", booleans());
    add("SetDeletionProtection", &[("ProtectedResourceArn", "KEY")], "EnableDeletionProtection", booleans());
    add("CreateKey", &[], "Description", descriptions());
    add("UpdateKeyDescription", KEY, "Description", descriptions());
    add("SetDeletionProtection", &[("ProtectedResourceArn", "KEY"), ("EnableDeletionProtection", "true")],
        "DeletionProtectionDescription", descriptions());
    add("CreateKey", &[], "Tags", (vec![tags(20), tags(0), tag(128, 256), tag(1, 0)], wrong_tags()));
    add("TagResource", KEY, "Tags", (vec![tags(20), tag(128, 256), tag(1, 0)], wrong_tags()));
    add("UntagResource", KEY, "TagKeys", (texts(&["[]", "[\"a\",\"b\"]"]), texts(&["a", "{}", "[1]", "\"a\""])));
    add("CreateKey", &[], "KeySpec", (texts(&["", "Aliyun_AES_256"]), texts(&["AES_256", "aliyun_aes_256"])));
    add("CreateKey", &[], "KeyUsage", (texts(&["", "ENCRYPT/DECRYPT"]), texts(&["ENCRYPT", "encrypt/decrypt"])));
    add("CreateKey", &[], "Origin", (texts(&["", "Aliyun_KMS", "EXTERNAL"]), texts(&["External", "aliyun_kms"])));
    add("CreateKey", &[], "ProtectionLevel", (texts(&["", "SOFTWARE"]), texts(&["software", "TPM"])));
    add("ListKeys", &[], "Filters", (vec![String::new(), filters(0), filters(1), filters(10)],
        vec![filters(11), "{}".into(), "x".into(), r#"[{"Key":"KeyState"}]"#.into(), r#"[{"Key":"Colour","Values":["x"]}]"#.into(),
            r#"[{"Key":"KeyState","Values":"Enabled"}]"#.into(), r#"[{"Key":"KeyState","Values":[],"Not":true}]"#.into()]));
    for (action, rest) in [("ListKeys", &[][..]), ("ListAliases", &[]), ("ListKeyVersions", KEY), ("ListAliasesByKeyId", KEY)] {
        add(action, rest, "PageSize", pages());
        add(action, rest, "PageNumber", page_numbers());
    }
    add("CreateAlias", KEY, "AliasName", (vec!["alias/a".into(), format!("alias/{}", letters(255)), "alias/_-/9".into()],
        vec![format!("alias/{}", letters(256)), "alias/".into(), "orders".into(), "Alias/b".into(), "alias/a b".into(),
            "alias/é".into(), "alias/a.b".into(), "alias/acs".into(), "alias/acs/oss".into()]));
    for action in ["GenerateDataKey", "GenerateDataKeyWithoutPlaintext"] {
        for (parameter, values) in data_key() {
            add(action, KEY, parameter, values);
        }
    }
    // In bytes, not in characters.
    add("Encrypt", KEY, "Plaintext", (vec![letters(1), letters(6144), wide(1536)], vec![letters(6145), wide(1536) + "a"]));
    add("Encrypt", &[("KeyId", "KEY"), ("Plaintext", "x")], "EncryptionContext", contexts());
    add("Decrypt", &[], "CiphertextBlob", (vec!["BLOB".into()], texts(&["AAAA", "x", "iUtNQg==", "BLOB="])));
    add("Decrypt", BLOB, "EncryptionContext", (texts(&["", "{}"]), texts(&["[]", "{\"a\":null}"])));
    add("ReEncrypt", REENCRYPT, "SourceEncryptionContext", (texts(&["", "{}"]), texts(&["[]"])));
    add("ReEncrypt", REENCRYPT, "DestinationEncryptionContext", contexts());
    add("Encrypt", &[("KeyId", "KEY"), ("Plaintext", "x")], "DryRun", (texts(&["", "false"]), texts(&["True", "1"])));
    add("GetParametersForImport", &[("KeyId", "EXTERNAL"), ("WrappingKeySpec", "RSA_2048")], "WrappingAlgorithm",
        (vec![], texts(&["RSAES_OAEP_SHA_1", "RSAES_PKCS1_V1_5", "SM2PKE"])));
    add("GetParametersForImport", &[("KeyId", "EXTERNAL"), ("WrappingAlgorithm", "RSAES_OAEP_SHA_256")], "WrappingKeySpec",
        (vec![], texts(&["EC_SM2", "rsa_2048"])));
    const TOKEN: &[(&str, &str)] = &[("KeyId", "EXTERNAL"), ("EncryptedKeyMaterial", "AAAA"), ("ImportToken", "AAAA")];
    add("ImportKeyMaterial", TOKEN, "KeyMaterialExpireUnix", (vec![], texts(&["1", "1600000000", "4294967296", "-1", "x"])));
    add("ImportKeyMaterial", &TOKEN[..2], "ImportToken", (vec![], texts(&["%", "A"])));
    ranges
}

fn tags(tags: impl Iterator<Item = (String, String)>) -> String {
    let tags: Vec<_> = tags
        .map(|(key, value)| format!(r#"{{"TagKey":"{key}","TagValue":"{value}"}}"#))
        .collect();
    format!("[{}]", tags.join(","))
}

#[test]
fn every_range_from_both_sides() {
    let service = Service::in_memory();
    let external = service.create_key(&[("Origin", "EXTERNAL")]);
    for (action, rest, parameter, good, bad) in ranges() {
        for (value, refused) in good
            .iter()
            .map(|v| (v, false))
            .chain(bad.iter().map(|v| (v, true)))
        {
            // A CMK for each, since some are not the same afterwards.
            let key = service.create_key(&[]);
            let blob = service.data_key(&key).blob;
            let real = |value: &str| {
                value
                    .replace("KEY", &key)
                    .replace("BLOB", &blob)
                    .replace("EXTERNAL", &external)
            };
            let value = if value == "EXTERNAL" {
                value.clone()
            } else {
                real(value)
            };
            let rest: Vec<_> = rest
                .iter()
                .map(|(name, value)| (*name, real(value)))
                .collect();
            let mut parameters: Vec<_> = rest
                .iter()
                .map(|(name, value)| (*name, value.as_str()))
                .collect();
            parameters.push((parameter, &value));
            let reply = service.ask_raw(&request(action, &parameters));
            let told = format!("{action} {parameter}={value:.80}: {}", reply.text);
            match refused {
                false => assert_eq!(reply.status, None, "{told}"),
                true => {
                    assert_eq!(reply.document["Code"], "InvalidParameter", "{told}");
                    let message = reply.document["Message"].as_str().unwrap();
                    assert!(message.contains(parameter), "{told}");
                }
            }
            if action == "CreateAlias" && !refused {
                service.done("DeleteAlias", &[("AliasName", &value)]);
            }
        }
    }
}

#[test]
fn what_a_service_in_a_process_cannot_mean() {
    let service = Service::in_memory();
    for (parameter, value, code) in [
        ("KeySpec", "RSA_2048", "UnsupportedOperation"),
        ("KeySpec", "RSA_3072", "UnsupportedOperation"),
        ("KeySpec", "EC_P256", "UnsupportedOperation"),
        ("KeySpec", "EC_P256K", "UnsupportedOperation"),
        ("KeySpec", "EC_SM2", "UnsupportedOperation"),
        ("KeySpec", "Aliyun_SM4", "UnsupportedOperation"),
        ("KeyUsage", "SIGN/VERIFY", "UnsupportedOperation"),
        ("ProtectionLevel", "HSM", "Unsupported.ProtectionLevel"),
    ] {
        let (status, _) = service.refused("CreateKey", &[(parameter, value)]);
        assert_eq!((status.code(), status.http()), (code, 400), "{value}");
    }
    assert_eq!(service.done("ListKeys", &[])["TotalCount"], 0);
}

#[test]
fn quotas() {
    let service = Service::in_memory();
    let key = service.create_key(&[]);
    let tag = |n: usize| tags([(format!("k{n}"), "v".to_owned())].into_iter());
    for n in 0..20 {
        service.done("TagResource", &[("KeyId", &key), ("Tags", &tag(n))]);
    }
    // A known one gets another value; one more is too many.
    service.done("TagResource", &[("KeyId", &key), ("Tags", &tag(7))]);
    let (status, _) = service.refused("TagResource", &[("KeyId", &key), ("Tags", &tag(20))]);
    assert_eq!(status.code(), "Rejected.LimitExceeded");
    service.done(
        "UntagResource",
        &[("KeyId", &key), ("TagKeys", r#"["k0","never"]"#)],
    );
    service.done("TagResource", &[("KeyId", &key), ("Tags", &tag(20))]);

    let alias = [("KeyId", &*key), ("AliasName", "alias/orders")];
    service.done("CreateAlias", &alias);
    assert_eq!(
        service.refused("CreateAlias", &alias).0,
        Status::AliasExists
    );
    let missing = [("KeyId", &*key), ("AliasName", "alias/none")];
    assert_eq!(
        service.refused("UpdateAlias", &missing).0,
        Status::AliasNotFound
    );
    assert_eq!(
        service.refused("DeleteAlias", &missing[1..]).0,
        Status::AliasNotFound
    );
    let version = [("KeyId", &*key), ("KeyVersionId", ID)];
    assert_eq!(
        service.refused("DescribeKeyVersion", &version).0,
        Status::KeyVersionNotFound
    );
}
