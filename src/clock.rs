//! Time as the API writes it: UTC, to the second.
#![forbid(unsafe_code)]

use std::fmt;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Seconds since 1970 in UTC, written as `2026-11-21T18:30:00Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The time by the system's clock.
    pub fn now() -> Self {
        Timestamp(
            SystemTime::now()
                .duration_since(SystemTime::UNIX_EPOCH)
                .map_or(0, |since| since.as_secs()),
        )
    }
}

impl Timestamp {
    /// So many seconds later.
    pub const fn plus(self, seconds: u64) -> Self {
        Timestamp(self.0.saturating_add(seconds))
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
        Timestamp(seconds)
    }
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
}
