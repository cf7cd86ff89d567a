//! Usage: batches of records, written down after the answers, and what they come to.
//!
//! A batch is written once and never changed. A sum is only ever replaced by one of more requests, and
//! so by a later one: whoever computes it anew, however often and in whatever order, ends with the same.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::Client;

use super::tables::usage::{
    BatchItem, BucketItem, COUNT, DAY_ATTRIBUTE, STAGE_PK, SumAttribute, batches_pk, bucket_sk,
    slice_attribute, slice_of_batches, user_pk,
};
use super::tables::{PK, SK, TTL};
use super::{
    DynamoDb, Item, StoreError, from_item, if_condition_held, number, text, to_attribute, to_item,
};
use crate::clock::Timestamp;
use crate::ids::{BatchId, UserId};
use crate::usage::{
    Batch, Bucket, Granularity, GroupBy, Range, Slice, StageReport, Sum, UsageRecord, UserReport,
};

/// Some 40 KB: far from what an item may hold, and read in one go.
const RECORDS_IN_A_BATCH: usize = 1_000;

/// Of whom something is a sum.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Whose {
    User(UserId),
    Everybodys,
}

impl Whose {
    fn pk(self) -> String {
        match self {
            Self::User(user) => user_pk(user),
            Self::Everybodys => STAGE_PK.to_owned(),
        }
    }
}

/// What the record of a stream tells: something was written down that the sums do not have yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Written {
    pub slice: Slice,
    /// Who asked for something; `None` if the stream did not show what was written.
    pub users: Option<BTreeSet<UserId>>,
}

impl Written {
    /// Reads the key and the new image of a stream's record; `None` if it is no batch's.
    pub fn read(
        key: &serde_dynamo::Item,
        image: Option<serde_dynamo::Item>,
    ) -> Result<Option<Self>, StoreError> {
        let Some(serde_dynamo::AttributeValue::S(pk)) = key.inner().get(PK) else {
            return Ok(None);
        };
        let Some(slice) = slice_of_batches(pk) else {
            return Ok(None);
        };
        let item: Option<BatchItem> = image
            .map(serde_dynamo::from_item)
            .transpose()
            .map_err(StoreError::Damaged)?;
        let users_of = |item: BatchItem| {
            let callers = item.batch.records().iter();
            callers
                .filter_map(|record| Some(record.caller.as_ref()?.user))
                .collect()
        };
        Ok(Some(Self {
            slice,
            users: item.map(users_of),
        }))
    }
}

/// The records of requests, and what they come to.
#[derive(Clone)]
pub struct UsageStore {
    client: Client,
    table: String,
}

impl UsageStore {
    pub fn new(dynamodb: &DynamoDb, usage_table: String) -> Self {
        Self {
            client: dynamodb.client(),
            table: usage_table,
        }
    }

    /// Writes records down, those of each slice in one write. `id` is made once for them: with the
    /// same id and the same records in the same order, a second call adds nothing to the first,
    /// whether that one succeeded, failed in the middle or is still under way.
    pub async fn append(&self, id: BatchId, records: &[UsageRecord]) -> Result<(), StoreError> {
        let batches = Batch::cut(records, RECORDS_IN_A_BATCH).into_iter();
        for (part, (slice, batch)) in batches.enumerate() {
            self.put_once(BatchItem::new(slice, id, part, batch))
                .await?;
        }
        Ok(())
    }

