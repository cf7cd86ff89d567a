//! Sessions: made at sign-in, refreshed one generation at a time, ended one by one or together.

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::builders::UpdateBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, Delete, ReturnValue, Update};

use super::accounts::{create, pauses, wait};
use super::tables::credentials::{self, SessionItem};
use super::tables::{PK, SK, identity};
use super::transaction::{IntoWrite, NotWritten, transact};
use super::{AccountStore, Item, StoreError, StoredPassword, from_item, number, text};
use crate::auth::session::{MAX_SESSIONS, SessionOrigin};
use crate::auth::{PasswordHash, Session, User};
use crate::clock::Timestamp;
use crate::ids::{SessionId, UserId};

/// How many dead sessions one sign-in clears away on its way.
const MAX_CLEARED: usize = 20;

/// What became of a sign-in whose password was right.
pub enum SignedIn {
    Yes(Box<Standing>),
    /// The password was changed, or the user deactivated, since it was checked.
    Superseded,
}

/// Whether a session was refreshed.
pub enum Refreshed {
    /// It was; this is the session as it stands now.
    Yes(Session),
    /// Another refresh came first, or the session has ended.
    Superseded,
}

/// A user and one of their sessions, both in force.
pub struct Standing {
    pub user: User,
    pub session: Session,
}

impl AccountStore {
    /// Makes a session for a user whose password was `checked`, and replaces the hash by
    /// `upgrade` if that is given. A change of the password, a deactivation or a joint ending of
    /// sessions that comes in between wins. The oldest sessions beyond 50 end.
    pub async fn sign_in(
        &self,
        user: UserId,
        checked: &StoredPassword,
        upgrade: Option<&PasswordHash>,
        origin: &SessionOrigin,
        now: Timestamp,
    ) -> Result<SignedIn, StoreError> {
        const PASSWORD: usize = 0;
        for pause in std::iter::once(None).chain(pauses().map(Some)) {
            wait(pause).await;
            let (found, sessions) = tokio::try_join!(self.user(user), self.sessions_of(user))?;
            let Some(user) = found.filter(|user| user.is_active) else {
                return Ok(SignedIn::Superseded);
            };
            let session = Session::begin(&user, origin, now);
            let mut writes = vec![
                self.password_as_checked(user.id, checked, upgrade),
                self.newest_session_update(&user, session.id.made_at())
                    .into_write(),
                create(&self.tables.credentials, SessionItem::from(&session))?,
            ];
            for ended in surplus(&user, &sessions, now) {
                let delete = Delete::builder()
                    .table_name(&self.tables.credentials)
                    .key(PK, text(credentials::user_pk(user.id)))
                    .key(SK, text(credentials::session_sk(ended)));
                writes.push(delete.into_write());
            }
            match transact(&self.client, writes).await {
                Ok(()) => return Ok(SignedIn::Yes(Box::new(Standing { user, session }))),
                Err(NotWritten::Condition(PASSWORD)) => return Ok(SignedIn::Superseded),
                // Another session of the user began or ended meanwhile.
                Err(NotWritten::Condition(_)) => {}
                Err(NotWritten::Failed(error)) => return Err(error),
            }
        }
        Err(StoreError::Contended {
            operation: "sign_in",
        })
    }

    /// The user and the session, if both still stand: this is what makes an access token good.
    pub async fn standing(
        &self,
        user: UserId,
        session: SessionId,
        now: Timestamp,
    ) -> Result<Option<Standing>, StoreError> {
        let (user, session) = tokio::try_join!(self.user(user), self.session(user, session))?;
        let (Some(user), Some(session)) = (user, session) else {
            return Ok(None);
        };
        let stands = user.is_active && user.sessions.admits(session.id) && session.outlives(now);
        Ok(stands.then_some(Standing { user, session }))
    }

