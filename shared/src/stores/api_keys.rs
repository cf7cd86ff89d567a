//! API keys: found by their digest, listed by their owner.

use aws_sdk_dynamodb::types::AttributeValue;

use super::tables::identity::{
    self, ApiKeyItem, KEY_SK, KeyDigestItem, key_digest_pk, key_sk, user_pk,
};
use super::tables::{PK, SK};
use super::{StoreError, UserStore, number, text};
use crate::auth::{ApiKeyRecord, KeyDigest, User};
use crate::clock::Timestamp;
use crate::ids::{KeyId, UserId};

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
        let key = self.api_key(found.user_id, found.key_id).await?;
        Ok(key.map(|key| (key, owner)))
    }

    /// One key of a user.
    pub async fn api_key(
        &self,
        owner: UserId,
        id: KeyId,
    ) -> Result<Option<ApiKeyRecord>, StoreError> {
        let item: Option<ApiKeyItem> = self.get(&self.identity, user_pk(owner), key_sk(id)).await?;
        Ok(item.map(ApiKeyRecord::from))
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
            .key(PK, text(identity::user_pk(owner)))
            .key(SK, AttributeValue::S(key_sk(id)))
            .update_expression("SET last_used_at = :now")
            .condition_expression(is_there)
            .expression_attribute_values(":now", number(now.millis()));
        update
            .send()
            .await
            .map(|_| ())
            .map_err(|error| StoreError::from_sdk("UpdateItem", error))
    }
}
