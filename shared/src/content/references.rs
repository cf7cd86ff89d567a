//! How long a piece of content is kept that several locations share.
//!
//! Each location with a piece of content is a reference to it. A location that is removed or gets
//! other content takes its reference back; one that expires takes nothing back, because nobody need
//! be there when it does. So references are counted, and may be counted too many, never too few: the
//! content is removed with the last of them, or expires after the last one that could expire.

use std::time::Duration;

use crate::clock::Timestamp;

/// How long a location refers to its content.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lifetime {
    /// Until it is changed.
    Unlimited,
    /// Until then, unless it is changed before.
    Until(Timestamp),
}

const DAY: Duration = Duration::from_hours(24);

/// The references to a piece of content.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct References {
    /// All that were not taken back.
    pub count: u64,
    /// Those of them that do not expire.
    pub unlimited: u64,
    /// When those that expire are over: in seconds, on a day's edge and a day or more after the last
    /// one, so that clocks may differ and few references move it.
    pub until: Option<i64>,
}

impl References {
    /// With one more.
    #[must_use]
    pub fn with(self, lifetime: Lifetime) -> Self {
        let (unlimited, until) = match lifetime {
            Lifetime::Unlimited => (1, None),
            Lifetime::Until(expiry) => (0, Some(kept_until(expiry))),
        };
        Self {
            count: self.count + 1,
            unlimited: self.unlimited + unlimited,
            until: self.until.max(until),
        }
    }

    /// With one taken back, which has not expired.
    #[must_use]
    pub fn without(self, lifetime: Lifetime) -> Self {
        let unlimited = u64::from(lifetime == Lifetime::Unlimited);
        Self {
            count: self.count.saturating_sub(1),
            unlimited: self.unlimited.saturating_sub(unlimited),
            until: self.until,
        }
    }

    /// Whether nothing refers to the content any more.
    pub fn is_empty(self) -> bool {
        self.count == 0
    }

    /// When the content expires, in seconds; `None` while something refers to it that does not.
    pub fn expires_at(self) -> Option<i64> {
        self.until.filter(|_| self.unlimited == 0)
    }
}

fn kept_until(expiry: Timestamp) -> i64 {
    let day = i64::try_from(DAY.as_secs()).unwrap_or(i64::MAX);
    expiry.plus(DAY).seconds().div_euclid(day).saturating_add(1) * day
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What happens at one of a few locations, and how much time passes before.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        /// It gets the content, for some hours or for good.
        Put(usize, Option<i64>),
        /// It loses the content.
        Remove(usize),
    }

    fn steps() -> impl Strategy<Value = Vec<(i64, Step)>> {
        let put = (0..4_usize, prop::option::of(1..100_i64));
        let step = prop_oneof![
            put.prop_map(|(at, hours)| Step::Put(at, hours)),
            (0..4_usize).prop_map(Step::Remove),
        ];
        prop::collection::vec((0..30_i64, step), 1..60)
    }

    proptest! {
        /// The content's record, and beside it which locations truly have the content.
        #[test]
        fn content_is_there_while_a_location_has_it_and_not_for_good_when_none_has(steps in steps()) {
            let mut locations: [Option<Lifetime>; 4] = [None; 4];
            let mut record: Option<References> = None;
            let mut now = Timestamp::from_millis(1_795_207_396_042);
            let is_live = |lifetime: Lifetime, now: Timestamp| match lifetime {
                Lifetime::Unlimited => true,
                Lifetime::Until(expiry) => now < expiry,
            };

            for (hours, step) in steps {
                now = now.plus(Duration::from_hours(u64::try_from(hours).unwrap()));
                // The sweep is as quick as it may be.
                record = record.filter(|kept| kept.expires_at().is_none_or(|at| now.seconds() < at));
                let (at, new) = match step {
                    Step::Put(at, None) => (at, Some(Lifetime::Unlimited)),
                    Step::Put(at, Some(hours)) => {
                        let ttl = Duration::from_hours(u64::try_from(hours).unwrap());
                        (at, Some(Lifetime::Until(now.plus(ttl))))
                    }
                    Step::Remove(at) => (at, None),
                };
                let old = locations[at].filter(|old| is_live(*old, now));
                let mut after = record.unwrap_or_default();
                if let Some(old) = old {
                    after = after.without(old);
                }
                if let Some(new) = new {
                    after = after.with(new);
                }
                locations[at] = new;
                record = Some(after).filter(|after| !after.is_empty());

                let mut living = locations.iter().flatten().filter(|one| is_live(**one, now));
                let lasting = living.clone().filter(|one| **one == Lifetime::Unlimited).count();
                if living.next().is_some() {
                    let kept = record.expect("it is there");
                    let last = living.map(|one| match one {
                        Lifetime::Unlimited => i64::MIN,
                        Lifetime::Until(expiry) => expiry.seconds(),
                    }).max();
                    prop_assert!(kept.expires_at().is_none_or(|at| Some(at) > last));
                }
                if lasting == 0 && let Some(kept) = record {
                    prop_assert!(kept.expires_at().is_some());
                } else if lasting > 0 {
                    prop_assert_eq!(record.and_then(References::expires_at), None);
                }
            }
        }
    }

    #[test]
    fn the_last_reference_takes_the_content_with_it() {
        let hour = Timestamp::from_millis(3_600_000);
        let lifetimes = [Lifetime::Unlimited, Lifetime::Until(hour)];

        let with_both = References::default().with(lifetimes[0]).with(lifetimes[1]);

        assert_eq!(with_both.expires_at(), None);
        let one = with_both.without(Lifetime::Unlimited);
        assert_eq!(one.expires_at(), Some(2 * 86_400));
        assert!(!one.is_empty());
        assert!(one.without(lifetimes[1]).is_empty());
    }
}
