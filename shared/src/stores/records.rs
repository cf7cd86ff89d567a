//! Changes of a user's record. Each raises the epoch, in the record and where requests are
//! admitted, so that whoever holds an older copy is told so by the next request.

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem, Update};

use super::accounts::{pauses, wait};
use super::standing::{Epoch, Sessions};
use super::tables::identity::UserItem;
use super::tables::{PK, SK, identity};
use super::transaction::{IntoWrite, NotWritten, transact};
use super::{StoreError, UserStore, number, text};
use crate::audit::{Action, Actor, AuditEntry};
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
            let mut writes: Vec<_> = self.record_changes(&user, name, Sessions::Stay, now).into();
            if user.full_name.as_deref() != full_name {
                let entry = AuditEntry::new(now, Actor::User(id), Action::UserChanged, id)
                    .with("changed", vec!["full_name"]);
                writes.push(self.audited(&entry)?);
            }
            match transact(&self.client, writes).await {
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
        mut assignments: Vec<Assignment>,
        sessions: Sessions,
        now: Timestamp,
    ) -> [TransactWriteItem; 2] {
        assignments.push(("updated_at", Some(number(now.millis()))));
        let epoch = Epoch::RaisedFrom(user.epoch);
        [
            self.record_moves_on(user, assignments),
            self.standing_changes(user.id, sessions, &epoch),
        ]
    }

    /// The write that raises the epoch in a user's record, with whatever else is `assigned`. It
    /// fails when the record is no longer the one that was read.
    pub(super) fn record_moves_on(
        &self,
        user: &User,
        assigned: Vec<Assignment>,
    ) -> TransactWriteItem {
        let is_still_that_record = "epoch = :read";
        let mut update = Update::builder()
            .table_name(&self.identity)
            .key(PK, text(identity::user_pk(user.id)))
            .key(SK, text(identity::USER_SK))
            .condition_expression(is_still_that_record)
            .expression_attribute_values(":read", number(user.epoch))
            .expression_attribute_values(":next", number(user.epoch + 1));
        let assignments = assignments(assigned);
        for (placeholder, name) in assignments.names {
            update = update.expression_attribute_names(placeholder, name);
        }
        for (placeholder, value) in assignments.values {
            update = update.expression_attribute_values(placeholder, value);
        }
        let set = format!("SET epoch = :next{}", assignments.set);
        update
            .update_expression(set + &assignments.remove)
            .into_write()
    }
}

/// Assignments as parts of an update expression: `set` goes on after another assignment, `remove`
/// is the whole clause or nothing.
#[derive(Default)]
pub(super) struct Assignments {
    pub(super) set: String,
    pub(super) remove: String,
    pub(super) names: Vec<(String, String)>,
    pub(super) values: Vec<(String, AttributeValue)>,
}

pub(super) fn assignments(assigned: Vec<Assignment>) -> Assignments {
    let mut parts = Assignments::default();
    for (index, (name, value)) in assigned.into_iter().enumerate() {
        parts.names.push((format!("#{index}"), name.to_owned()));
        if let Some(value) = value {
            parts.set = format!("{}, #{index} = :{index}", parts.set);
            parts.values.push((format!(":{index}"), value));
        } else {
            let clause = if parts.remove.is_empty() {
                " REMOVE"
            } else {
                ","
            };
            parts.remove = format!("{}{clause} #{index}", parts.remove);
        }
    }
    parts
}
