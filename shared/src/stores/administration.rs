//! What admins change of a user: tier, roles, activity, limits, what is counted, sessions.
//!
//! Each change is one transaction with its entry for the audit log. All but the end of sessions
//! raise the epoch, so that the next request of that user meets it on every instance. A change of
//! what changed meanwhile is decided on anew.

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};

use super::accounts::{pauses, wait};
use super::admission::{Expression, reset};
use super::records::Assignment;
use super::standing::{Epoch, Sessions};
use super::tables::admission::{ADMISSION_SK, user_pk as admission_pk};
use super::tables::identity::{self, OverrideItem, QUOTA_OVERRIDE, UserItem};
use super::transaction::{NotWritten, transact};
use super::{StoreError, UserStore, number, text, to_attribute};
use crate::audit::{Action, AuditEntry};
use crate::auth::administration::{differences, told_of_override};
use crate::auth::{ChangedBy, QuotaOverride, User, UserChange};
use crate::clock::Timestamp;
use crate::ids::UserId;

/// What came of a change.
#[derive(Debug)]
pub enum Administered {
    /// The user is as the change wants them; it may have been so before.
    Done(Box<User>),
    NotFound,
    /// It would have left no active admin.
    LastAdmin,
}

/// A change of a user's record, decided on the record as it was read.
struct Decided {
    after: User,
    assigned: Vec<Assignment>,
    entry: AuditEntry,
}

impl UserStore {
    /// Changes a user's tier, roles and activity. Deactivation ends every session.
    pub async fn change_user(
        &self,
        id: UserId,
        change: &UserChange,
        by: ChangedBy,
        now: Timestamp,
    ) -> Result<Administered, StoreError> {
        self.administer(id, now, "change_user", |_, before| {
            let Some(after) = change.applied_to(before) else {
                return Ok(None);
            };
            let assigned = vec![
                ("tier", Some(text(&after.tier))),
                ("roles", Some(to_attribute(&after.roles)?)),
                ("is_active", Some(AttributeValue::Bool(after.is_active))),
            ];
            let (was, is) = differences(before, &after);
            let entry = by.entry(now, Action::UserChanged, id);
            Ok(Some(Decided {
                after,
                assigned,
                entry: entry.with("before", was).with("after", is),
            }))
        })
        .await
    }

    /// Gives a user limits of their own, in the place of those that they may have already.
    pub async fn override_quota(
        &self,
        id: UserId,
        limits: QuotaOverride,
        reason: &str,
        by: ChangedBy,
        now: Timestamp,
    ) -> Result<Administered, StoreError> {
        let lifted = OverrideItem {
            limits,
            reason: Some(reason.to_owned()),
        };
        self.administer(id, now, "override_quota", |current, before| {
            if current == Some(&lifted) {
                return Ok(None);
            }
            let entry = by.entry(now, Action::QuotaOverridden, id);
            let entry = told_of_override(entry, &limits).with("reason", reason);
            Ok(Some(Decided {
                after: User {
                    quota_override: Some(limits),
                    ..before.clone()
                },
                assigned: vec![(QUOTA_OVERRIDE, Some(to_attribute(&lifted)?))],
                entry,
            }))
        })
        .await
    }

    /// Gives a user the tier's limits again.
    pub async fn end_override(
        &self,
        id: UserId,
        by: ChangedBy,
        now: Timestamp,
    ) -> Result<Administered, StoreError> {
        self.administer(id, now, "end_override", |current, before| {
            let Some(current) = current else {
                return Ok(None);
            };
            let entry = by.entry(now, Action::QuotaOverrideEnded, id);
            Ok(Some(Decided {
                after: User {
                    quota_override: None,
                    ..before.clone()
                },
                assigned: vec![(QUOTA_OVERRIDE, None)],
                entry: told_of_override(entry, &current.limits),
            }))
        })
        .await
    }

