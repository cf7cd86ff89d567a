//! Changes of a user's record. Each raises the epoch, in the record and where requests are
//! admitted, so that whoever holds an older copy is told so by the next request.

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem, Update};

use super::accounts::{pauses, wait};
use super::standing::{Epoch, Sessions};
use super::tables::identity::UserItem;
use super::tables::{PK, SK, identity};
use super::transaction::{IntoWrite, NotWritten, transact};
use super::{StoreError, UserStore, number, text};
use crate::auth::User;
use crate::clock::Timestamp;
use crate::ids::UserId;

/// What an attribute of a record becomes; `None` removes it.
pub(super) type Assignment = (&'static str, Option<AttributeValue>);

impl UserStore {
    /// A user, as they are now.
    pub async fn user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        let pk = identity::user_pk(id);
        let item: Option<UserItem> = self.get(&self.identity, pk, identity::USER_SK).await?;
        Ok(item.map(User::from))
    }

    /// Sets or removes a user's full name; `None` if there is no such active user.
    pub async fn rename(
        &self,
        id: UserId,
        full_name: Option<&str>,
        now: Timestamp,
    ) -> Result<Option<User>, StoreError> {
        for pause in std::iter::once(None).chain(pauses().map(Some)) {
            wait(pause).await;
            let Some(user) = self.user(id).await?.filter(|user| user.is_active) else {
                return Ok(None);
            };
            let name = vec![("full_name", full_name.map(text))];
            let writes = self.record_changes(&user, name, Sessions::Stay, now);
            match transact(&self.client, writes.into()).await {
                Ok(()) => {
                    return Ok(Some(User {
                        full_name: full_name.map(str::to_owned),
                        updated_at: now,
                        epoch: user.epoch + 1,
                        ..user
                    }));
                }
                Err(NotWritten::Condition(_)) => {}
                Err(NotWritten::Failed(error)) => return Err(error),
            }
        }
        Err(StoreError::Contended {
            operation: "rename",
        })
    }

    /// The writes that change an active user's record and raise the epoch. They fail when the
    /// record is no longer the one that was read.
    pub(super) fn record_changes(
        &self,
        user: &User,
        assignments: Vec<Assignment>,
        sessions: Sessions,
        now: Timestamp,
    ) -> [TransactWriteItem; 2] {
        let is_still_that_record = "epoch = :read";
        let mut update = Update::builder()
            .table_name(&self.identity)
            .key(PK, text(identity::user_pk(user.id)))
            .key(SK, text(identity::USER_SK))
            .condition_expression(is_still_that_record)
            .expression_attribute_values(":read", number(user.epoch))
            .expression_attribute_values(":next", number(user.epoch + 1))
            .expression_attribute_values(":now", number(now.millis()));
        let mut set = vec!["epoch = :next".to_owned(), "updated_at = :now".to_owned()];
        let mut remove = vec![];
        for (index, (name, value)) in assignments.into_iter().enumerate() {
            update = update.expression_attribute_names(format!("#{index}"), name);
            if let Some(value) = value {
                set.push(format!("#{index} = :{index}"));
                update = update.expression_attribute_values(format!(":{index}"), value);
            } else {
                remove.push(format!("#{index}"));
            }
        }
        let mut expression = format!("SET {}", set.join(", "));
        if !remove.is_empty() {
            expression = format!("{expression} REMOVE {}", remove.join(", "));
        }
        let record = update.update_expression(expression).into_write();
        let epoch = Epoch::RaisedFrom(user.epoch);
        [record, self.standing_changes(user.id, sessions, &epoch)]
    }
}
