//! Many processes on one keystore: they make it together, change it together, see each other's
//! changes, and are killed in the middle.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "processes/kept.rs"]
mod kept;
mod support;
#[path = "support/worker.rs"]
mod worker;

use std::collections::HashSet;
use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use kept::{Kept, Place};
use support::scratch_dir;
use worker::Worker;

const CREATE: &str = "create=true";
const AT_ONCE: &str = "refresh_interval_ms=0";
/// Longer than any test: what such a client sees without being told, it was told by chance.
const NEVER: &str = "refresh_interval_ms=3600000";
/// Many writers on a slow disk wait longer for their turn than a server should.
const PATIENT: &str = "lock_timeout_ms=100000";

// ---- Creating ------------------------------------------------------------------------------------

#[test]
fn of_twenty_creators_all_end_on_one_keystore() {
    let mut workers: Vec<_> = (0..20).map(|_| Worker::start()).collect();
    for round in 0..5 {
        let scratch = scratch_dir();
        let keystore = scratch.path().join("keystore");
        for worker in &mut workers {
            worker.send_open(&keystore, &[CREATE, AT_ONCE, PATIENT]);
        }
        for worker in &mut workers {
            worker.answer().ok();
        }
        let ids: HashSet<_> = (workers.iter_mut())
            .map(|worker| worker.describe()["KeystoreId"].to_string())
            .collect();
        assert_eq!(ids.len(), 1, "round {round}");
        assert_eq!(workers[0].describe()["Epoch"], 1);

        let made: Vec<_> = (workers.iter_mut())
            .map(|worker| {
                let key_id = worker.create_key();
                worker.generate(&key_id).data_key()
            })
            .collect();
        for (worker, data_key) in workers.iter_mut().rev().zip(&made) {
            assert_eq!(
                worker.decrypt(&data_key.blob).ok().result,
                data_key.key,
                "the key of another process"
            );
        }
        assert_eq!(workers[7].describe()["Epoch"], 21);
        assert_eq!(names_in(scratch.path()), ["keystore", "keystore.lock"]);
        workers.iter_mut().for_each(Worker::free);
    }
}

#[test]
fn a_creator_killed_half_way_is_in_nobodys_way() {
    let mut killed_before_the_end = 0;
    for round in 0..50 {
        let scratch = scratch_dir();
        let keystore = scratch.path().join("keystore");
        let mut creator = Worker::start();
        creator.send_open(&keystore, &[CREATE]);
        sleep(Duration::from_micros(random_below(6000)));
        creator.kill();
        killed_before_the_end += u32::from(!keystore.exists());

        let mut next = Worker::open(&keystore, &[CREATE]);
        let key_id = next.create_key();
        next.generate(&key_id).ok();
        assert_eq!(next.describe()["Epoch"], 2, "round {round}");
        assert_eq!(names_in(scratch.path()), ["keystore", "keystore.lock"]);
    }
    println!("{killed_before_the_end} of 50 creators were killed before the keystore was there");
}

// ---- Changing ------------------------------------------------------------------------------------

#[test]
fn ten_writers_of_a_hundred_changes_lose_none() {
    let place = Place::new();
    let mut writers: Vec<_> = (0..10)
        .map(|_| Worker::open(&place.keystore, &[PATIENT]))
        .collect();
    let began = Instant::now();
    for (at, writer) in writers.iter_mut().enumerate() {
        writer.send(&["write", &format!("w{at}"), "100", &place.made_path()]);
    }
    for writer in &mut writers {
        writer.answer().ok();
    }
    let rate = 1000.0 / began.elapsed().as_secs_f64();
    println!("1000 changes by 10 processes: {rate:.0} a second");

    let made = place.made();
    // 100 changes are 34 CMKs, 33 aliases and 33 versions.
    assert_eq!(made.keys.len(), 340);
    assert_eq!(made.aliases.len(), 330);
    assert_eq!(made.versions.len(), 330);
    let kept = Kept::read(&place.keystore);
    assert_eq!(kept.epoch, 1001);
    assert_eq!(kept.keys, made.keys.iter().cloned().collect());
    assert_eq!(kept.aliases, made.aliases);
    assert_eq!(kept.versions.len(), 340 + 330);

    // A writer that saw all others' changes go by, and a process that comes later.
    let mut late = Worker::open(&place.keystore, &[]);
    for worker in [&mut writers[3], &mut late] {
        let description = worker.describe();
        assert_eq!(description["Epoch"], 1001);
        assert_eq!(description["Keys"], 340);
        assert_eq!(description["Aliases"], 330);
        made.check_all(worker);
    }
}