    /// Moves a session on to the next generation of its refresh token, if it still is where it
    /// was read.
    pub async fn refresh(
        &self,
        session: &Session,
        now: Timestamp,
    ) -> Result<Refreshed, StoreError> {
        let refreshed = Session {
            generation: session.generation + 1,
            rotated_at: now,
            ..session.clone()
        };
        let is_still_that_generation = "generation = :generation";
        let answer = self
            .client
            .update_item()
            .table_name(&self.tables.credentials)
            .key(PK, text(credentials::user_pk(session.user)))
            .key(SK, text(credentials::session_sk(session.id)))
            .update_expression("SET generation = :next, rotated_at = :now, #ttl = :ttl")
            .condition_expression(is_still_that_generation)
            .expression_attribute_names("#ttl", "ttl")
            .expression_attribute_values(":generation", number(session.generation))
            .expression_attribute_values(":next", number(refreshed.generation))
            .expression_attribute_values(":now", number(now.millis()))
            .expression_attribute_values(":ttl", number(SessionItem::from(&refreshed).ttl))
            .send()
            .await;
        match answer {
            Ok(_) => Ok(Refreshed::Yes(refreshed)),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(UpdateItemError::is_conditional_check_failed_exception) =>
            {
                Ok(Refreshed::Superseded)
            }
            Err(error) => Err(StoreError::from_sdk("UpdateItem", error)),
        }
    }

    /// Ends one session. Returns whether it was there.
    pub async fn end_session(&self, user: UserId, id: SessionId) -> Result<bool, StoreError> {
        let answer = self
            .client
            .delete_item()
            .table_name(&self.tables.credentials)
            .key(PK, text(credentials::user_pk(user)))
            .key(SK, text(credentials::session_sk(id)))
            .return_values(ReturnValue::AllOld)
            .send()
            .await
            .map_err(|error| StoreError::from_sdk("DeleteItem", error))?;
        Ok(answer.attributes.is_some())
    }

    /// Ends every session of a user at once.
    pub async fn end_all_sessions(&self, user: UserId, now: Timestamp) -> Result<(), StoreError> {
        for pause in std::iter::once(None).chain(pauses().map(Some)) {
            wait(pause).await;
            let Some(user) = self.user(user).await? else {
                return Ok(());
            };
            let ended = self
                .end_sessions_update(&user, None, now, None)
                .into_write();
            match transact(&self.client, vec![ended]).await {
                Ok(()) => return Ok(()),
                Err(NotWritten::Condition(_)) => {}
                Err(NotWritten::Failed(error)) => return Err(error),
            }
        }
        Err(StoreError::Contended {
            operation: "end_all_sessions",
        })
    }

    /// The sessions of a user that can still be used, newest first.
    pub async fn live_sessions(
        &self,
        user: &User,
        now: Timestamp,
    ) -> Result<Vec<Session>, StoreError> {
        let mut sessions = self.sessions_of(user.id).await?;
        sessions.retain(|session| user.sessions.admits(session.id) && session.is_live(now));
        sessions.reverse();
        Ok(sessions)
    }

    pub async fn session(
        &self,
        user: UserId,
        id: SessionId,
    ) -> Result<Option<Session>, StoreError> {
        let pk = credentials::user_pk(user);
        let item: Option<SessionItem> = self
            .get(&self.tables.credentials, pk, credentials::session_sk(id))
            .await?;
        Ok(item.map(Session::from))
    }

