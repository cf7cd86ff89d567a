//! API keys: found by their digest, listed by their owner, changed one after the other.
//!
//! A change is decided on all of the owner's keys and written with the owner's epoch raised, which
//! must be the one that they were read at. So changes of one user's keys follow one another, and
//! each takes hold on the next request of anybody who knows an older epoch.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem, Update};

use super::accounts::{create, pauses, wait};
use super::records::assignments;
use super::standing::{Epoch, Sessions, Standing};
use super::tables::admission::{ADMISSION_SK, StandingItem};
use super::tables::identity::{
    ApiKeyItem, CHANGEABLE, KEY_SK, KEY_SK_PREFIX, KeyDigestItem, key_digest_pk, key_sk, user_pk,
};
use super::tables::{PK, SK, admission};
use super::transaction::{IntoWrite, NotWritten};
use super::{Item, StoreError, UserStore, from_item, number, text, to_item};
use crate::audit::AuditEntry;
use crate::auth::{
    ApiKeyRecord, KeyChanges, KeyDigest, KeyManager, KeyRefused, KeyRing, KeyState, LimitSlot, User,
};
use crate::clock::Timestamp;
use crate::idempotency::KeptAnswer;
use crate::ids::{KeyId, UserId};
use crate::limits::WindowId;

/// How many keys one transaction changes: it may hold 100 writes (DynamoDB API Reference,
/// `TransactWriteItems`), and the record, the standing and the audit entry are three.
const MAX_CHANGED: usize = 97;

/// Which keys a list shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeysShown {
    Live,
    All,
}

/// A page of a user's keys, newest first.
pub struct KeyPage {
    pub keys: Vec<ApiKeyRecord>,
    pub has_more: bool,
}

impl UserStore {
    /// A key and its owner. The owner is read before the key's record, so that the owner's epoch
    /// is never newer than what is known of the key.
    pub async fn key_holder(
        &self,
        digest: KeyDigest,
    ) -> Result<Option<(ApiKeyRecord, User)>, StoreError> {
        let found: Option<KeyDigestItem> = self
            .get(&self.identity, key_digest_pk(digest), KEY_SK)
            .await?;
        let Some(found) = found else {
            return Ok(None);
        };
        let Some(owner) = self.user(found.user_id).await? else {
            return Ok(None);
        };
        let key = self.key_of(&owner, found.key_id).await?;
        Ok(key.map(|key| (key, owner)))
    }

    /// One key of a user.
    pub async fn api_key(
        &self,
        owner: UserId,
        id: KeyId,
    ) -> Result<Option<ApiKeyRecord>, StoreError> {
        match self.user(owner).await? {
            Some(owner) => self.key_of(&owner, id).await,
            None => Ok(None),
        }
    }

    /// At most `limit` keys of a user, from behind `behind` on.
    pub async fn api_keys(
        &self,
        owner: UserId,
        shown: KeysShown,
        behind: Option<KeyId>,
        limit: usize,
        now: Timestamp,
    ) -> Result<KeyPage, StoreError> {
        let none = KeyPage {
            keys: vec![],
            has_more: false,
        };
        let Some(owner) = self.user(owner).await? else {
            return Ok(none);
        };
        let is_shown = |key: &ApiKeyRecord| match shown {
            KeysShown::All => true,
            KeysShown::Live => key.state(now) == KeyState::Live,
        };
        let (mut keys, mut start) = (vec![], behind.map(|id| start_behind(owner.id, id)));
        loop {
            let (found, next) = self.query_keys(&owner, start).await?;
            keys.extend(found.into_iter().filter(is_shown));
            let has_more = keys.len() > limit;
            if has_more || next.is_none() {
                keys.truncate(limit);
                return Ok(KeyPage { keys, has_more });
            }
            start = next;
        }
    }

    /// Makes the change that `decide` comes to from all of the owner's keys, or none of it. What
    /// others change meanwhile is decided on anew.
    pub async fn change_keys(
        &self,
        owner: UserId,
        manager: KeyManager,
        now: Timestamp,
        decide: impl Fn(&KeyRing) -> Result<KeyChanges, KeyRefused>,
    ) -> Result<Result<KeyChanges, KeyRefused>, StoreError> {
        self.change_keys_and_keep(owner, manager, now, decide, |_| None)
            .await
    }

