//! What is told of usage: a user's own, and the whole stage's for those who run it.

use std::collections::BTreeMap;

use super::{Bucket, Range, StageUsage, Sum as _, Tally, UserUsage};

/// What a user asked for in a range.
#[derive(Debug)]
pub struct UserReport {
    pub range: Range,
    pub total: UserUsage,
    /// Every hour or day of the range, those without requests too.
    pub series: BTreeMap<Bucket, Tally>,
}

impl UserReport {
    /// Nothing, of every bucket of the range.
    pub fn empty(range: Range) -> Self {
        Self {
            range,
            total: UserUsage::default(),
            series: range.buckets().map(|b| (b, Tally::default())).collect(),
        }
    }

    pub fn add(&mut self, bucket: Bucket, usage: &UserUsage) {
        self.total.merge(usage);
        self.series.entry(bucket).or_default().merge(&usage.total);
    }
}

/// By what the usage of a stage is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GroupBy {
    Tier,
    Endpoint,
    Day,
}

/// What everybody asked for in a range, in groups.
#[derive(Debug)]
pub struct StageReport {
    pub range: Range,
    pub total: Tally,
    group_by: GroupBy,
    groups: BTreeMap<String, Tally>,
}

impl StageReport {
    /// Nothing; of every day of the range, where days are what is grouped by.
    pub fn empty(range: Range, group_by: GroupBy) -> Self {
        let mut groups = BTreeMap::new();
        if group_by == GroupBy::Day {
            groups.extend(range.buckets().map(|b| (day_of(b), Tally::default())));
        }
        Self {
            range,
            total: Tally::default(),
            group_by,
            groups,
        }
    }

    pub fn add(&mut self, bucket: Bucket, usage: &StageUsage) {
        self.total.merge(&usage.total);
        let groups = &mut self.groups;
        let mut add = |key: String, tally: &Tally| groups.entry(key).or_default().merge(tally);
        match self.group_by {
            GroupBy::Tier => {
                let tiers = usage.tiers.iter();
                tiers.for_each(|(tier, tally)| add(tier.clone(), tally));
            }
            GroupBy::Endpoint => {
                let endpoints = usage.endpoints.iter();
                endpoints.for_each(|(endpoint, tally)| add(endpoint.to_string(), tally));
            }
            GroupBy::Day => add(day_of(bucket), &usage.total),
        }
    }

    /// The groups: days in their order, others by how much was asked for.
    pub fn groups(&self) -> Vec<(&str, &Tally)> {
        let mut groups: Vec<_> = self.groups.iter().map(|(k, t)| (k.as_str(), t)).collect();
        if self.group_by != GroupBy::Day {
            groups.sort_by_key(|(_, tally)| std::cmp::Reverse(tally.count()));
        }
        groups
    }
}

/// `2026-11-20`
fn day_of(bucket: Bucket) -> String {
    let start = bucket.day().start().to_string();
    start.get(..10).unwrap_or(&start).to_owned()
}
