//! Key formats and attribute names, one file per table.

pub(crate) mod admission;
pub(crate) mod audit;
pub(crate) mod cache;
pub(crate) mod credentials;
pub(crate) mod identity;
pub(crate) mod usage;
pub(crate) mod work;

/// The partition key of every table.
pub(crate) const PK: &str = "pk";
/// The sort key of every table.
pub(crate) const SK: &str = "sk";
/// When an item expires, in seconds since the Unix epoch.
pub(crate) const TTL: &str = "ttl";
