//! Standing: what makes a user's credentials valid, kept where requests are admitted.
//!
//! A session is good while it is among the live ones, a user while they are active, and what
//! somebody knows of a user while the epoch is the current one. Every change of these is part of
//! the transaction that makes the change, so there is no moment at which they disagree.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem, Update};

use super::accounts::create;
use super::admission::Expression;
use super::tables::admission::{ACTIVE, ADMISSION_SK, EPOCH, LIVE, StandingItem, VERSION, user_pk};
use super::tables::{PK, SK};
use super::transaction::IntoWrite;
use super::{StoreError, UserStore, number, text};
use crate::auth::User;
use crate::ids::{SessionId, UserId};
use crate::limits::{Proof, Verdict};

/// What makes the credentials of a user valid, as it was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Standing {
    /// Raised by every change of it.
    pub version: u64,
    /// Raised by every change of the user's record or keys.
    pub epoch: u64,
    pub is_active: bool,
    /// How often the windows were reset.
    pub resets: u64,
    live: BTreeSet<String>,
}

impl Standing {
    /// Whether the session has not ended.
    pub fn admits(&self, session: SessionId) -> bool {
        self.is_active && self.live.contains(&session.short())
    }

    /// What it has against a proof; `None` if nothing.
    pub(super) fn objection(&self, proof: Proof) -> Option<Verdict> {
        let has_ended = proof.session.is_some_and(|session| !self.admits(session));
        if !self.is_active || has_ended {
            Some(Verdict::Invalid)
        } else if self.epoch != proof.epoch {
            Some(Verdict::Outdated)
        } else {
            None
        }
    }

    /// The live sessions, in their short form.
    pub(super) fn live(&self) -> impl Iterator<Item = &str> {
        self.live.iter().map(String::as_str)
    }
}

impl From<StandingItem> for Standing {
    fn from(item: StandingItem) -> Self {
        Self {
            version: item.v,
            epoch: item.ep,
            is_active: item.active,
            resets: item.rs,
            live: item.live,
        }
    }
}

/// What becomes of a user's live sessions.
pub(super) enum Sessions {
    /// They stay as they are.
    Stay,
    /// They stay as they are, and this one must be among them.
    StayWith(SessionId),
    /// One ends, which must be live, whatever the others do.
    Without(SessionId),
    /// All end but one, which must be live.
    Only(SessionId),
    /// All end, if there are any.
    None,
    /// All end, of which there must be one.
    AllEnd,
    /// They become these, if nothing has changed since this version was read.
    Exactly(BTreeSet<String>, u64),
}

/// Whether what is known of the user remains current.
pub(super) enum Epoch {
    Stays,
    /// It is raised from what was read.
    RaisedFrom(u64),
}

impl UserStore {
    /// What makes the credentials of a user valid; `None` if there is no such user.
    pub async fn standing(&self, user: UserId) -> Result<Option<Standing>, StoreError> {
        let item: Option<StandingItem> = self
            .get(&self.admission, user_pk(user), ADMISSION_SK)
            .await?;
        Ok(item.map(Standing::from))
    }

    /// The write that gives a new user a standing.
    pub(super) fn standing_begins(
        &self,
        user: &User,
        session: Option<SessionId>,
    ) -> Result<TransactWriteItem, StoreError> {
        create(
            &self.admission,
            StandingItem {
                pk: user_pk(user.id),
                sk: ADMISSION_SK.to_owned(),
                v: 1,
                ep: user.epoch,
                active: user.is_active,
                live: session.iter().map(|session| session.short()).collect(),
                rs: 0,
            },
        )
    }

    /// The write that changes a user's standing. It fails when the user is inactive, or when what
    /// the change builds on is no longer so.
    pub(super) fn standing_changes(
        &self,
        user: UserId,
        sessions: Sessions,
        epoch: &Epoch,
    ) -> TransactWriteItem {
        self.standing_changes_without(user, sessions, epoch, &[])
    }