    /// As [`Self::change_keys`]; `answer` is what to keep of the answer to a change.
    pub async fn change_keys_and_keep(
        &self,
        owner: UserId,
        manager: KeyManager,
        now: Timestamp,
        decide: impl Fn(&KeyRing) -> Result<KeyChanges, KeyRefused>,
        answer: impl Fn(&KeyChanges) -> Option<KeptAnswer>,
    ) -> Result<Result<KeyChanges, KeyRefused>, StoreError> {
        for pause in std::iter::once(None).chain(pauses().map(Some)) {
            wait(pause).await;
            let Some(owner) = self.user(owner).await?.filter(|owner| owner.is_active) else {
                return Ok(Err(KeyRefused::ManagerGone));
            };
            let (keys, counted) =
                tokio::try_join!(self.all_keys(&owner), self.admission_item(owner.id))?;
            if !is_let_in(&counted, manager)? {
                return Ok(Err(KeyRefused::ManagerGone));
            }
            let ring = KeyRing::new(&owner, keys);
            let changes = match decide(&ring) {
                Ok(changes) if changes.is_empty() => return Ok(Ok(changes)),
                Ok(changes) => changes,
                Err(refused) => return Ok(Err(refused)),
            };
            let unused = unused_windows(&counted, &ring.slots_after(&changes, now));
            let mut writes = self.key_writes(&owner, manager, &changes, &unused)?;
            let written = &changes.changed[..changes.changed.len().min(MAX_CHANGED)];
            let entry = AuditEntry::of_keys(&ring, &changes, written, manager, now);
            writes.push(self.audited(&entry)?);
            let answer = answer(&changes);
            match self.transact_and_keep(writes, answer.as_ref()).await {
                // What did not fit into one transaction is decided on anew.
                Ok(()) if changes.changed.len() > MAX_CHANGED => {}
                Ok(()) => return Ok(Ok(changes)),
                // Another change of the user came first.
                Err(NotWritten::Condition(_)) => {}
                Err(NotWritten::Failed(error)) => return Err(error),
            }
        }
        Err(StoreError::Contended {
            operation: "change_keys",
        })
    }

    /// Writes down when a key was used last. A key that is gone stays gone.
    pub async fn key_used(
        &self,
        owner: UserId,
        id: KeyId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let is_there = "attribute_exists(pk)";
        let update = self
            .client
            .update_item()
            .table_name(&self.identity)
            .key(PK, text(user_pk(owner)))
            .key(SK, text(key_sk(id)))
            .update_expression("SET last_used_at = :now")
            .condition_expression(is_there)
            .expression_attribute_values(":now", number(now.millis()));
        update
            .send()
            .await
            .map(|_| ())
            .map_err(|error| StoreError::from_sdk("UpdateItem", error))
    }

    async fn key_of(&self, owner: &User, id: KeyId) -> Result<Option<ApiKeyRecord>, StoreError> {
        let pk = user_pk(owner.id);
        let item: Option<ApiKeyItem> = self.get(&self.identity, pk, key_sk(id)).await?;
        Ok(item.map(|item| ApiKeyRecord::from(item).under(owner.keys_revoked)))
    }

    async fn all_keys(&self, owner: &User) -> Result<Vec<ApiKeyRecord>, StoreError> {
        let (mut keys, mut start) = (vec![], None);
        loop {
            let (found, next) = self.query_keys(owner, start).await?;
            keys.extend(found);
            if next.is_none() {
                return Ok(keys);
            }
            start = next;
        }
    }

    /// Keys of a user, newest first, and where to go on.
    async fn query_keys(
        &self,
        owner: &User,
        start: Option<Item>,
    ) -> Result<(Vec<ApiKeyRecord>, Option<Item>), StoreError> {
        let answer = self
            .client
            .query()
            .table_name(&self.identity)
            .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
            .expression_attribute_values(":pk", text(user_pk(owner.id)))
            .expression_attribute_values(":prefix", text(KEY_SK_PREFIX))
            .scan_index_forward(false)
            .consistent_read(true)
            .set_exclusive_start_key(start)
            .send()
            .await
            .map_err(|error| StoreError::from_sdk("Query", error))?;
        let items = answer.items.unwrap_or_default().into_iter();
        let keys: Result<Vec<ApiKeyItem>, StoreError> = items.map(from_item).collect();
        let keys = keys?.into_iter().map(ApiKeyRecord::from);
        let keys = keys.map(|key| key.under(owner.keys_revoked)).collect();
        Ok((keys, answer.last_evaluated_key))
    }

