//! The `usage` table: records of requests in batches, and what is summed up of them.
//!
//! | pk | sk | item |
//! |---|---|---|
//! | `BATCHES#<slice>` | a batch's id and part | [`BatchItem`]: records of that slice, of many users |
//! | `USER#<user>` | `HOUR#<hour>` | [`BucketItem`]: what the user asked for, by slice |
//! | `USER#<user>` | `DAY#<day>` | [`BucketItem`]: the same, in one sum |
//! | `USER#<user>` | `PERIOD#<month>` | [`PeriodItem`]: what a closed period came to |
//! | `STAGE` | `HOUR#<hour>`, `DAY#<day>` | the same of everybody |
//!
//! Everything of a user is reached by key: the hours and days by the user's partition, and the records
//! by the slices that the hours name, as long as either is kept.
//!
//! Batches and sums are bytes in the form of `postcard`, which does not describe itself: a form that
//! cannot be read as this one gets another name of its attribute.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::auth::Tier;
use crate::clock::Timestamp;
use crate::ids::{BatchId, UserId};
use crate::limits::Period;
use crate::usage::{Batch, Bucket, Granularity, Slice, Sum};

const BATCHES_PK_PREFIX: &str = "BATCHES#";
pub(crate) const STAGE_PK: &str = "STAGE";

/// How many requests a sum is of.
pub(crate) const COUNT: &str = "n";

/// `BATCHES#2026-11-20T20:45`: a slice's batches are one query.
pub(crate) fn batches_pk(slice: Slice) -> String {
    format!("{BATCHES_PK_PREFIX}{}", minute_of(slice.start()))
}

/// The slice that a partition of batches is of.
pub(crate) fn slice_of_batches(pk: &str) -> Option<Slice> {
    let minute = pk.strip_prefix(BATCHES_PK_PREFIX)?;
    let start: Timestamp = format!("{minute}:00Z").parse().ok()?;
    Some(Slice::of(start)).filter(|slice| slice.start() == start)
}

/// The part of the records that one process had at a time which lie in one slice.
pub(crate) fn batch_sk(id: BatchId, part: usize) -> String {
    format!("{id}#{part}")
}

pub(crate) fn user_pk(user: UserId) -> String {
    format!("USER#{user}")
}

/// `HOUR#2026-11-20T20` or `DAY#2026-11-20`: they sort by time.
pub(crate) fn bucket_sk(bucket: Bucket) -> String {
    let start = minute_of(bucket.start());
    match bucket.granularity() {
        Granularity::Hour => format!("HOUR#{}", start.get(..13).unwrap_or(&start)),
        Granularity::Day => format!("DAY#{}", start.get(..10).unwrap_or(&start)),
    }
}

fn bucket_of_sk(sk: &str) -> Option<Bucket> {
    let (start, granularity) = match sk.split_once('#')? {
        ("HOUR", hour) => (format!("{hour}:00:00Z"), Granularity::Hour),
        ("DAY", day) => (format!("{day}T00:00:00Z"), Granularity::Day),
        _ => return None,
    };
    Some(Bucket::of(start.parse().ok()?, granularity))
}

/// The one sum of a day.
pub(crate) const DAY_ATTRIBUTE: &str = "day";

/// The attribute of an hour's item that a slice's sum lies in: `m45` for the one that begins 45 minutes
/// past the hour.
pub(crate) fn slice_attribute(slice: Slice) -> String {
    let start = minute_of(slice.start());
    format!("m{}", start.get(14..).unwrap_or(&start))
}

/// `2026-11-20T20:45`
fn minute_of(at: Timestamp) -> String {
    let text = at.to_string();
    text.get(..16).unwrap_or(&text).to_owned()
}

/// `PERIOD#2026-11`
pub(crate) fn period_sk(period: Period) -> String {
    format!("PERIOD#{period}")
}

