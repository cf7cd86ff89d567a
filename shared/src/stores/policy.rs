//! The owner's policy in the admission table: its text, whether or not it is valid.
//!
//! What the text means is [`crate::limits::policy`]'s business, and when it is read
//! [`crate::policy_source`]'s.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;

use super::tables::admission::{POLICY_PK, POLICY_SK, PolicyItem};
use super::tables::{PK, SK};
use super::{DynamoDb, StoreError, from_item, to_item};
use crate::clock::Timestamp;

/// Where the owner puts a policy.
#[derive(Clone)]
pub struct PolicyStore {
    client: Client,
    table: String,
}

impl PolicyStore {
    pub fn new(dynamodb: &DynamoDb, admission_table: String) -> Self {
        Self {
            client: dynamodb.client(),
            table: admission_table,
        }
    }

    /// The text of the owner's policy, if they put one there; read consistently.
    pub async fn get(&self) -> Result<Option<String>, StoreError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .key(PK, AttributeValue::S(POLICY_PK.to_owned()))
            .key(SK, AttributeValue::S(POLICY_SK.to_owned()))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| StoreError::from_sdk("GetItem", error))?;
        let item: Option<PolicyItem> = answer.item.map(from_item).transpose()?;
        Ok(item.map(|item| item.toml))
    }

    /// Puts a policy in the place of the one that is there.
    pub async fn put(&self, text: &str, now: Timestamp) -> Result<(), StoreError> {
        self.client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(to_item(PolicyItem::new(text, now))?))
            .send()
            .await
            .map(|_| ())
            .map_err(|error| StoreError::from_sdk("PutItem", error))
    }
}

/// The item that [`PolicyStore::put`] writes, in the JSON of DynamoDB's API, as the AWS CLI takes
/// it.
pub fn policy_item_document(text: &str, now: Timestamp) -> serde_json::Value {
    let item = PolicyItem::new(text, now);
    serde_json::json!({
        PK: {"S": item.pk},
        SK: {"S": item.sk},
        "toml": {"S": item.toml},
        "put_at": {"N": item.put_at.to_string()},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_item_that_the_aws_cli_puts_is_the_one_that_the_store_puts() {
        let now = Timestamp::from_millis(1_795_207_396_042);
        let text = "version = 1\n[tiers.\"ä\"]\n";

        let document = policy_item_document(text, now);

        let item = to_item(PolicyItem::new(text, now)).unwrap();
        assert_eq!(document.as_object().unwrap().len(), item.len());
        for (name, value) in &item {
            let (kind, content) = match value {
                AttributeValue::S(text) => ("S", text),
                AttributeValue::N(number) => ("N", number),
                other => panic!("{name}: {other:?}"),
            };
            assert_eq!(document[name][kind], content.as_str(), "{name}");
        }
        let read: PolicyItem = from_item(item).unwrap();
        assert_eq!((read.toml.as_str(), read.put_at), (text, now.millis()));
    }
}