    /// As [`Self::standing_changes`]; the attributes of windows that nobody counts in any more are
    /// removed with it.
    pub(super) fn standing_changes_without(
        &self,
        user: UserId,
        sessions: Sessions,
        epoch: &Epoch,
        unused: &[String],
    ) -> TransactWriteItem {
        let mut update = Update::builder()
            .table_name(&self.admission)
            .key(PK, text(user_pk(user)))
            .key(SK, text(ADMISSION_SK))
            .expression_attribute_names("#v", VERSION)
            .expression_attribute_names("#active", ACTIVE)
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":true", AttributeValue::Bool(true));
        let (mut set, mut removed, mut delete) = (String::new(), Vec::new(), "");
        let mut condition = String::from("#active = :true");
        if !matches!(sessions, Sessions::Stay) {
            update = update.expression_attribute_names("#live", LIVE);
        }
        let set_of = |live: Vec<String>| AttributeValue::Ss(live);
        match sessions {
            Sessions::Stay => {}
            Sessions::StayWith(session) => {
                condition.push_str(" AND contains(#live, :kept)");
                update = update.expression_attribute_values(":kept", text(session.short()));
            }
            Sessions::Without(session) => {
                delete = " DELETE #live :live";
                condition.push_str(" AND contains(#live, :kept)");
                update = update.expression_attribute_values(":kept", text(session.short()));
                let ended = set_of(vec![session.short()]);
                update = update.expression_attribute_values(":live", ended);
            }
            Sessions::Only(session) => {
                set.push_str("#live = :live");
                condition.push_str(" AND contains(#live, :kept)");
                update = update
                    .expression_attribute_values(":live", set_of(vec![session.short()]))
                    .expression_attribute_values(":kept", text(session.short()));
            }
            Sessions::None => removed.push("#live".to_owned()),
            Sessions::AllEnd => {
                removed.push("#live".to_owned());
                condition.push_str(" AND attribute_exists(#live)");
            }
            Sessions::Exactly(live, version) => {
                condition.push_str(" AND #v = :version");
                update = update.expression_attribute_values(":version", number(version));
                if live.is_empty() {
                    removed.push("#live".to_owned());
                } else {
                    set.push_str("#live = :live");
                    let live = set_of(live.into_iter().collect());
                    update = update.expression_attribute_values(":live", live);
                }
            }
        }
        if let Epoch::RaisedFrom(read) = epoch {
            if !set.is_empty() {
                set.push_str(", ");
            }
            set.push_str("#ep = :next");
            condition.push_str(" AND #ep = :read");
            update = update
                .expression_attribute_names("#ep", EPOCH)
                .expression_attribute_values(":next", number(read + 1))
                .expression_attribute_values(":read", number(read));
        }
        for (index, name) in unused.iter().enumerate() {
            update = update.expression_attribute_names(format!("#w{index}"), name);
            removed.push(format!("#w{index}"));
        }
        let set = if set.is_empty() {
            set
        } else {
            format!("SET {set} ")
        };
        let remove = if removed.is_empty() {
            String::new()
        } else {
            format!(" REMOVE {}", removed.join(", "))
        };
        update
            .update_expression(format!("{set}ADD #v :one{remove}{delete}"))
            .condition_expression(condition)
            .into_write()
    }

    /// The write that follows a change of a user's record by an admin: `read` is the user as the
    /// change found them, active or not. Who is made inactive or active has no session left. It
    /// fails when the record is no longer the one that was read, or when `also` does not hold.
    pub(super) fn standing_follows(
        &self,
        read: &User,
        is_active: bool,
        also: Expression,
    ) -> TransactWriteItem {
        let mut it = also;
        let (version, one) = (it.name(VERSION), it.value(number(1)));
        it.set(format!("{version} = {version} + {one}"));
        let (epoch, before) = (it.name(EPOCH), it.value(number(read.epoch)));
        let is_of_that_record = format!("{epoch} = {before}");
        it.require(is_of_that_record);
        let next = it.value(number(read.epoch + 1));
        it.set(format!("{epoch} = {next}"));
        if is_active != read.is_active {
            let (active, becomes) = (it.name(ACTIVE), it.value(AttributeValue::Bool(is_active)));
            it.set(format!("{active} = {becomes}"));
            let live = it.name(LIVE);
            it.remove(live);
        }
        let update = Update::builder()
            .table_name(&self.admission)
            .key(PK, text(user_pk(read.id)))
            .key(SK, text(ADMISSION_SK));
        it.apply_to_write(update).into_write()
    }
}
