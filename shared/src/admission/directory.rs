//! What is known of users and keys, in memory: proven current by the epoch, or read anew.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;

use crate::auth::{ApiKeyRecord, KeyDigest, User};
use crate::clock::Timestamp;
use crate::ids::{KeyId, UserId};
use crate::stores::{StoreError, UserStore};

/// How long a key is used without asking whether it is still the same.
const KEY_LIFE: Duration = Duration::from_secs(30);
/// How long a user who does not call is remembered.
const USER_IDLE: Duration = Duration::from_mins(10);
/// How often a key's last use is written down, at most.
const TOUCHED_EVERY: Duration = Duration::from_mins(1);
const MAX_ENTRIES: u64 = 10_000;

/// A key and its owner, read in this order: the owner first, so that the owner's epoch is never
/// newer than the key.
#[derive(Clone)]
pub struct KeyHolder {
    pub key: Arc<ApiKeyRecord>,
    pub owner: Arc<User>,
}

/// Users and keys that have called lately.
pub(super) struct Directory {
    store: UserStore,
    users: Cache<UserId, Arc<User>>,
    keys: Cache<KeyDigest, KeyHolder>,
    touched: Cache<KeyId, ()>,
}

impl Directory {
    pub(super) fn new(store: UserStore) -> Self {
        let sized = || Cache::builder().max_capacity(MAX_ENTRIES);
        Self {
            store,
            users: sized().time_to_idle(USER_IDLE).build(),
            keys: Cache::builder()
                .max_capacity(MAX_ENTRIES)
                .time_to_live(KEY_LIFE)
                .build(),
            touched: Cache::builder()
                .max_capacity(MAX_ENTRIES)
                .time_to_live(TOUCHED_EVERY)
                .build(),
        }
    }

    /// A user as they were last read.
    pub(super) fn known_user(&self, id: UserId) -> Option<Arc<User>> {
        self.users.get(&id)
    }

    /// A user as they are now.
    pub(super) async fn read_user(&self, id: UserId) -> Result<Option<Arc<User>>, StoreError> {
        let user = self.store.user(id).await?.map(Arc::new);
        match &user {
            Some(user) => self.users.insert(id, Arc::clone(user)),
            None => self.users.invalidate(&id),
        }
        Ok(user)
    }

    /// A key as it was last read.
    pub(super) fn known_key(&self, digest: KeyDigest) -> Option<KeyHolder> {
        self.keys.get(&digest)
    }

    /// A key and its owner as they are now; `None` if there is no such key.
    pub(super) async fn read_key(
        &self,
        digest: KeyDigest,
    ) -> Result<Option<KeyHolder>, StoreError> {
        let holder = self.store.key_holder(digest).await?;
        let holder = holder.map(|(key, owner)| KeyHolder {
            key: Arc::new(key),
            owner: Arc::new(owner),
        });
        match &holder {
            Some(holder) => {
                self.users
                    .insert(holder.owner.id, Arc::clone(&holder.owner));
                self.keys.insert(digest, holder.clone());
            }
            None => self.keys.invalidate(&digest),
        }
        Ok(holder)
    }

    /// Writes down that a key was used, beside the request and at most once a minute.
    pub(super) fn touch(&self, key: &ApiKeyRecord, now: Timestamp) {
        if self.touched.contains_key(&key.id) {
            return;
        }
        self.touched.insert(key.id, ());
        let (store, owner, id) = (self.store.clone(), key.owner, key.id);
        tokio::spawn(async move {
            if let Err(error) = store.key_used(owner, id, now).await {
                tracing::debug!(cause = %error, "a key's last use was not written down");
            }
        });
    }
}
