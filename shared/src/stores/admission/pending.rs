//! Word about copies that could not be taken away because Valkey was away when a standing changed.
//! Whoever reaches Valkey again first takes them away, before it decides anything there.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;

use super::EngineError;
use super::dynamodb::of_sdk;
use crate::clock::Timestamp;
use crate::limits::Subject;
use crate::stores::condition::did_not_hold;
use crate::stores::tables::admission::{PENDING_PK, pending_sk, subject_of_pending};
use crate::stores::tables::{PK, SK};
use crate::stores::{Item, number, text};

/// How many copies one request takes away before DynamoDB decides it.
const AT_A_TIME: i32 = 20;
/// How long word is kept. No copy is trusted for more than a minute.
const KEPT: Duration = Duration::from_mins(5);

/// One subject's copy that is to be taken away, and when that was found out.
pub(super) struct PendingRemoval {
    pub(super) subject: String,
    at: AttributeValue,
}

/// The word that was left, in the admission table.
#[derive(Clone)]
pub(super) struct PendingRemovals {
    client: Client,
    table: String,
}

impl PendingRemovals {
    pub(super) fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    pub(super) async fn put(&self, subject: &Subject, now: Timestamp) -> Result<(), EngineError> {
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .item(PK, text(PENDING_PK))
            .item(SK, text(pending_sk(&subject.to_string())))
            .item("at", number(now.millis()))
            .item("ttl", number(now.plus(KEPT).seconds()));
        put.send()
            .await
            .map(|_| ())
            .map_err(|error| of_sdk("PutItem", error))
    }

    /// Subjects whose copies are still to be taken away, and whether these are all; who comes next
    /// goes on.
    pub(super) async fn list(&self) -> Result<(Vec<PendingRemoval>, bool), EngineError> {
        let answer = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", text(PENDING_PK))
            .consistent_read(true)
            .limit(AT_A_TIME)
            .send()
            .await
            .map_err(|error| of_sdk("Query", error))?;
        let is_all = answer.last_evaluated_key.is_none();
        let items = answer.items.unwrap_or_default();
        let subject_of = |item: &Item| {
            let sk = item.get(SK)?;
            let at = item.get("at")?;
            Some(PendingRemoval {
                subject: subject_of_pending(sk.as_s().ok()?)?.to_owned(),
                at: at.clone(),
            })
        };
        Ok((items.iter().filter_map(subject_of).collect(), is_all))
    }

    /// Takes the word back, unless another change has left it anew.
    pub(super) async fn done(&self, removal: &PendingRemoval) -> Result<(), EngineError> {
        let is_that_word = "#at = :at";
        let delete = self
            .client
            .delete_item()
            .table_name(&self.table)
            .key(PK, text(PENDING_PK))
            .key(SK, text(pending_sk(&removal.subject)))
            .condition_expression(is_that_word)
            .expression_attribute_names("#at", "at")
            .expression_attribute_values(":at", removal.at.clone());
        match delete.send().await {
            Err(error) if !did_not_hold(&error) => Err(of_sdk("DeleteItem", error)),
            _ => Ok(()),
        }
    }
}
