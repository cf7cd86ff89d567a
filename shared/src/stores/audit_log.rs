//! The audit log, read: page by page from its newest entry, and verified from its first.

use std::time::Duration;

use aws_sdk_dynamodb::Client;

use super::accounts::{pauses, wait};
use super::tables::audit::{
    HEAD_PK, HEAD_SK, HeadItem, LogItem, first_in, log_pk, log_sk, partition,
};
use super::tables::{PK, SK};
use super::{DynamoDb, Item, StoreError, from_item, text};
use crate::audit::{AuditEntry, ChainHash, ChainKey, Head, Link, Verdict, Verification};

/// How many partitions one page looks into. They are full, so one or two do, unless entries were
/// deleted; then a page is short and the next goes on behind it.
const MAX_PARTITIONS: usize = 8;

/// The audit log's table, and the key that its entries are bound with.
pub struct AuditLog {
    pub(super) client: Client,
    pub(super) table: String,
    pub(super) key: ChainKey,
}

/// An entry of the log, with what binds it to its place.
#[derive(Clone, Debug)]
pub struct LoggedEntry {
    pub entry: AuditEntry,
    pub hash: ChainHash,
    pub previous_hash: ChainHash,
}

/// Entries, newest first.
pub struct AuditPage {
    pub entries: Vec<LoggedEntry>,
    /// The number of the last entry on this page, if there are older ones.
    pub next: Option<u64>,
}

/// Where the log says that it ends.
pub(super) enum LogEnd {
    /// It says nothing, as before the first entry.
    Unknown,
    Sealed(Head),
    /// It says so without the seal that only the writer can make.
    Forged,
}

impl LogEnd {
    /// Whether the log ends where this is.
    fn is(&self, reached: Head) -> bool {
        match self {
            Self::Unknown => reached == Head::START,
            Self::Sealed(head) => *head == reached,
            Self::Forged => false,
        }
    }
}

impl AuditLog {
    pub fn new(dynamodb: &DynamoDb, table: String, key: ChainKey) -> Self {
        Self {
            client: dynamodb.client(),
            table,
            key,
        }
    }

    /// At most `limit` entries, from the newest on or from behind the one with this number.
    pub async fn page(&self, behind: Option<u64>, limit: usize) -> Result<AuditPage, StoreError> {
        let newest = match behind {
            Some(behind) => behind.saturating_sub(1),
            None => self.head_item().await?.map_or(0, |head| head.count),
        };
        let (mut entries, mut at) = (vec![], newest);
        for _ in 0..MAX_PARTITIONS {
            if at == 0 {
                return Ok(AuditPage {
                    entries,
                    next: None,
                });
            }
            let wanted = limit - entries.len();
            let items = self.newest_first(at, wanted).await?;
            let is_full = items.len() == wanted;
            let reached = items.last().and_then(sequence_of);
            entries.extend(items.into_iter().filter_map(logged));
            at = match reached {
                Some(reached) if is_full => {
                    let next = (reached > 1).then_some(reached);
                    return Ok(AuditPage { entries, next });
                }
                _ => first_in(partition(at)) - 1,
            };
        }
        let next = (at > 0).then_some(at + 1);
        Ok(AuditPage { entries, next })
    }

    /// The verification that goes on behind the entry with this number; `None` if that is not
    /// there, or not as it was written.
    pub async fn verified_up_to(&self, sequence: u64) -> Result<Option<Verification>, StoreError> {
        if sequence == 0 {
            return Ok(Some(Verification::default()));
        }
        let link = self.link(sequence).await?;
        let link = link.filter(|link| link.sequence == sequence && self.key.made(link));
        Ok(link.as_ref().map(Verification::behind))
    }

    /// Goes through the log from where `verification` is to its end. Whoever gives up in between
    /// finds there how far it came.
    pub async fn verify(&self, verification: &mut Verification) -> Result<Verdict, StoreError> {
        let mut looks = looks();
        loop {
            let items = self.oldest_first(verification.reached().count + 1).await?;
            if items.is_empty() {
                let end = self.end().await?;
                match looks.next() {
                    _ if end.is(verification.reached()) => return Ok(verification.sound()),
                    // Entries and head are written at once, but need not be seen at once.
                    Some(pause) => wait(Some(pause)).await,
                    None => return self.ends_elsewhere(verification, end).await,
                }
            } else {
                looks = self::looks();
            }
            for item in items {
                let link = readable(item);
                if let Err(verdict) = verification.next(&self.key, link.as_ref()) {
                    return Ok(verdict);
                }
            }
        }
    }

