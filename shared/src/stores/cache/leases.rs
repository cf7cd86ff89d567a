//! Leases in DynamoDB: who computes an entry, where there is no Valkey to say so.
//!
//! A lease ends by itself. One that is taken over is not given back by whom it was taken from.

use std::time::Duration;

use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;

use super::CacheTable;
use crate::cache::EntryId;
use crate::clock::Timestamp;
use crate::stores::condition::did_not_hold;
use crate::stores::tables::cache::{HOLDER, LEASE_SK, LeaseItem, UNTIL, entry_pk};
use crate::stores::tables::{PK, SK};
use crate::stores::{StoreError, if_condition_held, number, text, to_item};

/// What came of asking for a lease.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Claim {
    Granted,
    /// Somebody else computes.
    Held,
    /// What was computed last is nobody else's to have, so there is nothing to wait for.
    Unshared,
}

/// The holder of what is not worth waiting for.
pub(super) const NOBODY: &str = "-";
/// How long an expired lease lies until DynamoDB may remove it.
const LEFT_LYING: Duration = Duration::from_mins(1);

impl CacheTable {
    /// Asks for the lease of an entry, for `life`.
    pub(crate) async fn claim(
        &self,
        id: &EntryId,
        holder: &str,
        now: Timestamp,
        life: Duration,
    ) -> Result<Claim, StoreError> {
        let is_free = "attribute_not_exists(pk) OR #until <= :now";
        let put = self
            .quick
            .put_item()
            .table_name(&self.table)
            .set_item(Some(to_item(lease(id, holder, now.plus(life)))?))
            .condition_expression(is_free)
            .expression_attribute_names("#until", UNTIL)
            .expression_attribute_values(":now", number(now.millis()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match put.send().await {
            Ok(_) => Ok(Claim::Granted),
            Err(error) if did_not_hold(&error) => {
                let holder = error
                    .as_service_error()
                    .and_then(|error| match error {
                        aws_sdk_dynamodb::operation::put_item::PutItemError::ConditionalCheckFailedException(failed) => failed.item(),
                        _ => None,
                    })
                    .and_then(|item| item.get(HOLDER)?.as_s().ok().cloned());
                Ok(match holder.as_deref() {
                    Some(NOBODY) => Claim::Unshared,
                    _ => Claim::Held,
                })
            }
            Err(error) => Err(StoreError::from_sdk("PutItem", error)),
        }
    }

    /// Makes a lease that is held live on; whether it still was.
    pub(crate) async fn renew(
        &self,
        id: &EntryId,
        holder: &str,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        self.replace_lease(id, holder, holder, until).await
    }

    /// Says for `life` that there is nothing to wait for.
    pub(crate) async fn release_unshared(
        &self,
        id: &EntryId,
        holder: &str,
        now: Timestamp,
        life: Duration,
    ) -> Result<(), StoreError> {
        let replaced = self.replace_lease(id, holder, NOBODY, now.plus(life));
        replaced.await.map(drop)
    }

    /// Gives a lease back, if it is still held.
    pub(crate) async fn release(&self, id: &EntryId, holder: &str) -> Result<(), StoreError> {
        let is_still_held = "#holder = :holder";
        let delete = self
            .quick
            .delete_item()
            .table_name(&self.table)
            .key(PK, text(entry_pk(id)))
            .key(SK, text(LEASE_SK))
            .condition_expression(is_still_held)
            .expression_attribute_names("#holder", HOLDER)
            .expression_attribute_values(":holder", text(holder));
        if_condition_held("DeleteItem", delete.send().await).map(drop)
    }

    async fn replace_lease(
        &self,
        id: &EntryId,
        holder: &str,
        next: &str,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        let is_still_held = "#holder = :holder";
        let put = self
            .quick
            .put_item()
            .table_name(&self.table)
            .set_item(Some(to_item(lease(id, next, until))?))
            .condition_expression(is_still_held)
            .expression_attribute_names("#holder", HOLDER)
            .expression_attribute_values(":holder", text(holder));
        let replaced = if_condition_held("PutItem", put.send().await)?;
        Ok(replaced.is_some())
    }
}

fn lease(id: &EntryId, holder: &str, until: Timestamp) -> LeaseItem {
    LeaseItem {
        pk: entry_pk(id),
        sk: LEASE_SK.to_owned(),
        holder: holder.to_owned(),
        until: until.millis(),
        ttl: until.plus(LEFT_LYING).seconds(),
    }
}
