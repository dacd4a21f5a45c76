//! Automatic rotation, and which of the stored times it believes.
#![forbid(unsafe_code)]

use super::state::{Key, Rotation, Version};
use crate::clock::Timestamp;

/// The start of 2025. No keystore is older: an earlier clock is behind, whatever is stored.
const OLDEST: Timestamp = Timestamp::from_seconds(1_735_689_600);

impl Key {
    /// Whether it should get a new version at this time.
    pub fn is_rotation_due(&self, now: Timestamp) -> bool {
        self.next_rotation(now).is_some_and(|next| next <= now)
    }

    /// When it gets a new version by itself, as it looks at this time.
    ///
    /// A date further away than one interval was set by a clock that was ahead, or this clock is behind.
    /// One reading cannot tell which. A version too many costs nearly nothing, so the first is taken to be
    /// true, and the versions count instead. A new one then stands for the next interval: a clock that is
    /// behind at each boot does not make one at each boot.
    pub fn next_rotation(&self, now: Timestamp) -> Option<Timestamp> {
        let Rotation {
            interval_seconds,
            next,
        } = self.rotation?;
        let latest = now.plus(interval_seconds);
        if next <= latest || now < OLDEST {
            return Some(next);
        }
        let created = self.versions.iter().map(|version| version.created);
        let last = created.filter(|created| *created < latest).max();
        Some(last.map_or(now, |last| last.plus(interval_seconds)))
    }

    /// Makes `version` the one that wraps.
    pub fn rotate_to(&mut self, version: Version) {
        if let Some(rotation) = &mut self.rotation {
            rotation.next = version.created.plus(rotation.interval_seconds);
        }
        self.primary_version = version.key_version_id;
        self.versions.push(version.into());
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::keystore::state::{KeyState, Origin};

    const DAY: i64 = 24 * 60 * 60;
    const AHEAD: i64 = 3650;

    /// So many days after a day in 2028.
    fn day(day: i64) -> Timestamp {
        let seconds = 1_830_000_000 + day * DAY;
        Timestamp::from_seconds(seconds.try_into().unwrap_or(600))
    }

    fn version(created: Timestamp) -> Version {
        Version::new(Uuid::nil(), created, None)
    }

    /// A CMK made at this time that rotates every 30 days.
    fn made(created: Timestamp) -> Key {
        let first = version(created);
        let interval_seconds = 30 * DAY.unsigned_abs();
        Key {
            key_id: Uuid::nil(),
            created,
            put_in: KeyState::Enabled,
            origin: Origin::MadeHere,
            description: String::new(),
            delete_date: None,
            deletion_protection: None,
            rotation: Some(Rotation {
                interval_seconds,
                next: created.plus(interval_seconds),
            }),
            tags: Vec::new(),
            imported: None,
            primary_version: first.key_version_id,
            versions: vec![first.into()],
        }
    }

    /// A name; the day on which the CMK is made, by the clock; and for the day that the clock says at each use,
    /// how many versions there are after it.
    type Row = (&'static str, i64, &'static [(i64, usize)]);

    #[test]
    fn a_clock_that_is_wrong_neither_puts_off_rotation_nor_repeats_it() {
        // Before 1970 is 1970.
        const BOOT: i64 = -30_000;
        #[rustfmt::skip]
        let table: &[Row] = &[
            ("right", 0, &[(0, 1), (29, 1), (30, 2), (59, 2), (60, 3)]),
            ("at rest for years", 0, &[(2000, 2), (2029, 2), (2030, 3)]),
            ("made ahead", AHEAD, &[(0, 2), (1, 2), (29, 2), (30, 3), (60, 4)]),
            ("made ahead, used late", AHEAD, &[(365, 2), (394, 2), (395, 3)]),
            ("made a little ahead", 20, &[(0, 1), (49, 1), (50, 2), (80, 3)]),
            ("made ahead by two intervals", 60, &[(0, 2), (29, 2), (30, 3)]),
            ("ahead at a use", 0, &[(AHEAD, 2), (1, 2), (29, 2), (30, 3), (60, 4)]),
            ("ahead at a use, then at rest", 0, &[(AHEAD, 2), (365, 3), (394, 3)]),
            ("ahead twice", 0, &[(AHEAD, 2), (1, 2), (AHEAD + 1, 2), (30, 3), (60, 4)]),
            ("ahead at every other use", 0, &[(AHEAD, 2), (30, 3), (AHEAD, 4), (31, 4), (60, 5)]),
            ("ahead, and further ahead", 0, &[(AHEAD, 2), (2 * AHEAD, 3), (1, 3), (30, 4)]),
            ("boots in 1970", 0, &[(BOOT, 1), (1, 1), (BOOT, 1), (29, 1), (BOOT, 1), (30, 2)]),
            ("made ahead, boots in 1970", AHEAD, &[(BOOT, 1), (0, 2), (BOOT, 2), (1, 2), (30, 3)]),
            ("made in 1970", BOOT, &[(BOOT, 1), (0, 2), (BOOT, 2), (1, 2), (BOOT, 2), (30, 3)]),
            // One version then, and one with the right time, but not one at each boot.
            ("boots far behind", 0, &[(-500, 2), (1, 3), (-500, 3), (2, 3), (-499, 3), (30, 3), (31, 4)]),
            ("boots a little behind", 0, &[(-20, 1), (1, 1), (-19, 1), (2, 1), (30, 2), (-20, 2)]),
            ("far behind after ahead", 0, &[(AHEAD, 2), (-500, 3), (1, 4), (-500, 4), (30, 4), (31, 5)]),
        ];
        for (about, created, uses) in table {
            let mut key = made(day(*created));
            for &(at, versions) in *uses {
                let now = day(at);
                if key.is_rotation_due(now) {
                    key.rotate_to(version(now));
                    assert!(!key.is_rotation_due(now), "{about}: again on day {at}");
                }
                assert_eq!(key.versions.len(), versions, "{about}: day {at}");
                let next = key.next_rotation(now).unwrap();
                let is_1970 = at == BOOT;
                assert!(
                    is_1970 || next.since(now) <= 60 * DAY,
                    "{about}: {next} on day {at}"
                );
            }
        }
    }
}
