//! The root key is rotated while other processes go on working.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/keystores.rs"]
mod keystores;
mod support;

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use keystores::*;
use kmsbox::kms::Kms;
use kmsbox::request_id::Call;

fn call() -> Call {
    Call::default()
}

#[test]
fn the_root_key_is_rotated_while_everybody_goes_on() {
    part("engine", engine);
    part("manager", manager);
    let place = Place::with_keystore();
    let operator = place.open(&[PATIENT]);
    let key_id = create_key(&operator);
    let first = generate(&operator, &key_id).unwrap();
    fs::write(place.path("key_id"), &key_id).unwrap();
    fs::write(place.path("blob"), &first.blob).unwrap();
    let test = "the_root_key_is_rotated_while_everybody_goes_on";
    let others: Vec<_> = ["engine", "engine", "manager", "manager"]
        .map(|part| place.start(test, part))
        .into();
    let all_go_on = || others.iter().for_each(Other::goes_on);
    all_go_on();

    for round in 0..6 {
        let old = root_key(&place.root_file);
        let old_slot = operator.root_keys(None).unwrap()[0].slot_id;
        let new_key = random_key();
        let new_file = place.path("new.key");
        place.put_root_key(&new_file, &new_key);
        let new = root_key(&new_file);

        operator.add_root_key(&call(), &old, &new).unwrap();
        all_go_on();
        place.put_root_key(&place.root_file, &new_key);
        match round % 2 {
            0 => {
                operator.retire_root_key(&call(), old_slot, &new).unwrap();
                all_go_on();
                operator.reseal(&call(), None, &new).unwrap();
            }
            _ => {
                operator.reseal(&call(), Some(old_slot), &new).unwrap();
            }
        }
        all_go_on();
    }
    fs::write(place.path("stop"), "").unwrap();
    let done: Vec<u64> = others
        .into_iter()
        .map(|other| {
            let mut last = other.hear();
            while let Some(done) = last.strip_prefix("at ") {
                assert!(done.parse::<u64>().is_ok());
                last = other.hear();
            }
            let done = last.strip_prefix("done ").unwrap().parse().unwrap();
            other.end();
            done
        })
        .collect();
    println!("operations by engines and managers meanwhile: {done:?}");
    assert!(done.iter().all(|done| *done > 20));

    let last = place.open(&[]);
    opens(&last, &first);
    last.verify().unwrap();
    assert_eq!(last.root_keys(None).unwrap().len(), 1);
}

/// Works until it is told to stop; the first failure ends it.
fn works(place: &Place, mut work: impl FnMut(&Kms, u64)) {
    let kms = place.open(&[("refresh_interval_ms", "10"), PATIENT]);
    let mut done = 0;
    while !place.path("stop").exists() {
        work(&kms, done);
        done += 1;
        if done % 2 == 0 {
            say(format_args!("at {done}"));
        }
    }
    say(format_args!("done {done}"));
}

fn engine(place: &Place) {
    let key_id = fs::read_to_string(place.path("key_id")).unwrap();
    let blob = fs::read(place.path("blob")).unwrap();
    works(place, |kms, _| {
        let made = generate(kms, &key_id).expect("generating goes on");
        opens(kms, &made);
        decrypt(kms, &blob).expect("decrypting goes on");
        sleep(Duration::from_millis(1));
    });
}

fn manager(place: &Place) {
    let mut key_id = String::new();
    works(place, |kms, done| {
        match done % 4 {
            0 => key_id = create_key(kms),
            1 => drop(kms.create_key_version(&call(), &key_id).expect("a version")),
            2 => kms
                .create_alias(&call(), &key_id, &format!("alias/{key_id}"))
                .expect("an alias"),
            _ => kms
                .update_key_description(&call(), &key_id, "described")
                .expect("a description"),
        }
        opens(kms, &generate(kms, &key_id).expect("a data key"));
    });
}
