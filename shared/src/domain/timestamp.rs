//! Instants, to the millisecond, as the API writes them.

use std::fmt;

use serde::{Serialize, Serializer};
use time::{OffsetDateTime, format_description::FormatItem, macros::format_description};

/// RFC 3339 in UTC with exactly three decimals, so that texts sort as instants do.
const RFC_3339_MILLIS: &[FormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// How far the clock of another machine may be ahead of ours, in seconds.
pub const LEEWAY_SECONDS: i64 = 5;

/// Milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(i64);

impl Timestamp {
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Whether this lies in the future of whoever reads it at `now`, by more than clocks differ. Functions run on many machines,
    /// and one whose clock is ahead must not give anybody more time: such an instant earns nothing.
    pub const fn is_ahead_of(self, now: Self) -> bool {
        self.0 - now.0 > LEEWAY_SECONDS * 1000
    }

    /// Whether this was no longer than `millis` ago at `now`, and is not ahead of it.
    pub const fn is_within(self, millis: i64, now: Self) -> bool {
        now.0 - self.0 <= millis && !self.is_ahead_of(now)
    }

    /// Seconds since the Unix epoch, rounded down: the unit of DynamoDB's TTL and of JWT claims.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000)
            .ok()
            .and_then(|instant| instant.format(RFC_3339_MILLIS).ok());
        f.write_str(&text.ok_or(fmt::Error)?)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_far_in_the_future_earns_nothing() {
        let now = Timestamp::from_millis(100_000);
        for (millis, within, ahead) in [
            (100_000, true, false),
            (70_000, true, false),
            (69_999, false, false),
            (105_000, true, false),
            (105_001, false, true),
            (700_000, false, true),
        ] {
            let then = Timestamp::from_millis(millis);
            assert_eq!((then.is_within(30_000, now), then.is_ahead_of(now)), (within, ahead), "{millis}");
        }
    }

    #[test]
    fn is_written_in_utc_with_three_decimals() {
        let written = |millis| Timestamp::from_millis(millis).to_string();
        assert_eq!(written(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(written(1_795_342_350_120), "2026-11-22T10:12:30.120Z");
    }
}