#[test]
fn killed_writers_lose_nothing_acknowledged() {
    const WRITERS: usize = 3;
    let rounds = if support::long_tests() { 3000 } else { 200 };
    let place = Place::new();
    let mut checker = Worker::start();
    let (mut killed, mut left_over) = (0, 0);
    let began = Instant::now();
    for round in 0..rounds {
        // One writer, or some that wait for each other.
        let mut writers: Vec<_> = (0..1 + round % WRITERS)
            .map(|_| Worker::open(&place.keystore, &[PATIENT]))
            .collect();
        for (at, writer) in writers.iter_mut().enumerate() {
            let name = format!("r{round}w{at}");
            writer.send(&["write", &name, "0", &place.made_path()]);
        }
        sleep(Duration::from_micros(random_below(25_000)));
        writers.iter_mut().for_each(Worker::kill);

        let made = place.made();
        let kept = Kept::read(&place.keystore);
        kept.contains_all(&made, round);
        // Each may have made one change more than it could tell.
        killed += writers.len();
        let untold = kept.changes() - made.changes();
        assert!(untold <= killed, "round {round}: {untold} changes too many");
        assert_eq!(kept.epoch, 1 + kept.changes(), "round {round}");

        checker.ask_open(&place.keystore, &[]).ok();
        let description = checker.describe();
        assert_eq!(description["Epoch"], kept.epoch);
        assert_eq!(description["Keys"], kept.keys.len());
        assert_eq!(description["Aliases"], kept.aliases.len());
        if let Some(last) = made.versions.last() {
            assert_eq!(
                checker.decrypt(&last.2.blob).ok().result,
                last.2.key,
                "round {round}"
            );
        }
        checker.free();

        let temporaries = temporaries(&place.keystore);
        left_over += temporaries;
        assert!(temporaries <= 1, "round {round}: only one can write");
    }
    let made = place.made();
    println!(
        "{rounds} rounds, {killed} writers killed in {:.1} s: {} changes acknowledged, \
         {left_over} times a temporary was left",
        began.elapsed().as_secs_f64(),
        made.changes()
    );
    assert!(
        made.changes() > 0 && left_over > 0,
        "nobody was killed at work"
    );

    let mut next = Worker::open(&place.keystore, &[PATIENT]);
    made.check_all(&mut next);
    next.create_key();
    assert_eq!(temporaries(&place.keystore), 0);
}

#[test]
fn a_change_waits_for_another_writer_and_then_gives_up() {
    let place = Place::new();
    let lock = File::open(place.keystore.with_extension("lock")).unwrap();
    lock.lock().unwrap();

    let mut impatient = Worker::open(&place.keystore, &["lock_timeout_ms=300"]);
    let asked = Instant::now();
    impatient
        .call("Action=CreateKey")
        .refused("KMS_ERR_KEYSTORE_BUSY");
    let waited = asked.elapsed();
    assert!(waited >= Duration::from_millis(300), "{waited:?}");
    assert!(waited < Duration::from_secs(3), "{waited:?}");
    let mut hasty = Worker::open(&place.keystore, &["lock_timeout_ms=0"]);
    let asked = Instant::now();
    hasty
        .call("Action=CreateKey")
        .refused("KMS_ERR_KEYSTORE_BUSY");
    assert!(asked.elapsed() < Duration::from_millis(250));

    // Reading waits for nobody: opening, listing, using.
    let listed = hasty.call("Action=ListKeys").ok();
    assert!(
        listed.result.contains("\"TotalCount\":0"),
        "{}",
        listed.result
    );

    let mut patient = Worker::open(&place.keystore, &[PATIENT]);
    patient.send(&["call", "Action=CreateKey"]);
    let early = patient.answer_within(Duration::from_millis(200));
    assert!(early.is_none(), "{early:?}");
    lock.unlock().unwrap();
    let key_id = patient.answer().ok().key_id;
    impatient.generate(&key_id).ok();
    hasty.call("Action=CreateKey").ok();
}

