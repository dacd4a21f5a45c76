//! Deletion: a window, a way back, and an end after which nothing is left in the file.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/service.rs"]
mod service;
mod support;

use std::fs;
use std::thread;
use std::time::Duration;

use kmsbox::clock::Timestamp;
use kmsbox::error::Status;
use kmsbox::key_name::parse_id;
use kmsbox::keystore::state::KeyState;
use kmsbox::request_id::Call;
use service::{DAY, Place, Service, ago, string};
use uuid::Uuid;

/// A CMK with an alias and a blob.
struct Doomed {
    key: String,
    id: Uuid,
    blob: String,
    /// Its material as it stands in the file.
    sealed: String,
}

const ALIAS: &str = "alias/doomed";

fn doomed(place: &Place, service: &Service) -> Doomed {
    let key = service.create_key(&[]);
    service.done("CreateAlias", &[("KeyId", &key), ("AliasName", ALIAS)]);
    let in_file = place.key_in_file(&key).unwrap();
    Doomed {
        id: parse_id(&key).unwrap(),
        blob: service.data_key(&key).blob,
        sealed: string(&in_file["versions"][0]["sealed_material"]),
        key,
    }
}

impl Doomed {
    fn schedule(&self, service: &Service, days: u64) {
        let days = days.to_string();
        let window = [("KeyId", &*self.key), ("PendingWindowInDays", &days)];
        service.done("ScheduleKeyDeletion", &window);
    }

    /// What use of it answers.
    fn uses(&self, service: &Service) -> [Option<Status>; 4] {
        [
            service.ask("GenerateDataKey", &[("KeyId", &self.key)]),
            service.ask("GenerateDataKey", &[("KeyId", ALIAS)]),
            service.ask("Encrypt", &[("KeyId", &self.key), ("Plaintext", "root")]),
            service.ask("Decrypt", &[("CiphertextBlob", &self.blob)]),
        ]
        .map(|reply| reply.status)
    }

    fn is_in_file(&self, place: &Place) -> bool {
        let file = fs::read_to_string(place.keystore()).unwrap();
        let parts = [&*self.key, &*self.sealed, ALIAS].map(|part| file.contains(part));
        assert!(
            parts.iter().all(|part| *part == parts[0]),
            "wholly or not at all: {parts:?}"
        );
        parts[0]
    }

    /// Ends the window, with the keystore's clock at some other time.
    fn end(&self, place: &Place, clock: Timestamp) {
        place.edit(|draft| {
            let key = draft.state.key_mut(self.id).unwrap();
            key.put_in = KeyState::PendingDeletion;
            key.delete_date = Some(ago(1));
            draft.state.clock = clock;
        });
    }
}

#[test]
fn the_window_is_told_and_use_is_refused_at_once() {
    let place = Place::new();
    let service = place.open(&[]);
    let same_interval = place.open(&[("refresh_interval_ms", "300")]);
    let doomed = doomed(&place, &service);
    for days in [7, 366] {
        for client in [&service, &same_interval] {
            assert_eq!(doomed.uses(client), [None; 4]);
        }
        let before = Timestamp::now();
        doomed.schedule(&service, days);
        assert_eq!(doomed.uses(&service), [Some(Status::PendingDeletion); 4]);
        let about = service.describe(&doomed.key);
        assert_eq!(about["KeyState"], "PendingDeletion");
        let dates = [before, Timestamp::now()].map(|now| now.plus(days * DAY).to_string());
        assert!(dates.contains(&string(&about["DeleteDate"])), "{about}");
        // A new client, and one whose interval is over.
        assert_eq!(
            doomed.uses(&place.open(&[])),
            [Some(Status::PendingDeletion); 4]
        );
        thread::sleep(Duration::from_millis(300));
        assert_eq!(
            doomed.uses(&same_interval),
            [Some(Status::PendingDeletion); 4]
        );

        service.done("CancelKeyDeletion", &[("KeyId", &doomed.key)]);
        assert_eq!(service.describe(&doomed.key)["DeleteDate"], "");
        thread::sleep(Duration::from_millis(300));
        for client in [&service, &same_interval] {
            assert_eq!(doomed.uses(client), [None; 4]);
        }
    }
}

#[test]
fn protection_is_lifted_before() {
    let place = Place::new();
    let service = place.open(&[]);
    let doomed = doomed(&place, &service);
    let protect = |on| {
        let arn = format!("acs:kms:local:0:key/{}", doomed.key);
        let switch = [
            ("ProtectedResourceArn", &*arn),
            ("EnableDeletionProtection", on),
        ];
        service.done("SetDeletionProtection", &switch);
    };
    protect("true");
    let window = [("KeyId", &*doomed.key), ("PendingWindowInDays", "30")];
    assert_eq!(
        service.refused("ScheduleKeyDeletion", &window).0,
        Status::State
    );
    // So it is for every client, and after a restart.
    assert_eq!(
        place.open(&[]).refused("ScheduleKeyDeletion", &window).0,
        Status::State
    );
    assert_eq!(doomed.uses(&service), [None; 4]);
    protect("false");
    doomed.schedule(&service, 30);
}

