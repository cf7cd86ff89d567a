//! Periods: the calendar months in UTC that usage is charged by; when one may be closed, and what
//! its user is told while it runs.
//!
//! A request rolls its user's month over by itself. A period is closed for what is said of it
//! afterwards, so nobody waits for that.

use std::fmt;
use std::time::Duration;

use super::window::{KEPT_MONTHS, Window};
use crate::clock::Timestamp;

/// How long after its end a period is closed at the earliest. By then whoever was let in at its
/// last moment has been answered, and clocks differ by less.
const CLOSING_DELAY: Duration = Duration::from_mins(5);

/// How long after its end a period is not closed without knowing what was left of what was leased.
const PATIENCE: Duration = Duration::from_hours(48);

/// For how long after its end a closed period can be read: longer than a year, so that a month can
/// be held against the same one of last year.
const PERIODS_KEPT: Duration = Duration::from_hours(400 * 24);

/// A calendar month, in UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Period(i64);

impl Period {
    pub fn of(moment: Timestamp) -> Self {
        Self(Window::Month.bucket_at(moment))
    }

    /// The one that a bucket of a month's window stands for.
    pub const fn of_bucket(bucket: i64) -> Self {
        Self(bucket)
    }

    pub const fn bucket(self) -> i64 {
        self.0
    }

    pub fn start(self) -> Timestamp {
        Window::Month.start_of(self.0)
    }

    /// The last millisecond that belongs to it.
    pub fn last_moment(self) -> Timestamp {
        self.next().start().minus(Duration::from_millis(1))
    }

    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// When what was written down of it goes.
    pub fn expires_at(self) -> Timestamp {
        self.next().start().plus(PERIODS_KEPT)
    }

    /// Whether it need not be closed yet, although it has ended.
    pub fn may_stay_open(self, now: Timestamp) -> bool {
        now < self.next().start().plus(PATIENCE)
    }

    /// The periods of an account that are to be closed at `now`, oldest first: those that have
    /// ended since the newest that is `closed`, or since the account was made, as far back as a
    /// month's window remembers.
    pub fn due(closed: Option<Self>, made_at: Timestamp, now: Timestamp) -> Vec<Self> {
        let current = Self::of(now.minus(CLOSING_DELAY));
        let first = closed.map_or(Self::of(made_at), Self::next);
        let oldest_known = current.0 - KEPT_MONTHS;
        (first.0.max(oldest_known)..current.0).map(Self).collect()
    }
}

/// `2026-11`
impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month) = (self.0.div_euclid(12), self.0.rem_euclid(12) + 1);
        write!(f, "{year:04}-{month:02}")
    }
}

/// How much of a month is used when its user is told so.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Threshold {
    MostlyUsed,
    UsedUp,
}

impl Threshold {
    pub const fn percent(self) -> u8 {
        match self {
            Self::MostlyUsed => 80,
            Self::UsedUp => 100,
        }
    }

    /// The highest that is reached; none where there is nothing to use.
    pub fn reached(used: u64, limit: u64) -> Option<Self> {
        let is_reached = |threshold: &Self| {
            let needed = u128::from(limit) * u128::from(threshold.percent());
            limit > 0 && u128::from(used) * 100 >= needed
        };
        [Self::UsedUp, Self::MostlyUsed]
            .into_iter()
            .find(is_reached)
    }
}

/// That a user was told of a threshold in a period. Of two, the later period or else the higher
/// threshold is the greater, and who was told of the greater is not told of the lesser any more.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Told {
    pub period: Period,
    pub threshold: Threshold,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn named(periods: &[Period]) -> Vec<String> {
        periods.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_period_is_a_calendar_month_in_utc() {
        let november = Period::of(at("2026-11-30T23:59:59.999Z"));

        assert_eq!(november.to_string(), "2026-11");
        assert_eq!(november.start(), at("2026-11-01T00:00:00Z"));
        assert_eq!(november.last_moment(), at("2026-11-30T23:59:59.999Z"));
        assert_eq!(november.next().next().to_string(), "2027-01");
    }

    #[test]
    fn what_has_ended_since_the_last_time_is_due() {
        let october = Some(Period::of(at("2026-10-01T00:00:00Z")));
        let cases = [
            // Made long ago: as far back as is remembered.
            (
                None,
                "2020-01-01T00:00:00Z",
                "2027-01-02T00:00:00Z",
                vec!["2026-10", "2026-11", "2026-12"],
            ),
            // Made in the middle of a period.
            (
                None,
                "2026-11-20T00:00:00Z",
                "2027-01-02T00:00:00Z",
                vec!["2026-11", "2026-12"],
            ),
            (None, "2027-01-01T00:00:00Z", "2027-01-02T00:00:00Z", vec![]),
            // Closed before, once in time and once two months late.
            (
                october,
                "2020-01-01T00:00:00Z",
                "2026-11-20T00:00:00Z",
                vec![],
            ),
            (
                october,
                "2020-01-01T00:00:00Z",
                "2027-01-20T00:00:00Z",
                vec!["2026-11", "2026-12"],
            ),
            // A moment too early, and not.
            (
                october,
                "2020-01-01T00:00:00Z",
                "2026-12-01T00:04:59Z",
                vec![],
            ),
            (
                october,
                "2020-01-01T00:00:00Z",
                "2026-12-01T00:05:00Z",
                vec!["2026-11"],
            ),
        ];

        for (closed, made_at, now, expected) in cases {
            assert_eq!(
                named(&Period::due(closed, at(made_at), at(now))),
                expected,
                "{made_at}, {now}"
            );
        }
    }

    #[test]
    fn thresholds_are_reached_at_four_fifths_and_at_all_of_a_limit() {
        let cases = [
            (0, 0, None),
            (79, 100, None),
            (80, 100, Some(Threshold::MostlyUsed)),
            (99, 100, Some(Threshold::MostlyUsed)),
            (100, 100, Some(Threshold::UsedUp)),
            (2, 1, Some(Threshold::UsedUp)),
            (u64::MAX, u64::MAX, Some(Threshold::UsedUp)),
            (7, 9, None),
            (8, 9, Some(Threshold::MostlyUsed)),
        ];

        for (used, limit, expected) in cases {
            assert_eq!(
                Threshold::reached(used, limit),
                expected,
                "{used} of {limit}"
            );
        }
    }

    #[test]
    fn who_was_told_more_is_not_told_less() {
        let period = Period::of(at("2026-11-20T00:00:00Z"));
        let told = |period, threshold| Told { period, threshold };
        let [mostly, all] = [Threshold::MostlyUsed, Threshold::UsedUp];

        assert!(told(period, mostly) < told(period, all));
        assert!(told(period, all) < told(period.next(), mostly));
    }
}
