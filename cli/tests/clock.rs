//! A clock that is wrong for a moment: what the command does then, and afterwards with the right time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::path::PathBuf;

use kmsbox::clock::Timestamp;
use serde_json::Value;
use support::{Ended, Place, ended};

const DAY: i64 = 24 * 60 * 60;
const TEN_YEARS: i64 = 3653 * DAY;
const IN_1970: &str = "600";
const YEAR_10000: &str = "253402300800";

/// A keystore, and the command under any time.
struct Watched {
    place: Place,
    shim: PathBuf,
}

impl Watched {
    fn new() -> Self {
        Self::made_at(0)
    }

    /// With a keystore that was made under this time.
    fn made_at(time: i64) -> Self {
        let place = Place::empty();
        let shim = place.preloaded();
        let watched = Watched { place, shim };
        watched.ok_at(time, &["init", "--make-root-key"]);
        watched
    }

    /// `time`: seconds since 1970, or with a sign from the real time.
    fn at(&self, time: &str, args: &[&str]) -> Ended {
        let mut command = self.place.command(args);
        command
            .env("LD_PRELOAD", &self.shim)
            .env("KMSBOX_TEST_CLOCK", time);
        ended(command, b"")
    }

    #[track_caller]
    fn ok_at(&self, time: i64, args: &[&str]) -> String {
        let ended = self.at(&format!("{time:+}"), args);
        assert_eq!(ended.code, 0, "{args:?}: {}", ended.stderr);
        ended.text()
    }

    fn about(&self, key: &str) -> Value {
        self.place.json(&["describe", key])
    }

    fn versions(&self, key: &str) -> usize {
        self.about(key)["KeyVersions"].as_array().unwrap().len()
    }

    fn create(&self, time: i64) -> String {
        let made = self.ok_at(time, &["create-key", "--rotate-every", "7d"]);
        made.trim().to_owned()
    }

    /// The year of a date of the CMK.
    fn year(&self, key: &str, date: &str) -> i64 {
        self.about(key)[date].as_str().unwrap()[..4]
            .parse()
            .unwrap()
    }
}

/// This year, by the system's own clock.
fn year() -> i64 {
    Timestamp::now().to_string()[..4].parse().unwrap()
}

#[test]
fn a_moment_ahead_does_not_put_off_rotation() {
    let watched = Watched::new();
    let before = watched.create(0);
    let meanwhile = watched.create(TEN_YEARS);
    watched.ok_at(TEN_YEARS, &["generate-data-key", &before]);
    assert_eq!(watched.versions(&before), 2, "rotated early");
    let keys = [&before, &meanwhile];
    for key in keys {
        assert!(watched.year(key, "NextRotationDate") <= year() + 1);
    }
    let versions = keys.map(|key| watched.versions(key));
    // 30 days on it is due, once, and a week later again.
    for (day, more) in [(30, 1), (30, 1), (38, 2)] {
        for (key, versions) in keys.into_iter().zip(versions) {
            watched.ok_at(day * DAY, &["generate-data-key", key]);
            assert_eq!(watched.versions(key), versions + more, "day {day}");
        }
    }
}

#[test]
fn a_keystore_made_ahead_rotates_as_any_other() {
    let watched = Watched::made_at(TEN_YEARS);
    let key = watched.create(TEN_YEARS);
    // At the first use, and then every week; a boot in 1970 in between adds none.
    for (day, versions) in [(0, 2), (6, 2), (8, 3), (14, 3), (16, 4), (365, 5)] {
        let booted = watched.at(IN_1970, &["generate-data-key", &key]);
        assert_eq!(booted.code, 0, "{}", booted.stderr);
        watched.ok_at(day * DAY, &["generate-data-key", &key]);
        assert_eq!(watched.versions(&key), versions, "day {day}");
    }
}