#[test]
fn what_is_gone_stays_in_the_file_until_the_next_management_write() {
    let place = Place::new();
    let service = place.open(&[]);
    let doomed = doomed(&place, &service);
    let other = service.create_key(&[]);
    doomed.schedule(&service, 7);
    place.end_window(&doomed.key);
    let epoch = place.epoch();

    for client in [
        &service,
        &place.open(&[]),
        &place.open(&[("read_only", "true")]),
    ] {
        assert_eq!(doomed.uses(client), [Some(Status::KeyNotFound); 4]);
        let window = [("KeyId", &*doomed.key), ("PendingWindowInDays", "7")];
        assert_eq!(
            client.refused("DescribeKey", &window[..1]).0,
            Status::KeyNotFound
        );
        // It is in no list.
        assert_eq!(
            client.done("ListKeys", &[])["Keys"]["Key"][0]["KeyId"],
            *other
        );
        assert_eq!(client.done("ListKeys", &[])["TotalCount"], 1);
        assert_eq!(client.done("ListAliases", &[])["TotalCount"], 0);
    }
    let back = [("KeyId", &*doomed.key)];
    assert_eq!(
        service.refused("CancelKeyDeletion", &back).0,
        Status::KeyNotFound
    );
    // Data operations write nothing.
    let made = service.data_key(&other);
    assert_eq!(service.decrypt(&made.blob), made.plaintext);
    assert!(doomed.is_in_file(&place));
    assert_eq!(place.epoch(), epoch);

    service.done("DisableKey", &[("KeyId", &other)]);
    assert!(!doomed.is_in_file(&place));
    assert_eq!(place.epoch(), epoch + 1);
    // The alias went with it, and its name is free.
    let named = [
        Status::KeyNotFound,
        Status::AliasNotFound,
        Status::KeyNotFound,
        Status::KeyNotFound,
    ];
    assert_eq!(doomed.uses(&service), named.map(Some));
    service.done("CreateAlias", &[("KeyId", &other), ("AliasName", ALIAS)]);
}

#[test]
fn purged_on_demand() {
    let place = Place::new();
    let service = place.open(&[]);
    let doomed = doomed(&place, &service);
    let call = Call::default();
    doomed.schedule(&service, 7);
    let epoch = place.epoch();
    let purge = |confirmed| service.kms.purge(&call, confirmed);
    assert_eq!(purge(false), Ok(vec![]), "the window is open");
    assert_eq!(place.epoch(), epoch);
    assert_eq!(purge(true), Ok(vec![]), "the window is open");
    assert_eq!(place.epoch(), epoch + 1, "the clock was confirmed");

    place.end_window(&doomed.key);
    assert_eq!(service.kms.gone_keys(), Ok(vec![doomed.id]));
    for options in [
        ("read_only", "true"),
        ("permissions", "Decrypt,ScheduleKeyDeletion"),
    ] {
        let refused = place.open(&[options]).kms.purge(&call, true).unwrap_err();
        assert_eq!(refused.status(), Status::NoPermission);
    }
    assert!(doomed.is_in_file(&place));
    assert_eq!(
        place
            .open(&[("permissions", "Purge")])
            .kms
            .purge(&call, false),
        Ok(vec![doomed.id])
    );
    assert!(!doomed.is_in_file(&place));
    assert_eq!(service.kms.purge(&call, false), Ok(vec![]));
    assert_eq!(service.kms.gone_keys(), Ok(vec![]));
}

#[test]
fn a_clock_that_may_be_wrong_deletes_nothing_until_that_is_confirmed() {
    let hour = 60 * 60;
    let behind = Timestamp::now().plus(hour);
    for (name, clock) in [("behind", behind), ("far ahead", ago(31 * DAY))] {
        let place = Place::new();
        let service = place.open(&[]);
        let doomed = doomed(&place, &service);
        let other = service.create_key(&[]);
        doomed.end(&place, clock);

        let refused = service.kms.purge(&Call::default(), false).unwrap_err();
        assert_eq!(refused.status(), Status::Clock, "{name}");
        assert!(refused.to_string().starts_with("KMS_ERR_CLOCK"));
        assert!(refused.message().contains(&clock.to_string()), "{refused}");
        // Other changes go on, and keep it.
        for action in ["DisableKey", "EnableKey"] {
            service.done(action, &[("KeyId", &other)]);
            assert!(doomed.is_in_file(&place), "{name}");
        }
        // Time goes on in the first half of the message.
        let again = service.kms.purge(&Call::default(), false).unwrap_err();
        assert_eq!(again.status(), Status::Clock);
        assert!(again.message().contains(&clock.to_string()), "{again}");
        // The name is taken as long as the alias stands in the file.
        let (status, message) =
            service.refused("CreateAlias", &[("KeyId", &other), ("AliasName", ALIAS)]);
        assert_eq!(status, Status::AliasExists);
        assert!(message.contains("purge it"), "{message}");
        assert_eq!(doomed.uses(&service), [Some(Status::KeyNotFound); 4]);

        assert_eq!(
            service.kms.purge(&Call::default(), true),
            Ok(vec![doomed.id])
        );
        assert!(!doomed.is_in_file(&place), "{name}");
        // From now on this clock is believed.
        let next = service.create_key(&[]);
        place.end_window(&next);
        assert_eq!(
            service.kms.purge(&Call::default(), false).unwrap().len(),
            1,
            "{name}"
        );
    }
}