/// A period of a user that is closed. It is written once.
#[derive(Serialize, Deserialize)]
pub(crate) struct PeriodItem {
    pub(crate) pk: String,
    pub(crate) sk: String,
    /// What admission counted; absent where it had no month to count in.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) charged: Option<u64>,
    /// Whether it had one for a part of the period alone.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub(crate) partial: bool,
    /// What is recorded of it.
    pub(crate) recorded: u64,
    /// Absent where it was unlimited.
    #[serde(rename = "limit", skip_serializing_if = "Option::is_none", default)]
    pub(crate) limit: Option<u64>,
    pub(crate) tier: Tier,
    pub(crate) ttl: i64,
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

/// A sum, and its version: how many requests it is of.
#[derive(Serialize, Deserialize)]
#[serde(bound(serialize = "S: Serialize", deserialize = "S: DeserializeOwned"))]
pub(crate) struct SumAttribute<S> {
    pub(crate) n: u64,
    #[serde(rename = "u", with = "packed")]
    pub(crate) sum: S,
}

impl<S: Sum> SumAttribute<S> {
    pub(crate) fn new(sum: S) -> Self {
        Self {
            n: sum.count(),
            sum,
        }
    }
}

/// An hour, with a sum for each slice, or a day, with one sum. Each sum is an attribute of its own, so
/// that it is written by itself.
#[derive(Serialize, Deserialize)]
#[serde(bound(serialize = "S: Serialize", deserialize = "S: DeserializeOwned"))]
pub(crate) struct BucketItem<S> {
    pub(crate) pk: String,
    pub(crate) sk: String,
    pub(crate) ttl: i64,
    #[serde(flatten)]
    pub(crate) sums: BTreeMap<String, SumAttribute<S>>,
}

impl<S: Sum> BucketItem<S> {
    /// The bucket and what it comes to; `None` if its key is none of a bucket.
    pub(crate) fn into_sum(self) -> Option<(Bucket, S)> {
        let bucket = bucket_of_sk(&self.sk)?;
        let mut whole = S::default();
        for part in self.sums.values() {
            whole.merge(&part.sum);
        }
        Some((bucket, whole))
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
    use crate::usage::{UsageCaller, UsageRecord, UserUsage};

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

    #[test]
    fn an_hour_reads_back_as_the_sum_of_its_slices() {
        let mut first = UserUsage::default();
        first.add(&record(None, "/api/v1/users/me"));
        let mut second = UserUsage::default();
        second.add(&record(None, "/api/v1/users/quota"));
        let hour = Slice::of(NOW).hour();
        let item = to_item(BucketItem {
            pk: user_pk(UserId::new(NOW)),
            sk: bucket_sk(hour),
            ttl: 1,
            sums: BTreeMap::from([
                ("m00".to_owned(), SumAttribute::new(first.clone())),
                (
                    slice_attribute(Slice::of(NOW)),
                    SumAttribute::new(second.clone()),
                ),
            ]),
        });

        let read: BucketItem<UserUsage> = from_item(item.unwrap()).unwrap();

        assert_eq!(read.sk, "HOUR#2026-11-20T20");
        assert!(read.sums.contains_key("m40"));
        let mut both = first;
        both.merge(&second);
        assert_eq!(read.into_sum(), Some((hour, both)));
    }

    #[test]
    fn keys_name_the_slice_and_the_bucket_that_they_were_made_for() {
        let slice = Slice::of(NOW);
        let (hour, day) = (slice.hour(), slice.hour().day());

        assert_eq!(slice_of_batches(&batches_pk(slice)), Some(slice));
        assert_eq!(bucket_of_sk(&bucket_sk(hour)), Some(hour));
        assert_eq!(bucket_of_sk(&bucket_sk(day)), Some(day));
        assert_eq!(bucket_sk(day), "DAY#2026-11-20");
        for foreign in ["BATCHES#2026-11-20T20:41", "BATCHES#", "USER#x", "STAGE"] {
            assert_eq!(slice_of_batches(foreign), None, "{foreign}");
        }
        for foreign in ["HOUR#", "DAY#2026", "USER#2026-11-20", ""] {
            assert_eq!(bucket_of_sk(foreign), None, "{foreign}");
        }
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
