//! Which stretch of time is asked about.
//!
//! Hours and days are counted whole: a range is widened to those that it touches.

use std::time::Duration;

use super::{Bucket, Granularity};
use crate::clock::Timestamp;

const DAY: Duration = Duration::from_hours(24);
/// How far a range may reach that is answered by hours where days would do as well.
const PREFERABLY_HOURS: Duration = Duration::from_hours(72);

/// Whole hours or whole days, one after the other; at least one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Range {
    first: Bucket,
    last: Bucket,
}

/// Why something is no range that can be answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InvalidRange {
    #[error("from is not before to")]
    Empty,
    #[error("by the {unit} at most {0} days are shown at a time", unit = name_of(*.1))]
    TooLong(u64, Granularity),
    #[error("by the {unit} usage is kept for {0} days", unit = name_of(*.1))]
    TooOld(u64, Granularity),
}

fn name_of(granularity: Granularity) -> &'static str {
    match granularity {
        Granularity::Hour => "hour",
        Granularity::Day => "day",
    }
}

impl Range {
    /// From `from` until just before `to`. Without `to` it reaches to the hour or day that it is now,
    /// without `from` it is as long as is usual: a day of hours, or 30 days.
    pub fn new(
        from: Option<Timestamp>,
        to: Option<Timestamp>,
        granularity: Granularity,
        now: Timestamp,
    ) -> Result<Self, InvalidRange> {
        let (usual, longest) = match granularity {
            Granularity::Hour => (DAY, 31 * DAY),
            Granularity::Day => (30 * DAY, 366 * DAY),
        };
        let last = match to {
            None => Bucket::of(now, granularity),
            Some(to) => Bucket::of(to.minus(Duration::from_millis(1)), granularity),
        };
        let first = Bucket::of(from.unwrap_or_else(|| last.end().minus(usual)), granularity);
        let is_empty = match (from, to) {
            (Some(from), Some(to)) => from >= to,
            _ => first > last,
        };
        let days = |duration: Duration| duration.as_secs() / DAY.as_secs();
        if is_empty {
            Err(InvalidRange::Empty)
        } else if last.end().since(first.start()) > longest {
            Err(InvalidRange::TooLong(days(longest), granularity))
        } else if first.expires_at() <= now {
            let kept = days(granularity.kept());
            Err(InvalidRange::TooOld(kept, granularity))
        } else {
            Ok(Self { first, last })
        }
    }

