//! Which upstreams there are for whom, and what asking them counts.

use crate::auth::Tier;
use crate::errors::{Problem, ProblemCode};
use crate::limits::policy::{Policy, UpstreamPolicy};

/// The class of a request that names no upstream of the policy.
const CLASS_OF_UNKNOWN: &str = "query";

/// What a request to an upstream counts, and in which class.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Price {
    pub class: String,
    pub cost: u64,
    /// What it counts if it is answered from the cache: no more than the cost.
    pub hit_cost: u64,
}

impl Price {
    /// The price of a request to whatever is named. A name that the policy does not have counts
    /// too, so that names cannot be tried for nothing.
    pub fn of(policy: &Policy, upstream: &str) -> Self {
        match policy.upstream(upstream) {
            Some(upstream) => Self {
                class: upstream.class.clone(),
                cost: upstream.cost,
                hit_cost: upstream.hit_cost,
            },
            None => Self {
                class: CLASS_OF_UNKNOWN.to_owned(),
                cost: 1,
                hit_cost: 1,
            },
        }
    }

    /// What is given back of a request that was answered from the cache.
    pub fn refund_of_hit(&self) -> u64 {
        self.cost.saturating_sub(self.hit_cost)
    }
}

/// Why an upstream is not there for somebody.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NotOffered {
    Unknown,
    /// The tier lacks the feature that it needs.
    Feature(String),
}

/// The upstream of that name, for users of `tier`.
pub fn upstream_for<'p>(
    policy: &'p Policy,
    name: &str,
    tier: &Tier,
) -> Result<&'p UpstreamPolicy, NotOffered> {
    let upstream = policy.upstream(name).ok_or(NotOffered::Unknown)?;
    let features = &policy.tier(tier.as_str()).features;
    match &upstream.requires_feature {
        Some(feature) if !features.contains(feature) => Err(NotOffered::Feature(feature.clone())),
        _ => Ok(upstream),
    }
}

impl From<NotOffered> for Problem {
    fn from(reason: NotOffered) -> Self {
        match reason {
            NotOffered::Unknown => Self::new(
                ProblemCode::UnknownUpstream,
                "There is no upstream of that name.",
            ),
            NotOffered::Feature(feature) => Self::new(
                ProblemCode::FeatureNotInTier,
                format!("The upstream needs the feature {feature}, which your tier does not have."),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> Policy {
        let text = "version = 1\n[tiers.anonymous]\nhour = 60\n\
            [tiers.free]\nhour = 100\n\
            [tiers.pro]\nfeatures = [\"ai_summarization\"]\n\
            [upstreams.library]\nbase_url = \"http://127.0.0.1:1\"\n\
            class = \"upload\"\ncost = 5\nhit_cost = 1\n\
            [upstreams.model]\nbase_url = \"http://127.0.0.1:1\"\n\
            requires_feature = \"ai_summarization\"\n";
        Policy::parse(text).unwrap()
    }

    #[test]
    fn a_request_counts_what_its_upstream_says_and_an_unknown_name_counts_too() {
        let price = |name| Price::of(&policy(), name);

        let library = price("library");
        assert_eq!((library.class.as_str(), library.cost), ("upload", 5));
        assert_eq!(library.refund_of_hit(), 4);
        let unknown = price("nowhere");
        assert_eq!((unknown.class.as_str(), unknown.cost), ("query", 1));
        assert_eq!(price("model").refund_of_hit(), 0);
    }

    #[test]
    fn an_upstream_that_needs_a_feature_is_there_for_tiers_that_have_it() {
        let policy = policy();
        let of = |name, tier: &Tier| upstream_for(&policy, name, tier).map(|found| found.cost);
        let needed = NotOffered::Feature("ai_summarization".to_owned());
        let pro = Tier::named("pro");

        assert_eq!(of("library", &Tier::free()), Ok(5));
        assert_eq!(of("model", &Tier::free()), Err(needed));
        assert_eq!(of("model", &pro), Ok(1));
        assert_eq!(of("nowhere", &pro), Err(NotOffered::Unknown));
    }
}
