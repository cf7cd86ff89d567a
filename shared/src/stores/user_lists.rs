//! Lists of users: all of them, or those of a tier, newest first; and the one with an address.
//!
//! The indexes hold keys alone and follow the table a little later. So the records are read
//! themselves, and one that is gone, or has moved to another tier meanwhile, is left out: a page
//! may be shorter than was asked for although another follows.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use tokio::task::JoinSet;

use super::tables::identity::{
    EmailGuardItem, GUARD_SK, USER_SK, USERS_BY_SHARD, USERS_BY_TIER, UserItem, email_pk, user_pk,
    user_shard,
};
use super::tables::{PK, SK};
use super::{Item, StoreError, UserStore, batch_get_of, from_item, text};
use crate::auth::{EmailKey, Tier, User};
use crate::ids::{USER_SHARDS, UserId};

/// Which users a list shows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum UsersListed {
    All,
    OfTier(Tier),
}

/// A page of users, newest first.
pub struct UserPage {
    pub users: Vec<User>,
    /// Behind whom the next page starts, if there is one.
    pub goes_on_behind: Option<UserId>,
}

/// One partition of an index.
#[derive(Clone)]
struct Partition {
    index: &'static str,
    key: &'static str,
    value: String,
}

impl UserStore {
    /// Whose address this is.
    pub async fn owner_of(&self, email: &EmailKey) -> Result<Option<UserId>, StoreError> {
        let guard: Option<EmailGuardItem> =
            self.get(&self.identity, email_pk(email), GUARD_SK).await?;
        Ok(guard.map(|guard| guard.user_id))
    }

    /// At most `limit` users, which is at most 100, from behind `behind` on.
    pub async fn users(
        &self,
        listed: &UsersListed,
        behind: Option<UserId>,
        limit: usize,
    ) -> Result<UserPage, StoreError> {
        let partitions = match listed {
            UsersListed::All => (0..USER_SHARDS).map(shard).collect(),
            UsersListed::OfTier(tier) => vec![Partition {
                index: USERS_BY_TIER,
                key: "tier",
                value: tier.to_string(),
            }],
        };
        let mut ids = self.newest_of(partitions, behind, limit + 1).await?;
        let has_more = ids.len() > limit;
        ids.truncate(limit);
        let mut users = self.users_by_id(&ids).await?;
        if let UsersListed::OfTier(tier) = listed {
            users.retain(|user| user.tier == *tier);
        }
        users.sort_unstable_by_key(|user| std::cmp::Reverse(user.id));
        let last = ids.last().copied();
        Ok(UserPage {
            users,
            goes_on_behind: last.filter(|_| has_more),
        })
    }

    /// The newest ids of several partitions, merged. Each partition is asked for as many as could
    /// all be its own.
    async fn newest_of(
        &self,
        partitions: Vec<Partition>,
        behind: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<UserId>, StoreError> {
        let mut asked = JoinSet::new();
        for partition in partitions {
            let store = self.clone();
            asked.spawn(async move { store.newest_in(&partition, behind, limit).await });
        }
        let mut ids = vec![];
        while let Some(answered) = asked.join_next().await {
            match answered {
                Ok(found) => ids.extend(found?),
                Err(lost) => std::panic::resume_unwind(lost.into_panic()),
            }
        }
        ids.sort_unstable_by_key(|id| std::cmp::Reverse(*id));
        ids.truncate(limit);
        Ok(ids)
    }

    async fn newest_in(
        &self,
        partition: &Partition,
        behind: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<UserId>, StoreError> {
        let is_older = behind.map(|_| " AND #id < :behind").unwrap_or_default();
        let (mut ids, mut start) = (vec![], None);
        loop {
            let lacking = i32::try_from(limit - ids.len()).unwrap_or(i32::MAX);
            let mut query = self
                .client
                .query()
                .table_name(&self.identity)
                .index_name(partition.index)
                .key_condition_expression(format!("#key = :key{is_older}"))
                .expression_attribute_names("#key", partition.key)
                .expression_attribute_values(":key", text(&partition.value))
                .scan_index_forward(false)
                .limit(lacking)
                .set_exclusive_start_key(start);
            if let Some(behind) = behind {
                query = query
                    .expression_attribute_names("#id", "id")
                    .expression_attribute_values(":behind", text(behind));
            }
            let answer = query
                .send()
                .await
                .map_err(|error| StoreError::from_sdk("Query", error))?;
            let items = answer.items.unwrap_or_default();
            ids.extend(items.iter().filter_map(id_of));
            start = answer.last_evaluated_key;
            if start.is_none() || ids.len() >= limit {
                return Ok(ids);
            }
        }
    }

    /// The users with these ids, at most 100, in no order; without those that are gone.
    async fn users_by_id(&self, ids: &[UserId]) -> Result<Vec<User>, StoreError> {
        let keys = ids.iter().copied().map(key_of).collect();
        let items = batch_get_of(&self.client, &self.identity, keys).await?;
        let users = items.into_iter().map(from_item::<UserItem>);
        users.map(|user| user.map(User::from)).collect()
    }
}

fn shard(number: u8) -> Partition {
    Partition {
        index: USERS_BY_SHARD,
        key: "shard",
        value: user_shard(number),
    }
}

fn key_of(id: UserId) -> Item {
    HashMap::from([
        (PK.to_owned(), text(user_pk(id))),
        (SK.to_owned(), text(USER_SK)),
    ])
}

fn id_of(item: &Item) -> Option<UserId> {
    let id: &AttributeValue = item.get("id")?;
    id.as_s().ok()?.parse().ok()
}
