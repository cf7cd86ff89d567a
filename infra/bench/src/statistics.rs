//! What is said of many measurements of one thing.

use std::time::Duration;

/// Measurements of one thing, in ascending order.
#[derive(Debug)]
pub(crate) struct Sample(Vec<Duration>);

impl Sample {
    pub(crate) fn new(mut measured: Vec<Duration>) -> Self {
        measured.sort_unstable();
        Self(measured)
    }

    pub(crate) fn median(&self) -> Duration {
        self.percentile(50)
    }

    /// The nearest-rank percentile: the least value that `percent` of all do not exceed; zero of
    /// nothing.
    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.0.len() * percent).div_ceil(100);
        self.0
            .get(rank.saturating_sub(1))
            .copied()
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_value_that_was_measured() {
        let of = |count: u64| Sample::new((1..=count).rev().map(Duration::from_millis).collect());

        let cases = [
            (1, 50, 1),
            (1, 99, 1),
            (2, 50, 1),
            (40, 50, 20),
            (40, 95, 38),
            (100, 99, 99),
            (0, 50, 0),
        ];

        for (count, percent, expected) in cases {
            assert_eq!(
                of(count).percentile(percent),
                Duration::from_millis(expected),
                "{percent}th of {count}"
            );
        }
    }
}
