//! Time: the one place that reads the machine's clock.
//!
//! Everything else takes a [`Clock`] or a [`Timestamp`], so that expiry can be tested by moving
//! time instead of waiting for it.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A moment in UTC, in whole milliseconds since the Unix epoch.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Timestamp(i64);

impl Timestamp {
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, rounded down: what JWT and DynamoDB's TTL count in.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis_of(duration)))
    }

    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(millis_of(duration)))
    }

    /// How long after `earlier` this is; zero when it is not after it.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0 - earlier.0).unwrap_or(0))
    }
}

fn millis_of(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// RFC 3339 in UTC with a `Z`, as the API shows every time.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let formatted = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000)
            .ok()
            .and_then(|moment| moment.format(&Rfc3339).ok());
        // Beyond the year 9999 RFC 3339 has no form; no such time is ever made here.
        f.write_str(formatted.as_deref().unwrap_or("9999-12-31T23:59:59Z"))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What was given is not a time by RFC 3339.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a time by RFC 3339")]
pub struct InvalidTimestamp;

/// Reads RFC 3339 with any offset; what is finer than a millisecond is dropped.
impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    fn from_str(text: &str) -> Result<Self, InvalidTimestamp> {
        let moment = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| InvalidTimestamp)?;
        let millis = moment.unix_timestamp_nanos().div_euclid(1_000_000);
        i64::try_from(millis)
            .map(Self)
            .map_err(|_| InvalidTimestamp)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// Tells the time; a shifted one tells it from somewhere else, for tests.
#[derive(Clone, Default)]
pub struct Clock {
    shift_millis: Option<Arc<AtomicI64>>,
}

impl Clock {
    /// The machine's clock, as it is.
    pub fn system() -> Self {
        Self::default()
    }

    /// The machine's clock plus `shift_millis`, which the holder of the other end may change.
    pub fn shifted(shift_millis: Arc<AtomicI64>) -> Self {
        Self {
            shift_millis: Some(shift_millis),
        }
    }

    /// Whether a test moves this clock, so that no other clock may be asked instead.
    pub fn is_shifted(&self) -> bool {
        self.shift_millis.is_some()
    }

    pub fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "this is the home of the clock")]
        let since_epoch = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        let shift = self
            .shift_millis
            .as_ref()
            .map_or(0, |shift| shift.load(Ordering::Relaxed));
        Timestamp(millis_of(since_epoch).saturating_add(shift))
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.shift_millis.is_some() {
            "Clock(shifted)"
        } else {
            "Clock(system)"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_shown_in_utc_with_a_z_and_read_back_unchanged() {
        let moment = Timestamp::from_millis(1_795_207_396_042);

        let shown = serde_json::to_string(&moment).unwrap();

        assert_eq!(shown, r#""2026-11-20T20:43:16.042Z""#);
        assert_eq!(serde_json::from_str::<Timestamp>(&shown).unwrap(), moment);
    }

    #[test]
    fn a_time_with_an_offset_is_read_and_what_is_no_time_is_refused() {
        let with_offset = "2026-11-20T21:43:16.0429+01:00".parse::<Timestamp>();

        assert_eq!(with_offset, Ok(Timestamp::from_millis(1_795_207_396_042)));
        for text in ["", "2026-11-20", "2026-11-20T21:43:16", "tomorrow"] {
            assert_eq!(text.parse::<Timestamp>(), Err(InvalidTimestamp), "{text:?}");
        }
    }

    #[test]
    fn an_earlier_time_is_not_after_a_later_one() {
        let (early, late) = (Timestamp::from_millis(1_000), Timestamp::from_millis(2_500));

        assert_eq!(late.since(early), Duration::from_millis(1_500));
        assert_eq!(early.since(late), Duration::ZERO);
    }
}
