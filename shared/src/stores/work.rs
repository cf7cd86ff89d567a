//! The work table, as its stores share it: items in their user's partition, read one by one or newest
//! first.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::types::AttributeValue;
use serde::de::DeserializeOwned;

use super::tables::work::user_pk;
use super::tables::{PK, SK, TTL};
use super::{DynamoDb, Item, StoreError, from_item, number, text};
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

    /// A user's items whose sort keys begin with `prefix`, from behind `behind` on. They expire in the
    /// order in which they were made.
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
            let lacking = i32::try_from(limit + 1 - items.len()).unwrap_or(i32::MAX);
            let answer = self
                .client
                .query()
                .table_name(&self.name)
                .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
                .expression_attribute_values(":pk", text(user_pk(user)))
                .expression_attribute_values(":prefix", text(prefix))
                .scan_index_forward(false)
                .consistent_read(true)
                .limit(lacking)
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(|error| StoreError::from_sdk("Query", error))?;
            let mut found = answer.items.unwrap_or_default();
            let are_the_rest_expired = !found.iter().all(|item| is_kept(item, now));
            found.retain(|item| is_kept(item, now));
            items.append(&mut found);
            start = answer.last_evaluated_key;
            if start.is_none() || items.len() > limit || are_the_rest_expired {
                break;
            }
        }
        let has_more = items.len() > limit;
        items.truncate(limit);
        let items: Result<Vec<T>, StoreError> = items.into_iter().map(from_item).collect();
        Ok(NewestFirst {
            items: items?,
            has_more,
        })
    }

    /// Removes one of a user's items; whether it was there.
    pub(super) async fn delete(
        &self,
        user: UserId,
        sk: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let is_there_still = "attribute_exists(pk) AND (attribute_not_exists(#ttl) OR #ttl > :now)";
        let delete = self
            .client
            .delete_item()
            .table_name(&self.name)
            .set_key(Some(key_of(user, sk)))
            .condition_expression(is_there_still)
            .expression_attribute_names("#ttl", TTL)
            .expression_attribute_values(":now", number(now.seconds()));
        match delete.send().await {
            Ok(_) => Ok(true),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(DeleteItemError::is_conditional_check_failed_exception) =>
            {
                Ok(false)
            }
            Err(error) => Err(StoreError::from_sdk("DeleteItem", error)),
        }
    }
}

fn key_of(user: UserId, sk: &str) -> Item {
    let key: [(&str, AttributeValue); 2] = [(PK, text(user_pk(user))), (SK, text(sk))];
    key.map(|(name, value)| (name.to_owned(), value)).into()
}

/// Whether an item has not expired, though DynamoDB may remove it days later.
fn is_kept(item: &Item, now: Timestamp) -> bool {
    let expiry = item.get(TTL).and_then(|ttl| ttl.as_n().ok());
    let expiry = expiry.and_then(|seconds| seconds.parse::<i64>().ok());
    expiry.is_none_or(|expiry| now.seconds() < expiry)
}
