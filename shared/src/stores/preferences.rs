//! Preferences, in their user's partition.

use aws_sdk_dynamodb::types::ReturnValue;

use super::accounts::create;
use super::tables::work::{PREFERENCES_SK, PreferencesItem, user_pk};
use super::transaction::NotWritten;
use super::work::{WorkTable, key_of};
use super::{DynamoDb, StoreError, UserStore, from_item, if_condition_held, number, text, to_item};
use crate::clock::Timestamp;
use crate::idempotency::KeptAnswer;
use crate::ids::UserId;
use crate::preferences::{KeptPreferences, Preferences};

/// What users prefer. Answers that are to be shown again are kept beside what is counted of users.
#[derive(Clone)]
pub struct PreferenceStore {
    table: WorkTable,
    users: UserStore,
}

impl PreferenceStore {
    pub fn new(dynamodb: &DynamoDb, work_table: String, users: UserStore) -> Self {
        Self {
            table: WorkTable::new(dynamodb, work_table),
            users,
        }
    }

    /// Puts a user's first preferences and keeps the answer; `false` if there are some.
    pub async fn create(
        &self,
        user: UserId,
        preferences: &KeptPreferences,
        answer: Option<&KeptAnswer>,
    ) -> Result<bool, StoreError> {
        let item = PreferencesItem::new(user, preferences);
        let writes = vec![create(&self.table.name, item)?];
        match self.users.transact_and_keep(writes, answer).await {
            Ok(()) => Ok(true),
            Err(NotWritten::Condition(_)) => Ok(false),
            Err(NotWritten::Failed(error)) => Err(error),
        }
    }

    pub async fn get(
        &self,
        user: UserId,
        now: Timestamp,
    ) -> Result<Option<KeptPreferences>, StoreError> {
        let item: Option<PreferencesItem> =
            self.table.get(user_pk(user), PREFERENCES_SK, now).await?;
        Ok(item.map(KeptPreferences::from))
    }

    /// Puts others in the place of a user's preferences; `None` if there are none.
    pub async fn replace(
        &self,
        user: UserId,
        preferences: &Preferences,
        now: Timestamp,
    ) -> Result<Option<KeptPreferences>, StoreError> {
        let there_are_some = "attribute_exists(pk)";
        let kept = KeptPreferences {
            preferences: preferences.clone(),
            created_at: now,
            updated_at: now,
        };
        let mut item = to_item(PreferencesItem::new(user, &kept))?;
        let mut value = |name: &str| item.remove(name).unwrap_or_else(|| text(""));
        let update = self
            .table
            .client
            .update_item()
            .table_name(&self.table.name)
            .set_key(Some(key_of(user, PREFERENCES_SK)))
            .update_expression(
                "SET topic_preferences = :topics, depth_preference = :depth, \
                 surprise_tolerance = :tolerance, contextual_preferences = :contexts, \
                 updated_at = :now",
            )
            .condition_expression(there_are_some)
            .expression_attribute_values(":topics", value("topic_preferences"))
            .expression_attribute_values(":depth", value("depth_preference"))
            .expression_attribute_values(":tolerance", value("surprise_tolerance"))
            .expression_attribute_values(":contexts", value("contextual_preferences"))
            .expression_attribute_values(":now", number(now.millis()))
            .return_values(ReturnValue::AllNew);
        let updated = if_condition_held("UpdateItem", update.send().await)?;
        let item = updated.and_then(|updated| updated.attributes);
        let item: Option<PreferencesItem> = item.map(from_item).transpose()?;
        Ok(item.map(KeptPreferences::from))
    }

    /// Removes a user's preferences; whether there were some.
    pub async fn delete(&self, user: UserId, now: Timestamp) -> Result<bool, StoreError> {
        self.table.delete(user, PREFERENCES_SK, now).await
    }
}
