//! Permissions: actions, and actions on some CMKs. A refusal tells nothing about the CMK.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/service.rs"]
mod service;
mod support;

use kmsbox::error::Status;
use service::{Place, Service};

/// Two CMKs with an alias each, and blobs under both.
struct Two {
    place: Place,
    all: Service,
    orders: String,
    users: String,
    orders_blob: String,
    users_blob: String,
}

const NOBODY: &str = "1234abcd-12ab-34cd-56ef-1234567890ab";

fn two() -> Two {
    let place = Place::new();
    let all = place.open(&[]);
    let [orders, users] = ["alias/orders", "alias/users"].map(|alias| {
        let key = all.create_key(&[]);
        all.done("CreateAlias", &[("KeyId", &key), ("AliasName", alias)]);
        key
    });
    Two {
        orders_blob: all.data_key(&orders).blob,
        users_blob: all.data_key(&users).blob,
        place,
        all,
        orders,
        users,
    }
}

impl Two {
    fn client(&self, permissions: &str) -> Service {
        self.place.open(&[("permissions", permissions)])
    }

    fn arn(&self) -> String {
        format!("acs:kms:local:0:key/{}", self.orders)
    }
}

fn is_done(service: &Service, action: &str, parameters: &[(&str, &str)]) -> bool {
    match service.ask(action, parameters).status {
        None => true,
        Some(Status::NoPermission) => false,
        Some(other) => panic!("{action} {parameters:?}: {other:?}"),
    }
}

#[test]
fn an_action_on_one_cmk_named_in_any_way() {
    let two = two();
    let by_arn = two.arn();
    for name in ["alias/orders", &two.orders, &by_arn] {
        let client = two.client(&format!("Decrypt@{name},GenerateDataKey@{name}, ListKeys"));
        assert!(
            is_done(&client, "Decrypt", &[("CiphertextBlob", &two.orders_blob)]),
            "{name}"
        );
        assert!(
            !is_done(&client, "Decrypt", &[("CiphertextBlob", &two.users_blob)]),
            "{name}"
        );
        for (asked, allowed) in [
            (two.orders.as_str(), true),
            (&by_arn, true),
            ("alias/orders", true),
            (&two.users, false),
            ("alias/users", false),
            ("alias/nobody", false),
            (NOBODY, false),
            (
                "acs:kms:cn-hangzhou:1:key/1234abcd-12ab-34cd-56ef-1234567890ab",
                false,
            ),
            ("nonsense", false),
        ] {
            assert_eq!(
                is_done(&client, "GenerateDataKey", &[("KeyId", asked)]),
                allowed,
                "{asked}"
            );
        }
        assert!(!is_done(
            &client,
            "GenerateDataKeyWithoutPlaintext",
            &[("KeyId", &two.orders)]
        ));
        assert!(is_done(&client, "ListKeys", &[]));
        assert!(!is_done(&client, "CreateKey", &[]));
    }
    // Several for one action add up, and one without a CMK covers all.
    let client = two.client("Decrypt@alias/orders,Decrypt@alias/users");
    for blob in [&two.orders_blob, &two.users_blob] {
        assert!(is_done(&client, "Decrypt", &[("CiphertextBlob", blob)]));
    }
    let client = two.client("Decrypt@alias/orders,Decrypt");
    assert!(is_done(
        &client,
        "Decrypt",
        &[("CiphertextBlob", &two.users_blob)]
    ));
}

