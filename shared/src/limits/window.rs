//! Windows: how time is cut into buckets, and how much of a limit is used.
//!
//! A sliding window of length W is cut into 60 buckets of W/60 each, plus the one that is being
//! filled. A bucket counts until a whole window has passed since its end. So no window of length W
//! ever holds more than the limit, and who paces themselves at the limit is refused at most W/60
//! early. The calendar month is one bucket that counts until the next month begins, in UTC.
//!
//! Time is an argument and never runs backwards for a counter: what comes from a clock that is
//! late counts in the newest bucket that there is.

use std::time::Duration;

use time::{Date, Month, OffsetDateTime};

use crate::clock::Timestamp;

/// Into how many buckets a sliding window is cut.
const BUCKETS: i64 = 60;

/// How many past months a month's window remembers for whoever closes them. They do not count.
pub(super) const KEPT_MONTHS: i64 = 3;

/// The time over which a limit counts.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Window {
    /// Any stretch of this many seconds.
    Sliding { seconds: u32 },
    /// The calendar month, in UTC.
    Month,
}

impl Window {
    pub const HOUR: Self = Self::Sliding { seconds: 3_600 };
    pub const DAY: Self = Self::Sliding { seconds: 86_400 };

    /// The bucket that a moment belongs to.
    pub fn bucket_at(self, moment: Timestamp) -> i64 {
        match self {
            Self::Sliding { seconds } => {
                (moment.millis() * BUCKETS).div_euclid(i64::from(seconds) * 1_000)
            }
            Self::Month => {
                let date = OffsetDateTime::from_unix_timestamp(moment.seconds())
                    .unwrap_or(OffsetDateTime::UNIX_EPOCH);
                i64::from(date.year()) * 12 + i64::from(u8::from(date.month())) - 1
            }
        }
    }

    /// The first moment, to the millisecond, that belongs to a bucket.
    pub fn start_of(self, bucket: i64) -> Timestamp {
        match self {
            Self::Sliding { seconds } => {
                let scaled = bucket * i64::from(seconds) * 1_000;
                Timestamp::from_millis(
                    scaled.div_euclid(BUCKETS) + i64::from(scaled.rem_euclid(BUCKETS) != 0),
                )
            }
            Self::Month => {
                let year = i32::try_from(bucket.div_euclid(12)).unwrap_or(i32::MAX);
                let month = u8::try_from(bucket.rem_euclid(12) + 1)
                    .ok()
                    .and_then(|month| Month::try_from(month).ok());
                let first = month.and_then(|month| Date::from_calendar_date(year, month, 1).ok());
                let seconds =
                    first.map_or(0, |first| first.midnight().assume_utc().unix_timestamp());
                Timestamp::from_millis(seconds * 1_000)
            }
        }
    }

    /// How many buckets count, the newest included.
    pub const fn span(self) -> i64 {
        match self {
            Self::Sliding { .. } => BUCKETS + 1,
            Self::Month => 1,
        }
    }

    /// How many buckets are remembered, the newest included.
    pub(crate) const fn kept(self) -> i64 {
        match self {
            Self::Sliding { .. } => self.span(),
            Self::Month => 1 + KEPT_MONTHS,
        }
    }

    /// The first moment at which a bucket no longer counts.
    pub fn clear_at(self, bucket: i64) -> Timestamp {
        self.start_of(bucket + self.span())
    }

    /// The length as `RateLimit-Policy` states it; a calendar month has none.
    pub const fn seconds(self) -> Option<u32> {
        match self {
            Self::Sliding { seconds } => Some(seconds),
            Self::Month => None,
        }
    }

    /// After how long without use there is nothing left to remember.
    pub const fn memory(self) -> Duration {
        match self {
            // The window, and the bucket that was being filled.
            Self::Sliding { seconds } => {
                Duration::from_secs(seconds as u64 + seconds as u64 / 60 + 1)
            }
            // Past months are kept for whoever closes them.
            Self::Month => Duration::from_hours(24 * 62),
        }
    }
}

/// A bucket and what was counted in it.
pub type Bucket = (i64, u64);

/// What has been counted in one window of one subject.
///
/// Only the newest bucket is counted in, and only it and the one before it can be refunded to; all
/// others are final. That is what lets a store keep them in one packed attribute.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Counter {
    pub newest: Bucket,
    pub previous: Option<Bucket>,
    /// Oldest first; none of them is empty. Those of a month do not count.
    pub older: Vec<Bucket>,
}