    /// Clears every window of a user, where DynamoDB counts and, by the number of resets in the
    /// standing, where Valkey does. What was admitted stays charged.
    pub async fn reset_quota(
        &self,
        id: UserId,
        by: ChangedBy,
        now: Timestamp,
    ) -> Result<Administered, StoreError> {
        for pause in std::iter::once(None).chain(pauses().map(Some)) {
            wait(pause).await;
            let Some(user) = self.user(id).await? else {
                return Ok(Administered::NotFound);
            };
            let counted = self.get_item(&self.admission, admission_pk(id), ADMISSION_SK);
            let reset = reset(&counted.await?.unwrap_or_default(), now);
            let after = moved_on(&user, now);
            let entry = by.entry(now, Action::QuotaReset, id);
            let writes = vec![
                self.record_moves_on(&user, vec![updated(now)]),
                self.standing_follows(&user, user.is_active, reset),
                self.audited(&entry)?,
            ];
            match transact(&self.client, writes).await {
                Ok(()) => return Ok(Administered::Done(Box::new(after))),
                Err(NotWritten::Condition(_)) => {}
                Err(NotWritten::Failed(error)) => return Err(error),
            }
        }
        Err(StoreError::Contended {
            operation: "reset_quota",
        })
    }

    /// Ends every session of a user at once.
    pub async fn revoke_sessions(
        &self,
        id: UserId,
        by: ChangedBy,
        now: Timestamp,
    ) -> Result<Administered, StoreError> {
        let Some(user) = self.user(id).await? else {
            return Ok(Administered::NotFound);
        };
        let writes = vec![
            self.standing_changes(id, Sessions::None, &Epoch::Stays),
            self.audited(&by.entry(now, Action::SessionsRevoked, id))?,
        ];
        match transact(&self.client, writes).await {
            // The condition fails for a user who is inactive, and so has no session.
            Ok(()) | Err(NotWritten::Condition(_)) => Ok(Administered::Done(Box::new(user))),
            Err(NotWritten::Failed(error)) => Err(error),
        }
    }

    /// Makes the change that `decide` comes to from a user's override and record; none, if it comes
    /// to none.
    async fn administer(
        &self,
        id: UserId,
        now: Timestamp,
        operation: &'static str,
        decide: impl Fn(Option<&OverrideItem>, &User) -> Result<Option<Decided>, StoreError>,
    ) -> Result<Administered, StoreError> {
        const ADMINS: usize = 3;
        for pause in std::iter::once(None).chain(pauses().map(Some)) {
            wait(pause).await;
            let pk = identity::user_pk(id);
            let item: Option<UserItem> = self.get(&self.identity, pk, identity::USER_SK).await?;
            let Some(item) = item else {
                return Ok(Administered::NotFound);
            };
            let current = item.quota_override.clone();
            let before = User::from(item);
            let Some(decided) = decide(current.as_ref(), &before)? else {
                return Ok(Administered::Done(Box::new(before)));
            };
            let writes = self.writes_of(&before, &decided, now)?;
            match transact(&self.client, writes).await {
                Ok(()) => {
                    let after = moved_on(&decided.after, now);
                    return Ok(Administered::Done(Box::new(after)));
                }
                Err(NotWritten::Condition(ADMINS)) => return Ok(Administered::LastAdmin),
                // Another change of the user came first.
                Err(NotWritten::Condition(_)) => {}
                Err(NotWritten::Failed(error)) => return Err(error),
            }
        }
        Err(StoreError::Contended { operation })
    }

    /// The writes of a change; that of the list of admins, if there is one, comes last.
    fn writes_of(
        &self,
        before: &User,
        decided: &Decided,
        now: Timestamp,
    ) -> Result<Vec<TransactWriteItem>, StoreError> {
        let mut assigned = decided.assigned.clone();
        assigned.push(updated(now));
        let mut writes = vec![
            self.record_moves_on(before, assigned),
            self.standing_follows(before, decided.after.is_active, Expression::default()),
            self.audited(&decided.entry)?,
        ];
        writes.extend(self.admins_after(before, &decided.after));
        Ok(writes)
    }
}

fn updated(now: Timestamp) -> Assignment {
    ("updated_at", Some(number(now.millis())))
}

/// The user behind a change of their record.
fn moved_on(user: &User, now: Timestamp) -> User {
    User {
        updated_at: now,
        epoch: user.epoch + 1,
        ..user.clone()
    }
}
