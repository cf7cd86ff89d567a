//! Passwords, changed and upgraded, never twice from one version.

use aws_sdk_dynamodb::types::{TransactWriteItem, Update};

use super::standing::{Epoch, Sessions};
use super::tables::{PK, SK, credentials};
use super::transaction::{IntoWrite, NotWritten, transact};
use super::{AccountStore, StoreError, StoredPassword, number, text};
use crate::audit::{Action, Actor, AuditEntry};
use crate::auth::PasswordHash;
use crate::clock::Timestamp;
use crate::ids::{SessionId, UserId};

/// Whether a password was changed.
#[derive(Debug, PartialEq, Eq)]
pub enum PasswordChanged {
    Yes,
    /// Another change came first: the password that was checked is no longer the current one.
    Superseded,
    /// The account was deactivated, or the session ended, meanwhile.
    NotSignedIn,
}

/// Who replaces a password: a reset voids every one-time token, a change only those of resets.
#[derive(Clone, Copy)]
pub(super) enum SetBy {
    ItsOwner,
    AReset,
}

impl AccountStore {
    /// Replaces the password that was `checked` and ends every session but `kept`.
    pub async fn change_password(
        &self,
        user: UserId,
        checked: &StoredPassword,
        hash: &PasswordHash,
        kept: SessionId,
        now: Timestamp,
    ) -> Result<PasswordChanged, StoreError> {
        const PASSWORD: usize = 0;
        let password = self.set_password(user, checked.version, hash, SetBy::ItsOwner, now);
        // Fails when the caller's own session has ended meanwhile; keeping it would bring it back.
        let sessions = self
            .users
            .standing_changes(user, Sessions::Only(kept), &Epoch::Stays);
        let entry = AuditEntry::new(now, Actor::User(user), Action::PasswordChanged, user)
            .with("by", kept.to_string())
            .with("sessions_ended", "others");
        let writes = vec![password, sessions, self.users.audited(&entry)?];
        match transact(&self.users.client, writes).await {
            Ok(()) => Ok(PasswordChanged::Yes),
            Err(NotWritten::Condition(PASSWORD)) => Ok(PasswordChanged::Superseded),
            Err(NotWritten::Condition(_)) => Ok(PasswordChanged::NotSignedIn),
            Err(NotWritten::Failed(error)) => Err(error),
        }
    }

    /// The write that replaces the password of this `version`, and fails when it is another by
    /// now.
    pub(super) fn set_password(
        &self,
        user: UserId,
        version: u64,
        hash: &PasswordHash,
        by: SetBy,
        now: Timestamp,
    ) -> TransactWriteItem {
        let is_still_that_one = "version = :version";
        let set = "SET #hash = :hash, changed_at = :now, version = version + :one";
        let set = match by {
            SetBy::ItsOwner => set.to_owned(),
            SetBy::AReset => format!("{set}, resets = resets + :one"),
        };
        Update::builder()
            .table_name(&self.credentials)
            .key(PK, text(credentials::user_pk(user)))
            .key(SK, text(credentials::PASSWORD_SK))
            .update_expression(set)
            .condition_expression(is_still_that_one)
            .expression_attribute_names("#hash", "hash")
            .expression_attribute_values(":hash", text(hash.expose()))
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":version", number(version))
            .expression_attribute_values(":now", number(now.millis()))
            .into_write()
    }
}
