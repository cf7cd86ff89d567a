//! The outbox of mails: what is owed to whom, how many an address gets, and what is made of an
//! event when its mail is due.

use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem};

use super::accounts::{create, pauses, wait};
use super::tables::credentials::{self, MailBudgetItem, OneTimeTokenItem};
use super::tables::identity::{self, OutboxItem};
use super::tables::{PK, SK};
use super::transaction::{IntoWrite, NotWritten, transact};
use super::{AccountStore, StoreError, number, to_item};
use crate::auth::{EmailAddress, EmailKey, OneTimeToken, Purpose};
use crate::clock::Timestamp;
use crate::ids::EventId;
use crate::mail::{MAILS_PER_HOUR, MailEvent};

const BUDGET_WINDOW: std::time::Duration = std::time::Duration::from_hours(1);
/// A mail that nobody carried for this long helps nobody any more.
const OUTBOX_LIFETIME: std::time::Duration = std::time::Duration::from_hours(24);

/// The event that a key of the identity table belongs to, if it is a mail's. Notices, which no mail
/// is made of yet, lie in the outbox too.
pub fn mail_of_outbox_key(pk: &str, sk: &str) -> Option<EventId> {
    let id = pk.strip_prefix(identity::OUTBOX_PK_PREFIX)?;
    (sk == identity::EVENT_SK).then(|| id.parse().ok())?
}

/// Whether an address may get one more mail now.
pub(super) enum Budget {
    /// It may; this is its item with the mail counted, to be written with it.
    Open(MailBudgetItem),
    UsedUp,
}

/// Whether a mail will go out.
#[derive(Debug, PartialEq, Eq)]
pub enum MailQueued {
    Yes,
    /// The address has had its three mails of the hour.
    BudgetUsedUp,
}

/// A mail that an event turned into: to whom, and with which token.
pub struct PreparedMail {
    pub to: EmailAddress,
    pub purpose: Purpose,
    pub token: OneTimeToken,
}

impl AccountStore {
    /// Puts a mail to `email` into the outbox, unless the address has had enough of them.
    pub async fn queue_mail(
        &self,
        email: &EmailKey,
        event: MailEvent,
        now: Timestamp,
    ) -> Result<MailQueued, StoreError> {
        for pause in std::iter::once(None).chain(pauses().map(Some)) {
            wait(pause).await;
            let Budget::Open(budget) = self.mail_budget(email, now).await? else {
                return Ok(MailQueued::BudgetUsedUp);
            };
            let writes = self.mail_writes(budget, event.clone(), now)?;
            match transact(&self.users.client, writes.into()).await {
                Ok(()) => return Ok(MailQueued::Yes),
                Err(NotWritten::Condition(_)) => {}
                Err(NotWritten::Failed(error)) => return Err(error),
            }
        }
        Err(StoreError::Contended {
            operation: "queue_mail",
        })
    }

    pub(super) async fn mail_budget(
        &self,
        email: &EmailKey,
        now: Timestamp,
    ) -> Result<Budget, StoreError> {
        let pk = credentials::budget_pk(email);
        let item: Option<MailBudgetItem> = self
            .users
            .get(&self.credentials, pk.clone(), credentials::BUDGET_SK)
            .await?;
        let (mut sent_at, version) = item.map_or((vec![], 0), |item| (item.sent_at, item.version));
        let window_start = now.minus(BUDGET_WINDOW).millis();
        sent_at.retain(|at| *at > window_start);
        if sent_at.len() >= MAILS_PER_HOUR {
            return Ok(Budget::UsedUp);
        }
        sent_at.push(now.millis());
        Ok(Budget::Open(MailBudgetItem {
            pk,
            sk: credentials::BUDGET_SK.to_owned(),
            sent_at,
            version: version + 1,
            ttl: now.plus(BUDGET_WINDOW).seconds() + 1,
        }))
    }

    /// The writes of a mail: its count, conditional on nobody having counted meanwhile, and its
    /// event.
    pub(super) fn mail_writes(
        &self,
        budget: MailBudgetItem,
        event: MailEvent,
        now: Timestamp,
    ) -> Result<[TransactWriteItem; 2], StoreError> {
        let count_is_as_read = if budget.version == 1 {
            "attribute_not_exists(pk) OR version = :read"
        } else {
            "version = :read"
        };
        let counted = Put::builder()
            .table_name(&self.credentials)
            .condition_expression(count_is_as_read)
            .expression_attribute_values(":read", number(budget.version - 1))
            .set_item(Some(to_item(budget)?))
            .into_write();
        let id = EventId::new(now);
        let event = create(
            &self.users.identity,
            OutboxItem {
                pk: identity::outbox_pk(id),
                sk: identity::EVENT_SK.to_owned(),
                id,
                mail: event,
                created_at: now.millis(),
                ttl: now.plus(OUTBOX_LIFETIME).seconds(),
            },
        )?;
        Ok([counted, event])
    }

    /// The event with this id, if it is still to be carried out.
    pub async fn mail_event(
        &self,
        id: EventId,
        now: Timestamp,
    ) -> Result<Option<MailEvent>, StoreError> {
        let pk = identity::outbox_pk(id);
        let item: Option<OutboxItem> = self
            .users
            .get(&self.users.identity, pk, identity::EVENT_SK)
            .await?;
        let is_due = |item: &OutboxItem| now.seconds() < item.ttl;
        Ok(item.filter(is_due).map(|item| item.mail))
    }

    /// Makes the token for an event's mail. `None` when there is nobody to write to: no such
    /// account, a deactivated one, or an address that is verified already.
    pub async fn prepare_mail(
        &self,
        event: &MailEvent,
        now: Timestamp,
    ) -> Result<Option<PreparedMail>, StoreError> {
        let (user, purpose) = match event {
            MailEvent::VerifyEmail { user_id } => (Some(*user_id), Purpose::VerifyEmail),
            MailEvent::ResetPassword { email } => {
                (self.owner_of(&email.key()).await?, Purpose::ResetPassword)
            }
        };
        let Some(user) = user else { return Ok(None) };
        let Some(account) = self.account(user).await? else {
            return Ok(None);
        };
        let is_due = account.user.is_active
            && !(purpose == Purpose::VerifyEmail && account.user.is_verified);
        let (true, Some(password)) = (is_due, account.password) else {
            return Ok(None);
        };
        let token = OneTimeToken::generate();
        let expires_at = now.plus(purpose.lifetime());
        let item = OneTimeTokenItem {
            pk: credentials::token_pk(&token.digest()),
            sk: credentials::TOKEN_SK.to_owned(),
            purpose,
            user_id: user,
            password_version: password.version,
            resets: password.resets,
            expires_at: expires_at.millis(),
            ttl: expires_at.seconds(),
        };
        self.users
            .client
            .put_item()
            .table_name(&self.credentials)
            .set_item(Some(to_item(item)?))
            .send()
            .await
            .map_err(|error| StoreError::from_sdk("PutItem", error))?;
        Ok(Some(PreparedMail {
            to: account.user.email,
            purpose,
            token,
        }))
    }

    /// Takes an event out of the outbox: its mail has gone.
    pub async fn mail_sent(&self, id: EventId) -> Result<(), StoreError> {
        self.users
            .client
            .delete_item()
            .table_name(&self.users.identity)
            .key(PK, AttributeValue::S(identity::outbox_pk(id)))
            .key(SK, AttributeValue::S(identity::EVENT_SK.to_owned()))
            .send()
            .await
            .map(|_| ())
            .map_err(|error| StoreError::from_sdk("DeleteItem", error))
    }
}
