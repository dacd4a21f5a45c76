//! What answers hold: defaults, dates, lists in pages and in order of creation, filters, dry runs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/service.rs"]
mod service;
mod support;

use kmsbox::clock::Timestamp;
use kmsbox::error::Status;
use serde_json::{Value, json};
use service::{DAY, Place, Service, from_base64, request, string};

#[test]
fn a_new_cmk_has_the_documented_defaults() {
    let service = Service::in_memory();
    let before = Timestamp::now();
    let made = service.done("CreateKey", &[]);
    let mut about = made["KeyMetadata"].clone();
    let key = string(&about["KeyId"]);
    let created = string(&about["CreationDate"]);
    assert!(
        [before, Timestamp::now()]
            .iter()
            .any(|time| time.to_string() == created)
    );
    let expected = json!({
        "KeyId": key,
        "Arn": format!("acs:kms:local:0:key/{key}"),
        "KeyState": "Enabled",
        "Description": "",
        "KeySpec": "Aliyun_AES_256",
        "KeyUsage": "ENCRYPT/DECRYPT",
        "Origin": "Aliyun_KMS",
        "ProtectionLevel": "SOFTWARE",
        "Creator": "local",
        "CreationDate": created,
        "LastRotationDate": created,
        "PrimaryKeyVersion": service.versions(&key)[0],
        "AutomaticRotation": "Disabled",
        "DeleteDate": "",
        "MaterialExpireTime": "",
    });
    assert_eq!(about, expected);
    // DescribeKey tells of deletion protection, too.
    about["DeletionProtection"] = json!("Disabled");
    about["DeletionProtectionDescription"] = json!("");
    assert_eq!(service.describe(&key), about);
}

#[test]
fn a_new_cmk_is_as_asked_for() {
    let service = Service::in_memory();
    let key = service.create_key(&[
        ("Description", "Ünïcode & <more>"),
        ("EnableAutomaticRotation", "true"),
        ("RotationInterval", "365d"),
        (
            "Tags",
            r#"[{"TagKey":"team","TagValue":"db"},{"TagKey":"a","TagValue":""}]"#,
        ),
    ]);
    let about = service.describe(&key);
    assert_eq!(about["Description"], "Ünïcode & <more>");
    assert_eq!(about["AutomaticRotation"], "Enabled");
    assert_eq!(about["RotationInterval"], "31536000s");
    let created = humantime::parse_rfc3339(about["CreationDate"].as_str().unwrap()).unwrap();
    let next = created + std::time::Duration::from_secs(365 * DAY);
    assert_eq!(
        about["NextRotationDate"],
        humantime::format_rfc3339_seconds(next).to_string()
    );
    let tags = service.done("ListResourceTags", &[("KeyId", &key)]);
    let tag = |name, value| json!({"KeyId": key, "TagKey": name, "TagValue": value});
    assert_eq!(
        tags["Tags"],
        json!({"Tag": [tag("team", "db"), tag("a", "")]})
    );
    // The same in XML.
    let xml = service.ask("DescribeKey", &[("KeyId", &key), ("Format", "XML")]);
    assert_eq!(xml.document["KeyMetadata"], about);
}

#[test]
fn a_data_key_has_the_length_that_is_asked_for() {
    let service = Service::in_memory();
    let key = service.create_key(&[]);
    for (parameters, len) in [
        (&[][..], 32),
        (&[("KeySpec", "AES_256")], 32),
        (&[("KeySpec", "AES_128")], 16),
        (&[("NumberOfBytes", "1")], 1),
        (&[("NumberOfBytes", "1024"), ("KeySpec", "AES_128")], 1024),
        // Where NumberOfBytes is given, KeySpec is not looked at.
        (&[("NumberOfBytes", "7"), ("KeySpec", "nonsense")], 7),
    ] {
        let parameters = [&[("KeyId", &*key)], parameters].concat();
        let made = service.done("GenerateDataKey", &parameters);
        let plaintext = from_base64(&string(&made["Plaintext"]));
        assert_eq!(plaintext.len(), len, "{parameters:?}");
        let blob = string(&made["CiphertextBlob"]);
        assert_eq!(service.decrypt(&blob), made["Plaintext"]);

        let made = service.done("GenerateDataKeyWithoutPlaintext", &parameters);
        assert_eq!(made.get("Plaintext"), None);
        let blob = string(&made["CiphertextBlob"]);
        assert_eq!(from_base64(&service.decrypt(&blob)).len(), len);
        assert_eq!(from_base64(&blob).len(), len + 110);
    }
}

