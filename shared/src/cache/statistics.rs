//! Statistics: what each tier was asked for and had, counted in slices of five minutes.
//!
//! Hits, misses and fills of the last day are what was counted. How much a tier holds is not: it is
//! what was put there within a lifetime of its entries and since everything was last invalidated,
//! which is the most that can still be there.

use std::time::Duration;

use crate::clock::Timestamp;

/// Where an entry was found.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum CacheTier {
    Memory,
    Valkey,
    DynamoDb,
}

impl CacheTier {
    /// From the nearest to the farthest.
    pub const ALL: [Self; 3] = [Self::Memory, Self::Valkey, Self::DynamoDb];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Valkey => "valkey",
            Self::DynamoDb => "dynamodb",
        }
    }

    /// How long an entry lives there at most.
    pub(crate) fn life(self) -> Duration {
        match self {
            Self::Memory => super::memory::MEMORY_LIFE,
            Self::Valkey => Duration::from_hours(1),
            Self::DynamoDb => Duration::from_hours(24),
        }
    }
}

/// How long a slice is.
const SLICE: Duration = Duration::from_mins(5);
/// What is shown.
pub(crate) const SHOWN: Duration = Duration::from_hours(24);

/// The beginning of the slice that a moment lies in.
pub(crate) fn slice_of(now: Timestamp) -> Timestamp {
    let slice = i64::try_from(SLICE.as_millis()).unwrap_or(1);
    Timestamp::from_millis(now.millis().div_euclid(slice) * slice)
}

/// What one tier was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TierCounts {
    /// Lookups that it answered.
    pub hits: u64,
    /// Lookups that it was asked for and did not answer.
    pub misses: u64,
    /// Entries that were put there.
    pub fills: u64,
    /// The bytes of these, as they are kept there.
    pub bytes: u64,
    /// Lookups and fills that went without it, because it was away or too slow.
    pub skipped: u64,
    /// Entries that were not read or not kept: of another version, damaged, or too large.
    pub rejected: u64,
}

impl TierCounts {
    pub(crate) fn add(&mut self, other: &Self) {
        let pairs = self.fields_mut().into_iter().zip(other.fields());
        for (mine, more) in pairs {
            *mine = mine.saturating_add(more);
        }
    }

    pub(crate) fn fields(&self) -> [u64; 6] {
        [
            self.hits,
            self.misses,
            self.fills,
            self.bytes,
            self.skipped,
            self.rejected,
        ]
    }

    pub(crate) fn fields_mut(&mut self) -> [&mut u64; 6] {
        [
            &mut self.hits,
            &mut self.misses,
            &mut self.fills,
            &mut self.bytes,
            &mut self.skipped,
            &mut self.rejected,
        ]
    }
}

/// What all tiers were asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Tally([TierCounts; 3]);

impl Tally {
    pub(crate) fn of(&self, tier: CacheTier) -> &TierCounts {
        &self.0[tier as usize]
    }

    pub(crate) fn of_mut(&mut self, tier: CacheTier) -> &mut TierCounts {
        &mut self.0[tier as usize]
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for tier in CacheTier::ALL {
            self.of_mut(tier).add(other.of(tier));
        }
    }
}

/// What was counted in one slice.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Slice {
    pub(crate) start: Timestamp,
    /// The newest invalidation of everything by then.
    pub(crate) everything: u64,
    pub(crate) tally: Tally,
}

/// How a tier has done in the last 24 hours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TierStatistics {
    pub tier: CacheTier,
    pub counts: TierCounts,
    /// How many entries it holds at most.
    pub entries: u64,
    /// How many bytes it holds at most.
    pub bytes: u64,
    /// Whether this instance reaches it.
    pub is_available: bool,
}

/// How the cache has done in the last 24 hours, over all instances.
#[derive(Clone, PartialEq, Debug)]
pub struct CacheStatistics {
    pub tiers: Vec<TierStatistics>,
    /// The share of lookups that a tier answered; 0 if there were none.
    pub hit_ratio: f64,
}

impl CacheStatistics {
    /// Sums slices up. `everything` is the newest invalidation of everything, if they are one
    /// owner's.
    pub(crate) fn of(
        slices: &[Slice],
        everything: Option<u64>,
        now: Timestamp,
        is_available: impl Fn(CacheTier) -> bool,
    ) -> Self {
        let of_tier = |tier: CacheTier| {
            let mut found = TierStatistics {
                tier,
                counts: TierCounts::default(),
                entries: 0,
                bytes: 0,
                is_available: is_available(tier),
            };
            for slice in slices {
                let counts = slice.tally.of(tier);
                found.counts.add(counts);
                let may_live = slice.start.plus(SLICE) > now.minus(tier.life());
                let was_cleared = everything.is_some_and(|newest| newest != slice.everything);
                if may_live && !was_cleared {
                    found.entries += counts.fills;
                    found.bytes += counts.bytes;
                }
            }
            found
        };
        let tiers: Vec<_> = CacheTier::ALL.into_iter().map(of_tier).collect();
        let hits: u64 = tiers.iter().map(|tier| tier.counts.hits).sum();
        // Every lookup asks memory first.
        let lookups = tiers[0].counts.hits + tiers[0].counts.misses;
        Self {
            hit_ratio: ratio(hits, lookups),
            tiers,
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a share is shown with a few digits"
)]
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        (part as f64 / whole as f64).min(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: Timestamp = Timestamp::from_millis(1_795_207_396_042);

    fn slice(start: Timestamp, everything: u64, fills: u64) -> Slice {
        let mut tally = Tally::default();
        for tier in CacheTier::ALL {
            *tally.of_mut(tier) = TierCounts {
                misses: fills,
                fills,
                bytes: fills * 100,
                ..TierCounts::default()
            };
        }
        tally.of_mut(CacheTier::Valkey).hits = 1;
        Slice {
            start,
            everything,
            tally,
        }
    }

    #[test]
    fn a_tier_holds_what_was_put_there_within_its_life_and_since_the_last_clearing() {
        let ago = |minutes| slice_of(T.minus(Duration::from_mins(minutes)));
        let slices = [
            slice(ago(0), 7, 1),
            slice(ago(30), 7, 10),
            slice(ago(300), 7, 100),
            slice(ago(0), 6, 1_000),
        ];

        let statistics = CacheStatistics::of(&slices, Some(7), T, |_| true);

        let entries: Vec<u64> = statistics.tiers.iter().map(|tier| tier.entries).collect();
        assert_eq!(entries, [1, 11, 111]);
        assert_eq!(statistics.tiers[0].counts.fills, 1_111);
        assert_eq!(statistics.tiers[2].bytes, 11_100);
    }

    #[test]
    fn the_ratio_is_of_lookups_however_many_tiers_each_of_them_asked() {
        let statistics = CacheStatistics::of(&[slice(T, 0, 4)], None, T, |_| true);

        assert!((statistics.hit_ratio - 0.25).abs() < 1e-9);
        let none = CacheStatistics::of(&[], None, T, |_| true);
        assert!(none.hit_ratio.abs() < 1e-9);
    }
}