fn clock_in_file(place: &Place) -> String {
    string(&place.file()["clock"])
}

#[test]
fn a_jump_of_the_clock_is_not_believed_by_degrees() {
    // Whether something is gone or only waits: a change must not move the clock on, since the next
    // one would then purge by it.
    let behind = Timestamp::now().plus(60 * 60);
    for clock in [behind, ago(31 * DAY)] {
        let place = Place::new();
        let service = place.open(&[]);
        let doomed = doomed(&place, &service);
        doomed.schedule(&service, 7);
        place.edit(|draft| draft.state.clock = clock);
        for action in ["CreateKey", "CreateKey"] {
            service.done(action, &[]);
            assert_eq!(clock_in_file(&place), clock.to_string());
        }
        place.edit_key(&doomed.key, |key| key.delete_date = Some(ago(1)));
        for _ in 0..2 {
            service.create_key(&[]);
            assert!(doomed.is_in_file(&place));
        }
        assert_eq!(clock_in_file(&place), clock.to_string());
        let refused = service.kms.purge(&Call::default(), false).unwrap_err();
        assert_eq!(refused.status(), Status::Clock);
    }
}

#[test]
fn confirmed_the_clock_goes_on_also_where_nothing_is_gone() {
    let place = Place::new();
    let service = place.open(&[]);
    let doomed = doomed(&place, &service);
    doomed.schedule(&service, 7);
    let clock = ago(31 * DAY);
    place.edit(|draft| draft.state.clock = clock);
    assert_eq!(service.kms.purge(&Call::default(), false), Ok(vec![]));
    assert_eq!(clock_in_file(&place), clock.to_string());
    let before = Timestamp::now();
    assert_eq!(service.kms.purge(&Call::default(), true), Ok(vec![]));
    let dates = [before, Timestamp::now()].map(|now| now.to_string());
    assert!(dates.contains(&clock_in_file(&place)));
    place.edit_key(&doomed.key, |key| key.delete_date = Some(ago(1)));
    service.create_key(&[]);
    assert!(!doomed.is_in_file(&place));
}

#[test]
fn a_keystore_at_rest_does_not_get_stuck() {
    let place = Place::new();
    let service = place.open(&[]);
    let key = service.create_key(&[]);
    place.edit(|draft| draft.state.clock = ago(400 * DAY));
    let before = Timestamp::now();
    let window = [("KeyId", &*key), ("PendingWindowInDays", "7")];
    service.done("ScheduleKeyDeletion", &window);
    let dates = [before, Timestamp::now()].map(|now| now.to_string());
    assert!(dates.contains(&clock_in_file(&place)));
    // A clock that is behind is not believed all the same.
    let ahead = Timestamp::now().plus(DAY);
    service.done("CancelKeyDeletion", &window[..1]);
    place.edit(|draft| draft.state.clock = ahead);
    service.create_key(&[]);
    assert_eq!(clock_in_file(&place), ahead.to_string());
}

#[test]
fn a_purge_needs_its_permission_also_where_nothing_is_gone() {
    let place = Place::new();
    place.open(&[]).create_key(&[]);
    let client = place.open(&[("permissions", "CreateKey")]);
    for confirmed in [false, true] {
        let refused = client.kms.purge(&Call::default(), confirmed).unwrap_err();
        assert_eq!(refused.status(), Status::NoPermission);
    }
}

#[test]
fn a_clock_within_bounds_is_believed() {
    for clock in [ago(0), ago(29 * DAY)] {
        let place = Place::new();
        let service = place.open(&[]);
        let doomed = doomed(&place, &service);
        doomed.end(&place, clock);
        assert_eq!(
            service.kms.purge(&Call::default(), false),
            Ok(vec![doomed.id])
        );
        assert!(!doomed.is_in_file(&place));
    }
}

#[test]
fn gone_before_a_client_opens() {
    // The whole window is over before the client opens: nothing of the CMK is ever unsealed.
    let place = Place::new();
    let doomed = doomed(&place, &place.open(&[]));
    place.end_window(&doomed.key);
    assert_eq!(
        doomed.uses(&place.open(&[])),
        [Some(Status::KeyNotFound); 4]
    );
    assert_eq!(place.open(&[]).kms.verify(), Ok((0, 0)));
}
