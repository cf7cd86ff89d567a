//! How long requests took: a histogram that can be added up, and its percentiles.
//!
//! Bounds are those of an HDR histogram (<http://hdrhistogram.org>) with 16 steps to a doubling: below 32 ms
//! each millisecond has a step of its own; beyond, a step is at most 1/16 as wide as what it begins with.
//! A percentile is told as the middle of its step, so it is exact below 32 ms, and never more than 1/32
//! (3.2 %) off beyond. Adding up loses nothing: the percentiles of a day are as exact as those of an hour.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Steps to a doubling, as a power of two.
const STEP_BITS: u32 = 4;
const STEPS: u32 = 1 << STEP_BITS;

/// How many requests took how long.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Latency(BTreeMap<u32, u64>);

impl Latency {
    pub fn add(&mut self, millis: u32) {
        *self.0.entry(step_of(millis)).or_default() += 1;
    }

    pub fn merge(&mut self, other: &Self) {
        for (step, count) in &other.0 {
            *self.0.entry(*step).or_default() += count;
        }
    }

    /// How many requests there are.
    pub fn count(&self) -> u64 {
        self.0.values().sum()
    }

    /// The shortest time, in milliseconds, within which at least `percent` of the requests were answered;
    /// `None` when there are none.
    pub fn percentile(&self, percent: u64) -> Option<u32> {
        let rank = (self.count() * percent).div_ceil(100).max(1);
        let mut seen = 0;
        let reaches = |(_, count): &(&u32, &u64)| {
            seen += **count;
            seen >= rank
        };
        let (step, _) = self.0.iter().find(reaches)?;
        Some(middle_of(*step))
    }
}

/// The step that a time belongs to.
fn step_of(millis: u32) -> u32 {
    let doublings = millis.max(STEPS).ilog2() - STEP_BITS;
    let within = millis >> doublings;
    doublings * STEPS + within
}

/// The time in the middle of a step.
fn middle_of(step: u32) -> u32 {
    let doublings = (step / STEPS).saturating_sub(1);
    let within = step - doublings * STEPS;
    let width = 1 << doublings;
    (within << doublings) + (width - 1) / 2
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn latency_of(times: &[u32]) -> Latency {
        let mut latency = Latency::default();
        for time in times {
            latency.add(*time);
        }
        latency
    }

    /// The nearest rank, from all the times.
    fn exact(times: &[u32], percent: usize) -> u32 {
        let mut sorted = times.to_vec();
        sorted.sort_unstable();
        sorted[(sorted.len() * percent).div_ceil(100).max(1) - 1]
    }

    fn times() -> impl Strategy<Value = Vec<u32>> {
        // Of every magnitude alike, up to the longest that can be stated.
        let time = (0_u32..=32).prop_flat_map(|bits| match bits {
            32 => Just(u32::MAX).boxed(),
            bits => (0..=(1_u32 << bits)).boxed(),
        });
        prop::collection::vec(time, 1..200)
    }

    proptest! {
        #[test]
        fn a_percentile_is_exact_below_32_ms_and_at_most_1_32_off_beyond(times in times(), percent in 1_u64..=100) {
            let told = latency_of(&times).percentile(percent).unwrap();

            let exact = exact(&times, usize::try_from(percent).unwrap());
            let off = told.abs_diff(exact);
            prop_assert!(if exact < 32 { off == 0 } else { off <= exact / 32 }, "{told} for {exact}");
        }

        #[test]
        fn added_up_in_any_parts_it_is_the_same(times in times(), cut in any::<prop::sample::Index>()) {
            let (first, second) = times.split_at(cut.index(times.len()));

            let mut sum = latency_of(second);
            sum.merge(&latency_of(first));

            prop_assert_eq!(&sum, &latency_of(&times));
            prop_assert_eq!(sum.count(), times.len() as u64);
        }
    }

    #[test]
    fn of_no_requests_there_is_no_percentile() {
        assert_eq!(Latency::default().percentile(50), None);
    }
}
