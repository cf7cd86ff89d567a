//! The active admins: one item that names them all, so that one stays whoever is quickest.
//!
//! Whether somebody may cease to be an admin depends on all others, and no condition reads another
//! user's record. So the item changes in the transaction that makes or unmakes an admin, and its
//! condition keeps one. Whoever registers, promotes, demotes, activates, deactivates or removes an
//! admin has a write of this file in its transaction.

use aws_sdk_dynamodb::types::builders::UpdateBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, TransactWriteItem, Update};

use super::accounts::{pauses, wait};
use super::tables::identity::{ACTIVE_ADMINS, ADMINS_PK, ADMINS_SK, USER_SK, user_pk};
use super::tables::{PK, SK};
use super::transaction::{IntoWrite, NotWritten, transact};
use super::{StoreError, UserStore, number, text};
use crate::auth::User;
use crate::ids::UserId;

impl UserStore {
    /// Puts a user among the active admins who is one and was made before there was a list of them;
    /// says whether they are. Nobody is listed who ceases to be one meanwhile: the list would keep
    /// them, and let the last admin go.
    pub async fn admin_is_listed(&self, id: UserId) -> Result<bool, StoreError> {
        for pause in std::iter::once(None).chain(pauses().map(Some)) {
            wait(pause).await;
            let user = self.user(id).await?;
            let Some(user) = user.filter(User::is_active_admin) else {
                return Ok(false);
            };
            let is_still_that_record = "epoch = :read";
            let stays = ConditionCheck::builder()
                .table_name(&self.identity)
                .key(PK, text(user_pk(id)))
                .key(SK, text(USER_SK))
                .condition_expression(is_still_that_record)
                .expression_attribute_values(":read", number(user.epoch))
                .into_write();
            match transact(&self.client, vec![stays, self.admin_joins(id)]).await {
                Ok(()) => return Ok(true),
                Err(NotWritten::Condition(_)) => {}
                Err(NotWritten::Failed(error)) => return Err(error),
            }
        }
        Err(StoreError::Contended {
            operation: "admin_is_listed",
        })
    }

    /// The write that a change of a user from `before` to `after` needs, if it makes or unmakes an
    /// active admin. It fails when nobody else would be left.
    pub(super) fn admins_after(&self, before: &User, after: &User) -> Option<TransactWriteItem> {
        match (before.is_active_admin(), after.is_active_admin()) {
            (false, true) => Some(self.admin_joins(after.id)),
            (true, false) => Some(self.admin_leaves(before.id)),
            (false, false) | (true, true) => None,
        }
    }

    /// The write that makes a user one of the active admins.
    pub(super) fn admin_joins(&self, id: UserId) -> TransactWriteItem {
        self.admins()
            .update_expression("ADD #ids :ids")
            .expression_attribute_values(":ids", set_of(id))
            .into_write()
    }

    /// The write that makes a user none of them, as their demotion, deactivation or deletion does.
    /// It fails when nobody else would be left.
    pub(super) fn admin_leaves(&self, id: UserId) -> TransactWriteItem {
        let another_stays = "size(#ids) > :one \
                             OR attribute_exists(#ids) AND NOT contains(#ids, :id)";
        self.admins()
            .update_expression("DELETE #ids :ids")
            .condition_expression(another_stays)
            .expression_attribute_values(":ids", set_of(id))
            .expression_attribute_values(":id", text(id))
            .expression_attribute_values(":one", number(1))
            .into_write()
    }

    fn admins(&self) -> UpdateBuilder {
        Update::builder()
            .table_name(&self.identity)
            .key(PK, text(ADMINS_PK))
            .key(SK, text(ADMINS_SK))
            .expression_attribute_names("#ids", ACTIVE_ADMINS)
    }
}

fn set_of(id: UserId) -> AttributeValue {
    AttributeValue::Ss(vec![id.to_string()])
}
