//! Content by its hash, and the locations that refer to it.
//!
//! A location and what is counted of its content change in one transaction, on the condition that
//! both are as they were read. So content is there while a location refers to it, whoever races or
//! dies; the rules of when it goes are the domain's.

use aws_sdk_dynamodb::types::{Delete, Put, TransactWriteItem, Update};

use super::accounts::{create, pauses, wait};
use super::tables::work::{
    CONTENT_SK, ContentItem, LOCATION_SK, LocationItem, PutByItem, content_pk, location_pk,
    put_by_sk, user_pk,
};
use super::tables::{PK, SK, TTL};
use super::transaction::{IntoWrite, NotWritten, transact};
use super::work::WorkTable;
use super::{DynamoDb, Item, StoreError, from_item, number, text, to_item};
use crate::clock::Timestamp;
use crate::content::{Content, ContentHash, Location, LocationId, References};
use crate::ids::UserId;

/// What is kept at locations.
#[derive(Clone)]
pub struct ContentStore {
    table: WorkTable,
}

/// What became of putting content at a location.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ContentPut {
    /// There was nothing.
    Created(Location),
    Replaced(Location),
    /// What was there is not what it was to be.
    Refused,
}

/// What became of removing the content of a location.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ContentRemoved {
    Removed,
    /// There was nothing.
    NotFound,
    /// What was there is not what it was to be.
    Refused,
}

/// What is to be at a location.
pub struct ContentWish<'a> {
    pub location: &'a LocationId,
    pub content: &'a Content,
    pub ttl: Option<std::time::Duration>,
    pub put_by: UserId,
}

impl ContentStore {
    pub fn new(dynamodb: &DynamoDb, work_table: String) -> Self {
        Self {
            table: WorkTable::new(dynamodb, work_table),
        }
    }

    /// The content of a location.
    pub async fn get(
        &self,
        id: &LocationId,
        now: Timestamp,
    ) -> Result<Option<(Location, Content)>, StoreError> {
        for pause in std::iter::once(None).chain(pauses().map(Some)) {
            wait(pause).await;
            let Some(location) = self.location(id).await?.filter(|one| one.is_live(now)) else {
                return Ok(None);
            };
            if let Some(item) = self.content_item(&location.content_hash).await? {
                return Ok(Some((location, item.content)));
            }
            // The location got other content between the two reads.
        }
        Err(StoreError::Contended {
            operation: "get_content",
        })
    }

    /// Puts content at a location, if `admits` what is there. The same content that is to stay for
    /// good, put where it stays for good, changes nothing.
    pub async fn put(
        &self,
        wish: &ContentWish<'_>,
        now: Timestamp,
        admits: impl Fn(Option<&Location>) -> bool,
    ) -> Result<ContentPut, StoreError> {
        let content_hash = wish.content.hash();
        for pause in std::iter::once(None).chain(pauses().map(Some)) {
            wait(pause).await;
            let there = self.location(wish.location).await?;
            let live = there.as_ref().filter(|there| there.is_live(now));
            if !admits(live) {
                return Ok(ContentPut::Refused);
            }
            let put = Location {
                id: wish.location.clone(),
                content_hash: content_hash.clone(),
                put_by: wish.put_by,
                ttl: wish.ttl,
                created_at: live.map_or(now, |live| live.created_at),
                updated_at: live.map_or(now, |live| now.max(just_after(live.updated_at))),
            };
            if let Some(live) = live
                && live.content_hash == put.content_hash
                && (live.ttl, put.ttl) == (None, None)
            {
                return Ok(ContentPut::Replaced(live.clone()));
            }
            let mut writes = vec![self.location_put(&put, there.as_ref())?];
            writes.extend(self.put_by_writes(&put, there.as_ref())?);
            writes.extend(
                self.content_writes(live, Some((&put, wish.content)))
                    .await?,
            );
            match transact(&self.table.client, writes).await {
                Ok(()) if live.is_some() => return Ok(ContentPut::Replaced(put)),
                Ok(()) => return Ok(ContentPut::Created(put)),
                // The location or the content changed since it was read.
                Err(NotWritten::Condition(_)) => {}
                Err(NotWritten::Failed(error)) => return Err(error),
            }
        }
        Err(StoreError::Contended {
            operation: "put_content",
        })
    }