#[test]
fn every_action_on_a_cmk_can_be_limited_to_one() {
    let two = two();
    let fresh = || {
        let key = two.all.create_key(&[]);
        let version = two.all.data_key(&key).version;
        (key, version)
    };
    let fixed = |action: &str| -> &[(&str, &str)] {
        match action {
            "UpdateKeyDescription" => &[("Description", "d")],
            "ScheduleKeyDeletion" => &[("PendingWindowInDays", "7")],
            "UpdateRotationPolicy" => &[("EnableAutomaticRotation", "false")],
            "SetDeletionProtection" => &[("EnableDeletionProtection", "false")],
            "TagResource" => &[("Tags", r#"[{"TagKey":"a","TagValue":"b"}]"#)],
            "UntagResource" => &[("TagKeys", "[\"a\"]")],
            "Encrypt" => &[("Plaintext", "root")],
            _ => &[],
        }
    };
    for action in [
        "DescribeKey",
        "UpdateKeyDescription",
        "EnableKey",
        "DisableKey",
        "ScheduleKeyDeletion",
        "SetDeletionProtection",
        "CreateKeyVersion",
        "ListKeyVersions",
        "DescribeKeyVersion",
        "UpdateRotationPolicy",
        "CreateAlias",
        "ListAliasesByKeyId",
        "TagResource",
        "UntagResource",
        "ListResourceTags",
        "Encrypt",
        "GenerateDataKey",
        "GenerateDataKeyWithoutPlaintext",
    ] {
        let (allowed, version) = fresh();
        let (other, other_version) = fresh();
        let client = two.client(&format!("{action}@{allowed}"));
        let alias = format!("alias/{action}");
        let ask = |key: &str, version: &str| {
            let name = match action {
                "SetDeletionProtection" => "ProtectedResourceArn",
                _ => "KeyId",
            };
            let mut parameters = [&[(name, key)], fixed(action)].concat();
            match action {
                "DescribeKeyVersion" => parameters.push(("KeyVersionId", version)),
                "CreateAlias" => parameters.push(("AliasName", &alias)),
                _ => {}
            }
            is_done(&client, action, &parameters)
        };
        assert!(!ask(&other, &other_version), "{action}");
        assert!(!ask(NOBODY, &version), "{action}");
        assert!(ask(&allowed, &version), "{action}");
    }
}

#[test]
fn a_permission_by_alias_follows_the_alias() {
    let two = two();
    let client = two.client("Decrypt@alias/orders,DisableKey@alias/orders");
    let may = || {
        [&two.orders_blob, &two.users_blob]
            .map(|blob| is_done(&client, "Decrypt", &[("CiphertextBlob", blob)]))
    };
    assert_eq!(may(), [true, false]);
    two.all.done(
        "UpdateAlias",
        &[("KeyId", &two.users), ("AliasName", "alias/orders")],
    );
    assert_eq!(may(), [false, true]);
    assert!(!is_done(&client, "DisableKey", &[("KeyId", &two.orders)]));
    two.all
        .done("DeleteAlias", &[("AliasName", "alias/orders")]);
    assert_eq!(may(), [false, false]);
    two.all.done(
        "CreateAlias",
        &[("KeyId", &two.orders), ("AliasName", "alias/orders")],
    );
    assert_eq!(may(), [true, false]);
    assert!(is_done(&client, "DisableKey", &[("KeyId", &two.orders)]));
}

#[test]
fn an_alias_moves_only_where_both_cmks_are_covered() {
    let two = two();
    let move_to = |client: &Service, key: &str| {
        is_done(
            client,
            "UpdateAlias",
            &[("KeyId", key), ("AliasName", "alias/orders")],
        )
    };
    let Two { orders, users, .. } = &two;
    for (permissions, allowed) in [
        (format!("UpdateAlias@{orders}"), false),
        (format!("UpdateAlias@{users}"), false),
        (format!("UpdateAlias@{orders},CreateAlias@{users}"), false),
        (format!("UpdateAlias@{orders},UpdateAlias@{users}"), true),
    ] {
        assert_eq!(
            move_to(&two.client(&permissions), users),
            allowed,
            "{permissions}"
        );
    }
    let delete = [("AliasName", "alias/orders")];
    assert!(!is_done(
        &two.client(&format!("DeleteAlias@{orders}")),
        "DeleteAlias",
        &delete
    ));
    assert!(is_done(
        &two.client(&format!("DeleteAlias@{users}")),
        "DeleteAlias",
        &delete
    ));
}

#[test]
fn re_encrypt_is_one_permission_on_each_side() {
    let two = two();
    let Two { orders, users, .. } = &two;
    let other = two.all.create_key(&[]);
    for (permissions, to_users, to_other) in [
        ("ReEncrypt".to_owned(), true, true),
        ("ReEncryptFrom,ReEncryptTo".to_owned(), true, true),
        (
            format!("ReEncryptFrom@{orders},ReEncryptTo@{users}"),
            true,
            false,
        ),
        (format!("ReEncryptFrom@{orders},ReEncryptTo"), true, true),
        (format!("ReEncryptFrom,ReEncryptTo@{users}"), true, false),
        (format!("ReEncrypt@{orders}"), false, false),
        (
            format!("ReEncrypt@{orders},ReEncryptTo@{users}"),
            true,
            false,
        ),
        (
            format!("ReEncryptFrom@{users},ReEncryptTo@{users}"),
            false,
            false,
        ),
        ("ReEncryptFrom".to_owned(), false, false),
        ("ReEncryptTo".to_owned(), false, false),
        ("Decrypt,Encrypt".to_owned(), false, false),
    ] {
        let client = two.client(&permissions);
        for (to, allowed) in [(users, to_users), (&other, to_other)] {
            let parameters = [
                ("CiphertextBlob", &*two.orders_blob),
                ("DestinationKeyId", to),
            ];
            assert_eq!(
                is_done(&client, "ReEncrypt", &parameters),
                allowed,
                "{permissions} {to}"
            );
        }
    }
}

#[test]
fn a_refusal_does_not_tell_whether_the_cmk_exists() {
    let two = two();
    let gone = two.all.create_key(&[]);
    let gone_blob = two.all.data_key(&gone).blob;
    let disabled = two.all.create_key(&[]);
    let disabled_blob = two.all.data_key(&disabled).blob;
    two.all.done("DisableKey", &[("KeyId", &disabled)]);
    two.place.end_window(&gone);
    let all_limited: Vec<_> = kmsbox::action::Action::ALL
        .iter()
        .map(|action| format!("{}@alias/orders", action.name()))
        .filter(|permission| kmsbox::action::Permissions::parse(permission).is_ok())
        .collect();
    let clients = [two.client(&all_limited.join(",")), two.client("ListKeys")];
    for client in &clients {
        let answers = |action: &str,
                       parameters: &dyn Fn(&str) -> Vec<(&'static str, String)>,
                       values: &[&str]| {
            let mut seen: Vec<_> = values
                .iter()
                .map(|value| {
                    let parameters = parameters(value);
                    let borrowed: Vec<_> =
                        parameters.iter().map(|(n, v)| (*n, v.as_str())).collect();
                    let (status, message) = client.refused(action, &borrowed);
                    assert_eq!(status, Status::NoPermission, "{action} {value}");
                    message
                })
                .collect();
            seen.dedup();
            assert_eq!(seen.len(), 1, "{action} tells them apart: {seen:?}");
        };
        let names = [
            &*two.users,
            &gone,
            &disabled,
            NOBODY,
            "x",
            "alias/users",
            "alias/none",
        ];
        let ids = &names[..5];
        for action in ["DescribeKey", "GenerateDataKey", "CreateKeyVersion"] {
            answers(action, &|key| vec![("KeyId", key.to_owned())], &names);
        }
        for action in ["EnableKey", "ScheduleKeyDeletion", "ListResourceTags"] {
            let window = ("PendingWindowInDays", "7".to_owned());
            let rest = (action == "ScheduleKeyDeletion").then_some(window);
            let parameters =
                |key: &str| [("KeyId", key.to_owned())].into_iter().chain(rest.clone());
            answers(action, &|key| parameters(key).collect(), ids);
        }
        answers(
            "CreateAlias",
            &|key| {
                vec![
                    ("KeyId", key.to_owned()),
                    ("AliasName", "alias/users".into()),
                ]
            },
            ids,
        );
        answers(
            "DeleteAlias",
            &|alias| vec![("AliasName", alias.to_owned())],
            &["alias/users", "alias/none"],
        );
        let foreign = {
            let memory = Service::in_memory();
            let key = memory.create_key(&[]);
            memory.data_key(&key).blob
        };
        let blobs = [&*two.users_blob, &gone_blob, &disabled_blob, &foreign];
        answers(
            "Decrypt",
            &|blob| vec![("CiphertextBlob", blob.to_owned())],
            &blobs,
        );
        answers(
            "ReEncrypt",
            &|blob| {
                vec![
                    ("CiphertextBlob", blob.to_owned()),
                    ("DestinationKeyId", two.orders.clone()),
                ]
            },
            &blobs,
        );
        answers(
            "ReEncrypt",
            &|key| {
                vec![
                    ("CiphertextBlob", two.orders_blob.clone()),
                    ("DestinationKeyId", key.to_owned()),
                ]
            },
            &names,
        );
    }
}
