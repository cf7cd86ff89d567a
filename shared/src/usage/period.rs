//! How time is cut: slices, in which records are stored, and hours and days, in which they are shown.
//!
//! All of it is in UTC and by the time of the request, not by the time at which it was written down.

use std::time::Duration;

use crate::clock::Timestamp;

/// Slices are short, because each is read whole whenever something was added to it.
const SLICE: Duration = Duration::from_mins(5);
/// For so long after a slice's end its records can be read, and with them the hours.
const RECORDS_KEPT: Duration = Duration::from_hours(35 * 24);
/// How long after its end a slice is summed up at the latest. A day before the first of its records, or
/// of the hours of its day, may be gone: a sum without them would be wrong.
const SUMMED_UP: Duration = Duration::from_hours(34 * 24);
/// Longer than a year, so that a month can be held against the same one of last year.
const DAYS_KEPT: Duration = Duration::from_hours(400 * 24);

/// Five minutes of request time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Slice(i64);

impl Slice {
    /// How many of them make an hour.
    pub const IN_AN_HOUR: u8 = 12;

    pub fn of(at: Timestamp) -> Self {
        Self(at.millis().div_euclid(millis(SLICE)))
    }

    pub fn start(self) -> Timestamp {
        Timestamp::from_millis(self.0.saturating_mul(millis(SLICE)))
    }

    fn end(self) -> Timestamp {
        self.start().plus(SLICE)
    }

    /// The hour that it is part of.
    pub fn hour(self) -> Bucket {
        Bucket::of(self.start(), Granularity::Hour)
    }

    /// Which of its hour's slices it is.
    pub fn of_the_hour(self) -> u8 {
        let index = self.0.rem_euclid(i64::from(Self::IN_AN_HOUR));
        u8::try_from(index).unwrap_or_default()
    }

    pub fn records_expire_at(self) -> Timestamp {
        self.end().plus(RECORDS_KEPT)
    }

    /// Whether all of its records are still there, and everything that is made of them.
    pub fn is_whole_at(self, now: Timestamp) -> bool {
        now < self.end().plus(SUMMED_UP)
    }
}

/// How finely usage is shown.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Granularity {
    Hour,
    Day,
}

impl Granularity {
    pub fn length(self) -> Duration {
        match self {
            Self::Hour => Duration::from_hours(1),
            Self::Day => Duration::from_hours(24),
        }
    }

    /// How long after its end an hour or a day can be read.
    pub fn kept(self) -> Duration {
        match self {
            Self::Hour => RECORDS_KEPT,
            Self::Day => DAYS_KEPT,
        }
    }
}

/// One hour, or one day.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Bucket {
    granularity: Granularity,
    start: Timestamp,
}

impl Bucket {
    /// The one that `at` lies in.
    pub fn of(at: Timestamp, granularity: Granularity) -> Self {
        let length = millis(granularity.length());
        let start = at.millis().div_euclid(length).saturating_mul(length);
        Self {
            granularity,
            start: Timestamp::from_millis(start),
        }
    }

    pub fn granularity(self) -> Granularity {
        self.granularity
    }

    pub fn start(self) -> Timestamp {
        self.start
    }

    pub fn end(self) -> Timestamp {
        self.start.plus(self.granularity.length())
    }

    /// The day that it is, or is part of.
    #[must_use]
    pub fn day(self) -> Self {
        Self::of(self.start, Granularity::Day)
    }

    #[must_use]
    pub fn next(self) -> Self {
        Self::of(self.end(), self.granularity)
    }

    pub fn expires_at(self) -> Timestamp {
        self.end().plus(self.granularity.kept())
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_moment_lies_in_one_slice_hour_and_day() {
        let moment = at("2026-11-20T23:59:59.999Z");

        let slice = Slice::of(moment);

        assert_eq!(slice.start(), at("2026-11-20T23:55:00Z"));
        assert_eq!(slice.of_the_hour(), 11);
        assert_eq!(slice.hour().start(), at("2026-11-20T23:00:00Z"));
        assert_eq!(slice.hour().day().start(), at("2026-11-20T00:00:00Z"));
        assert_eq!(slice.hour().next().start(), at("2026-11-21T00:00:00Z"));
    }

    #[test]
    fn while_a_slice_is_summed_up_every_hour_of_its_day_is_kept() {
        let last_of_the_day = Slice::of(at("2026-11-20T23:55:00Z"));
        let first_hour = Bucket::of(at("2026-11-20T00:00:00Z"), Granularity::Hour);

        let last_moment = first_hour.expires_at().minus(Duration::from_hours(1));

        assert!(!last_of_the_day.is_whole_at(last_moment));
        assert!(last_of_the_day.is_whole_at(last_moment.minus(Duration::from_millis(1))));
    }
}