    /// As [`Self::new`], by the hour where the range is short and hours are still kept, else by the day.
    pub fn as_fine_as_kept(
        from: Option<Timestamp>,
        to: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Self, InvalidRange> {
        let by_hours = Self::new(from, to, Granularity::Hour, now);
        match by_hours {
            Ok(range) if range.end().since(range.start()) <= PREFERABLY_HOURS => Ok(range),
            Err(InvalidRange::Empty) => Err(InvalidRange::Empty),
            _ => Self::new(from, to, Granularity::Day, now),
        }
    }

    pub fn start(self) -> Timestamp {
        self.first.start()
    }

    /// The first moment behind it.
    pub fn end(self) -> Timestamp {
        self.last.end()
    }

    pub fn first(self) -> Bucket {
        self.first
    }

    pub fn last(self) -> Bucket {
        self.last
    }

    pub fn buckets(self) -> impl Iterator<Item = Bucket> {
        let next = move |bucket: &Bucket| Some(bucket.next());
        std::iter::successors(Some(self.first), next).take_while(move |b| *b <= self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-11-20T20:43:16.042Z";

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn range(from: Option<&str>, to: Option<&str>, by: Granularity) -> Result<Range, InvalidRange> {
        Range::new(from.map(at), to.map(at), by, at(NOW))
    }

    fn ends(range: Range) -> (String, String) {
        (range.start().to_string(), range.end().to_string())
    }

    #[test]
    fn a_range_is_widened_to_the_hours_or_days_that_it_touches() {
        use Granularity::{Day, Hour};
        let cases = [
            (
                None,
                None,
                Hour,
                "2026-11-19T21:00:00Z",
                "2026-11-20T21:00:00Z",
                24,
            ),
            (
                None,
                None,
                Day,
                "2026-10-22T00:00:00Z",
                "2026-11-21T00:00:00Z",
                30,
            ),
            (
                Some("2026-11-20T18:59:59Z"),
                None,
                Hour,
                "2026-11-20T18:00:00Z",
                "2026-11-20T21:00:00Z",
                3,
            ),
            (
                None,
                Some("2026-11-20T18:00:00Z"),
                Hour,
                "2026-11-19T18:00:00Z",
                "2026-11-20T18:00:00Z",
                24,
            ),
            (
                Some("2026-11-20T18:00:00Z"),
                Some("2026-11-20T18:00:00.001Z"),
                Hour,
                "2026-11-20T18:00:00Z",
                "2026-11-20T19:00:00Z",
                1,
            ),
            (
                Some("2026-11-19T23:00:00Z"),
                Some("2026-11-20T00:00:00Z"),
                Day,
                "2026-11-19T00:00:00Z",
                "2026-11-20T00:00:00Z",
                1,
            ),
            (
                Some("2026-11-20T23:00:00Z"),
                Some("2026-11-22T00:00:00Z"),
                Day,
                "2026-11-20T00:00:00Z",
                "2026-11-22T00:00:00Z",
                2,
            ),
        ];

        for (from, to, by, start, end, buckets) in cases {
            let range = range(from, to, by).unwrap();

            assert_eq!(ends(range), (start.to_owned(), end.to_owned()));
            assert_eq!(range.buckets().count(), buckets);
        }
    }

    #[test]
    fn what_is_empty_too_long_or_no_longer_kept_is_refused() {
        use Granularity::{Day, Hour};
        use InvalidRange::{Empty, TooLong, TooOld};
        let cases = [
            (
                Some("2026-11-20T18:00:00Z"),
                Some("2026-11-20T18:00:00Z"),
                Hour,
                Empty,
            ),
            (
                Some("2026-11-20T18:30:00Z"),
                Some("2026-11-20T18:15:00Z"),
                Hour,
                Empty,
            ),
            (Some("2026-11-20T22:00:00Z"), None, Hour, Empty),
            (Some("2026-10-20T20:59:59Z"), None, Hour, TooLong(31, Hour)),
            (Some("2025-11-19T00:00:00Z"), None, Day, TooLong(366, Day)),
            (
                Some("0001-01-01T00:00:00Z"),
                Some("9999-12-31T23:59:59Z"),
                Day,
                TooLong(366, Day),
            ),
            (None, Some("2026-10-16T20:00:00Z"), Hour, TooOld(35, Hour)),
            (
                Some("2025-10-15T00:00:00Z"),
                Some("2025-10-16T00:00:00Z"),
                Day,
                TooOld(400, Day),
            ),
        ];

        for (from, to, by, expected) in cases {
            assert_eq!(range(from, to, by), Err(expected), "{from:?} {to:?}");
        }
        assert!(range(Some("2026-10-20T21:00:00Z"), None, Hour).is_ok());
        assert!(
            range(
                Some("2025-10-17T00:00:00Z"),
                Some("2025-10-18T00:00:00Z"),
                Day
            )
            .is_ok()
        );
    }

    #[test]
    fn three_days_that_are_kept_are_answered_by_the_hour_and_all_else_by_the_day() {
        let cases = [
            (None, None, Granularity::Hour),
            (Some("2026-11-17T21:00:00Z"), None, Granularity::Hour),
            (Some("2026-11-17T20:59:00Z"), None, Granularity::Day),
            (
                Some("2026-10-01T00:00:00Z"),
                Some("2026-10-01T01:00:00Z"),
                Granularity::Day,
            ),
        ];

        for (from, to, by) in cases {
            let range = Range::as_fine_as_kept(from.map(at), to.map(at), at(NOW)).unwrap();

            assert_eq!(range.first().granularity(), by, "{from:?}");
        }
    }
}
