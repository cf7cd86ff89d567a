//! The work table, as its stores share it: items in their user's partition, read one by one or newest
//! first.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use serde::de::DeserializeOwned;

use super::tables::work::user_pk;
use super::tables::{PK, SK, TTL};
use super::{DynamoDb, Item, StoreError, from_item, if_condition_held, number, text};
use crate::clock::Timestamp;
use crate::ids::UserId;

/// At most so many of a user's items as were asked for, newest first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewestFirst<T> {
    pub items: Vec<T>,
    /// Whether there are older ones.
    pub has_more: bool,
}

impl<T> NewestFirst<T> {
    pub(super) fn map<U>(self, each: impl FnMut(T) -> U) -> NewestFirst<U> {
        NewestFirst {
            items: self.items.into_iter().map(each).collect(),
            has_more: self.has_more,
        }
    }
}

#[derive(Clone)]
pub(super) struct WorkTable {
    pub(super) client: Client,
    pub(super) name: String,
}

impl WorkTable {
    pub(super) fn new(dynamodb: &DynamoDb, name: String) -> Self {
        Self {
            client: dynamodb.client(),
            name,
        }
    }

    /// Puts an item, in the place of what was there.
    pub(super) async fn put(&self, item: Item) -> Result<(), StoreError> {
        let put = self.client.put_item().table_name(&self.name);
        put.set_item(Some(item))
            .send()
            .await
            .map(|_| ())
            .map_err(|error| StoreError::from_sdk("PutItem", error))
    }

    /// One item, if it has not expired.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        pk: String,
        sk: &str,
        now: Timestamp,
    ) -> Result<Option<T>, StoreError> {
        let item = self.get_item(pk, sk).await?;
        let kept = item.filter(|item| is_kept(item, now));
        kept.map(from_item).transpose()
    }

    /// One item, though it may have expired.
    pub(super) async fn get_item(&self, pk: String, sk: &str) -> Result<Option<Item>, StoreError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.name)
            .key(PK, text(pk))
            .key(SK, text(sk))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| StoreError::from_sdk("GetItem", error))?;
        Ok(answer.item)
    }

    /// At most `limit` of a user's items whose sort keys begin with `prefix`, from behind `behind` on.
    pub(super) async fn newest_first<T: DeserializeOwned>(
        &self,
        user: UserId,
        prefix: &str,
        behind: Option<String>,
        limit: usize,
        now: Timestamp,
    ) -> Result<NewestFirst<T>, StoreError> {
        let mut start = behind.map(|sk| key_of(user, &sk));
        let mut items = vec![];
        loop {
            let most = limit + 1 - items.len();
            let (found, next) = self.read_some(user, prefix, start, most, now).await?;
            items.extend(found);
            start = next;
            if start.is_none() || items.len() > limit {
                break;
            }
        }
        let has_more = items.len() > limit;
        items.truncate(limit);
        Ok(NewestFirst { items, has_more })
    }

    /// At most `most` of a user's items, newest first, and where to read on. What was made first
    /// expires first, so nothing is left behind what has expired.
    pub(super) async fn read_some<T: DeserializeOwned>(
        &self,
        user: UserId,
        prefix: &str,
        start: Option<Item>,
        most: usize,
        now: Timestamp,
    ) -> Result<(Vec<T>, Option<Item>), StoreError> {
        let answer = self
            .client
            .query()
            .table_name(&self.name)
            .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
            .expression_attribute_values(":pk", text(user_pk(user)))
            .expression_attribute_values(":prefix", text(prefix))
            .scan_index_forward(false)
            .consistent_read(true)
            .limit(i32::try_from(most).unwrap_or(i32::MAX))
            .set_exclusive_start_key(start)
            .send()
            .await
            .map_err(|error| StoreError::from_sdk("Query", error))?;
        let mut found = answer.items.unwrap_or_default();
        let asked = found.len();
        found.retain(|item| is_kept(item, now));
        let next = answer.last_evaluated_key.filter(|_| found.len() == asked);
        let items: Result<Vec<T>, StoreError> = found.into_iter().map(from_item).collect();
        Ok((items?, next))
    }

    /// Removes one of a user's items; whether it was there.
    pub(super) async fn delete(
        &self,
        user: UserId,
        sk: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let delete = self
            .client
            .delete_item()
            .table_name(&self.name)
            .set_key(Some(key_of(user, sk)))
            .condition_expression(IS_KEPT)
            .expression_attribute_names("#ttl", TTL)
            .expression_attribute_values(":now", number(now.seconds()));
        let deleted = if_condition_held("DeleteItem", delete.send().await)?;
        Ok(deleted.is_some())
    }
}

/// A condition: the item is there and has not expired by `:now`, in seconds.
pub(super) const IS_KEPT: &str =
    "attribute_exists(pk) AND (attribute_not_exists(#ttl) OR #ttl > :now)";

pub(super) fn key_of(user: UserId, sk: &str) -> Item {
    let key: [(&str, AttributeValue); 2] = [(PK, text(user_pk(user))), (SK, text(sk))];
    key.map(|(name, value)| (name.to_owned(), value)).into()
}

/// Whether an item has not expired, though DynamoDB may remove it days later.
fn is_kept(item: &Item, now: Timestamp) -> bool {
    let expiry = item.get(TTL).and_then(|ttl| ttl.as_n().ok());
    let expiry = expiry.and_then(|seconds| seconds.parse::<i64>().ok());
    expiry.is_none_or(|expiry| now.seconds() < expiry)
}