#[test]
fn a_deletion_scheduled_ahead_puts_off_no_rotation() {
    let watched = Watched::new();
    let [key, other] = [(); 2].map(|()| watched.create(0));
    watched.ok_at(TEN_YEARS, &["generate-data-key", &key]);
    watched.ok_at(TEN_YEARS, &["schedule-deletion", &other, "--yes"]);
    assert_eq!(watched.versions(&key), 2, "rotated early");
    // What is told is when it comes.
    let next = &watched.about(&key)["NextRotationDate"];
    let week = Timestamp::now().plus(7 * 24 * 60 * 60).to_string();
    assert!(*next.as_str().unwrap() <= *week, "{next}");
    for (day, versions) in [(1, 2), (8, 3), (9, 3), (365, 4)] {
        watched.ok_at(day * DAY, &["generate-data-key", &key]);
        assert_eq!(watched.versions(&key), versions, "day {day}");
    }
}

#[test]
fn the_policy_set_anew_counts_from_now() {
    let watched = Watched::new();
    let key = watched.create(TEN_YEARS);
    watched.place.ok(&["rotate", &key, "--every", "7d"]);
    let kept = String::from_utf8(watched.place.read("keystore")).unwrap();
    let next = kept.split_once("\"next\": \"").unwrap().1;
    assert!(next[..4].parse::<i64>().unwrap() <= year() + 1, "{next}");
}

#[test]
fn boots_in_1970_do_not_rotate() {
    let watched = Watched::new();
    let key = watched.create(0);
    for boot in 1..4 {
        let made = watched.at(IN_1970, &["generate-data-key", &key]);
        assert_eq!(made.code, 0, "{}", made.stderr);
        // Whatever else is changed by that clock.
        let other = watched.at(IN_1970, &["create-key"]);
        assert_eq!(other.code, 0, "{}", other.stderr);
        watched.ok_at(0, &["generate-data-key", &key]);
        assert_eq!(watched.versions(&key), 1, "boot {boot}");
    }
    // What is changed under it may make one, but not one after another.
    let made = watched.at(IN_1970, &["rotate", &key, "--every", "8d"]);
    assert_eq!(made.code, 0, "{}", made.stderr);
    for _ in 0..3 {
        watched.ok_at(0, &["generate-data-key", &key]);
    }
    assert!(watched.versions(&key) <= 2);
}

#[test]
fn a_deletion_is_never_early_and_not_put_off_for_years() {
    let watched = Watched::new();
    let [first, second, third] = [(); 3].map(|()| watched.create(0));
    let schedule = |key| ["schedule-deletion", key, "--days", "30", "--yes"];
    // By a clock that is behind it would be gone at once.
    for time in [IN_1970, "-172800"] {
        let refused = watched.at(time, &schedule(&first));
        assert_eq!(refused.code, 1, "{}", refused.stderr);
        assert!(
            refused.stderr.contains("KMS_ERR_CLOCK"),
            "{}",
            refused.stderr
        );
        assert!(
            refused.stderr.contains("--confirm-clock"),
            "{}",
            refused.stderr
        );
    }
    watched.ok_at(-DAY / 2, &schedule(&first));
    // A change by a clock that is ahead does not make it believed.
    watched.ok_at(TEN_YEARS, &schedule(&second));
    assert!(watched.year(&second, "DeleteDate") >= year() + 10);
    watched.place.ok(&["create-key"]);
    assert!(
        watched.year(&second, "DeleteDate") <= year() + 2,
        "366 days"
    );
    watched.place.ok(&schedule(&third));
    assert!(watched.year(&first, "DeleteDate") <= year() + 1);
    // A purge by a clock that is right goes on.
    watched.ok_at(29 * DAY, &["create-key"]);
    watched.ok_at(31 * DAY, &["purge", "--yes"]);
    let ids = watched.ok_at(0, &["list", "--json"]);
    assert!(!ids.contains(&first) && !ids.contains(&third) && ids.contains(&second));
}

