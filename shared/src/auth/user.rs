//! Users: who they are, what tier they are in, which of their sessions stand.
//!
//! What a role lets its holder do stands in [`super::scope`].

use std::fmt;

use serde::{Deserialize, Serialize};

use super::EmailAddress;
use crate::clock::Timestamp;
use crate::ids::{SessionId, UserId};

/// The tier that decides a user's limits; its name is a key of the policy's `[tiers]`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(example = "free")]
pub struct Tier(String);

impl Tier {
    /// Where everybody starts.
    pub fn free() -> Self {
        Self("free".to_owned())
    }

    /// Where the operator's own people are.
    pub fn enterprise() -> Self {
        Self("enterprise".to_owned())
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What somebody is to the product.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    User,
    Support,
    Admin,
}

/// An account.
#[derive(Clone, Debug)]
pub struct User {
    pub id: UserId,
    pub email: EmailAddress,
    pub full_name: Option<String>,
    pub tier: Tier,
    pub roles: Vec<Role>,
    pub is_active: bool,
    pub is_verified: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// Raised by every change that bears on what the user may do; a token states the one that it
    /// was made under.
    pub epoch: u64,
    /// Which of the user's sessions are still good.
    pub sessions: SessionRule,
}

/// Which sessions of a user have not been ended together: those made at `since` or later, and the
/// one that ended the others.
///
/// One write so ends any number of sessions, at once and without knowing them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SessionRule {
    pub since: Timestamp,
    pub kept: Option<SessionId>,
    /// The time in the newest session's id. It never runs backwards, whatever the callers'
    /// clocks say, so that `since` can be put after every session there is.
    pub newest: Timestamp,
}

impl SessionRule {
    /// What holds for a user who has had no session before `now`.
    pub fn new(now: Timestamp) -> Self {
        Self {
            since: now,
            kept: None,
            newest: now,
        }
    }

    /// Whether a session has survived every joint ending so far.
    pub fn admits(&self, session: SessionId) -> bool {
        session.made_at() >= self.since || self.kept == Some(session)
    }

    /// The time that the next session's id must carry: later than that of every one before it.
    pub fn next_session_at(&self, now: Timestamp) -> Timestamp {
        now.max(self.since)
            .max(Timestamp::from_millis(self.newest.millis() + 1))
    }

    /// The rule that ends every session there is, but for `kept`.
    #[must_use]
    pub fn ending_all(&self, now: Timestamp, kept: Option<SessionId>) -> Self {
        let after_every_session = Timestamp::from_millis(self.newest.millis() + 1);
        let since = now.max(self.since).max(after_every_session);
        Self {
            since,
            kept,
            newest: since,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: Timestamp = Timestamp::from_millis(1_795_207_396_042);

    #[test]
    fn ending_all_ends_a_session_of_the_same_millisecond_and_of_a_clock_that_is_ahead() {
        let ahead = Timestamp::from_millis(T.millis() + 500);
        let session = SessionId::new(ahead);
        let rule = SessionRule {
            newest: ahead,
            ..SessionRule::new(T)
        };

        let ended = rule.ending_all(T, None);

        assert!(rule.admits(session));
        assert!(!ended.admits(session));
    }

    #[test]
    fn a_session_made_after_the_ending_is_good_although_its_makers_clock_is_behind() {
        let ended = SessionRule::new(T).ending_all(T, None);
        let behind = Timestamp::from_millis(T.millis() - 5_000);

        let session = SessionId::new(ended.next_session_at(behind));

        assert!(ended.admits(session));
    }

    #[test]
    fn the_session_that_ends_the_others_stays_until_it_is_ended_itself() {
        let mine = SessionId::new(T);
        let rule = SessionRule::new(T);

        let kept = rule.ending_all(T, Some(mine));
        let none = kept.ending_all(T, None);

        assert!(kept.admits(mine));
        assert!(!none.admits(mine));
    }
}