    /// What is counted of a user, and the user's standing.
    async fn admission_item(&self, user: UserId) -> Result<Item, StoreError> {
        let pk = admission::user_pk(user);
        let item = self.get_item(&self.admission, pk, ADMISSION_SK).await?;
        Ok(item.unwrap_or_default())
    }

    /// The writes of a change. They fail when the owner's record or keys are no longer those that
    /// were read, or when the session that asks has ended.
    fn key_writes(
        &self,
        owner: &User,
        manager: KeyManager,
        changes: &KeyChanges,
        unused: &[String],
    ) -> Result<Vec<TransactWriteItem>, StoreError> {
        let sessions = match manager {
            KeyManager::Session(session) => Sessions::StayWith(session),
            KeyManager::Key(_) => Sessions::Stay,
        };
        let epoch = Epoch::RaisedFrom(owner.epoch);
        let mut writes = vec![
            self.record_moves_on(owner, vec![]),
            self.standing_changes_without(owner.id, sessions, &epoch, unused),
        ];
        if let Some(made) = &changes.made {
            writes.push(create(&self.identity, KeyDigestItem::from(made))?);
            writes.push(create(&self.identity, ApiKeyItem::from(made))?);
        }
        for changed in changes.changed.iter().take(MAX_CHANGED) {
            writes.push(self.key_changes(changed)?);
        }
        Ok(writes)
    }

    /// The write that makes a key what it is to be, but for what is written when it is used.
    fn key_changes(&self, key: &ApiKeyRecord) -> Result<TransactWriteItem, StoreError> {
        let is_there = "attribute_exists(pk)";
        let mut item = to_item(ApiKeyItem::from(key))?;
        let parts = assignments(CHANGEABLE.map(|name| (name, item.remove(name))).into());
        let set = parts.set.trim_start_matches(", ");
        let update = Update::builder()
            .table_name(&self.identity)
            .key(PK, text(user_pk(key.owner)))
            .key(SK, text(key_sk(key.id)))
            .update_expression(format!("SET {set}{}", parts.remove))
            .condition_expression(is_there)
            .set_expression_attribute_names(Some(HashMap::from_iter(parts.names)))
            .set_expression_attribute_values(Some(HashMap::from_iter(parts.values)));
        Ok(update.into_write())
    }
}

/// Where a query goes on that has shown this key.
fn start_behind(owner: UserId, id: KeyId) -> Item {
    let key: [(&str, AttributeValue); 2] = [(PK, text(user_pk(owner))), (SK, text(key_sk(id)))];
    key.map(|(name, value)| (name.to_owned(), value)).into()
}

/// Whether what somebody manages keys with is still good. That a key is says its record.
fn is_let_in(item: &Item, manager: KeyManager) -> Result<bool, StoreError> {
    if item.is_empty() {
        return Ok(false);
    }
    let standing = Standing::from(from_item::<StandingItem>(item.clone())?);
    Ok(match manager {
        KeyManager::Session(session) => standing.admits(session),
        KeyManager::Key(_) => standing.is_active,
    })
}

/// The attributes of windows that belong to none of the live keys' slots.
fn unused_windows(item: &Item, slots: &BTreeSet<LimitSlot>) -> Vec<String> {
    let is_unused = |name: &&String| {
        let window = name.rsplit_once('.').map(|(id, _)| WindowId::stored(id));
        let slot = window.and_then(|window| window.slot());
        slot.is_some_and(|slot| !slots.iter().any(|live| live.number() == slot))
    };
    item.keys().filter(is_unused).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_unused_when_their_slot_is_nobodys() {
        let names = [
            "pk",
            "v",
            "h.i",
            "d.p",
            "query.60.i",
            "k7h.i",
            "k7h.p",
            "k7m.n",
            "k8h.i",
            "k8d.s",
        ];
        let item: Item = names.map(|name| (name.to_owned(), text(""))).into();
        let slots = BTreeSet::from([LimitSlot::taken_at(8)]);

        let mut unused = unused_windows(&item, &slots);

        unused.sort();
        assert_eq!(unused, ["k7h.i", "k7h.p", "k7m.n"]);
    }
}
