//! Time as the API writes it: UTC, to the second.
#![forbid(unsafe_code)]

use std::fmt;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::error::{Error, Result, Status};

/// The last second of the year 9999, which is the last that can be written.
const LAST: u64 = 253_402_300_799;

/// Seconds since 1970 in UTC, written as `2026-11-21T18:30:00Z`. What lies outside the years 1970 to 9999
/// is the first or the last second of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The time by the system's clock.
    pub fn now() -> Self {
        Self::from_seconds(system_seconds())
    }

    /// The same for what is to be kept: refused where the clock is beyond the year 9999.
    pub fn to_be_kept() -> Result<Self> {
        match system_seconds() {
            seconds @ ..=LAST => Ok(Timestamp(seconds)),
            _ => Err(Error::constant(
                Status::Clock,
                "The clock of this machine is beyond the year 9999; nothing was changed.",
            )),
        }
    }

    /// So many seconds later.
    pub const fn plus(self, seconds: u64) -> Self {
        Self::from_seconds(self.0.saturating_add(seconds))
    }

    /// Seconds since `earlier`; negative where that is later.
    pub fn since(self, earlier: Timestamp) -> i64 {
        let difference = i128::from(self.0) - i128::from(earlier.0);
        i64::try_from(difference).unwrap_or(i64::MAX)
    }

    /// Seconds since 1970.
    pub const fn seconds(self) -> u64 {
        self.0
    }

    /// The time so many seconds after 1970.
    pub const fn from_seconds(seconds: u64) -> Self {
        Timestamp(if seconds < LAST { seconds } else { LAST })
    }
}

fn system_seconds() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(self.0);
        humantime::format_rfc3339_seconds(time).fmt(formatter)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <&str>::deserialize(deserializer)?;
        let time = humantime::parse_rfc3339(text).map_err(de::Error::custom)?;
        time.duration_since(SystemTime::UNIX_EPOCH)
            .map(|since| Timestamp(since.as_secs()))
            .map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_as_the_api_does() {
        assert_eq!(Timestamp(1_458_902_560).to_string(), "2016-03-25T10:42:40Z");
        let text = "\"2016-03-25T10:42:40Z\"";
        let time: Timestamp = serde_json::from_str(text).unwrap();
        assert_eq!(time, Timestamp(1_458_902_560));
        assert_eq!(serde_json::to_string(&time).unwrap(), text);
    }

    #[test]
    fn no_time_is_after_the_year_9999() {
        let last = "9999-12-31T23:59:59Z";
        for time in [
            Timestamp::from_seconds(u64::MAX),
            Timestamp::from_seconds(LAST + 1),
            Timestamp::from_seconds(LAST).plus(1),
            Timestamp::now().plus(u64::MAX),
        ] {
            assert_eq!(time.to_string(), last);
        }
        assert_eq!(Timestamp(LAST - 1).plus(1).to_string(), last);
        assert!(serde_json::from_str::<Timestamp>("\"9999-12-31T23:59:59Z\"").is_ok());
    }
}