#[test]
fn lists_have_pages_in_order_of_creation() {
    let service = Service::in_memory();
    let keys: Vec<_> = (0..25).map(|_| service.create_key(&[])).collect();
    let key = &keys[0];
    let mut versions = service.versions(key);
    let mut aliases = Vec::new();
    for n in 0..24 {
        let new = service.done("CreateKeyVersion", &[("KeyId", key)]);
        versions.push(string(&new["KeyVersion"]["KeyVersionId"]));
        // Their names have another order.
        aliases.push(format!("alias/{}", (b'z' - n) as char));
        service.done(
            "CreateAlias",
            &[("KeyId", key), ("AliasName", &aliases[usize::from(n)])],
        );
    }
    aliases.push("alias/last".to_owned());
    service.done(
        "CreateAlias",
        &[("KeyId", key), ("AliasName", "alias/last")],
    );

    for (action, parameters, outer, inner, id, all) in [
        ("ListKeys", &[][..], "Keys", "Key", "KeyId", &keys),
        (
            "ListKeyVersions",
            &[("KeyId", &**key)],
            "KeyVersions",
            "KeyVersion",
            "KeyVersionId",
            &versions,
        ),
        (
            "ListAliases",
            &[],
            "Aliases",
            "Alias",
            "AliasName",
            &aliases,
        ),
        (
            "ListAliasesByKeyId",
            &[("KeyId", key)],
            "Aliases",
            "Alias",
            "AliasName",
            &aliases,
        ),
    ] {
        let page = |more: &[(&str, &str)]| -> (Vec<String>, Value) {
            let mut list = service.done(action, &[parameters, more].concat());
            let items = list[outer][inner].take();
            let ids = items
                .as_array()
                .unwrap()
                .iter()
                .map(|item| string(&item[id]));
            (ids.collect(), list)
        };
        let (ids, list) = page(&[]);
        assert_eq!(ids, all[..10], "{action}");
        assert_eq!(list["TotalCount"], 25, "{action}");
        assert_eq!(
            (&list["PageNumber"], &list["PageSize"]),
            (&json!(1), &json!(10))
        );
        for (size, pages) in [(1, 26), (7, 5), (25, 2), (100, 2)] {
            let mut seen = Vec::new();
            for number in 1..=pages {
                let [number, size] = [number, size].map(|n: usize| n.to_string());
                let (ids, list) = page(&[("PageNumber", &number), ("PageSize", &size)]);
                assert_eq!(list["TotalCount"], 25);
                assert_eq!(list["PageNumber"].to_string(), number);
                assert_eq!(list["PageSize"].to_string(), size);
                seen.extend(ids);
            }
            assert_eq!(&seen, all, "{action} by {size}");
        }
        let (ids, list) = page(&[("PageNumber", "4294967295"), ("PageSize", "100")]);
        assert!(ids.is_empty());
        assert_eq!(list["TotalCount"], 25);
    }
    // An alias that moves keeps its place.
    service.done(
        "UpdateAlias",
        &[("KeyId", &keys[1]), ("AliasName", &aliases[3])],
    );
    let list = service.done("ListAliases", &[]);
    assert_eq!(list["Aliases"]["Alias"][3]["AliasName"], *aliases[3]);
    assert_eq!(list["Aliases"]["Alias"][3]["KeyId"], *keys[1]);
    assert_eq!(
        list["Aliases"]["Alias"][3]["AliasArn"],
        format!("acs:kms:local:0:{}", aliases[3])
    );
    let of_second = service.done("ListAliasesByKeyId", &[("KeyId", &keys[1])]);
    assert_eq!(of_second["TotalCount"], 1);
}

#[test]
fn an_empty_list_is_there_in_both_formats() {
    let service = Service::in_memory();
    assert_eq!(service.done("ListKeys", &[])["Keys"], json!({"Key": []}));
    let xml = service.ask("ListKeys", &[("Format", "XML")]);
    assert!(
        xml.text.contains("<Keys></Keys><TotalCount>0</TotalCount>"),
        "{}",
        xml.text
    );
}

