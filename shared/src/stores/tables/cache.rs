//! The `cache` table: the warm tier of the cache, and what is true of its entries in all tiers.
//!
//! | pk | sk | item |
//! |---|---|---|
//! | `ENTRY#<id>` | `ENTRY` | [`EntryItem`]: one entry, compressed; a day at most |
//! | `ENTRY#<id>` | `LEASE` | [`LeaseItem`]: who computes it, in a stack without Valkey; seconds |
//! | `OWNER#<owner>` | `GENERATIONS` | [`GenerationsItem`]: what was invalidated of the owner's entries; two days |
//! | `OWNER#<owner>` | `STATS#<slice>#<generation>` | what the owner's entries were asked for in five minutes; a day |
//! | `TOTAL#<shard>` | `STATS#<slice>#0` | the same of all owners |
//!
//! An owner is `usr_…` or `shared`. Entries lie under keys of their own and not below their owner, so
//! that many readers of one owner's do not meet in one partition.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::cache::{CacheOwner, EntryId};
use crate::clock::Timestamp;

pub(crate) const ENTRY_SK: &str = "ENTRY";
pub(crate) const LEASE_SK: &str = "LEASE";
pub(crate) const GENERATIONS_SK: &str = "GENERATIONS";

/// The bytes of an entry.
pub(crate) const ENTRY: &str = "entry";
/// The bytes of an owner's generations.
pub(crate) const GENERATIONS: &str = "generations";
/// Who holds a lease.
pub(crate) const HOLDER: &str = "holder";
/// When a lease ends by itself, in milliseconds.
pub(crate) const UNTIL: &str = "until";

/// Into how many items the totals are spread, so that many instances do not meet at one.
pub(crate) const TOTAL_SHARDS: u8 = 8;

pub(crate) fn entry_pk(id: &EntryId) -> String {
    format!("ENTRY#{}", URL_SAFE_NO_PAD.encode(id.bytes()))
}

pub(crate) fn owner_pk(owner: CacheOwner) -> String {
    format!("OWNER#{owner}")
}

pub(crate) fn total_pk(shard: u8) -> String {
    format!("TOTAL#{shard}")
}

/// What a slice that begins at `start` is counted in, under the newest invalidation of everything.
pub(crate) fn statistics_sk(start: Timestamp, everything: u64) -> String {
    format!("{}#{everything}", statistics_from(start))
}

/// Where the slices begin that are not before `start`, in the order of sort keys.
pub(crate) fn statistics_from(start: Timestamp) -> String {
    format!("STATS#{:015}", start.millis())
}

/// Behind every slice.
pub(crate) const STATISTICS_END: &str = "STATS#~";

/// The slice and the invalidation that [`statistics_sk`] named.
pub(crate) fn slice_of_statistics(sk: &str) -> Option<(Timestamp, u64)> {
    let (start, everything) = sk.strip_prefix("STATS#")?.split_once('#')?;
    let start = Timestamp::from_millis(start.parse().ok()?);
    Some((start, everything.parse().ok()?))
}

#[derive(Serialize, Deserialize)]
pub(crate) struct EntryItem {
    pub(crate) pk: String,
    pub(crate) sk: String,
    #[serde(with = "serde_bytes")]
    pub(crate) entry: Vec<u8>,
    pub(crate) ttl: i64,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct GenerationsItem {
    pub(crate) pk: String,
    pub(crate) sk: String,
    #[serde(with = "serde_bytes")]
    pub(crate) generations: Vec<u8>,
    pub(crate) ttl: i64,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct LeaseItem {
    pub(crate) pk: String,
    pub(crate) sk: String,
    pub(crate) holder: String,
    /// In milliseconds.
    pub(crate) until: i64,
    pub(crate) ttl: i64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::UserId;

    #[test]
    fn a_slice_of_statistics_reads_back_and_slices_are_in_order() {
        let early = Timestamp::from_millis(1_795_207_200_000);
        let late = Timestamp::from_millis(1_795_207_500_000);

        let sk = statistics_sk(early, 42);

        assert_eq!(sk, "STATS#001795207200000#42");
        assert_eq!(slice_of_statistics(&sk), Some((early, 42)));
        assert_eq!(slice_of_statistics("GENERATIONS"), None);
        assert!(statistics_from(early) <= sk && sk < statistics_sk(late, 0));
        assert!(*statistics_sk(late, u64::MAX) < *STATISTICS_END);
    }

    #[test]
    fn owners_have_partitions_of_their_own() {
        let user = UserId::new(Timestamp::from_millis(1));

        assert_eq!(owner_pk(CacheOwner::Shared), "OWNER#shared");
        assert_eq!(owner_pk(CacheOwner::User(user)), format!("OWNER#{user}"));
    }
}