/// How a window stands toward one request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reading {
    /// What counts; of an admitted request, with it.
    pub used: u64,
    /// Whether the request's cost is open.
    pub fits: bool,
    /// When nothing will count any more if nothing more is sent.
    pub whole_at: Timestamp,
    /// When a request of this cost would be admitted, if this window stood in its way; `None` if
    /// never.
    pub admits_at: Option<Timestamp>,
    /// The bucket that the request was, or would be, counted in.
    pub bucket: i64,
}

impl Counter {
    /// A counter that has counted `cost` in `bucket`.
    pub const fn starting(bucket: i64, cost: u64) -> Self {
        Self {
            newest: (bucket, cost),
            previous: None,
            older: Vec::new(),
        }
    }

    /// Every bucket, oldest first.
    pub fn buckets(&self) -> impl Iterator<Item = Bucket> {
        let older = self.older.iter().copied();
        older.chain(self.previous).chain([self.newest])
    }

    /// The bucket that counts at `now`: never one before the newest.
    pub fn bucket_at(counter: Option<&Self>, window: Window, now: Timestamp) -> i64 {
        let bucket = window.bucket_at(now);
        counter.map_or(bucket, |counter| bucket.max(counter.newest.0))
    }

    /// What still counts when `bucket` is the current one.
    pub fn used_in(&self, window: Window, bucket: i64) -> u64 {
        self.live(window, bucket).map(|(_, count)| count).sum()
    }

    /// What has left the sum between the newest bucket and `bucket`.
    pub fn evicted_by(&self, window: Window, bucket: i64) -> u64 {
        self.used_in(window, self.newest.0) - self.used_in(window, bucket)
    }

    fn live(&self, window: Window, bucket: i64) -> impl Iterator<Item = Bucket> {
        self.buckets()
            .filter(move |(index, _)| index + window.span() > bucket)
    }

    /// How a request of `cost` would fare under `limit` at `now`.
    pub fn read(
        counter: Option<&Self>,
        window: Window,
        limit: u64,
        cost: u64,
        now: Timestamp,
    ) -> Reading {
        let bucket = Self::bucket_at(counter, window, now);
        let live: Vec<Bucket> = counter
            .into_iter()
            .flat_map(|counter| counter.live(window, bucket))
            .filter(|(_, count)| *count > 0)
            .collect();
        let used: u64 = live.iter().map(|(_, count)| count).sum();
        let excess = used.saturating_add(cost).saturating_sub(limit);
        let admits_at = if excess == 0 || cost > limit {
            None
        } else {
            let mut freed = 0;
            live.iter()
                .find(|(_, count)| {
                    freed += count;
                    freed >= excess
                })
                .map(|(index, _)| window.clear_at(*index))
        };
        Reading {
            used,
            fits: excess == 0,
            whole_at: live
                .last()
                .map_or(now, |(index, _)| window.clear_at(*index)),
            admits_at,
            bucket,
        }
    }

    /// The counter after `cost` was counted in `bucket`, which is not before the newest.
    #[must_use]
    pub fn counting(counter: Option<&Self>, window: Window, bucket: i64, cost: u64) -> Self {
        let Some(counter) = counter else {
            return Self::starting(bucket, cost);
        };
        if bucket == counter.newest.0 {
            let newest = (bucket, counter.newest.1 + cost);
            return Self {
                newest,
                ..counter.clone()
            };
        }
        Self {
            newest: (bucket, cost),
            previous: Some(counter.newest),
            older: counter.packed(window, bucket),
        }
    }

    /// What was counted in a bucket, if that is remembered.
    pub fn count_in(&self, bucket: i64) -> u64 {
        self.buckets()
            .find(|(index, _)| *index == bucket)
            .map_or(0, |(_, count)| count)
    }

    /// What stands before the newest bucket once `bucket` becomes the newest: all that is final
    /// and still remembered.
    pub fn packed(&self, window: Window, bucket: i64) -> Vec<Bucket> {
        let is_worth_keeping =
            |(index, count): &Bucket| index + window.kept() > bucket && *count > 0;
        let older = self.older.iter().copied();
        older
            .chain(self.previous)
            .filter(is_worth_keeping)
            .collect()
    }

