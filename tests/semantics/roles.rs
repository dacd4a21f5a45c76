//! What a client may do: permissions, read-only clients, disabled CMKs, keystores in memory.

use kmsbox::action::Action;
use kmsbox::error::Status;

use super::{ask, with_alias};
use crate::client::{Client, Options, Place};

/// A request of each action that the library offers, which a client with all permissions may do.
fn requests(key_id: &str, blob: &[u8]) -> Vec<(&'static str, String)> {
    use base64::Engine as _;
    let blob = base64::engine::general_purpose::STANDARD.encode(blob);
    let with_key = |action: &str| format!("Action={action}&KeyId={key_id}");
    vec![
        ("CreateKey", "Action=CreateKey".to_owned()),
        ("DescribeKey", with_key("DescribeKey")),
        ("ListKeys", "Action=ListKeys".to_owned()),
        ("EnableKey", with_key("EnableKey")),
        ("CreateKeyVersion", with_key("CreateKeyVersion")),
        (
            "CreateAlias",
            format!("{}&AliasName=alias/roles", with_key("CreateAlias")),
        ),
        ("GenerateDataKey", with_key("GenerateDataKey")),
        (
            "GenerateDataKeyWithoutPlaintext",
            with_key("GenerateDataKeyWithoutPlaintext"),
        ),
        (
            "Decrypt",
            format!(
                "Action=Decrypt&CiphertextBlob={}",
                crate::client::form(&blob)
            ),
        ),
        ("DisableKey", with_key("DisableKey")),
    ]
}

#[test]
fn a_permission_allows_its_action_and_no_other() {
    let place = Place::new();
    let all = place.create();
    let key_id = all.create_key();
    let blob = all.data_key(&key_id).blob;
    let requests = requests(&key_id, &blob);
    for (permission, request) in &requests {
        let client = place.open_with(&[("permissions", permission)]).unwrap();
        assert_eq!(
            client.describe()["Permissions"],
            serde_json::json!([permission])
        );
        for (action, other) in &requests {
            if action != permission {
                let answer = client.call(other);
                let refusal = answer.outcome.as_ref().unwrap_err();
                assert_eq!(refusal.status, Status::NoPermission, "{action}");
                assert!(refusal.message.contains(action), "{}", refusal.message);
                assert_eq!(answer.json()["Code"], "Forbidden.NoPermission");
            }
        }
        client.done(request);
    }
}

/// The C functions and the requests have one set of permissions.
#[test]
fn the_functions_heed_permissions_too() {
    let place = Place::new();
    let key_id = place.create().create_key();
    let distributor = place
        .open_with(&[("permissions", "GenerateDataKeyWithoutPlaintext")])
        .unwrap();
    let data_plane = place.open_with(&[("permissions", "Decrypt")]).unwrap();
    let both = place
        .open_with(&[("permissions", "Decrypt, GenerateDataKey")])
        .unwrap();

    let blob = distributor
        .generate_without_plaintext(ask(&key_id))
        .unwrap()
        .blob;
    let opened = data_plane.decrypt(Some(&key_id), &blob, None).unwrap();
    assert_eq!(opened, both.decrypt(Some(&key_id), &blob, None).unwrap());
    both.data_key(&key_id);

    let refused = [
        distributor.generate(ask(&key_id)).map(|_| ()),
        distributor.decrypt(None, &blob, None).map(|_| ()),
        data_plane.generate(ask(&key_id)).map(|_| ()),
        data_plane
            .generate_without_plaintext(ask(&key_id))
            .map(|_| ()),
        both.generate_without_plaintext(ask(&key_id)).map(|_| ()),
    ];
    for outcome in refused {
        assert_eq!(outcome.unwrap_err().status, Status::NoPermission);
    }
}

#[test]
fn every_action_of_the_api_is_a_permission() {
    let mut options = Options::new();
    for action in Action::ALL {
        options.set("permissions", action.name());
    }
    let all: Vec<_> = Action::ALL.iter().map(|action| action.name()).collect();
    options.set("permissions", &all.join(","));
    for wrong in [
        "decrypt",
        "Decrypt,",
        "Decrypt;CreateKey",
        "*",
        ",",
        "Encrypt Decrypt",
    ] {
        let refusal = options.try_set("permissions", wrong).unwrap_err();
        assert_eq!(refusal.status, Status::InvalidOption, "{wrong}");
    }
}