    /// Removes the content of a location, if `admits` what is there.
    pub async fn remove(
        &self,
        id: &LocationId,
        now: Timestamp,
        admits: impl Fn(&Location) -> bool,
    ) -> Result<ContentRemoved, StoreError> {
        for pause in std::iter::once(None).chain(pauses().map(Some)) {
            wait(pause).await;
            let Some(live) = self.location(id).await?.filter(|one| one.is_live(now)) else {
                return Ok(ContentRemoved::NotFound);
            };
            if !admits(&live) {
                return Ok(ContentRemoved::Refused);
            }
            let mut writes = vec![self.location_deleted(&live), self.put_by_deleted(&live)];
            writes.extend(self.content_writes(Some(&live), None).await?);
            match transact(&self.table.client, writes).await {
                Ok(()) => return Ok(ContentRemoved::Removed),
                // The location or the content changed since it was read.
                Err(NotWritten::Condition(_)) => {}
                Err(NotWritten::Failed(error)) => return Err(error),
            }
        }
        Err(StoreError::Contended {
            operation: "remove_content",
        })
    }

    /// What lies at a location, though it may have expired.
    async fn location(&self, id: &LocationId) -> Result<Option<Location>, StoreError> {
        let item = self.table.get_item(location_pk(id), LOCATION_SK).await?;
        let item: Option<LocationItem> = item.map(from_item).transpose()?;
        // Nothing with another name lies under this key.
        Ok(item.and_then(|item| item.try_into().ok()))
    }

    async fn content_item(&self, hash: &ContentHash) -> Result<Option<ContentItem>, StoreError> {
        let item = self.table.get_item(content_pk(hash), CONTENT_SK).await?;
        item.map(from_item).transpose()
    }

    fn location_put(
        &self,
        put: &Location,
        there: Option<&Location>,
    ) -> Result<TransactWriteItem, StoreError> {
        let is_not_there = "attribute_not_exists(pk)";
        let is_as_it_was_read = "#version = :version";
        let write = Put::builder()
            .table_name(&self.table.name)
            .set_item(Some(to_item(LocationItem::from(put))?));
        let write = match there {
            None => write.condition_expression(is_not_there),
            Some(there) => write
                .condition_expression(is_as_it_was_read)
                .expression_attribute_names("#version", "version")
                .expression_attribute_values(":version", text(there.version())),
        };
        Ok(write.into_write())
    }

    fn location_deleted(&self, there: &Location) -> TransactWriteItem {
        let is_as_it_was_read = "#version = :version";
        Delete::builder()
            .table_name(&self.table.name)
            .key(PK, text(location_pk(&there.id)))
            .key(SK, text(LOCATION_SK))
            .condition_expression(is_as_it_was_read)
            .expression_attribute_names("#version", "version")
            .expression_attribute_values(":version", text(there.version()))
            .into_write()
    }

    /// Names the location in the partition of who put it there, and no longer in that of who did
    /// before.
    fn put_by_writes(
        &self,
        put: &Location,
        there: Option<&Location>,
    ) -> Result<Vec<TransactWriteItem>, StoreError> {
        let named = Put::builder()
            .table_name(&self.table.name)
            .set_item(Some(to_item(PutByItem::from(put))?))
            .into_write();
        let others = there.filter(|there| there.put_by != put.put_by);
        let unnamed = others.map(|there| self.put_by_deleted(there));
        Ok(std::iter::once(named).chain(unnamed).collect())
    }

    fn put_by_deleted(&self, there: &Location) -> TransactWriteItem {
        Delete::builder()
            .table_name(&self.table.name)
            .key(PK, text(user_pk(there.put_by)))
            .key(SK, text(put_by_sk(&there.id)))
            .into_write()
    }