    /// The verdict when no entry follows what was verified, but the head does not say so.
    async fn ends_elsewhere(
        &self,
        verified: &Verification,
        end: LogEnd,
    ) -> Result<Verdict, StoreError> {
        let reached = verified.reached().count;
        let first_wrong = match end {
            LogEnd::Sealed(head) if head.count < reached => self.link(head.count + 1).await?,
            LogEnd::Sealed(head) => self.next_entry_behind(reached, head.count).await?,
            LogEnd::Unknown | LogEnd::Forged => None,
        };
        Ok(verified.broken_at(first_wrong.and_then(|link| link.id())))
    }

    /// The first entry behind a number that is left in the partitions up to another's.
    async fn next_entry_behind(&self, behind: u64, up_to: u64) -> Result<Option<Link>, StoreError> {
        for partition in partition(behind + 1)..=partition(up_to) {
            let items = self.query(partition, ">", behind, true, Some(1)).await?;
            if let Some(item) = items.into_iter().next() {
                return Ok(readable(item));
            }
        }
        Ok(None)
    }

    /// Where the log says that it ends.
    pub(super) async fn end(&self) -> Result<LogEnd, StoreError> {
        let Some(item) = self.get(HEAD_PK, HEAD_SK).await? else {
            return Ok(LogEnd::Unknown);
        };
        let item = from_item::<HeadItem>(item).ok();
        let is_sealed = |item: &HeadItem| self.key.sealed(&item.head(), item.seal);
        Ok(match item.filter(is_sealed) {
            Some(item) => LogEnd::Sealed(item.head()),
            None => LogEnd::Forged,
        })
    }

    async fn head_item(&self) -> Result<Option<HeadItem>, StoreError> {
        let item = self.get(HEAD_PK, HEAD_SK).await?;
        Ok(item.and_then(|item| from_item(item).ok()))
    }

    async fn link(&self, sequence: u64) -> Result<Option<Link>, StoreError> {
        let (pk, sk) = (log_pk(partition(sequence)), log_sk(sequence));
        Ok(self.get(&pk, &sk).await?.and_then(readable))
    }

    /// What lies in the log from this number on, as far as one answer and one partition go.
    async fn oldest_first(&self, from: u64) -> Result<Vec<Item>, StoreError> {
        self.query(partition(from), ">=", from, true, None).await
    }

    async fn newest_first(&self, from: u64, limit: usize) -> Result<Vec<Item>, StoreError> {
        self.query(partition(from), "<=", from, false, Some(limit))
            .await
    }

    async fn query(
        &self,
        partition: u64,
        comparison: &str,
        sequence: u64,
        is_forward: bool,
        limit: Option<usize>,
    ) -> Result<Vec<Item>, StoreError> {
        let limit = limit.map(|limit| i32::try_from(limit).unwrap_or(i32::MAX));
        let answer = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression(format!("pk = :pk AND sk {comparison} :sk"))
            .expression_attribute_values(":pk", text(log_pk(partition)))
            .expression_attribute_values(":sk", text(log_sk(sequence)))
            .scan_index_forward(is_forward)
            .consistent_read(true)
            .set_limit(limit)
            .send()
            .await
            .map_err(|error| StoreError::from_sdk("Query", error))?;
        Ok(answer.items.unwrap_or_default())
    }

    pub(super) async fn get(&self, pk: &str, sk: &str) -> Result<Option<Item>, StoreError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .key(PK, text(pk))
            .key(SK, text(sk))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| StoreError::from_sdk("GetItem", error))?;
        Ok(answer.item)
    }
}

/// How often one looks again before what should be there is missing.
fn looks() -> impl Iterator<Item = Duration> {
    pauses().take(4)
}

fn sequence_of(item: &Item) -> Option<u64> {
    item.get(SK)?.as_s().ok()?.parse().ok()
}

/// What lies in the log as an entry; `None` if it is not one.
fn readable(item: Item) -> Option<Link> {
    from_item::<LogItem>(item).ok()?.into_link()
}

/// An entry for a list. What cannot be read was tampered with: verifying names it.
fn logged(item: Item) -> Option<LoggedEntry> {
    let link = readable(item)?;
    match serde_json::from_str(&link.text) {
        Ok(entry) => Some(LoggedEntry {
            entry,
            hash: link.hash,
            previous_hash: link.previous,
        }),
        Err(error) => {
            let number = link.sequence;
            tracing::error!(number, cause = %error, "an entry of the audit log cannot be read");
            None
        }
    }
}