#[test]
fn a_read_only_client_uses_but_does_not_change() {
    let place = Place::new();
    let client = place.create();
    let key_id = client.create_key();
    let blob = client.data_key(&key_id).blob;
    drop(client);
    std::fs::remove_file(place.at("keystore.lock")).unwrap();
    let before = std::fs::read(place.keystore()).unwrap();

    let reader = place.open_with(&[("read_only", "true")]).unwrap();
    assert_eq!(reader.describe()["ReadOnly"], true);
    let made = reader.data_key(&key_id);
    reader.decrypt(None, &blob, None).unwrap();
    reader.decrypt(None, &made.blob, None).unwrap();
    for (action, request) in requests(&key_id, &blob) {
        let reads = [
            "DescribeKey",
            "ListKeys",
            "GenerateDataKey",
            "GenerateDataKeyWithoutPlaintext",
            "Decrypt",
        ];
        let outcome = reader.call(&request).outcome;
        if reads.contains(&action) {
            outcome.unwrap();
        } else {
            assert_eq!(
                outcome.unwrap_err().status,
                Status::NoPermission,
                "{action}"
            );
        }
    }
    assert_eq!(std::fs::read(place.keystore()).unwrap(), before);
    assert_eq!(place.names(), ["keystore"], "not even a lock was left");
}

#[test]
fn a_disabled_cmk_does_nothing_until_it_is_enabled() {
    let (client, key_id) = with_alias("alias/disabled");
    let made = client.data_key(&key_id);
    let statuses = || {
        [
            client.generate(ask(&key_id)).map(|_| ()),
            client.generate(ask("alias/disabled")).map(|_| ()),
            client.generate_without_plaintext(ask(&key_id)).map(|_| ()),
            client.decrypt(None, &made.blob, None).map(|_| ()),
            client.decrypt(Some(&key_id), &made.blob, None).map(|_| ()),
        ]
        .map(|outcome| outcome.map_err(|refusal| refusal.status))
    };
    // Twice is once.
    for _ in 0..2 {
        client.done(&format!("Action=DisableKey&KeyId={key_id}"));
        assert_eq!(statuses(), [Err(Status::Disabled); 5]);
    }
    for _ in 0..2 {
        client.done(&format!("Action=EnableKey&KeyId={key_id}"));
        assert_eq!(statuses(), [Ok(()); 5]);
    }
    let opened = client.decrypt(None, &made.blob, None).unwrap();
    assert_eq!(opened.plaintext, made.plaintext);
}

/// What one client changes, another sees: at once where its interval is 0, and at once where it asks for
/// something that it does not know.
#[test]
fn changes_of_another_client_are_seen() {
    let place = Place::new();
    let writer = place.create();
    let eager = place.open_with(&[("refresh_interval_ms", "0")]).unwrap();
    let lazy = place
        .open_with(&[("refresh_interval_ms", "3600000")])
        .unwrap();
    let key_id = writer.create_key();
    for reader in [&eager, &lazy] {
        reader.data_key(&key_id);
    }
    writer.done(&format!(
        "Action=CreateAlias&KeyId={key_id}&AliasName=alias/new"
    ));
    writer.done(&format!("Action=CreateKeyVersion&KeyId={key_id}"));
    let made = writer.data_key(&key_id);
    for reader in [&lazy, &eager] {
        reader.decrypt(Some("alias/new"), &made.blob, None).unwrap();
        assert_eq!(reader.data_key(&key_id).key_version_id, made.key_version_id);
    }
    writer.done(&format!("Action=DisableKey&KeyId={key_id}"));
    assert_eq!(
        eager.generate(ask(&key_id)).unwrap_err().status,
        Status::Disabled
    );
    // The hour is not over.
    lazy.data_key(&key_id);
}

#[test]
fn a_keystore_in_memory_lives_with_its_client() {
    let (client, key_id) = with_alias("alias/memory");
    let made = client.data_key(&key_id);
    assert_eq!(client.describe()["Keystore"], "memory:");
    let other = Client::in_memory();
    assert_eq!(
        other.decrypt(None, &made.blob, None).unwrap_err().status,
        Status::KeyNotFound
    );
    assert_ne!(
        client.describe()["KeystoreId"],
        other.describe()["KeystoreId"]
    );
    assert_eq!(other.done("Action=ListKeys")["TotalCount"], 0);
}
