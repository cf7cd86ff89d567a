//! Entries and generations in DynamoDB.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem};

use crate::audit::AuditEntry;
use crate::cache::{CacheOwner, EntryId};
use crate::clock::Timestamp;
use crate::stores::accounts::{pauses, wait};
use crate::stores::tables::cache::{
    ENTRY, ENTRY_SK, EntryItem, GENERATIONS, GENERATIONS_SK, GenerationsItem, entry_pk, owner_pk,
};
use crate::stores::tables::{PK, SK, TTL};
use crate::stores::transaction::{IntoWrite, NotWritten, transact};
use crate::stores::{DynamoDb, Item, StoreError, UserStore, text, to_item};

/// The largest entry that is kept here: below the 400 KB of an item, with room for its keys.
pub(crate) const MAX_ITEM: usize = 350 * 1024;

/// The cache table.
#[derive(Clone)]
pub(crate) struct CacheTable {
    /// For what a request waits for.
    pub(super) quick: Client,
    /// For what has to be done, with tries of its own.
    pub(super) client: Client,
    pub(super) table: String,
}

impl CacheTable {
    /// `dynamodb` as it is for what has to be done, and `quick` for what a request can do without.
    pub(crate) fn new(dynamodb: &DynamoDb, quick: &DynamoDb, table: String) -> Self {
        Self {
            quick: quick.client(),
            client: dynamodb.client(),
            table,
        }
    }

    /// The bytes of an entry that has not expired. Of one without bytes there are none.
    pub(crate) async fn entry(
        &self,
        id: &EntryId,
        now: Timestamp,
        reading: Reading,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let item = self.get(entry_pk(id), ENTRY_SK, reading).await?;
        let is_alive = |item: &Item| {
            let ttl = item.get(TTL).and_then(|ttl| ttl.as_n().ok());
            ttl.and_then(|ttl| ttl.parse().ok())
                .is_none_or(|ttl: i64| ttl > now.seconds())
        };
        Ok(item
            .filter(is_alive)
            .map(|mut item| bytes_of(&mut item, ENTRY)))
    }

    /// Puts an entry in the place of the one that is there.
    pub(crate) async fn put_entry(
        &self,
        id: &EntryId,
        bytes: Vec<u8>,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        let item = EntryItem {
            pk: entry_pk(id),
            sk: ENTRY_SK.to_owned(),
            entry: bytes,
            ttl: until.seconds(),
        };
        let put = self.quick.put_item().table_name(&self.table);
        put.set_item(Some(to_item(item)?))
            .send()
            .await
            .map(drop)
            .map_err(|error| StoreError::from_sdk("PutItem", error))
    }

    /// An owner's generations, as they are now.
    pub(crate) async fn generations(
        &self,
        owner: CacheOwner,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let item = self.get(owner_pk(owner), GENERATIONS_SK, Reading::Consistent);
        let item = item.await?;
        Ok(item.map(|mut item| bytes_of(&mut item, GENERATIONS)))
    }

    /// Replaces the generations of all `owners` by what `next` makes of them, together with an entry
    /// for the audit log if there is one: all of it or nothing.
    pub(crate) async fn change_generations(
        &self,
        owners: &[CacheOwner],
        next: impl Fn(CacheOwner, Option<&[u8]>) -> Vec<u8>,
        until: Timestamp,
        audited: Option<(&UserStore, &AuditEntry)>,
    ) -> Result<(), StoreError> {
        for pause in std::iter::once(None).chain(pauses().map(Some)) {
            wait(pause).await;
            let mut writes = vec![];
            for owner in owners.iter().copied() {
                let read = self.generations(owner).await?;
                let next = next(owner, read.as_deref());
                writes.push(self.generations_move_on(owner, read, next, until)?);
            }
            if let Some((users, entry)) = audited {
                writes.push(users.audited(entry)?);
            }
            match transact(&self.client, writes).await {
                Ok(()) => return Ok(()),
                Err(NotWritten::Condition(_)) => {}
                Err(NotWritten::Failed(error)) => return Err(error),
            }
        }
        Err(StoreError::Contended {
            operation: "invalidate",
        })
    }

    fn generations_move_on(
        &self,
        owner: CacheOwner,
        read: Option<Vec<u8>>,
        next: Vec<u8>,
        until: Timestamp,
    ) -> Result<TransactWriteItem, StoreError> {
        let item = GenerationsItem {
            pk: owner_pk(owner),
            sk: GENERATIONS_SK.to_owned(),
            generations: next,
            ttl: until.seconds(),
        };
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(to_item(item)?));
        let are_still_those = "generations = :read";
        let are_still_none = "attribute_not_exists(pk)";
        Ok(match read {
            None => put.condition_expression(are_still_none),
            Some(read) => put
                .condition_expression(are_still_those)
                .expression_attribute_values(":read", AttributeValue::B(Blob::new(read))),
        }
        .into_write())
    }

    async fn get(
        &self,
        pk: String,
        sk: &str,
        reading: Reading,
    ) -> Result<Option<Item>, StoreError> {
        let get = self
            .quick
            .get_item()
            .table_name(&self.table)
            .key(PK, text(pk))
            .key(SK, text(sk))
            .consistent_read(reading == Reading::Consistent);
        let answer = get.send().await;
        Ok(answer
            .map_err(|error| StoreError::from_sdk("GetItem", error))?
            .item)
    }
}

/// Whether what was written a moment ago has to be seen. If so, it costs twice as much.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reading {
    Consistent,
    Eventual,
}

fn bytes_of(item: &mut Item, attribute: &str) -> Vec<u8> {
    match item.remove(attribute) {
        Some(AttributeValue::B(bytes)) => bytes.into_inner(),
        _ => vec![],
    }
}