#[test]
fn filters_are_all_of_any() {
    let place = Place::new();
    let service = place.open(&[]);
    let enabled = service.create_key(&[]);
    let disabled = service.create_key(&[]);
    service.done("DisableKey", &[("KeyId", &disabled)]);
    let doomed = service.create_key(&[]);
    service.done(
        "ScheduleKeyDeletion",
        &[("KeyId", &doomed), ("PendingWindowInDays", "7")],
    );
    let waiting = service.create_key(&[("Origin", "EXTERNAL")]);
    let imported = service.create_key(&[("Origin", "EXTERNAL")]);
    place.import(&imported);
    let all = [&enabled, &disabled, &doomed, &waiting, &imported];
    for (filters, expected) in [
        ("[]", &all[..]),
        (
            r#"[{"Key":"KeyState","Values":["Enabled"]}]"#,
            &[&enabled, &imported],
        ),
        (
            r#"[{"Key":"KeyState","Values":["Disabled","PendingDeletion"]}]"#,
            &[&disabled, &doomed],
        ),
        (
            r#"[{"Key":"KeyState","Values":["PendingImport"]}]"#,
            &[&waiting],
        ),
        (
            r#"[{"Key":"Origin","Values":["EXTERNAL"]}]"#,
            &[&waiting, &imported],
        ),
        (
            r#"[{"Key":"Origin","Values":["EXTERNAL"]},{"Key":"KeyState","Values":["Enabled"]}]"#,
            &[&imported],
        ),
        (
            r#"[{"Key":"KeyState","Values":["Enabled"]},{"Key":"KeyState","Values":["Disabled"]}]"#,
            &[],
        ),
        (r#"[{"Key":"KeyState","Values":[]}]"#, &[]),
        (r#"[{"Key":"KeyState","Values":["enabled"]}]"#, &[]),
        (
            r#"[{"Key":"KeySpec","Values":["RSA_2048","Aliyun_AES_256"]}]"#,
            &all,
        ),
        (r#"[{"Key":"KeySpec","Values":["RSA_2048"]}]"#, &[]),
        (r#"[{"Key":"KeyUsage","Values":["ENCRYPT/DECRYPT"]}]"#, &all),
        (r#"[{"Key":"ProtectionLevel","Values":["HSM"]}]"#, &[]),
        (r#"[{"Key":"CreatorType","Values":["User"]}]"#, &all),
        (r#"[{"Key":"CreatorType","Values":["Service"]}]"#, &[]),
    ] {
        let list = service.done("ListKeys", &[("Filters", filters)]);
        let ids = list["Keys"]["Key"].as_array().unwrap().iter();
        let ids: Vec<_> = ids.map(|key| string(&key["KeyId"])).collect();
        assert_eq!(ids.iter().collect::<Vec<_>>(), expected, "{filters}");
        assert_eq!(list["TotalCount"], expected.len());
    }
    let second = service.done(
        "ListKeys",
        &[
            ("Filters", r#"[{"Key":"Origin","Values":["EXTERNAL"]}]"#),
            ("PageSize", "1"),
            ("PageNumber", "2"),
        ],
    );
    assert_eq!(second["Keys"]["Key"][0]["KeyId"], *imported);
    assert_eq!(second["TotalCount"], 2);
}

#[test]
fn a_dry_run_is_always_an_error_and_changes_nothing() {
    let place = Place::new();
    let service = place.open(&[]);
    let key = service.create_key(&[]);
    let blob = service.data_key(&key).blob;
    let limited = place.open(&[("permissions", "ListKeys")]);
    let epoch = place.epoch();
    let on_key = [("KeyId", &*key), ("Plaintext", "root")];
    let on_blob = [("CiphertextBlob", &*blob), ("DestinationKeyId", &*key)];
    for (action, parameters) in [
        ("GenerateDataKey", &on_key[..1]),
        ("GenerateDataKeyWithoutPlaintext", &on_key[..1]),
        ("Encrypt", &on_key),
        ("Decrypt", &on_blob[..1]),
        ("ReEncrypt", &on_blob),
    ] {
        for format in ["JSON", "XML"] {
            let dry = [parameters, &[("DryRun", "true"), ("Format", format)]].concat();
            let would = service.ask(action, &dry);
            assert_eq!(would.document["Code"], "DryRunOperationError", "{action}");
            assert_eq!(would.status, Some(Status::DryRun));
            let denied = limited.ask(action, &dry);
            assert_eq!(denied.document["Code"], "AccessDeniedError", "{action}");
            assert_eq!(denied.status.map(Status::http), Some(403));
        }
        // What would be wrong is told.
        let context = match action {
            "ReEncrypt" => "SourceEncryptionContext",
            _ => "EncryptionContext",
        };
        let wrong_context = [parameters, &[(context, "[]"), ("DryRun", "true")]].concat();
        for (wrong, told) in [
            (vec![("DryRun", "true")], "needed"),
            (wrong_context, context),
        ] {
            let reply = service.ask(action, &wrong);
            assert_eq!(reply.document["Code"], "ValidationError", "{action}");
            let message = string(&reply.document["Message"]);
            assert!(message.contains(told), "{message}");
        }
        let real = [parameters, &[("DryRun", "false")]].concat();
        service.done(action, &real);
    }
    let disabled = service.create_key(&[]);
    service.done("DisableKey", &[("KeyId", &disabled)]);
    let (status, message) = service.refused(
        "Encrypt",
        &[
            ("KeyId", &*disabled),
            ("Plaintext", "x"),
            ("DryRun", "true"),
        ],
    );
    assert_eq!(status, Status::DryRunInvalid);
    assert!(message.contains("Disabled"), "{message}");
    assert_eq!(
        place.epoch(),
        epoch + 2,
        "the two changes that were no dry runs"
    );
    assert_eq!(
        service
            .ask_raw(&request(
                "EnableKey",
                &[("KeyId", &key), ("DryRun", "true")]
            ))
            .status,
        Some(Status::InvalidParameter)
    );
    // An unwrap that was only tried is no use of the version: there were Decrypt and ReEncrypt.
    let usage = service.kms.usage(Some(&key)).unwrap();
    assert_eq!(usage[0].used.map(|(count, _)| count), Some(2));
}
