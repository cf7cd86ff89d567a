//! The policy: tiers, classes and upstreams, as their owner writes them down.
//!
//! A [`Policy`] is valid once parsed, and refused as a whole otherwise, with the field named. Where
//! it comes from and when it is read anew is [`crate::policy_source`]'s business; what a request is
//! checked against is decided by whoever asks it. The format is told in `docs/policy.md`.

mod access;
mod cache;
mod class;
mod error;
mod parse;
mod rate;
mod read;
mod tier;
mod upstream;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

pub use access::AccessPolicy;
pub use cache::CacheTtls;
pub use class::{ClassLimit, ClassPolicy, Mode, OnOutage, Per};
pub use error::PolicyError;
pub use rate::{InvalidRate, Rate};
pub use tier::TierPolicy;
pub use upstream::{BreakerPolicy, QueryMethod, SecretHeader, UpstreamPolicy};

use class::Classes;
use tier::Tiers;

/// Whether a text could name something in a policy: 1 to 32 of `a-z0-9_-`, the first a letter.
pub fn is_name(text: &str) -> bool {
    <read::Name as read::Text>::read(text).is_some()
}

/// The text of the built-in policy.
pub const BUILT_IN_TEXT: &str = include_str!("../../../policy.toml");

/// The longest policy, in bytes; it must fit into an item of DynamoDB (400 KB) with room to spare.
pub const MAX_BYTES: usize = 256 * 1024;

/// What holds for everybody: limits by tier and by class, access, upstreams.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    version: u64,
    digest: String,
    tiers: Tiers,
    classes: Classes,
    access: AccessPolicy,
    upstreams: BTreeMap<String, UpstreamPolicy>,
    cache_ttls: CacheTtls,
}

impl Policy {
    /// Reads the TOML of a policy. A class that it leaves out is as in the built-in policy.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        parse::policy(text, Some(&Self::built_in()))
    }

    /// The policy that holds until the owner gives another.
    pub fn built_in() -> Arc<Self> {
        static BUILT_IN: LazyLock<Arc<Policy>> = LazyLock::new(|| {
            #[expect(clippy::expect_used, reason = "the text is part of the program")]
            let policy = parse::policy(BUILT_IN_TEXT, None).expect("the built-in policy is valid");
            Arc::new(policy)
        });
        Arc::clone(&BUILT_IN)
    }

    /// The version of the format.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Tells policies apart: the first 16 hex digits of the SHA-256 of the text.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The tier of that name; free, where there is none.
    pub fn tier(&self, name: &str) -> &TierPolicy {
        self.tiers.get(name)
    }

    pub fn has_tier(&self, name: &str) -> bool {
        self.tiers().any(|(tier, _)| tier == name)
    }

    /// Every tier, by name.
    pub fn tiers(&self) -> impl Iterator<Item = (&str, &TierPolicy)> {
        self.tiers.iter()
    }

    /// What holds for an IP address without a good credential.
    pub fn anonymous(&self) -> &TierPolicy {
        &self.tiers.anonymous
    }

    /// The class of that name; the default, where there is none.
    pub fn class(&self, name: &str) -> &ClassPolicy {
        self.classes.get(name)
    }

    /// Whether there is a class of that name in which users are counted.
    pub fn counts_users(&self, class: &str) -> bool {
        self.classes.counts_users(class)
    }

    /// Every class, by name.
    pub fn classes(&self) -> impl Iterator<Item = (&str, &ClassPolicy)> {
        self.classes.iter()
    }

    pub fn access(&self) -> &AccessPolicy {
        &self.access
    }

    pub fn upstream(&self, name: &str) -> Option<&UpstreamPolicy> {
        self.upstreams.get(name)
    }

    /// Every upstream, by name.
    pub fn upstreams(&self) -> impl Iterator<Item = (&str, &UpstreamPolicy)> {
        self.upstreams
            .iter()
            .map(|(name, upstream)| (name.as_str(), upstream))
    }

    pub fn cache_ttls(&self) -> &CacheTtls {
        &self.cache_ttls
    }
}
