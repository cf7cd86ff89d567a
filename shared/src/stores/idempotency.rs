//! Requests that carry an `Idempotency-Key`: written down when they begin, answered in the
//! transaction of what they do.
//!
//! A record is begun by one conditional write. From then on it is its try's alone, until that ends
//! or its lease does. The write that keeps the answer fails once another try has taken its place,
//! and with it the transaction that it is part of.

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::TransactWriteItem;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure, Update};
use serde_bytes::ByteBuf;

use super::tables::admission::{IdempotencyItem, idempotency_pk, idempotency_sk};
use super::tables::{PK, SK};
use super::transaction::{IntoWrite, NotWritten, transact};
use super::{
    StoreError, UserStore, from_item, if_condition_held, number, text, to_attribute, to_item,
};
use crate::clock::Timestamp;
use crate::idempotency::{Attempt, Earlier, KeptAnswer, Repeated};

/// Where the write that keeps the answer stands among a transaction's.
const ANSWER: usize = 0;

impl UserStore {
    /// Writes a try down, unless an earlier one runs or was answered; `None` when it is begun.
    pub async fn begin_attempt(
        &self,
        attempt: &Attempt,
        now: Timestamp,
    ) -> Result<Option<Repeated>, StoreError> {
        // DynamoDB may remove what has expired days later.
        let is_not_there_or_over = "attribute_not_exists(pk) OR #ttl <= :seconds \
             OR (attribute_not_exists(#answer) AND #leased_until <= :millis)";
        let put = self
            .client
            .put_item()
            .table_name(&self.admission)
            .set_item(Some(to_item(IdempotencyItem::from(attempt))?))
            .condition_expression(is_not_there_or_over)
            .expression_attribute_names("#ttl", "ttl")
            .expression_attribute_names("#answer", "answer")
            .expression_attribute_names("#leased_until", "leased_until")
            .expression_attribute_values(":seconds", number(now.seconds()))
            .expression_attribute_values(":millis", number(now.millis()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let Err(error) = put.send().await else {
            return Ok(None);
        };
        match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(failed)) => {
                let item = failed.item().cloned().unwrap_or_default();
                let earlier = Earlier::from(from_item::<IdempotencyItem>(item)?);
                Ok(earlier.met_by(attempt))
            }
            // The answer of an earlier try is being written right now.
            Some(PutItemError::TransactionConflictException(_)) => Ok(Some(Repeated::InProgress)),
            _ => Err(StoreError::from_sdk("PutItem", error)),
        }
    }

    /// Removes a try that came to nothing, so that its key is free again. One that was answered, or
    /// whose place another has taken, stays.
    pub async fn drop_attempt(&self, attempt: &Attempt) -> Result<(), StoreError> {
        let is_its_own_and_runs = "#attempt = :attempt AND attribute_not_exists(#answer)";
        let delete = self
            .client
            .delete_item()
            .table_name(&self.admission)
            .key(PK, text(idempotency_pk(&attempt.record)))
            .key(SK, text(idempotency_sk(&attempt.record)))
            .condition_expression(is_its_own_and_runs)
            .expression_attribute_names("#attempt", "attempt")
            .expression_attribute_names("#answer", "answer")
            .expression_attribute_values(":attempt", text(attempt.id.as_str()));
        if_condition_held("DeleteItem", delete.send().await).map(drop)
    }

    /// The write that keeps a try's answer. It fails when the record is no longer the try's own.
    fn answer_kept(&self, kept: &KeptAnswer) -> Result<TransactWriteItem, StoreError> {
        let is_its_own_and_runs = "#attempt = :attempt AND attribute_not_exists(#answer)";
        let sealed: AttributeValue = to_attribute(ByteBuf::from(kept.sealed.clone()))?;
        Ok(Update::builder()
            .table_name(&self.admission)
            .key(PK, text(idempotency_pk(&kept.record)))
            .key(SK, text(idempotency_sk(&kept.record)))
            .update_expression("SET #answer = :answer")
            .condition_expression(is_its_own_and_runs)
            .expression_attribute_names("#attempt", "attempt")
            .expression_attribute_names("#answer", "answer")
            .expression_attribute_values(":attempt", text(kept.attempt.as_str()))
            .expression_attribute_values(":answer", sealed)
            .into_write())
    }

    /// Carries out `writes` and keeps the answer to who asked for them, all or none. A try whose
    /// place another has taken is told so before any other condition.
    pub(super) async fn transact_and_keep(
        &self,
        mut writes: Vec<TransactWriteItem>,
        kept: Option<&KeptAnswer>,
    ) -> Result<(), NotWritten> {
        let Some(kept) = kept else {
            return transact(&self.client, writes).await;
        };
        writes.insert(ANSWER, self.answer_kept(kept)?);
        let done = transact(&self.client, writes).await;
        done.map_err(|outcome| match outcome {
            NotWritten::Condition(ANSWER) => NotWritten::Failed(StoreError::Superseded),
            NotWritten::Condition(index) => NotWritten::Condition(index - 1),
            failed @ NotWritten::Failed(_) => failed,
        })
    }
}
