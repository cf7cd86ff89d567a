//! The audit log, written: entries leave the outbox as they join the chain, in one transaction.
//!
//! The head moves on under the condition that it is the one that was read. So of two writers one
//! wins, an entry that was announced twice is chained once, and one that dies in between has done
//! all of it or nothing. Whoever loses looks again at what is left.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{AttributeValue, Delete, Put, TransactWriteItem};

use super::accounts::{create, pauses, wait};
use super::audit_log::{AuditLog, LogEnd};
use super::tables::audit::{HeadItem, LogItem, SWEEP_PK, SWEEP_SK, SweepItem};
use super::tables::identity::{AUDIT_PK_PREFIX, AuditOutboxItem, audit_hour, audit_pk_of};
use super::tables::{PK, SK};
use super::transaction::{IntoWrite, NotWritten, transact};
use super::{Item, StoreError, batch_get_of, from_item, number, text, to_item};
use crate::audit::Head;
use crate::clock::Timestamp;

/// How many entries one transaction chains: it may hold 100 writes (DynamoDB API Reference,
/// `TransactWriteItems`), each entry is put here and deleted there, and the head is one more.
const MAX_CHAINED: usize = 49;
/// After so many hours nobody writes an entry of an hour any more: a request that is under way
/// takes seconds, and clocks do not differ by hours.
const SETTLED_AFTER_HOURS: i64 = 2;
/// Where the first sweep of all begins.
const FIRST_SWEEP_HOURS: i64 = 30 * 24;

/// Moves entries from the outbox into the log. It alone may write the log's table.
pub struct AuditWriter {
    log: AuditLog,
    identity: String,
}

/// Why entries were not chained. They are still in the outbox.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    #[error("the audit log or its outbox cannot be used")]
    Store(#[from] StoreError),
    #[error("the head of the audit log was not made with this key: nothing is written behind it")]
    HeadForged,
    #[error("the audit log goes on behind its head: nothing is written over entry {0}")]
    Occupied(u64),
}

/// Where an entry lies in the outbox.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct AuditOutboxKey {
    pk: String,
    sk: String,
}

impl AuditOutboxKey {
    /// The place that a key of the identity table names, if it is one of the outbox's.
    pub fn of(pk: &str, sk: &str) -> Option<Self> {
        pk.starts_with(AUDIT_PK_PREFIX).then(|| Self {
            pk: pk.to_owned(),
            sk: sk.to_owned(),
        })
    }

    fn item(&self) -> Item {
        let attribute = |name: &str, value: &String| (name.to_owned(), text(value));
        [attribute(PK, &self.pk), attribute(SK, &self.sk)].into()
    }
}

/// What became of entries.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Chained {
    pub entries: usize,
    /// Those that do not have the form of an entry. They stay in the outbox.
    pub unreadable: usize,
}

impl AuditWriter {
    /// A writer of `log` that takes its entries from the outbox in the table `identity`.
    pub fn new(log: AuditLog, identity: String) -> Self {
        Self { log, identity }
    }

    /// Chains these entries in this order, as far as they are still in the outbox.
    pub async fn chain(&self, entries: &[AuditOutboxKey]) -> Result<Chained, ChainError> {
        let mut all = Chained::default();
        for batch in entries.chunks(MAX_CHAINED) {
            let chained = self.chain_batch(batch).await?;
            all.entries += chained.entries;
            all.unreadable += chained.unreadable;
        }
        Ok(all)
    }

    /// Chains what is left in the outbox, from the hour on that the last sweep came to.
    pub async fn sweep(&self, now: Timestamp) -> Result<Chained, ChainError> {
        let current = audit_hour(now);
        let settled = current - SETTLED_AFTER_HOURS;
        let swept = self.swept().await?;
        let begin = swept.unwrap_or(current - FIRST_SWEEP_HOURS).min(settled);
        let (mut all, mut clean) = (Chained::default(), begin);
        for hour in begin..=current {
            let chained = self.sweep_hour(hour).await?;
            all.entries += chained.entries;
            all.unreadable += chained.unreadable;
            let is_clean = all.unreadable == 0 && hour < settled;
            if is_clean {
                clean = hour + 1;
            }
        }
        if swept != Some(clean) {
            self.swept_up_to(clean).await?;
        }
        Ok(all)
    }

    async fn sweep_hour(&self, hour: i64) -> Result<Chained, ChainError> {
        let (mut all, mut start) = (Chained::default(), None);
        loop {
            let (entries, next) = self.left_in(hour, start).await?;
            let chained = self.chain(&entries).await?;
            all.entries += chained.entries;
            all.unreadable += chained.unreadable;
            if next.is_none() {
                return Ok(all);
            }
            start = next;
        }
    }

    async fn chain_batch(&self, batch: &[AuditOutboxKey]) -> Result<Chained, ChainError> {
        const HEAD: usize = 0;
        for pause in std::iter::once(None).chain(pauses().map(Some)) {
            wait(pause).await;
            let (end, left) = tokio::try_join!(self.log.end(), self.left_of(batch))?;
            let (mut head, read) = match end {
                LogEnd::Unknown => (Head::START, None),
                LogEnd::Sealed(head) => (head, Some(head)),
                LogEnd::Forged => return Err(ChainError::HeadForged),
            };
            let mut writes = vec![];
            let mut unreadable = 0;
            for item in left {
                let Some((key, text)) = entry_of(item) else {
                    unreadable += 1;
                    continue;
                };
                let link = self.log.key.append(&head, text);
                head = link.as_head();
                writes.push(create(&self.log.table, LogItem::from(link))?);
                writes.push(self.taken_out(&key));
            }
            let chained = Chained {
                entries: writes.len() / 2,
                unreadable,
            };
            if writes.is_empty() {
                return Ok(chained);
            }
            writes.insert(HEAD, self.head_moves(read, head)?);
            match transact(&self.log.client, writes).await {
                Ok(()) => {
                    tell(head, chained);
                    return Ok(chained);
                }
                // Another writer came first.
                Err(NotWritten::Condition(HEAD)) => {}
                Err(NotWritten::Condition(at)) if is_put(at) => {
                    let first = read.map_or(0, |head| head.count) + 1;
                    return Err(ChainError::Occupied(first + (at as u64 - 1) / 2));
                }
                // Somebody took an entry out of the outbox.
                Err(NotWritten::Condition(_)) => {}
                Err(NotWritten::Failed(error)) => return Err(error.into()),
            }
        }
        let operation = "chain";
        Err(StoreError::Contended { operation }.into())
    }

