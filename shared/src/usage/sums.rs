//! What records come to: of one user, and of the whole stage.
//!
//! Sums are made of records or of other sums, in any order and in any parts.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Latency, UsageRecord};

/// How a route that is open to everybody, and so asked for by nobody in particular, is shown among the
/// tiers; the policy's name of their limits.
pub const ANONYMOUS: &str = "anonymous";

/// A sum of records, of whatever they are looked at by.
pub trait Sum: Default + Serialize + DeserializeOwned + Send + Sync {
    fn add(&mut self, record: &UsageRecord);

    fn merge(&mut self, other: &Self);

    fn tally(&self) -> &Tally;

    /// How many requests there are. Records are only ever added to what a sum is made of, so of two
    /// sums of the same, the one with more requests is the later.
    fn count(&self) -> u64 {
        self.tally().count()
    }
}

/// What is counted of any requests.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Tally {
    /// Answers with a status of 500 or above.
    pub errors: u64,
    /// What admission counted for them.
    pub charged: u64,
    pub latency: Latency,
}

impl Tally {
    pub fn count(&self) -> u64 {
        self.latency.count()
    }

    pub fn add(&mut self, record: &UsageRecord) {
        self.errors += u64::from(record.status >= 500);
        self.charged += u64::from(record.charged);
        self.latency.add(record.duration_ms);
    }

    pub fn merge(&mut self, other: &Self) {
        self.errors += other.errors;
        self.charged += other.charged;
        self.latency.merge(&other.latency);
    }
}

/// A route, as the OpenAPI document has it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Endpoint {
    pub method: String,
    pub path: String,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

impl Endpoint {
    fn of(record: &UsageRecord) -> Self {
        Self {
            method: record.method.clone(),
            path: record.path.clone(),
        }
    }
}

/// What one user asked for.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct UserUsage {
    pub total: Tally,
    pub endpoints: BTreeMap<Endpoint, u64>,
    pub statuses: BTreeMap<u16, u64>,
}

impl Sum for UserUsage {
    fn add(&mut self, record: &UsageRecord) {
        self.total.add(record);
        *self.endpoints.entry(Endpoint::of(record)).or_default() += 1;
        *self.statuses.entry(record.status).or_default() += 1;
    }

    fn merge(&mut self, other: &Self) {
        self.total.merge(&other.total);
        for (endpoint, count) in &other.endpoints {
            *self.endpoints.entry(endpoint.clone()).or_default() += count;
        }
        for (status, count) in &other.statuses {
            *self.statuses.entry(*status).or_default() += count;
        }
    }

    fn tally(&self) -> &Tally {
        &self.total
    }
}

/// What everybody asked for.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct StageUsage {
    pub total: Tally,
    pub endpoints: BTreeMap<Endpoint, Tally>,
    /// By the name of the tier that a request was let in under.
    pub tiers: BTreeMap<String, Tally>,
}

impl Sum for StageUsage {
    fn add(&mut self, record: &UsageRecord) {
        self.total.add(record);
        let endpoint = self.endpoints.entry(Endpoint::of(record));
        endpoint.or_default().add(record);
        let tier = record.caller.as_ref().map(|caller| caller.tier.as_str());
        let tier = self.tiers.entry(tier.unwrap_or(ANONYMOUS).to_owned());
        tier.or_default().add(record);
    }

    fn merge(&mut self, other: &Self) {
        self.total.merge(&other.total);
        for (endpoint, tally) in &other.endpoints {
            let own = self.endpoints.entry(endpoint.clone());
            own.or_default().merge(tally);
        }
        for (tier, tally) in &other.tiers {
            self.tiers.entry(tier.clone()).or_default().merge(tally);
        }
    }

    fn tally(&self) -> &Tally {
        &self.total
    }
}
