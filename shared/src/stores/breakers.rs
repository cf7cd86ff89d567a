//! The circuit breakers of upstreams, shared by all instances: one item each in the admission table.
//!
//! Every change replaces the item as it was read, so that of several who would make the same change
//! one does. What a change is, is [`crate::upstreams`]'s business.

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, Put, ReturnValuesOnConditionCheckFailure};

use super::tables::admission::{BREAKER_SK, BreakerItem, breaker_pk};
use super::tables::{PK, SK};
use super::transaction::{IntoWrite, NotWritten, transact};
use super::{DynamoDb, StoreError, UserStore, batch_get_of, from_item, number, text, to_item};
use crate::audit::AuditEntry;
use crate::clock::Timestamp;
use crate::config::UserTables;
use crate::upstreams::{Breaker, Phase};

/// Where the write of the breaker stands among a reset's.
const BREAKER: usize = 0;
/// A reset that others are always quicker than is given up; who asks for it asks again.
const RESET_TRIES: usize = 5;

/// A breaker as it lies in the table.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct StoredBreaker {
    pub breaker: Breaker,
    /// Raised by every change; 0 while there is no item.
    pub version: u64,
}

/// What came of a change.
#[derive(Debug)]
pub enum Changed {
    Done(StoredBreaker),
    /// Somebody else was quicker; this is what they made of it.
    Meanwhile(StoredBreaker),
}

/// Where breakers are kept.
#[derive(Clone)]
pub struct BreakerStore {
    users: UserStore,
}

impl BreakerStore {
    pub fn new(dynamodb: &DynamoDb, tables: UserTables) -> Self {
        Self {
            users: UserStore::new(dynamodb, tables),
        }
    }

    /// The breaker of an upstream, read consistently; of one that never failed, a closed one.
    pub async fn read(&self, upstream: &str) -> Result<StoredBreaker, StoreError> {
        let (table, pk) = (&self.users.admission, breaker_pk(upstream));
        let item: Option<BreakerItem> = self.users.get(table, pk, BREAKER_SK).await?;
        Ok(item.map(StoredBreaker::from).unwrap_or_default())
    }

    /// The breakers of several upstreams, in their order, read consistently; at most 100.
    pub async fn read_all(&self, upstreams: &[&str]) -> Result<Vec<StoredBreaker>, StoreError> {
        let key = |upstream: &&str| {
            let pk = (PK.to_owned(), text(breaker_pk(upstream)));
            [pk, (SK.to_owned(), text(BREAKER_SK))].into()
        };
        let keys = upstreams.iter().map(key).collect();
        let items = batch_get_of(&self.users.client, &self.users.admission, keys).await?;
        let items: Vec<BreakerItem> = items.into_iter().map(from_item).collect::<Result<_, _>>()?;
        let of = |upstream: &&str| {
            let pk = breaker_pk(upstream);
            let found = items.iter().find(|item| item.pk == pk).cloned();
            found.map(StoredBreaker::from).unwrap_or_default()
        };
        Ok(upstreams.iter().map(of).collect())
    }

    /// Makes `next` of the breaker of an upstream if it is still as it was read. The item may be
    /// removed after `kept_until`, when it says nothing any more.
    pub async fn change(
        &self,
        upstream: &str,
        was: &StoredBreaker,
        next: Breaker,
        kept_until: Timestamp,
    ) -> Result<Changed, StoreError> {
        let next = StoredBreaker {
            breaker: next,
            version: was.version + 1,
        };
        let (is_as_read, values) = condition(was);
        let put = self
            .users
            .client
            .put_item()
            .table_name(&self.users.admission)
            .set_item(Some(to_item(BreakerItem::new(
                upstream, &next, kept_until,
            ))?))
            .condition_expression(is_as_read)
            .set_expression_attribute_values(values)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let Err(error) = put.send().await else {
            return Ok(Changed::Done(next));
        };
        match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(failed)) => {
                let item = failed.item().cloned();
                let item: Option<BreakerItem> = item.map(from_item).transpose()?;
                let item = item.map(StoredBreaker::from);
                Ok(Changed::Meanwhile(item.unwrap_or_default()))
            }
            // A reset is being written right now.
            Some(PutItemError::TransactionConflictException(_)) => {
                Ok(Changed::Meanwhile(self.read(upstream).await?))
            }
            _ => Err(StoreError::from_sdk("PutItem", error)),
        }
    }

    /// Closes the breaker of an upstream and forgets its failures, with the entry for the audit log
    /// that `entry` makes of the phase that it was in. One that has nothing to forget leaves none.
    pub async fn reset(
        &self,
        upstream: &str,
        entry: impl Fn(Phase) -> AuditEntry,
        kept_until: Timestamp,
    ) -> Result<Option<Phase>, StoreError> {
        for _ in 0..RESET_TRIES {
            let was = self.read(upstream).await?;
            if was.breaker == Breaker::default() {
                return Ok(None);
            }
            let next = StoredBreaker {
                breaker: Breaker::default(),
                version: was.version + 1,
            };
            let (is_as_read, values) = condition(&was);
            let put = Put::builder()
                .table_name(&self.users.admission)
                .set_item(Some(to_item(BreakerItem::new(
                    upstream, &next, kept_until,
                ))?))
                .condition_expression(is_as_read)
                .set_expression_attribute_values(values);
            let phase = was.breaker.phase();
            let writes = vec![put.into_write(), self.users.audited(&entry(phase))?];
            match transact(&self.users.client, writes).await {
                Ok(()) => return Ok(Some(phase)),
                Err(NotWritten::Condition(BREAKER)) => {}
                Err(other) => return Err(other.into()),
            }
        }
        Err(StoreError::Contended {
            operation: "reset_breaker",
        })
    }
}

/// The condition that a breaker is as it was read.
fn condition(
    was: &StoredBreaker,
) -> (
    &'static str,
    Option<std::collections::HashMap<String, AttributeValue>>,
) {
    if was.version == 0 {
        let is_not_there_yet = "attribute_not_exists(pk)";
        return (is_not_there_yet, None);
    }
    let is_as_read = "v = :v";
    let values = [(":v".to_owned(), number(was.version))];
    (is_as_read, Some(values.into()))
}