    /// The write that moves the head on, unless it is no longer the one that was read.
    fn head_moves(&self, read: Option<Head>, to: Head) -> Result<TransactWriteItem, StoreError> {
        let item = HeadItem::new(to, self.log.key.seal(&to));
        let Some(read) = read else {
            return create(&self.log.table, item);
        };
        let is_the_head_that_was_read = "#count = :count AND #hash = :hash";
        Ok(Put::builder()
            .table_name(&self.log.table)
            .set_item(Some(to_item(item)?))
            .condition_expression(is_the_head_that_was_read)
            .expression_attribute_names("#count", "count")
            .expression_attribute_names("#hash", "hash")
            .expression_attribute_values(":count", number(read.count))
            .expression_attribute_values(":hash", text(read.hash))
            .into_write())
    }

    /// The write that takes an entry out of the outbox, where it must still be.
    fn taken_out(&self, key: &AuditOutboxKey) -> TransactWriteItem {
        let is_left = "attribute_exists(pk)";
        Delete::builder()
            .table_name(&self.identity)
            .set_key(Some(key.item()))
            .condition_expression(is_left)
            .into_write()
    }

    /// What of these entries is still in the outbox, in their order.
    async fn left_of(&self, batch: &[AuditOutboxKey]) -> Result<Vec<Item>, StoreError> {
        let mut asked: Vec<Item> = vec![];
        for key in batch {
            let item = key.item();
            if !asked.contains(&item) {
                asked.push(item);
            }
        }
        let items = batch_get_of(&self.log.client, &self.identity, asked.clone()).await?;
        let mut found: HashMap<_, _> = (items.into_iter())
            .map(|item| (key_of(&item), item))
            .collect();
        let in_order = asked.iter().filter_map(|key| found.remove(&key_of(key)));
        Ok(in_order.collect())
    }

    /// Where entries of an hour lie in the outbox, oldest first, and where to go on.
    async fn left_in(
        &self,
        hour: i64,
        start: Option<Item>,
    ) -> Result<(Vec<AuditOutboxKey>, Option<Item>), StoreError> {
        let limit = i32::try_from(MAX_CHAINED).unwrap_or(i32::MAX);
        let answer = self
            .log
            .client
            .query()
            .table_name(&self.identity)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", text(audit_pk_of(hour)))
            .projection_expression("pk, sk")
            .consistent_read(true)
            .limit(limit)
            .set_exclusive_start_key(start)
            .send()
            .await
            .map_err(|error| StoreError::from_sdk("Query", error))?;
        let items = answer.items.unwrap_or_default();
        let keys = items.iter().filter_map(|item| {
            let (pk, sk) = key_of(item);
            AuditOutboxKey::of(&pk, &sk)
        });
        Ok((keys.collect(), answer.last_evaluated_key))
    }

    async fn swept(&self) -> Result<Option<i64>, StoreError> {
        let item = self.log.get(SWEEP_PK, SWEEP_SK).await?;
        let item = item.map(from_item::<SweepItem>).transpose()?;
        Ok(item.map(|item| item.hour))
    }

    async fn swept_up_to(&self, hour: i64) -> Result<(), StoreError> {
        let put = self
            .log
            .client
            .put_item()
            .table_name(&self.log.table)
            .set_item(Some(to_item(SweepItem::new(hour))?));
        put.send()
            .await
            .map(|_| ())
            .map_err(|error| StoreError::from_sdk("PutItem", error))
    }
}

/// Says where the log ends now. These lines are what a log that was cut off together with its head
/// can be held against: they lie where the writer cannot change them.
fn tell(head: Head, chained: Chained) {
    let Head { count, hash } = head;
    let entries = chained.entries;
    tracing::info!(entries, count, %hash, "the audit log was written");
}

/// An entry of the outbox with its place: its text as it stands in the log.
fn entry_of(item: Item) -> Option<(AuditOutboxKey, String)> {
    let (pk, sk) = key_of(&item);
    let text = from_item::<AuditOutboxItem>(item)
        .map_err(|error| error.to_string())
        .and_then(|item| serde_json::to_string(&item.entry).map_err(|error| error.to_string()));
    match text {
        Ok(text) => Some((AuditOutboxKey { pk, sk }, text)),
        Err(cause) => {
            tracing::error!(
                entry = sk,
                cause,
                "an audit entry cannot be read, and stays in the outbox"
            );
            None
        }
    }
}

fn key_of(item: &Item) -> (String, String) {
    let part = |name: &str| match item.get(name) {
        Some(AttributeValue::S(text)) => text.clone(),
        _ => String::new(),
    };
    (part(PK), part(SK))
}

/// Whether the write with this index puts an entry; behind the head they take turns with deletions.
fn is_put(at: usize) -> bool {
    at % 2 == 1
}
