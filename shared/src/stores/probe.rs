//! Whether DynamoDB answers: one read of an item that need not exist.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::types::AttributeValue;

use super::tables::{PK, SK, identity};
use super::{DynamoDb, StoreError};

/// A probe tells how it is now, so it neither waits long nor tries again.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Asks the identity table, which every function may read.
#[derive(Clone)]
pub struct Probe {
    client: Client,
    table: String,
}

impl Probe {
    pub fn new(dynamodb: &DynamoDb, identity_table: String) -> Self {
        Self {
            client: dynamodb.client(),
            table: identity_table,
        }
    }

    /// Opens a connection ahead of the first request, in a task that nobody waits for. What comes
    /// of it does not matter: the first request finds out for itself.
    pub fn warm_up(self) {
        tokio::spawn(async move {
            if let Err(error) = self.ask().await {
                tracing::debug!(cause = %error, "no connection was opened ahead of the first request");
            }
        });
    }

    /// `Ok` when the table answered.
    pub async fn ask(&self) -> Result<(), StoreError> {
        let once = aws_sdk_dynamodb::Config::builder()
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::builder().operation_timeout(TIMEOUT).build());
        self.client
            .get_item()
            .table_name(&self.table)
            .key(PK, AttributeValue::S(identity::PROBE_PK.to_owned()))
            .key(SK, AttributeValue::S(identity::PROBE_SK.to_owned()))
            .customize()
            .config_override(once)
            .send()
            .await
            .map(|_| ())
            .map_err(|error| StoreError::from_sdk("GetItem", error))
    }
}