// ---- Seeing each other's changes -----------------------------------------------------------------

#[test]
fn a_key_disabled_elsewhere_is_refused_within_the_interval() {
    let interval = Duration::from_millis(300);
    let place = Place::new();
    let mut operator = Worker::open(&place.keystore, &[]);
    let mut engine = Worker::open(&place.keystore, &["refresh_interval_ms=300"]);
    let key_id = operator.create_key();
    let data_key = engine.generate(&key_id).data_key();
    for round in 0..5 {
        operator
            .call(&format!("Action=DisableKey&KeyId={key_id}"))
            .ok();
        let disabled = Instant::now();
        let status = loop {
            let starts = disabled.elapsed();
            let status = match round % 2 {
                0 => engine.generate(&key_id).status,
                _ => engine.decrypt(&data_key.blob).status,
            };
            // A call that starts so late must not be answered by the old view.
            if status != "KMS_OK" || starts >= interval {
                break status;
            }
        };
        assert_eq!(status, "KMS_ERR_DISABLED", "round {round}");

        operator
            .call(&format!("Action=EnableKey&KeyId={key_id}"))
            .ok();
        let enabled = Instant::now();
        while engine.generate(&key_id).status != "KMS_OK" {
            assert!(enabled.elapsed() < interval + Duration::from_secs(1));
        }
    }
}

#[test]
fn with_interval_0_every_call_sees_what_was_acknowledged() {
    let place = Place::new();
    let mut operator = Worker::open(&place.keystore, &[]);
    let mut engine = Worker::open(&place.keystore, &[AT_ONCE]);
    let key_id = operator.create_key();
    let data_key = engine.generate(&key_id).data_key();
    for round in 0..50 {
        operator
            .call(&format!("Action=DisableKey&KeyId={key_id}"))
            .ok();
        engine.generate(&key_id).refused("KMS_ERR_DISABLED");
        engine.decrypt(&data_key.blob).refused("KMS_ERR_DISABLED");
        operator
            .call(&format!("Action=EnableKey&KeyId={key_id}"))
            .ok();
        let again = engine.decrypt(&data_key.blob).ok().result;
        assert_eq!(again, data_key.key, "round {round}");
    }
}

#[test]
fn what_is_new_is_found_at_once_whatever_the_interval() {
    let place = Place::new();
    let mut operator = Worker::open(&place.keystore, &[NEVER]);
    let mut engine = Worker::open(&place.keystore, &[NEVER]);
    let old = operator.create_key();
    engine.generate(&old).data_key();

    // Nothing that the engine knows makes it look, so it goes on with what it saw.
    operator
        .call(&format!("Action=DisableKey&KeyId={old}"))
        .ok();
    engine.generate(&old).ok();

    let new = operator.create_key();
    engine.generate(&new).ok();
    // That look has shown it the rest too.
    engine.generate(&old).refused("KMS_ERR_DISABLED");

    let alias = "alias/new";
    operator
        .call(&format!("Action=CreateAlias&KeyId={new}&AliasName={alias}"))
        .ok();
    assert_eq!(engine.generate(alias).ok().key_id, new);
    operator
        .call(&format!(
            "Action=CreateAlias&KeyId={new}&AliasName={alias}/2"
        ))
        .ok();
    let data_key = operator.generate(&new).data_key();
    let expected = format!("{alias}/2");
    let opened = engine.ask(&["decrypt", &expected, &data_key.blob]).ok();
    assert_eq!(opened.result, data_key.key);
    operator
        .call(&format!(
            "Action=CreateAlias&KeyId={new}&AliasName={alias}/3"
        ))
        .ok();
    let described = engine.call(&format!("Action=DescribeKey&KeyId={alias}/3"));
    assert_eq!(described.ok().key_id, new);

    let before = engine.generate(&new).ok().key_version_id;
    let version = operator
        .call(&format!("Action=CreateKeyVersion&KeyId={new}"))
        .ok()
        .key_version_id;
    // Wrapping goes on under the version it knows; a blob under the new one makes it look.
    assert_eq!(engine.generate(&new).ok().key_version_id, before);
    let made = operator.generate(&new);
    assert_eq!(made.key_version_id, version);
    let data_key = made.data_key();
    let opened = engine.decrypt(&data_key.blob).ok();
    assert_eq!(opened.result, data_key.key);
    assert_eq!(opened.key_version_id, version);
    assert_eq!(engine.generate(&new).ok().key_version_id, version);

    engine
        .generate("alias/never-made")
        .refused("KMS_ERR_ALIAS_NOT_FOUND");
}