    /// Takes `cost` back from the bucket that it was counted in, if that is the newest or the one
    /// before it. Older ones are final: what was counted there stays counted, so that a refund can
    /// never make room that was not there.
    pub fn refund(&mut self, bucket: i64, cost: u64) {
        if self.newest.0 == bucket {
            self.newest.1 = self.newest.1.saturating_sub(cost);
        } else if let Some(previous) = self.previous.as_mut().filter(|(index, _)| *index == bucket)
        {
            previous.1 = previous.1.saturating_sub(cost);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: Window = Window::Sliding { seconds: 60 };

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_795_207_380_000 + millis)
    }

    fn moment(text: &str) -> Timestamp {
        serde_json::from_str(&format!("{text:?}")).unwrap()
    }

    #[test]
    fn a_bucket_counts_until_a_whole_window_has_passed_since_its_end() {
        let bucket = MINUTE.bucket_at(at(0));

        assert_eq!(MINUTE.bucket_at(at(999)), bucket);
        assert_eq!(MINUTE.bucket_at(at(1_000)), bucket + 1);
        assert_eq!(MINUTE.clear_at(bucket), at(61_000));
    }

    #[test]
    fn a_month_counts_until_the_next_one_begins_in_utc() {
        let december = Window::Month.bucket_at(moment("2026-12-31T23:59:59.999Z"));

        assert_eq!(
            Window::Month.bucket_at(moment("2026-12-01T00:00:00Z")),
            december
        );
        assert_eq!(
            Window::Month.bucket_at(moment("2027-01-01T00:00:00Z")),
            december + 1
        );
        assert_eq!(
            Window::Month.clear_at(december),
            moment("2027-01-01T00:00:00Z")
        );
    }

    #[test]
    fn a_full_window_says_when_it_admits_again_and_when_it_is_whole() {
        let bucket = MINUTE.bucket_at(at(0));
        let first = Counter::counting(None, MINUTE, bucket, 2);
        let counter = Counter::counting(Some(&first), MINUTE, bucket + 10, 1);

        let reading = Counter::read(Some(&counter), MINUTE, 3, 2, at(15_000));

        assert!(!reading.fits);
        assert_eq!(reading.used, 3);
        assert_eq!(reading.admits_at, Some(MINUTE.clear_at(bucket)));
        assert_eq!(reading.whole_at, MINUTE.clear_at(bucket + 10));
    }

    #[test]
    fn a_month_remembers_the_three_before_it_and_counts_none_of_them() {
        let bucket = Window::Month.bucket_at(moment("2026-07-20T00:00:00Z"));
        let mut counter = Counter::starting(bucket, 1);
        for next in 1..=4 {
            let cost = u64::try_from(next).unwrap() + 1;
            counter = Counter::counting(Some(&counter), Window::Month, bucket + next, cost);
        }

        let reading = Counter::read(
            Some(&counter),
            Window::Month,
            5,
            1,
            moment("2026-11-20T00:00:00Z"),
        );

        assert_eq!(reading.used, 5);
        let remembered = [0, 1, 2, 3, 4].map(|next| counter.count_in(bucket + next));
        assert_eq!(remembered, [0, 2, 3, 4, 5]);
    }

    #[test]
    fn what_costs_more_than_the_limit_is_never_admitted() {
        let reading = Counter::read(None, MINUTE, 3, 4, at(0));

        assert!(!reading.fits);
        assert_eq!(reading.admits_at, None);
    }

    #[test]
    fn a_refund_reaches_the_newest_bucket_and_the_one_before_it_alone() {
        let bucket = MINUTE.bucket_at(at(0));
        let mut counter = Counter::starting(bucket, 5);
        for next in 1..=2 {
            counter = Counter::counting(Some(&counter), MINUTE, bucket + next, 5);
        }

        counter.refund(bucket, 1);
        counter.refund(bucket + 1, 1);
        counter.refund(bucket + 2, 9);

        assert_eq!(counter.older, [(bucket, 5)]);
        assert_eq!(counter.previous, Some((bucket + 1, 4)));
        assert_eq!(counter.newest, (bucket + 2, 0));
    }

    proptest! {
        #[test]
        fn a_bucket_starts_where_the_one_before_it_ends(
            millis in 1_600_000_000_000_i64..2_000_000_000_000,
            seconds in 1_u32..2_678_400,
        ) {
            let window = Window::Sliding { seconds };
            let bucket = window.bucket_at(Timestamp::from_millis(millis));
            let start = window.start_of(bucket);

            prop_assert!(start.millis() <= millis);
            prop_assert_eq!(window.bucket_at(start), bucket);
            prop_assert_eq!(window.bucket_at(Timestamp::from_millis(start.millis() - 1)), bucket - 1);
        }
    }
}
