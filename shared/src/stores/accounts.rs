//! Accounts: made once per address, found by address or id.

use aws_sdk_dynamodb::types::{Put, TransactWriteItem};

use super::mailing::Budget;
use super::tables::credentials::{self, PasswordItem, SessionItem};
use super::tables::identity::{self, EmailGuardItem, UserItem};
use super::transaction::{IntoWrite, NotWritten, backoff};
use super::{AccountStore, StoreError, to_item};
use crate::audit::{Action, Actor, AuditEntry};
use crate::auth::{EmailKey, PasswordHash, Session, User};
use crate::clock::Timestamp;
use crate::idempotency::KeptAnswer;
use crate::ids::UserId;
use crate::mail::MailEvent;

/// A password's hash with the version that a change of it must name.
#[derive(Clone)]
pub struct StoredPassword {
    pub hash: PasswordHash,
    pub version: u64,
    pub(super) resets: u64,
}

/// A user together with the password, if there is one.
pub struct Account {
    pub user: User,
    pub password: Option<StoredPassword>,
}

/// All that comes into being when somebody registers.
pub struct NewAccount {
    pub user: User,
    pub password: PasswordHash,
    pub session: Option<Session>,
    /// Whether the address is to be verified by mail.
    pub verification: Verification,
}

/// How a new account's address comes to be verified.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Verification {
    ByMail,
    AlreadyDone,
}

/// What became of a registration.
#[derive(Debug, PartialEq, Eq)]
pub enum Registration {
    Done,
    EmailTaken,
}

impl NewAccount {
    /// What the audit log says of its registration.
    fn entry(&self, now: Timestamp) -> AuditEntry {
        let actor = match self.verification {
            Verification::ByMail => Actor::Anonymous,
            Verification::AlreadyDone => Actor::System,
        };
        let entry = AuditEntry::new(now, actor, Action::UserRegistered, self.user.id);
        match &self.session {
            Some(session) => entry.with("session", session.id.to_string()),
            None => entry,
        }
    }
}

impl AccountStore {
    /// Makes an account, its first session and the wish for its verification mail, or none of it.
    pub async fn register(
        &self,
        account: &NewAccount,
        now: Timestamp,
    ) -> Result<Registration, StoreError> {
        self.register_and_keep(account, None, now).await
    }

    /// As [`Self::register`]; the answer to who asked is kept with it.
    pub async fn register_and_keep(
        &self,
        account: &NewAccount,
        answer: Option<&KeptAnswer>,
        now: Timestamp,
    ) -> Result<Registration, StoreError> {
        const GUARD: usize = 0;
        let user = &account.user;
        let email = user.email.key();
        for pause in std::iter::once(None).chain(pauses().map(Some)) {
            wait(pause).await;
            let mut writes = vec![
                create(
                    &self.users.identity,
                    EmailGuardItem {
                        pk: identity::email_pk(&email),
                        sk: identity::GUARD_SK.to_owned(),
                        user_id: user.id,
                    },
                )?,
                create(&self.users.identity, UserItem::from(user))?,
                create(
                    &self.credentials,
                    PasswordItem {
                        pk: credentials::user_pk(user.id),
                        sk: credentials::PASSWORD_SK.to_owned(),
                        hash: account.password.expose().to_owned(),
                        version: 1,
                        resets: 0,
                        changed_at: now.millis(),
                    },
                )?,
            ];
            writes.push(
                self.users
                    .standing_begins(user, account.session.as_ref().map(|session| session.id))?,
            );
            if let Some(session) = &account.session {
                writes.push(create(&self.credentials, SessionItem::from(session))?);
            }
            if user.is_active_admin() {
                writes.push(self.users.admin_joins(user.id));
            }
            if account.verification == Verification::ByMail
                && let Budget::Open(budget) = self.mail_budget(&email, now).await?
            {
                let event = MailEvent::VerifyEmail { user_id: user.id };
                writes.extend(self.mail_writes(budget, event, now)?);
            }
            writes.push(self.users.audited(&account.entry(now))?);
            match self.users.transact_and_keep(writes, answer).await {
                Ok(()) => return Ok(Registration::Done),
                Err(NotWritten::Condition(GUARD)) => return Ok(Registration::EmailTaken),
                // The address got another mail meanwhile: count again.
                Err(NotWritten::Condition(_)) => {}
                Err(NotWritten::Failed(error)) => return Err(error),
            }
        }
        Err(StoreError::Contended {
            operation: "register",
        })
    }

    /// Whose address this is.
    pub async fn owner_of(&self, email: &EmailKey) -> Result<Option<UserId>, StoreError> {
        self.users.owner_of(email).await
    }

    /// A user and the password, read at once.
    pub async fn account(&self, id: UserId) -> Result<Option<Account>, StoreError> {
        let (user, password) = tokio::try_join!(self.users.user(id), self.password(id))?;
        Ok(user.map(|user| Account { user, password }))
    }

    async fn password(&self, id: UserId) -> Result<Option<StoredPassword>, StoreError> {
        let pk = credentials::user_pk(id);
        let item: Option<PasswordItem> = self
            .users
            .get(&self.credentials, pk, credentials::PASSWORD_SK)
            .await?;
        Ok(item.map(|item| StoredPassword {
            hash: PasswordHash::stored(item.hash),
            version: item.version,
            resets: item.resets,
        }))
    }
}

/// A write that puts an item where there is none.
pub(super) fn create(
    table: &str,
    item: impl serde::Serialize,
) -> Result<TransactWriteItem, StoreError> {
    let is_not_there_yet = "attribute_not_exists(pk)";
    Ok(Put::builder()
        .table_name(table)
        .set_item(Some(to_item(item)?))
        .condition_expression(is_not_there_yet)
        .into_write())
}

/// The pauses between tries of a change that another was quicker with.
pub(super) fn pauses() -> impl Iterator<Item = std::time::Duration> {
    use backon::BackoffBuilder;
    backoff().build()
}

pub(super) async fn wait(pause: Option<std::time::Duration>) {
    if let Some(pause) = pause {
        tokio::time::sleep(pause).await;
    }
}
