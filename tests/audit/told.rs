//! What else a line tells: what was purged, which aliases moved, and how much of a caller's text.

use super::*;

#[test]
fn what_a_change_purges_is_named() {
    let place = Place::new();
    let (service, log) = audited(&place, &[]);
    let other = service.create_key(&[]);
    let gone = [service.create_key(&[]), service.create_key(&[])];
    for change in ["any other", "purge"] {
        let gone = match change {
            "purge" => vec![service.create_key(&[])],
            _ => gone.to_vec(),
        };
        // In one edit: the next one would purge already.
        place.edit(|draft| {
            for key in &gone {
                let id = kmsbox::key_name::parse_id(key).unwrap();
                let key = draft.state.key_mut(id).unwrap();
                key.put_in = kmsbox::keystore::state::KeyState::PendingDeletion;
                key.delete_date = Some(service::ago(1));
            }
        });
        let new = added(&log, || match change {
            "purge" => {
                let purged = service.kms.purge(&Call::default(), false).unwrap();
                assert_eq!(purged.len(), 1);
            }
            _ => drop(service.done("DisableKey", &[("KeyId", &other)])),
        });
        assert_eq!(new.len(), 2, "{new:?}");
        for line in &new {
            assert_eq!(line["purged"], json!(gone), "{change}");
        }
    }
    let new = added(&log, || {
        drop(service.done("EnableKey", &[("KeyId", &other)]))
    });
    assert!(new.iter().all(|line| line.get("purged").is_none()));
    // Nothing to do is told as well, and so is what was not allowed.
    let bound = [
        ("permissions", "Decrypt"),
        ("audit_log", log.to_str().unwrap()),
    ];
    let bound = place.open(&bound);
    for (client, status) in [(&service, "KMS_OK"), (&bound, "KMS_ERR_NO_PERMISSION")] {
        let new = added(&log, || drop(client.kms.purge(&Call::default(), false)));
        assert_eq!(new.len(), 1);
        assert_eq!(
            (&new[0]["action"], &new[0]["status"]),
            (&json!("Purge"), &json!(status))
        );
    }
}

#[test]
fn aliases_are_named_with_their_cmks() {
    let place = Place::new();
    let (service, log) = audited(&place, &[]);
    let (first, second) = (service.create_key(&[]), service.create_key(&[]));
    let alias = ("AliasName", "alias/orders");
    for (action, parameters, key, old) in [
        ("CreateAlias", vec![("KeyId", &*first), alias], &first, None),
        (
            "UpdateAlias",
            vec![("KeyId", &*second), alias],
            &second,
            Some(&first),
        ),
        ("DeleteAlias", vec![alias], &second, None),
    ] {
        let new = added(&log, || drop(service.done(action, &parameters)));
        assert_eq!(new.len(), 2);
        for line in &new {
            assert_eq!(line["alias"], "alias/orders", "{action}");
            assert_eq!(line["key_id"], **key, "{action}");
            let old = old.map(|old| json!(old));
            assert_eq!(line.get("old_key_id"), old.as_ref(), "{action}");
        }
    }
}

#[test]
fn an_alias_where_none_will_do_is_written_down() {
    let place = Place::new();
    let (service, log) = audited(&place, &[]);
    service.create_key(&[]);
    let bound = [
        ("permissions", "EnableKey@alias/orders,ListResourceTags"),
        ("audit_log", log.to_str().unwrap()),
    ];
    for client in [&service, &place.open(&bound)] {
        for action in ["EnableKey", "ListResourceTags"] {
            let new = added(&log, || {
                drop(client.refused(action, &[("KeyId", "alias/orders")]))
            });
            assert_eq!(new.len(), 1, "{action}");
            assert_eq!(new[0]["key"], "alias/orders");
            assert_eq!(new[0]["status"], "KMS_ERR_UNSUPPORTED_ALIAS");
        }
    }
}

#[test]
fn what_a_caller_gave_is_cut() {
    let place = Place::new();
    let (service, log) = audited(&place, &[]);
    let long = "é".repeat(5000);
    let new = added(&log, || {
        drop(service.refused("DescribeKey", &[("KeyId", &long)]))
    });
    assert_eq!(new[0]["key"], "é".repeat(300));
}
