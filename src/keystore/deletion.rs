//! Deletion windows, and which clock they are judged by: what a wrong clock deletes cannot be had back.
#![forbid(unsafe_code)]

use std::sync::Arc;

use uuid::Uuid;

use super::state::{Key, State};
use crate::allocation;
use crate::clock::Timestamp;
use crate::error::{Error, Result, Status};
use crate::maps::HashSet;

/// How far the clock may be ahead of the one believed last to be believed: 30 days, in seconds.
const CLOCK_AHEAD_MAX: i64 = 30 * DAY;
/// How far the clock may be behind what was seen for a deletion to be scheduled by it: the window would
/// end too early by as much.
const CLOCK_BEHIND_MAX: i64 = DAY;
/// The longest deletion window, in seconds.
const WINDOW_MAX: u64 = 366 * DAY.unsigned_abs();
const DAY: i64 = 24 * 60 * 60;

impl State {
    /// CMKs whose deletion window has ended, but that still stand in the file.
    pub fn gone(&self) -> impl Iterator<Item = &Key> {
        self.keys
            .iter()
            .map(Arc::as_ref)
            .filter(|key| key.is_gone())
    }

    /// Drops the CMKs that are gone, if the clock can be believed.
    ///
    /// A clock that is behind the one believed last, or far ahead of it, may be wrong; what it would
    /// delete cannot be had back. The error names it; `confirmed` believes it all the same. What is not
    /// believed leaves the clock as it was, so that the next write does not believe it either.
    pub fn purge(&mut self, confirmed: bool) -> Result<Vec<Uuid>> {
        let now = Timestamp::now();
        if confirmed {
            self.clock = now;
        }
        self.shorten_windows(now);
        let mut gone = allocation::room(self.gone().count())?;
        gone.extend(self.gone().map(|key| key.key_id));
        if self.believes(now) {
            self.clock = now;
            self.drop_keys(&gone)?;
            return Ok(gone);
        }
        if gone.is_empty() {
            return Ok(gone);
        }
        Err(Error::with(
            Status::Clock,
            format!(
                "The clock says {now}, and the clock believed last said {}: nothing is purged until \
                 this is confirmed.",
                self.clock
            ),
        ))
    }

    /// Refuses to begin a deletion window where the clock is behind what was seen, and believes it where
    /// it is ahead, however far, and nothing else waits for its deletion: a keystore at rest must not get
    /// stuck, and nothing can be lost by it.
    pub fn begin_window(&mut self) -> Result<Timestamp> {
        let now = Timestamp::now();
        let seen = self.clock.max(self.written);
        if seen.since(now) > CLOCK_BEHIND_MAX {
            return Err(Error::with(
                Status::Clock,
                format!(
                    "The clock says {now}, but was at {seen} before: no deletion is scheduled until this \
                     is confirmed (kmsbox purge --confirm-clock)."
                ),
            ));
        }
        if self.keys.iter().all(|key| key.delete_date.is_none()) {
            self.clock = self.clock.max(now);
        }
        Ok(now)
    }

    /// Whether the clock may go on to `now`.
    fn believes(&self, now: Timestamp) -> bool {
        (0..=CLOCK_AHEAD_MAX).contains(&now.since(self.clock))
    }

    /// A deletion that is further away than any window was scheduled by a clock that was ahead. A clock that
    /// is behind must not shorten the others.
    fn shorten_windows(&mut self, now: Timestamp) {
        if now < self.clock {
            return;
        }
        let latest = now.plus(WINDOW_MAX);
        for key in &mut self.keys {
            if key.delete_date.is_some_and(|date| date > latest) {
                Arc::make_mut(key).delete_date = Some(latest);
            }
        }
    }

    fn drop_keys(&mut self, gone: &[Uuid]) -> Result<()> {
        let mut ids = HashSet::<&Uuid>::default();
        ids.try_reserve(gone.len())?;
        ids.extend(gone);
        self.keys.retain(|key| !ids.contains(&key.key_id));
        self.aliases.retain(|alias| !ids.contains(&alias.key_id));
        Ok(())
    }
}