    /// The writes of the content that a location had and has not expired, and of what it gets.
    async fn content_writes(
        &self,
        had: Option<&Location>,
        gets: Option<(&Location, &Content)>,
    ) -> Result<Vec<TransactWriteItem>, StoreError> {
        let mut hashes: Vec<&ContentHash> = had.iter().map(|had| &had.content_hash).collect();
        hashes.extend(gets.iter().map(|(put, _)| &put.content_hash));
        hashes.dedup();
        let mut writes = vec![];
        for hash in hashes {
            let item = self.content_item(hash).await?;
            let before = item.as_ref().map(ContentItem::references);
            let mut after = before.unwrap_or_default();
            if let Some(had) = had.filter(|had| &had.content_hash == hash) {
                after = after.without(had.lifetime());
            }
            let gets = gets.filter(|(put, _)| &put.content_hash == hash);
            if let Some((put, _)) = gets {
                after = after.with(put.lifetime());
            }
            let content = gets.map(|(_, content)| content);
            writes.extend(self.content_write(hash, content, before, after)?);
        }
        Ok(writes)
    }

    /// The write that makes what refers to a piece of content `after` of `before`; `content` is the
    /// piece itself where something refers to it anew. `None` where there is nothing to write.
    fn content_write(
        &self,
        hash: &ContentHash,
        content: Option<&Content>,
        before: Option<References>,
        after: References,
    ) -> Result<Option<TransactWriteItem>, StoreError> {
        match (before, content) {
            (Some(before), _) if after.is_empty() => Ok(Some(self.content_deleted(hash, before))),
            (Some(before), _) => Ok(Some(self.content_counted(hash, before, after))),
            (None, Some(content)) => {
                create(&self.table.name, ContentItem::new(hash, content, after)).map(Some)
            }
            (None, None) => Ok(None),
        }
    }

    fn content_deleted(&self, hash: &ContentHash, before: References) -> TransactWriteItem {
        let (is_as_it_was_read, values) = as_read(before);
        Delete::builder()
            .table_name(&self.table.name)
            .key(PK, text(content_pk(hash)))
            .key(SK, text(CONTENT_SK))
            .condition_expression(is_as_it_was_read)
            .expression_attribute_names("#references", "references")
            .set_expression_attribute_values(Some(values))
            .into_write()
    }

    fn content_counted(
        &self,
        hash: &ContentHash,
        before: References,
        after: References,
    ) -> TransactWriteItem {
        let (is_as_it_was_read, mut values) = as_read(before);
        let mut update = "SET #references = :references, unlimited = :unlimited".to_owned();
        let mut give = |name: &str, value| values.insert(name.to_owned(), number(value));
        give(":references", i128::from(after.count));
        give(":unlimited", i128::from(after.unlimited));
        if let Some(until) = after.until {
            update.push_str(", kept_until = :until");
            give(":until", i128::from(until));
        }
        if let Some(expiry) = after.expires_at() {
            update.push_str(", #ttl = :ttl");
            give(":ttl", i128::from(expiry));
        } else {
            update.push_str(" REMOVE #ttl");
        }
        Update::builder()
            .table_name(&self.table.name)
            .key(PK, text(content_pk(hash)))
            .key(SK, text(CONTENT_SK))
            .update_expression(update)
            .condition_expression(is_as_it_was_read)
            .expression_attribute_names("#references", "references")
            .expression_attribute_names("#ttl", TTL)
            .set_expression_attribute_values(Some(values))
            .into_write()
    }
}

fn just_after(time: Timestamp) -> Timestamp {
    time.plus(std::time::Duration::from_millis(1))
}

/// The condition that a piece of content has the references that were read, and its values.
fn as_read(read: References) -> (&'static str, Item) {
    let mut values = Item::from([
        (":read_references".to_owned(), number(read.count)),
        (":read_unlimited".to_owned(), number(read.unlimited)),
    ]);
    let Some(until) = read.until else {
        let condition = "#references = :read_references AND unlimited = :read_unlimited \
             AND attribute_not_exists(kept_until)";
        return (condition, values);
    };
    values.insert(":read_until".to_owned(), number(until));
    let condition = "#references = :read_references AND unlimited = :read_unlimited \
         AND kept_until = :read_until";
    (condition, values)
}