    async fn put_once(&self, item: BatchItem) -> Result<(), StoreError> {
        let is_not_there_yet = "attribute_not_exists(pk)";
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(to_item(item)?))
            .condition_expression(is_not_there_yet);
        if_condition_held("PutItem", put.send().await).map(drop)
    }

    /// Shows every record of a slice to `each`, those of one page at a time.
    pub async fn read_slice(
        &self,
        slice: Slice,
        mut each: impl FnMut(&UsageRecord),
    ) -> Result<(), StoreError> {
        let mut start = None;
        loop {
            let page = self
                .client
                .query()
                .table_name(&self.table)
                .key_condition_expression("pk = :pk")
                .expression_attribute_values(":pk", text(batches_pk(slice)))
                .consistent_read(true)
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(|error| StoreError::from_sdk("Query", error))?;
            for item in page.items.unwrap_or_default() {
                let item: BatchItem = from_item(item)?;
                item.batch.records().iter().for_each(&mut each);
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(());
            }
        }
    }

    /// Puts the sum of a slice's records in the place of an older one; one that is as new stays.
    pub async fn put_slice<S: Sum>(
        &self,
        whose: Whose,
        slice: Slice,
        sum: S,
    ) -> Result<(), StoreError> {
        self.put_sum(whose, slice.hour(), &slice_attribute(slice), sum)
            .await
    }

    /// Sums a day up from its hours, unless what is there is as new.
    pub async fn sum_up_day<S: Sum>(&self, whose: Whose, day: Bucket) -> Result<(), StoreError> {
        let first = Bucket::of(day.start(), Granularity::Hour);
        let last = Bucket::of(
            day.end().minus(Granularity::Hour.length()),
            Granularity::Hour,
        );
        let mut sum = S::default();
        let is_read = Reading::Consistent;
        self.read_buckets::<S>(whose, first, last, is_read, |_, _, hour| sum.merge(&hour))
            .await?;
        if sum.count() == 0 {
            return Ok(());
        }
        self.put_sum(whose, day, DAY_ATTRIBUTE, sum).await
    }

    async fn put_sum<S: Sum>(
        &self,
        whose: Whose,
        bucket: Bucket,
        attribute: &str,
        sum: S,
    ) -> Result<(), StoreError> {
        let is_of_fewer = "attribute_not_exists(#sum) OR #sum.#n < :n";
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key(PK, text(whose.pk()))
            .key(SK, text(bucket_sk(bucket)))
            .update_expression("SET #sum = :sum, #ttl = :ttl")
            .condition_expression(is_of_fewer)
            .expression_attribute_names("#sum", attribute)
            .expression_attribute_names("#n", COUNT)
            .expression_attribute_names("#ttl", TTL)
            .expression_attribute_values(":n", number(sum.count()))
            .expression_attribute_values(":ttl", number(bucket.expires_at().seconds()))
            .expression_attribute_values(":sum", to_attribute(SumAttribute::new(sum))?);
        if_condition_held("UpdateItem", update.send().await).map(drop)
    }

    /// What a user asked for.
    pub async fn of_user(
        &self,
        user: UserId,
        range: Range,
        now: Timestamp,
    ) -> Result<UserReport, StoreError> {
        let mut report = UserReport::empty(range);
        let add = |bucket, usage| report.add(bucket, &usage);
        let (first, last) = (range.first(), range.last());
        self.read(Whose::User(user), first, last, now, add).await?;
        Ok(report)
    }

    /// What everybody asked for.
    pub async fn of_stage(
        &self,
        range: Range,
        group_by: GroupBy,
        now: Timestamp,
    ) -> Result<StageReport, StoreError> {
        let mut report = StageReport::empty(range, group_by);
        let add = |bucket, usage| report.add(bucket, &usage);
        let (first, last) = (range.first(), range.last());
        self.read(Whose::Everybodys, first, last, now, add).await?;
        Ok(report)
    }

    /// Shows every hour or day from `first` to `last` in which there was something.
    pub async fn read<S: Sum>(
        &self,
        whose: Whose,
        first: Bucket,
        last: Bucket,
        now: Timestamp,
        mut each: impl FnMut(Bucket, S),
    ) -> Result<(), StoreError> {
        let of_those_kept = |bucket, ttl, sum| {
            if now.seconds() < ttl {
                each(bucket, sum);
            }
        };
        self.read_buckets(whose, first, last, Reading::Eventual, of_those_kept)
            .await
    }

    async fn read_buckets<S: Sum>(
        &self,
        whose: Whose,
        first: Bucket,
        last: Bucket,
        reading: Reading,
        mut each: impl FnMut(Bucket, i64, S),
    ) -> Result<(), StoreError> {
        let mut start: Option<Item> = None;
        loop {
            let page = self
                .client
                .query()
                .table_name(&self.table)
                .key_condition_expression("pk = :pk AND sk BETWEEN :first AND :last")
                .expression_attribute_values(":pk", text(whose.pk()))
                .expression_attribute_values(":first", text(bucket_sk(first)))
                .expression_attribute_values(":last", text(bucket_sk(last)))
                .consistent_read(reading == Reading::Consistent)
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(|error| StoreError::from_sdk("Query", error))?;
            for item in page.items.unwrap_or_default() {
                let item: BucketItem<S> = from_item(item)?;
                let ttl = item.ttl;
                if let Some((bucket, sum)) = item.into_sum() {
                    each(bucket, ttl, sum);
                }
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(());
            }
        }
    }
}

/// Whether a reader must see what was written before.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    Consistent,
    /// At half the price.
    Eventual,
}
