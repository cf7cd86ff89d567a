//! Statistics of the cache in DynamoDB: added to, never read before they are written.

use std::time::Duration;

use super::CacheTable;
use crate::cache::{CacheOwner, CacheTier, SHOWN, Slice, Tally};
use crate::clock::Timestamp;
use crate::stores::tables::cache::{
    STATISTICS_END, TOTAL_SHARDS, owner_pk, slice_of_statistics, statistics_from, statistics_sk,
    total_pk,
};
use crate::stores::tables::{PK, SK};
use crate::stores::{Item, StoreError, number, text};

/// How long after it is shown last a slice lies until DynamoDB may remove it.
const LEFT_LYING: Duration = Duration::from_hours(1);
/// The attributes of a tier's counts: its letter, then the count's, in the order of
/// [`crate::cache::TierCounts::fields`].
const COUNTS: [char; 6] = ['h', 'm', 'f', 'b', 's', 'r'];

/// Of whom something was counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Counted {
    Of(CacheOwner),
    /// Of all owners, by one of many instances: any number, as long as they differ.
    OfAll {
        by: u8,
    },
}

impl CacheTable {
    /// Adds a slice to what is there of an owner, or of all.
    pub(crate) async fn add_statistics(
        &self,
        counted: Counted,
        slice: &Slice,
    ) -> Result<(), StoreError> {
        let pk = match counted {
            Counted::Of(owner) => owner_pk(owner),
            Counted::OfAll { by } => total_pk(by % TOTAL_SHARDS),
        };
        let mut update = self
            .quick
            .update_item()
            .table_name(&self.table)
            .key(PK, text(pk))
            .key(SK, text(statistics_sk(slice.start, slice.everything)))
            .expression_attribute_names("#ttl", crate::stores::tables::TTL)
            .expression_attribute_values(
                ":ttl",
                number(slice.start.plus(SHOWN).plus(LEFT_LYING).seconds()),
            );
        let mut added = vec![];
        for (name, count) in attributes(&slice.tally) {
            added.push(format!("{name} :{name}"));
            update = update.expression_attribute_values(format!(":{name}"), number(count));
        }
        if added.is_empty() {
            return Ok(());
        }
        let expression = format!("SET #ttl = :ttl ADD {}", added.join(", "));
        update
            .update_expression(expression)
            .send()
            .await
            .map(drop)
            .map_err(|error| StoreError::from_sdk("UpdateItem", error))
    }

    /// The slices of an owner, or of all, that are shown at a moment.
    pub(crate) async fn statistics(
        &self,
        owner: Option<CacheOwner>,
        now: Timestamp,
    ) -> Result<Vec<Slice>, StoreError> {
        let partitions = match owner {
            Some(owner) => vec![owner_pk(owner)],
            None => (0..TOTAL_SHARDS).map(total_pk).collect(),
        };
        let mut slices = vec![];
        for pk in partitions {
            slices.extend(self.slices_of(pk, now).await?);
        }
        Ok(slices)
    }

    async fn slices_of(&self, pk: String, now: Timestamp) -> Result<Vec<Slice>, StoreError> {
        let (mut slices, mut start) = (vec![], None);
        loop {
            let page = self
                .client
                .query()
                .table_name(&self.table)
                .key_condition_expression("pk = :pk AND sk BETWEEN :from AND :end")
                .expression_attribute_values(":pk", text(&pk))
                .expression_attribute_values(":from", text(statistics_from(now.minus(SHOWN))))
                .expression_attribute_values(":end", text(STATISTICS_END))
                .consistent_read(true)
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(|error| StoreError::from_sdk("Query", error))?;
            slices.extend(page.items.iter().flatten().filter_map(slice_of));
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(slices);
            }
        }
    }
}

fn attributes(tally: &Tally) -> impl Iterator<Item = (String, u64)> {
    let of_tier = |tier: CacheTier| {
        let counts = COUNTS.into_iter().zip(tally.of(tier).fields());
        counts.map(move |(letter, count)| (attribute(tier, letter), count))
    };
    CacheTier::ALL
        .into_iter()
        .flat_map(of_tier)
        .filter(|(_, count)| *count > 0)
}

/// Such as `vh`, the hits of Valkey.
fn attribute(tier: CacheTier, count: char) -> String {
    let tier = match tier {
        CacheTier::Memory => 'm',
        CacheTier::Valkey => 'v',
        CacheTier::DynamoDb => 'd',
    };
    format!("{tier}{count}")
}

fn slice_of(item: &Item) -> Option<Slice> {
    let (start, everything) = slice_of_statistics(item.get(SK)?.as_s().ok()?)?;
    let mut tally = Tally::default();
    for tier in CacheTier::ALL {
        let fields = tally.of_mut(tier).fields_mut();
        for (letter, field) in COUNTS.into_iter().zip(fields) {
            let count = item.get(&attribute(tier, letter));
            let count = count.and_then(|count| count.as_n().ok()?.parse().ok());
            *field = count.unwrap_or(0);
        }
    }
    Some(Slice {
        start,
        everything,
        tally,
    })
}
