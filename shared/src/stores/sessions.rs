//! Sessions: made at sign-in, refreshed one generation at a time, ended one by one or together.
//!
//! A session's item holds the state of its refresh token; whether the session is still good says
//! the user's [`Standing`].

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::{ConditionCheck, Delete, TransactWriteItem, Update};

use super::accounts::{create, pauses, wait};
use super::standing::{Epoch, Sessions, Standing};
use super::tables::credentials::{self, SessionItem};
use super::tables::{PK, SK};
use super::transaction::{IntoWrite, NotWritten, transact};
use super::{
    AccountStore, Item, StoreError, StoredPassword, from_item, if_condition_held, number, text,
};
use crate::audit::{Action, Actor, AuditEntry};
use crate::auth::session::{MAX_SESSIONS, SessionEnd, SessionOrigin};
use crate::auth::{PasswordHash, Session, User};
use crate::clock::Timestamp;
use crate::ids::{SessionId, UserId};

/// How many dead sessions one sign-in clears away on its way.
const MAX_CLEARED: usize = 20;

/// What became of a sign-in whose password was right.
pub enum SignedIn {
    Yes(Box<(User, Session)>),
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

impl AccountStore {
    /// Makes a session for a user whose password was `checked`, and replaces the hash by
    /// `upgrade` if that is given. A change of the password or a deactivation that comes in
    /// between wins. The oldest sessions beyond 50 end.
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
            // The standing first: a session that is live in it is then among the sessions, and one
            // that begins later changes its version. The other way round, a sign-in in between
            // would be taken for a session that has expired.
            let of_sessions = async {
                let standing = self.users.standing(user).await?;
                Ok::<_, StoreError>((standing, self.sessions_of(user).await?))
            };
            let (found, (standing, sessions)) =
                tokio::try_join!(self.users.user(user), of_sessions)?;
            let Some(user) = found.filter(|user| user.is_active) else {
                return Ok(SignedIn::Superseded);
            };
            let session = Session::begin(user.id, origin, now);
            let going = surplus(standing.as_ref(), &sessions, now);
            let staying: Vec<SessionId> = sessions
                .iter()
                .map(|session| session.id)
                .filter(|id| !going.contains(id))
                .collect();
            let ended = going.iter().filter(|id| {
                let of_session = sessions.iter().find(|session| session.id == **id);
                of_session.is_some_and(|session| is_in_force(standing.as_ref(), session, now))
            });
            let entry = began(&session, &ended.copied().collect::<Vec<_>>(), now);
            let mut writes = vec![
                self.password_as_checked(user.id, checked, upgrade),
                self.session_joins(&user, &session, standing.as_ref(), &staying)?,
                create(&self.credentials, SessionItem::from(&session))?,
                self.users.audited(&entry)?,
            ];
            writes.extend(going.iter().map(|id| self.session_deleted(user.id, *id)));
            match transact(&self.users.client, writes).await {
                Ok(()) => return Ok(SignedIn::Yes(Box::new((user, session)))),
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
            .users
            .client
            .update_item()
            .table_name(&self.credentials)
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
        Ok(match if_condition_held("UpdateItem", answer)? {
            Some(_) => Refreshed::Yes(refreshed),
            None => Refreshed::Superseded,
        })
    }

    /// Ends one session. Returns whether it was live.
    pub async fn end_session(
        &self,
        user: UserId,
        id: SessionId,
        how: SessionEnd,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let standing = self.users.standing(user).await?;
        if !standing.is_some_and(|standing| standing.admits(id)) {
            return Ok(false);
        }
        let writes = vec![
            self.users
                .standing_changes(user, Sessions::Without(id), &Epoch::Stays),
            self.session_deleted(user, id),
            self.users.audited(&ended(user, id, how, now))?,
        ];
        match transact(&self.users.client, writes).await {
            Ok(()) => Ok(true),
            // It ended meanwhile.
            Err(NotWritten::Condition(_)) => Ok(false),
            Err(NotWritten::Failed(error)) => Err(error),
        }
    }

    /// Ends every session of a user at once.
    pub async fn end_all_sessions(&self, user: UserId, now: Timestamp) -> Result<(), StoreError> {
        let entry = AuditEntry::new(now, Actor::User(user), Action::SessionEnded, user)
            .with("how", "signed-out-everywhere")
            .with("sessions_ended", "all");
        let writes = vec![
            self.users
                .standing_changes(user, Sessions::AllEnd, &Epoch::Stays),
            self.users.audited(&entry)?,
        ];
        match transact(&self.users.client, writes).await {
            // There was none, or the user is inactive, and so has none.
            Ok(()) | Err(NotWritten::Condition(_)) => Ok(()),
            Err(NotWritten::Failed(error)) => Err(error),
        }
    }

