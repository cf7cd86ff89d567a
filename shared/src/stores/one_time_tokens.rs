//! One-time tokens, redeemed: of two uses at once exactly one wins.

use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, Delete, TransactWriteItem, Update};

use super::accounts::{pauses, wait};
use super::passwords::SetBy;
use super::tables::credentials::{self, OneTimeTokenItem};
use super::tables::{PK, SK, identity};
use super::transaction::{IntoWrite, NotWritten, transact};
use super::{AccountStore, StoreError, number, text};
use crate::auth::{PasswordHash, Purpose, TokenDigest, User};
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
        let token = self.token(digest, Purpose::VerifyEmail, now).await?;
        let Some(token) = token.filter(|token| token.user_id == user) else {
            return Ok(Redeemed::InvalidToken);
        };
        let no_reset_since = "resets = :resets";
        let password_stands = ConditionCheck::builder()
            .table_name(&self.tables.credentials)
            .key(PK, text(credentials::user_pk(user)))
            .key(SK, text(credentials::PASSWORD_SK))
            .condition_expression(no_reset_since)
            .expression_attribute_values(":resets", number(token.resets))
            .into_write();
        let is_active = "is_active = :true";
        let verified = Update::builder()
            .table_name(&self.tables.identity)
            .key(PK, text(identity::user_pk(user)))
            .key(SK, text(identity::USER_SK))
            .update_expression("SET is_verified = :true, updated_at = :now ADD epoch :one")
            .condition_expression(is_active)
            .expression_attribute_values(":true", AttributeValue::Bool(true))
            .expression_attribute_values(":now", number(now.millis()))
            .expression_attribute_values(":one", number(1))
            .into_write();
        let writes = vec![self.spend(digest), password_stands, verified];
        match transact(&self.client, writes).await {
            Ok(()) => Ok(Redeemed::Yes),
            Err(NotWritten::Condition(_)) => Ok(Redeemed::InvalidToken),
            Err(NotWritten::Failed(error)) => Err(error),
        }
    }

    /// Whose password a reset token could set. It is not spent.
    pub async fn owner_of_reset(
        &self,
        digest: &TokenDigest,
        now: Timestamp,
    ) -> Result<Option<User>, StoreError> {
        match self.token(digest, Purpose::ResetPassword, now).await? {
            Some(token) => Ok(self
                .user(token.user_id)
                .await?
                .filter(|user| user.is_active)),
            None => Ok(None),
        }
    }

    /// Spends a reset token: sets the password, ends every session and voids every other token of
    /// the account. The reset proves the address as well as a verification does, so it verifies.
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
                .user(token.user_id)
                .await?
                .filter(|user| user.is_active)
            else {
                return Ok(Redeemed::InvalidToken);
            };
            let version = token.password_version;
            let password = self.set_password(user.id, version, hash, SetBy::AReset, now);
            let claims = "is_verified = :true, epoch = epoch + :one";
            let sessions = self
                .end_sessions_update(&user, None, now, Some(claims))
                .expression_attribute_values(":true", AttributeValue::Bool(true))
                .expression_attribute_values(":one", number(1))
                .into_write();
            match transact(&self.client, vec![self.spend(digest), password, sessions]).await {
                Ok(()) => return Ok(Redeemed::Yes),
                // Somebody signed in meanwhile: end that session too.
                Err(NotWritten::Condition(USER)) => {}
                Err(NotWritten::Condition(_)) => return Ok(Redeemed::InvalidToken),
                Err(NotWritten::Failed(error)) => return Err(error),
            }
        }
        Err(StoreError::Contended {
            operation: "reset_password",
        })
    }

    async fn token(
        &self,
        digest: &TokenDigest,
        purpose: Purpose,
        now: Timestamp,
    ) -> Result<Option<OneTimeTokenItem>, StoreError> {
        let pk = credentials::token_pk(digest);
        let item: Option<OneTimeTokenItem> = self
            .get(&self.tables.credentials, pk, credentials::TOKEN_SK)
            .await?;
        Ok(item.filter(|item| item.purpose == purpose && now.millis() < item.expires_at))
    }

    /// The write that only one of several users of a token gets through.
    fn spend(&self, digest: &TokenDigest) -> TransactWriteItem {
        let is_unspent = "attribute_exists(pk)";
        Delete::builder()
            .table_name(&self.tables.credentials)
            .key(PK, text(credentials::token_pk(digest)))
            .key(SK, text(credentials::TOKEN_SK))
            .condition_expression(is_unspent)
            .into_write()
    }
}