// ---- Reading only --------------------------------------------------------------------------------

#[test]
fn a_read_only_client_needs_no_right_to_write() {
    const NOBODY: u32 = 65534;
    let (scratch, program) = worker::program_for_others();
    let is_root = scratch.path().metadata().unwrap().uid() == 0;
    let directory = scratch.path().join("keystores");
    fs::create_dir(&directory).unwrap();
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).unwrap();
    let keystore = directory.join("keystore");
    let mut operator = Worker::open(&keystore, &[CREATE]);
    let key_id = operator.create_key();
    let data_key = operator.generate(&key_id).data_key();
    let mut command = Command::new(&program);
    if is_root {
        // A file of another user in a directory of root's.
        chown(&keystore, Some(NOBODY), Some(NOBODY)).unwrap();
        command.uid(NOBODY).gid(NOBODY);
    }
    fs::set_permissions(&keystore, fs::Permissions::from_mode(0o400)).unwrap();
    let writable = |yes: bool| {
        let mode = if yes { 0o755 } else { 0o555 };
        fs::set_permissions(&directory, fs::Permissions::from_mode(mode)).unwrap();
    };
    writable(false);
    let before = names_in(&directory);

    let mut reader = Worker::start_by(&mut command);
    reader
        .ask_open(&keystore, &["read_only=true", AT_ONCE])
        .ok();
    assert_eq!(reader.describe()["ReadOnly"], true);
    assert_eq!(reader.decrypt(&data_key.blob).ok().result, data_key.key);
    reader.generate(&key_id).ok();
    for change in [
        "Action=CreateKey".to_owned(),
        format!("Action=CreateKeyVersion&KeyId={key_id}"),
        format!("Action=DisableKey&KeyId={key_id}"),
        format!("Action=CreateAlias&KeyId={key_id}&AliasName=alias/a"),
    ] {
        reader.call(&change).refused("KMS_ERR_NO_PERMISSION");
    }

    // It follows the others, whose new files have the mode and the owner of the old one.
    writable(true);
    operator
        .call(&format!("Action=DisableKey&KeyId={key_id}"))
        .ok();
    writable(false);
    reader.generate(&key_id).refused("KMS_ERR_DISABLED");
    assert_eq!(fs::metadata(&keystore).unwrap().mode() & 0o777, 0o400);
    reader.free();

    // A client that may write reads just as well, and its changes fail for want of the right.
    reader.ask_open(&keystore, &[]).ok();
    reader
        .call("Action=CreateKey")
        .refused("KMS_ERR_KEYSTORE_IO");
    let denied = reader.call(&format!("Action=EnableKey&KeyId={key_id}"));
    denied.refused("KMS_ERR_KEYSTORE_IO");
    assert_eq!(names_in(&directory), before);
    writable(true);
}

fn names_in(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn temporaries(keystore: &Path) -> usize {
    let names = names_in(keystore.parent().unwrap());
    names.iter().filter(|name| name.contains(".tmp-")).count()
}

fn random_below(bound: u64) -> u64 {
    let mut bytes = [0; 8];
    kmsbox::random::fill(&mut bytes).unwrap();
    u64::from_le_bytes(bytes) % bound
}
