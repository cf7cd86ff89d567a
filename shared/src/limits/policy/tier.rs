//! Tiers: what users of one tier may do in an hour, a day and a month.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::PolicyError;
use super::read::{Feature, Name, bound, names};

const ANONYMOUS: &str = "anonymous";
const FREE: &str = "free";

/// The limits of a tier; `None` is unlimited.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TierPolicy {
    /// Requests in any hour.
    #[serde(default, deserialize_with = "bound")]
    pub hour: Option<u64>,
    /// Requests in any day.
    #[serde(default, deserialize_with = "bound")]
    pub day: Option<u64>,
    /// Requests in a calendar month, in UTC.
    #[serde(default, deserialize_with = "bound")]
    pub month: Option<u64>,
    /// Jobs that may be under way at a time.
    #[serde(default, deserialize_with = "bound")]
    pub concurrent_jobs: Option<u64>,
    /// What the tier has besides, such as `ai_summarization`.
    #[serde(default, deserialize_with = "names::<_, Feature>")]
    pub features: Vec<String>,
}

/// All tiers, of which two are always there.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tiers {
    pub(super) anonymous: TierPolicy,
    free: TierPolicy,
    others: BTreeMap<String, TierPolicy>,
}

impl Tiers {
    pub(super) fn new(given: BTreeMap<Name, TierPolicy>) -> Result<Self, PolicyError> {
        let mut others: BTreeMap<String, TierPolicy> = given
            .into_iter()
            .map(|(name, tier)| (name.into(), tier))
            .collect();
        let mut required = |name: &str| {
            let missing =
                || PolicyError::missing(format!("tiers.{name}"), "a table, in every policy");
            others.remove(name).ok_or_else(missing)
        };
        Ok(Self {
            anonymous: required(ANONYMOUS)?,
            free: required(FREE)?,
            others,
        })
    }

    /// A tier; free, where there is none of that name.
    pub(super) fn get(&self, name: &str) -> &TierPolicy {
        if name == ANONYMOUS {
            return &self.anonymous;
        }
        self.others.get(name).unwrap_or(&self.free)
    }

    /// By name, the two that are always there first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &TierPolicy)> {
        let always = [(ANONYMOUS, &self.anonymous), (FREE, &self.free)];
        let others = self.others.iter().map(|(name, tier)| (name.as_str(), tier));
        always.into_iter().chain(others)
    }
}