    /// Every session item of a user, oldest first; at most 50 of them are in force.
    async fn sessions_of(&self, user: UserId) -> Result<Vec<Session>, StoreError> {
        let answer = self
            .client
            .query()
            .table_name(&self.tables.credentials)
            .key_condition_expression("pk = :pk AND begins_with(sk, :sessions)")
            .expression_attribute_values(":pk", text(credentials::user_pk(user)))
            .expression_attribute_values(":sessions", text(credentials::SESSION_SK_PREFIX))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| StoreError::from_sdk("Query", error))?;
        let items: Vec<Item> = answer.items.unwrap_or_default();
        items
            .into_iter()
            .map(|item| Ok(from_item::<SessionItem>(item)?.into()))
            .collect()
    }

    /// The write that fails when the password is no longer the one that was checked.
    fn password_as_checked(
        &self,
        user: UserId,
        checked: &StoredPassword,
        upgrade: Option<&PasswordHash>,
    ) -> aws_sdk_dynamodb::types::TransactWriteItem {
        let is_the_checked_one = "version = :version";
        let (pk, sk) = (
            text(credentials::user_pk(user)),
            text(credentials::PASSWORD_SK),
        );
        let version = number(checked.version);
        match upgrade {
            None => ConditionCheck::builder()
                .table_name(&self.tables.credentials)
                .key(PK, pk)
                .key(SK, sk)
                .condition_expression(is_the_checked_one)
                .expression_attribute_values(":version", version)
                .into_write(),
            Some(hash) => Update::builder()
                .table_name(&self.tables.credentials)
                .key(PK, pk)
                .key(SK, sk)
                .update_expression("SET #hash = :hash")
                .condition_expression(is_the_checked_one)
                .expression_attribute_names("#hash", "hash")
                .expression_attribute_values(":hash", text(hash.expose()))
                .expression_attribute_values(":version", version)
                .into_write(),
        }
    }

    /// The write that records a new session's time with the user. Sign-ins of one user follow each
    /// other through it, so that their number can be bounded and no joint ending overlooks one.
    fn newest_session_update(&self, user: &User, newest: Timestamp) -> UpdateBuilder {
        let is_active_and_no_session_began_or_ended =
            "is_active = :true AND sessions_newest = :read AND sessions_since = :since";
        Update::builder()
            .table_name(&self.tables.identity)
            .key(PK, text(identity::user_pk(user.id)))
            .key(SK, text(identity::USER_SK))
            .update_expression("SET sessions_newest = :newest")
            .condition_expression(is_active_and_no_session_began_or_ended)
            .expression_attribute_values(":true", AttributeValue::Bool(true))
            .expression_attribute_values(":newest", number(newest.millis()))
            .expression_attribute_values(":read", number(user.sessions.newest.millis()))
            .expression_attribute_values(":since", number(user.sessions.since.millis()))
    }

    /// The write that ends every session there is but `kept`, together with `also`, more
    /// assignments of the same update.
    pub(super) fn end_sessions_update(
        &self,
        user: &User,
        kept: Option<SessionId>,
        now: Timestamp,
        also: Option<&str>,
    ) -> UpdateBuilder {
        let rule = user.sessions.ending_all(now, kept);
        let no_session_began_or_ended =
            "is_active = :active AND sessions_newest = :read AND sessions_since = :read_since";
        let also = also
            .map(|assignments| format!(", {assignments}"))
            .unwrap_or_default();
        let (set_kept, remove_kept) = match kept {
            Some(_) => (", sessions_kept = :kept", ""),
            None => ("", " REMOVE sessions_kept"),
        };
        let mut update = Update::builder()
            .table_name(&self.tables.identity)
            .key(PK, text(identity::user_pk(user.id)))
            .key(SK, text(identity::USER_SK))
            .update_expression(format!(
                "SET sessions_since = :since, sessions_newest = :since, updated_at = :now\
                 {set_kept}{also}{remove_kept}",
            ))
            .condition_expression(no_session_began_or_ended)
            .expression_attribute_values(":active", AttributeValue::Bool(user.is_active))
            .expression_attribute_values(":since", number(rule.since.millis()))
            .expression_attribute_values(":now", number(now.millis()))
            .expression_attribute_values(":read", number(user.sessions.newest.millis()))
            .expression_attribute_values(":read_since", number(user.sessions.since.millis()));
        if let Some(kept) = kept {
            update = update.expression_attribute_values(":kept", text(kept));
        }
        update
    }
}

/// The sessions that go when one more begins: the dead ones, and the oldest beyond the bound.
fn surplus(user: &User, oldest_first: &[Session], now: Timestamp) -> Vec<SessionId> {
    let is_in_force = |session: &&Session| user.sessions.admits(session.id) && session.is_live(now);
    let (live, dead): (Vec<&Session>, Vec<&Session>) = oldest_first.iter().partition(is_in_force);
    let beyond_the_bound = (live.len() + 1).saturating_sub(MAX_SESSIONS);
    let oldest = live.into_iter().take(beyond_the_bound);
    oldest
        .chain(dead)
        .take(MAX_CLEARED)
        .map(|session| session.id)
        .collect()
}
