//! How a CMK is named, where one is used and where one is expected.

use kmsbox::error::Status;

use super::{NO_SUCH_ID, arn, ask, with_alias};

#[test]
fn names_of_no_cmk() {
    let (client, key_id) = with_alias("alias/names");
    let made = client.data_key(&key_id);
    let foreign = [
        format!("acs:kms:cn-hangzhou:0:key/{key_id}"),
        format!("acs:kms:local:1:key/{key_id}"),
        "acs:kms:local:0:alias/names".to_owned(),
        "acs:".to_owned(),
    ];
    let garbage = [
        key_id.to_uppercase(),
        key_id.replace('-', ""),
        format!("{{{key_id}}}"),
        format!(" {key_id}"),
        format!("{key_id} "),
        format!("urn:uuid:{key_id}"),
        key_id[..35].to_owned(),
        format!("{key_id}0"),
        arn(&key_id.to_uppercase()),
        arn("alias/names"),
        arn(""),
        "names".to_owned(),
        "Alias/names".to_owned(),
        "ключ".to_owned(),
        "x".repeat(100_000),
        NO_SUCH_ID.to_owned(),
        arn(NO_SUCH_ID),
    ];
    let aliases = [
        "alias/",
        "alias/other",
        "alias/NAMES",
        "alias/names/",
        "alias/names ",
    ];

    let used = |name: &str| client.generate(ask(name)).unwrap_err().status;
    let expected = |name: &str| {
        let outcome = client.decrypt(Some(name), &made.blob, None);
        outcome.unwrap_err().status
    };
    for name in &foreign {
        assert_eq!(used(name), Status::KeyNotFound, "{name}");
        assert_eq!(expected(name), Status::KeyNotFound, "{name}");
    }
    for name in &garbage {
        assert_eq!(used(name), Status::KeyNotFound, "{name}");
        // Whether such a CMK exists is not even asked.
        assert_eq!(expected(name), Status::KeyMismatch, "{name}");
    }
    for name in aliases {
        assert_eq!(used(name), Status::AliasNotFound, "{name}");
        assert_eq!(expected(name), Status::AliasNotFound, "{name}");
    }
}

#[test]
fn the_expected_cmk() {
    let (client, key_id) = with_alias("alias/expected");
    let other_id = client.create_key();
    client.done(&format!(
        "Action=CreateAlias&KeyId={other_id}&AliasName=alias/other"
    ));
    let made = client.data_key(&key_id);
    for name in [&key_id, &arn(&key_id), "alias/expected"] {
        let opened = client.decrypt(Some(name), &made.blob, None).unwrap();
        assert_eq!(opened.plaintext, made.plaintext);
    }
    for name in [&other_id, &arn(&other_id), "alias/other", NO_SUCH_ID] {
        let refusal = client.decrypt(Some(name), &made.blob, None).unwrap_err();
        assert_eq!(refusal.status, Status::KeyMismatch, "{name}");
        // Which CMK it is under instead is not told.
        assert!(!refusal.message.contains(&key_id));
    }
    // An empty variable is not "any".
    let refusal = client.decrypt(Some(""), &made.blob, None).unwrap_err();
    assert_eq!(refusal.status, Status::MissingParameter);
    assert!(refusal.message.contains("expected_key_id"), "{refusal:?}");
}

#[test]
fn a_missing_key_id_is_named() {
    let (client, _) = with_alias("alias/missing");
    let refusal = client.generate(ask("")).unwrap_err();
    assert_eq!(refusal.status, Status::MissingParameter);
    assert!(refusal.message.contains("\"KeyId\""), "{refusal:?}");
}

#[test]
fn many_aliases_of_one_cmk() {
    let (client, key_id) = with_alias("alias/first");
    for number in 0..50 {
        let alias = format!("alias/more/{number}");
        client.done(&format!(
            "Action=CreateAlias&KeyId={key_id}&AliasName={alias}"
        ));
        assert_eq!(client.data_key(&alias).key_id, key_id);
    }
}
