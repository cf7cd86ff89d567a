//! One-time tokens, redeemed: of two uses at once exactly one wins.

use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, Delete, TransactWriteItem};

use super::accounts::{pauses, wait};
use super::passwords::SetBy;
use super::records::Assignment;
use super::standing::Sessions;
use super::tables::credentials::{self, OneTimeTokenItem};
use super::tables::identity::{KEYS_REVOKED, KeysRevokedItem};
use super::tables::{PK, SK};
use super::transaction::{IntoWrite, NotWritten, transact};
use super::{AccountStore, StoreError, number, text, to_attribute};
use crate::audit::{Action, Actor, AuditEntry};
use crate::auth::{KeysRevoked, PasswordHash, Purpose, TokenDigest, User};
use crate::clock::Timestamp;
use crate::ids::UserId;

/// Whether a token was good.
#[derive(Debug, PartialEq, Eq)]
pub enum Redeemed {
    Yes,
    /// Unknown, spent, expired, void, foreign or for something else; nobody is told which.
    InvalidToken,
}

impl AccountStore {
    /// Spends a verification token of `user`. Another user's token is left as it is.
    pub async fn verify_email(
        &self,
        user: UserId,
        digest: &TokenDigest,
        now: Timestamp,
    ) -> Result<Redeemed, StoreError> {
        const USER: usize = 2;
        for pause in std::iter::once(None).chain(pauses().map(Some)) {
            wait(pause).await;
            let token = self.token(digest, Purpose::VerifyEmail, now).await?;
            let Some(token) = token.filter(|token| token.user_id == user) else {
                return Ok(Redeemed::InvalidToken);
            };
            let no_reset_since = "resets = :resets";
            let password_stands = ConditionCheck::builder()
                .table_name(&self.credentials)
                .key(PK, text(credentials::user_pk(user)))
                .key(SK, text(credentials::PASSWORD_SK))
                .condition_expression(no_reset_since)
                .expression_attribute_values(":resets", number(token.resets))
                .into_write();
            let Some(found) = self.users.user(user).await?.filter(|user| user.is_active) else {
                return Ok(Redeemed::InvalidToken);
            };
            let [record, standing] = self.verified(&found, Sessions::Stay, now);
            let mut writes = vec![self.spend(digest), password_stands, record, standing];
            if !found.is_verified {
                let actor = Actor::User(user);
                let entry = AuditEntry::new(now, actor, Action::EmailVerified, user);
                writes.push(self.users.audited(&entry)?);
            }
            match transact(&self.users.client, writes).await {
                Ok(()) => return Ok(Redeemed::Yes),
                // The user's record changed meanwhile: look again.
                Err(NotWritten::Condition(USER..)) => {}
                Err(NotWritten::Condition(_)) => return Ok(Redeemed::InvalidToken),
                Err(NotWritten::Failed(error)) => return Err(error),
            }
        }
        Err(StoreError::Contended {
            operation: "verify_email",
        })
    }

    /// Whose password a reset token could set. It is not spent.
    pub async fn owner_of_reset(
        &self,
        digest: &TokenDigest,
        now: Timestamp,
    ) -> Result<Option<User>, StoreError> {
        match self.token(digest, Purpose::ResetPassword, now).await? {
            Some(token) => Ok(self
                .users
                .user(token.user_id)
                .await?
                .filter(|user| user.is_active)),
            None => Ok(None),
        }
    }

    /// Spends a reset token: sets the password, ends every session and voids every other token of
    /// the account. The reset proves the address as well as a verification does, so it verifies.
    /// An account that was never verified may be somebody else's, made with this address: the
    /// reset claims it, and every key that was made before goes.
    pub async fn reset_password(
        &self,
        digest: &TokenDigest,
        hash: &PasswordHash,
        now: Timestamp,
    ) -> Result<Redeemed, StoreError> {
        const USER: usize = 2;
        for pause in std::iter::once(None).chain(pauses().map(Some)) {
            wait(pause).await;
            let Some(token) = self.token(digest, Purpose::ResetPassword, now).await? else {
                return Ok(Redeemed::InvalidToken);
            };
            let Some(user) = self
                .users
                .user(token.user_id)
                .await?
                .filter(|user| user.is_active)
            else {
                return Ok(Redeemed::InvalidToken);
            };
            let version = token.password_version;
            let password = self.set_password(user.id, version, hash, SetBy::AReset, now);
            let [record, standing] = self.reset(&user, now)?;
            let entry = self.users.audited(&was_reset(&user, now))?;
            let writes = vec![self.spend(digest), password, record, standing, entry];
            match transact(&self.users.client, writes).await {
                Ok(()) => return Ok(Redeemed::Yes),
                // The user's record changed meanwhile: look again.
                Err(NotWritten::Condition(USER..)) => {}
                Err(NotWritten::Condition(_)) => return Ok(Redeemed::InvalidToken),
                Err(NotWritten::Failed(error)) => return Err(error),
            }
        }
        Err(StoreError::Contended {
            operation: "reset_password",
        })
    }

    /// The writes that call a user's address verified.
    fn verified(&self, user: &User, sessions: Sessions, now: Timestamp) -> [TransactWriteItem; 2] {
        self.users
            .record_changes(user, vec![verified()], sessions, now)
    }

    /// The writes that end every session of a user whose password is reset, and every key of one
    /// who was not verified.
    fn reset(&self, user: &User, now: Timestamp) -> Result<[TransactWriteItem; 2], StoreError> {
        let mut assigned = vec![verified()];
        if !user.is_verified {
            let revoked = KeysRevoked {
                generation: user.keys_revoked.map_or(0, |before| before.generation) + 1,
                at: now,
            };
            let revoked = to_attribute(KeysRevokedItem::from(revoked))?;
            assigned.push((KEYS_REVOKED, Some(revoked)));
        }
        Ok(self
            .users
            .record_changes(user, assigned, Sessions::None, now))
    }

    async fn token(
        &self,
        digest: &TokenDigest,
        purpose: Purpose,
        now: Timestamp,
    ) -> Result<Option<OneTimeTokenItem>, StoreError> {
        let pk = credentials::token_pk(digest);
        let item: Option<OneTimeTokenItem> = self
            .users
            .get(&self.credentials, pk, credentials::TOKEN_SK)
            .await?;
        Ok(item.filter(|item| item.purpose == purpose && now.millis() < item.expires_at))
    }

    /// The write that only one of several users of a token gets through.
    fn spend(&self, digest: &TokenDigest) -> TransactWriteItem {
        let is_unspent = "attribute_exists(pk)";
        Delete::builder()
            .table_name(&self.credentials)
            .key(PK, text(credentials::token_pk(digest)))
            .key(SK, text(credentials::TOKEN_SK))
            .condition_expression(is_unspent)
            .into_write()
    }
}

/// What the audit log says of a reset, whose token came by mail: nobody was signed in.
fn was_reset(user: &User, now: Timestamp) -> AuditEntry {
    let entry = AuditEntry::new(now, Actor::Anonymous, Action::PasswordReset, user.id)
        .with("sessions_ended", "all");
    if user.is_verified {
        entry
    } else {
        entry
            .with("email_verified", true)
            .with("keys_revoked", "all")
    }
}

fn verified() -> Assignment {
    ("is_verified", Some(AttributeValue::Bool(true)))
}
