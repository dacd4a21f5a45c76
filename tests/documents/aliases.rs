//! CreateAlias: what an alias may be, and which operations take one.

use kmsbox::error::Status;

use super::NO_SUCH_ID;
use crate::client::{Client, form};

fn create(client: &Client, key_id: &str, alias: &str) -> Option<Status> {
    let (key_id, alias) = (form(key_id), form(alias));
    let request = format!("Action=CreateAlias&KeyId={key_id}&AliasName={alias}");
    let outcome = client.call(&request).outcome;
    outcome.err().map(|refusal| refusal.status)
}

#[test]
fn what_an_alias_may_be() {
    let client = Client::in_memory();
    let key_id = client.create_key();
    let longest = format!("alias/{}", "x".repeat(255));
    for right in [
        "alias/a",
        "alias/-",
        "alias/_",
        "alias//",
        "alias/0",
        "alias/Orders_2026-x/y",
        "alias/alias/a",
        &longest,
    ] {
        assert_eq!(create(&client, &key_id, right), None, "{right}");
        assert_eq!(client.data_key(right).key_id, key_id);
    }
    let too_long = format!("{longest}x");
    for wrong in [
        "alias/",
        "orders",
        "Alias/orders",
        "ALIAS/orders",
        "/alias/orders",
        " alias/orders",
        "alias/orders ",
        "alias/a.b",
        "alias/a:b",
        "alias/a*",
        "alias/\u{e9}",
        "alias/a\nb",
        "alias/acs",
        "alias/acs/oss",
        "alias/acsx",
        &too_long,
    ] {
        let status = create(&client, &key_id, wrong);
        assert_eq!(status, Some(Status::InvalidParameter), "{wrong}");
    }
    assert_eq!(create(&client, &key_id, ""), Some(Status::MissingParameter));
    assert_eq!(client.describe()["Aliases"], 8);
}

#[test]
fn an_alias_is_one_of_a_kind() {
    let client = Client::in_memory();
    let (one, two) = (client.create_key(), client.create_key());
    assert_eq!(create(&client, &one, "alias/orders"), None);
    for key_id in [&one, &two] {
        let status = create(&client, key_id, "alias/orders");
        assert_eq!(status, Some(Status::AliasExists));
    }
    // Case counts.
    assert_eq!(create(&client, &two, "alias/Orders"), None);
    assert_eq!(client.data_key("alias/orders").key_id, one);
    assert_eq!(client.data_key("alias/Orders").key_id, two);
}

#[test]
fn what_an_alias_may_point_to() {
    let client = Client::in_memory();
    let key_id = client.create_key();
    let arn = format!("acs:kms:local:0:key/{key_id}");
    assert_eq!(create(&client, &arn, "alias/by-arn"), None);
    for (target, status) in [
        (NO_SUCH_ID, Status::KeyNotFound),
        ("orders", Status::KeyNotFound),
        ("acs:kms:cn-hangzhou:1:key/x", Status::KeyNotFound),
        ("alias/by-arn", Status::UnsupportedAlias),
        ("", Status::MissingParameter),
    ] {
        assert_eq!(
            create(&client, target, "alias/other"),
            Some(status),
            "{target}"
        );
    }
    client.done(&format!("Action=DisableKey&KeyId={key_id}"));
    assert_eq!(create(&client, &key_id, "alias/of-a-disabled-one"), None);
}

#[test]
fn which_operations_take_an_alias() {
    let client = Client::in_memory();
    let key_id = client.create_key();
    assert_eq!(create(&client, &key_id, "alias/orders"), None);
    for action in ["EnableKey", "DisableKey"] {
        for alias in ["alias/orders", "alias/none"] {
            let answer = client.call(&format!("Action={action}&KeyId={alias}"));
            assert_eq!(answer.json()["Code"], "Unsupported.Alias", "{action}");
        }
    }
    for action in [
        "DescribeKey",
        "CreateKeyVersion",
        "GenerateDataKey",
        "GenerateDataKeyWithoutPlaintext",
    ] {
        client.done(&format!("Action={action}&KeyId=alias/orders"));
        let answer = client.call(&format!("Action={action}&KeyId=alias/none"));
        assert_eq!(answer.json()["Code"], "Forbidden.AliasNotFound", "{action}");
    }
}
