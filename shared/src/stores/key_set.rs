//! The public signing keys, where every function reads them and `auth` alone writes them.

use super::tables::identity::{KEY_SET_PK, KEY_SET_SK, KeySetItem};
use super::{StoreError, UserStore, to_item};

impl UserStore {
    /// The published set, as [`crate::auth::KeySet::document`] wrote it.
    pub async fn key_set(&self) -> Result<Option<String>, StoreError> {
        let item: Option<KeySetItem> = self
            .get(&self.identity, KEY_SET_PK.to_owned(), KEY_SET_SK)
            .await?;
        Ok(item.map(|item| item.document))
    }

    /// Publishes a set, unless it is the one that is there.
    pub async fn publish_key_set(&self, document: &str) -> Result<(), StoreError> {
        if self.key_set().await?.as_deref() == Some(document) {
            return Ok(());
        }
        let item = to_item(KeySetItem {
            pk: KEY_SET_PK.to_owned(),
            sk: KEY_SET_SK.to_owned(),
            document: document.to_owned(),
        })?;
        let put = self.client.put_item().table_name(&self.identity);
        put.set_item(Some(item))
            .send()
            .await
            .map(|_| ())
            .map_err(|error| StoreError::from_sdk("PutItem", error))
    }
}