#[test]
fn a_change_by_a_clock_ahead_holds_no_deletion() {
    let watched = Watched::new();
    let key = watched.create(0);
    watched.ok_at(TEN_YEARS, &["disable", &key]);
    // The next change shows that the clock is right again.
    watched.place.ok(&["enable", &key]);
    watched
        .place
        .ok(&["schedule-deletion", &key, "--days", "7", "--yes"]);
    let purged = watched.ok_at(8 * DAY, &["purge", "--yes"]);
    assert_eq!(purged, "Purged 1 CMK(s).\n");
}

#[test]
fn the_only_deletion_scheduled_by_a_clock_ahead_is_mended_by_confirming() {
    let watched = Watched::new();
    let key = watched.create(0);
    watched.ok_at(TEN_YEARS, &["schedule-deletion", &key, "--yes"]);
    watched.place.ok(&["purge", "--confirm-clock", "--yes"]);
    assert!(watched.year(&key, "DeleteDate") <= year() + 2);
}

#[test]
fn a_token_made_ahead_is_no_good_for_years() {
    let watched = Watched::new();
    let key = watched.place.ok(&["create-key", "--external"]);
    let key = key.trim();
    watched.place.write("wrapped", [7; 256]);
    watched.ok_at(TEN_YEARS, &["import", key, "--parameters", "p"]);
    let refused = watched.place.fails(
        1,
        &["import", key, "--parameters", "p", "--material", "wrapped"],
    );
    assert!(
        refused.contains("KMS_ERR_EXPIRED_IMPORT_TOKEN"),
        "{refused}"
    );
}

#[test]
fn the_last_use_is_not_in_ten_years() {
    let watched = Watched::new();
    let key = watched.create(0);
    watched
        .place
        .ok(&["generate-data-key", &key, "--out", "blob"]);
    for time in [0, TEN_YEARS, 0] {
        watched.ok_at(
            time,
            &[
                "decrypt",
                "blob",
                "--out",
                &format!("out.{}", watched.place.path("").read_dir().unwrap().count()),
            ],
        );
    }
    let usage = watched.place.json(&["usage", &key]);
    let last = usage["KeyVersions"][0]["LastUnwrap"].as_str().unwrap();
    assert_eq!(usage["KeyVersions"][0]["UnwrapsAtLeast"], 3);
    assert!(last[..4].parse::<i64>().unwrap() <= year() + 1, "{last}");
}

#[test]
fn after_the_year_9999_changes_are_refused_and_data_keys_are_not() {
    let watched = Watched::new();
    let key = watched.create(0);
    let before = watched.place.read("keystore");
    for time in [YEAR_10000, "9223372036854775807"] {
        for args in [
            &["create-key"][..],
            &["disable", &key],
            &["rotate", &key],
            &["schedule-deletion", &key, "--yes"],
            &["purge", "--confirm-clock", "--yes"],
            &[
                "--keystore",
                "new",
                "--root-key",
                "file:new.key",
                "init",
                "--make-root-key",
            ],
        ] {
            let refused = watched.at(time, args);
            assert_eq!(refused.code, 1, "{args:?}: {}", refused.stderr);
            assert!(
                refused.stderr.contains("KMS_ERR_CLOCK"),
                "{}",
                refused.stderr
            );
            assert_eq!(refused.stderr.lines().count(), 1, "{}", refused.stderr);
        }
        for args in [
            &["--audit-log", "audit", "generate-data-key", &key][..],
            &["--audit-log", "audit", "list"],
            &["describe", &key],
            &["usage"],
        ] {
            let done = watched.at(time, args);
            assert_eq!((done.code, &*done.stderr), (0, ""), "{args:?}");
        }
    }
    // Nor does a window end beyond it.
    let refused = watched.at("253402300000", &["schedule-deletion", &key, "--yes"]);
    assert_eq!(refused.code, 1);
    assert!(
        refused.stderr.contains("KMS_ERR_CLOCK"),
        "{}",
        refused.stderr
    );
    assert_eq!(watched.place.read("keystore"), before);
    assert!(!watched.place.path("new").exists() && !watched.place.path("new.key").exists());
    // Before 1970 is 1970.
    let done = watched.at("-9000000000", &["create-key"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
}
