//! The `usage` table: records of requests in batches, and what is summed up of them.
//!
//! | pk | sk | item |
//! |---|---|---|
//! | `BATCHES#<slice>` | a batch's id | [`BatchItem`]: records of that slice, of many users |

use serde::{Deserialize, Serialize};

use crate::ids::BatchId;
use crate::usage::{Batch, Slice};

const BATCHES_PK_PREFIX: &str = "BATCHES#";

/// `BATCHES#2026-11-20T20:45`: a slice's batches are one query.
pub(crate) fn batches_pk(slice: Slice) -> String {
    let start = slice.start().to_string();
    format!("{BATCHES_PK_PREFIX}{}", start.get(..16).unwrap_or(&start))
}

/// Part of the records that one process had at a time: those of a slice, in a write of their own.
pub(crate) fn batch_sk(id: BatchId, part: usize) -> String {
    format!("{id}#{part}")
}

#[derive(Serialize, Deserialize)]
pub(crate) struct BatchItem {
    pub(crate) pk: String,
    pub(crate) sk: String,
    #[serde(rename = "r", with = "packed")]
    pub(crate) batch: Batch,
    pub(crate) ttl: i64,
}

impl BatchItem {
    pub(crate) fn new(slice: Slice, id: BatchId, part: usize, batch: Batch) -> Self {
        Self {
            pk: batches_pk(slice),
            sk: batch_sk(id, part),
            batch,
            ttl: slice.records_expire_at().seconds(),
        }
    }
}

/// A value as bytes: `#[serde(with = "packed")]`.
mod packed {
    use serde::de::{DeserializeOwned, Error as _};
    use serde::ser::Error as _;
    use serde::{Deserializer, Serialize, Serializer};
    use serde_bytes::{ByteBuf, Deserialize as _};

    pub(super) fn serialize<T: Serialize, S: Serializer>(
        value: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let bytes = postcard::to_allocvec(value).map_err(S::Error::custom)?;
        serializer.serialize_bytes(&bytes)
    }

    pub(super) fn deserialize<'de, T: DeserializeOwned, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        let bytes = ByteBuf::deserialize(deserializer)?;
        postcard::from_bytes(&bytes).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::ids::UserId;
    use crate::stores::{from_item, to_item};
    use crate::usage::{UsageCaller, UsageRecord};

    const NOW: Timestamp = Timestamp::from_millis(1_795_207_396_042);

    fn record(caller: Option<(UserId, &str)>, path: &str) -> UsageRecord {
        let tier = |tier: &str| serde_json::from_value(tier.into()).unwrap();
        UsageRecord {
            at: NOW,
            caller: caller.map(|(user, name)| UsageCaller {
                user,
                tier: tier(name),
            }),
            method: "GET".to_owned(),
            path: path.to_owned(),
            status: 200,
            duration_ms: 41,
            charged: 1,
        }
    }

    fn item_of(records: &[UsageRecord]) -> BatchItem {
        let (slice, batch) = Batch::cut(records, 1_000).remove(0);
        BatchItem::new(slice, BatchId::new(NOW), 0, batch)
    }

    #[test]
    fn a_batch_reads_back_as_it_was_written_and_outlives_its_slice_by_35_days() {
        let ada = UserId::new(NOW);
        let records = [
            record(Some((ada, "free")), "/api/v1/users/me"),
            record(None, "/api/v1/auth/login"),
            UsageRecord {
                status: 503,
                duration_ms: u32::MAX,
                charged: 0,
                ..record(Some((ada, "pro")), "/api/v1/users/me")
            },
        ];

        let item = to_item(item_of(&records)).unwrap();

        let read: BatchItem = from_item(item).unwrap();
        assert_eq!(read.batch.records(), records);
        assert_eq!(read.pk, "BATCHES#2026-11-20T20:40");
        assert_eq!(read.ttl, 1_795_207_500 + 35 * 86_400);
    }

    /// DynamoDB bills a write by the KiB of names and values (Developer Guide, "DynamoDB item sizes
    /// and formats"); a number takes a byte for two digits and one more.
    #[test]
    fn twenty_five_records_of_as_many_users_cost_one_write() {
        let tiers = ["free", "pro", "premium", "enterprise"];
        let paths = [
            "/api/v1/users/me",
            "/api/v1/users/quota",
            "/api/v1/users/limits/explain",
            "/api/v1/users/api-keys/{id}/rotate",
        ];
        let of_somebody = |index: usize| UsageRecord {
            duration_ms: 20_000,
            ..record(Some((UserId::new(NOW), tiers[index % 4])), paths[index % 4])
        };
        let records: Vec<UsageRecord> = (0..25).map(of_somebody).collect();

        let item = item_of(&records);

        let packed = postcard::to_allocvec(&item.batch).unwrap().len();
        let size = "pkskrttl".len() + item.pk.len() + item.sk.len() + 6 + packed;
        assert!(size <= 1_024, "{size}");
    }
}