    /// The sessions of a user that can still be used, newest first.
    pub async fn live_sessions(
        &self,
        user: UserId,
        now: Timestamp,
    ) -> Result<Vec<Session>, StoreError> {
        let (standing, mut sessions) =
            tokio::try_join!(self.users.standing(user), self.sessions_of(user))?;
        sessions.retain(|session| is_in_force(standing.as_ref(), session, now));
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
            .users
            .get(&self.credentials, pk, credentials::session_sk(id))
            .await?;
        Ok(item.map(Session::from))
    }

    /// Every session item of a user, oldest first; at most 50 of them are in force.
    async fn sessions_of(&self, user: UserId) -> Result<Vec<Session>, StoreError> {
        let answer = self
            .users
            .client
            .query()
            .table_name(&self.credentials)
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

    /// The write that makes a session live beside those that stay. Sign-ins of one user follow
    /// each other through it, so that the number of sessions is bounded.
    fn session_joins(
        &self,
        user: &User,
        session: &Session,
        standing: Option<&Standing>,
        staying: &[SessionId],
    ) -> Result<TransactWriteItem, StoreError> {
        let Some(standing) = standing else {
            return self.users.standing_begins(user, Some(session.id));
        };
        let stays = |id: &&SessionId| standing.admits(**id);
        let mut live: BTreeSet<String> =
            staying.iter().filter(stays).map(|id| id.short()).collect();
        live.insert(session.id.short());
        let sessions = Sessions::Exactly(live, standing.version);
        Ok(self
            .users
            .standing_changes(user.id, sessions, &Epoch::Stays))
    }

    fn session_deleted(&self, user: UserId, id: SessionId) -> TransactWriteItem {
        Delete::builder()
            .table_name(&self.credentials)
            .key(PK, text(credentials::user_pk(user)))
            .key(SK, text(credentials::session_sk(id)))
            .into_write()
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
                .table_name(&self.credentials)
                .key(PK, pk)
                .key(SK, sk)
                .condition_expression(is_the_checked_one)
                .expression_attribute_values(":version", version)
                .into_write(),
            Some(hash) => Update::builder()
                .table_name(&self.credentials)
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
}

/// What the audit log says of a session that begins, and of those that it displaces.
fn began(session: &Session, displaced: &[SessionId], now: Timestamp) -> AuditEntry {
    let actor = Actor::User(session.user);
    let entry = AuditEntry::new(now, actor, Action::SessionBegan, session.id);
    let displaced: Vec<String> = displaced.iter().map(SessionId::to_string).collect();
    if displaced.is_empty() {
        entry
    } else {
        entry.with("sessions_ended", displaced)
    }
}

/// What the audit log says of a session that ends by itself. Who uses a refresh token twice need
/// not be the user.
fn ended(user: UserId, id: SessionId, how: SessionEnd, now: Timestamp) -> AuditEntry {
    let by_user = |how: &str| {
        AuditEntry::new(now, Actor::User(user), Action::SessionEnded, id).with("how", how)
    };
    match how {
        SessionEnd::SignedOut => by_user("signed-out"),
        SessionEnd::EndedFrom(session) => {
            by_user("ended-from-another").with("by", session.to_string())
        }
        SessionEnd::RefreshTokenReused => {
            AuditEntry::new(now, Actor::Anonymous, Action::RefreshTokenReused, id)
                .with("user", user.to_string())
        }
    }
}

fn is_in_force(standing: Option<&Standing>, session: &Session, now: Timestamp) -> bool {
    session.is_live(now) && standing.is_some_and(|standing| standing.admits(session.id))
}

/// The sessions that go when one more begins: the dead ones, and the oldest beyond the bound.
fn surplus(
    standing: Option<&Standing>,
    oldest_first: &[Session],
    now: Timestamp,
) -> Vec<SessionId> {
    let (live, dead): (Vec<&Session>, Vec<&Session>) = oldest_first
        .iter()
        .partition(|session| is_in_force(standing, session, now));
    let beyond_the_bound = (live.len() + 1).saturating_sub(MAX_SESSIONS);
    let oldest = live.into_iter().take(beyond_the_bound);
    oldest
        .chain(dead)
        .take(MAX_CLEARED)
        .map(|session| session.id)
        .collect()
}
