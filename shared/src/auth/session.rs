//! Sessions: one sign-in on one device, kept alive by a refresh token that changes at every use.

use std::time::Duration;

use super::one_time_token::random_bytes;
use crate::clock::Timestamp;
use crate::ids::{SessionId, UserId};

/// How long a refresh token lives when it is not used.
pub const REFRESH_TOKEN_LIFETIME: Duration = Duration::from_hours(7 * 24);
/// How long a session lives, however often it is refreshed.
pub const SESSION_LIFETIME: Duration = Duration::from_hours(30 * 24);
/// How long the immediate predecessor of a refresh token is still answered, so that an answer
/// lost on the way, or two tabs that refresh at once, end no session.
pub const REUSE_GRACE: Duration = Duration::from_secs(10);
/// The most sessions that a user has at a time; one more ends the oldest.
pub const MAX_SESSIONS: usize = 50;

const FIRST_GENERATION: u64 = 1;

/// Where a sign-in came from, as the list of sessions shows it.
#[derive(Clone, Debug, Default)]
pub struct SessionOrigin {
    pub user_agent: Option<String>,
    pub ip: Option<String>,
}

/// A session. Its `generation` is that of the newest refresh token issued for it.
#[derive(Clone, Debug)]
pub struct Session {
    pub id: SessionId,
    pub user: UserId,
    pub created_at: Timestamp,
    /// When the newest refresh token was issued, which is when the session was last used.
    pub rotated_at: Timestamp,
    pub generation: u64,
    /// Random; part of what the refresh tokens' MAC covers.
    pub salt: Vec<u8>,
    pub user_agent: Option<String>,
    pub ip: Option<String>,
}

/// How a session ends before its time, by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SessionEnd {
    /// It signed out.
    SignedOut,
    /// Its user ended it from this session.
    EndedFrom(SessionId),
    /// A refresh token of it was used twice.
    RefreshTokenReused,
}

/// What follows from a refresh token whose MAC is good.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RefreshDecision {
    /// It is the newest: exchange it for the next generation.
    Rotate,
    /// It is the newest's immediate predecessor, within the grace: give the newest again.
    Repeat,
    /// It was exchanged before: somebody else may hold the session. End it.
    EndReused,
    /// It is too old, or its session is.
    Expired,
}

impl Session {
    /// A session that begins now.
    pub fn begin(user: UserId, origin: &SessionOrigin, now: Timestamp) -> Self {
        Self {
            id: SessionId::new(now),
            user,
            created_at: now,
            rotated_at: now,
            generation: FIRST_GENERATION,
            salt: random_bytes::<16>().to_vec(),
            user_agent: origin.user_agent.clone(),
            ip: origin.ip.clone(),
        }
    }

    /// Whether its tokens are still those that it began with.
    pub fn is_unrotated(&self) -> bool {
        self.generation == FIRST_GENERATION
    }

    /// When the session can no longer be refreshed.
    pub fn refreshable_until(&self) -> Timestamp {
        let token_ends = self.rotated_at.plus(REFRESH_TOKEN_LIFETIME);
        token_ends.min(self.created_at.plus(SESSION_LIFETIME))
    }

    /// Whether it can still be refreshed.
    pub fn is_live(&self, now: Timestamp) -> bool {
        now < self.refreshable_until()
    }

    /// What to do about a refresh token of generation `presented` (RFC 9700, section 4.14.2).
    pub fn judge(&self, presented: u64, now: Timestamp) -> RefreshDecision {
        let is_predecessor = presented.checked_add(1) == Some(self.generation);
        let is_within_grace = now.since(self.rotated_at) <= REUSE_GRACE;
        if !self.is_live(now) || presented > self.generation {
            RefreshDecision::Expired
        } else if presented == self.generation {
            RefreshDecision::Rotate
        } else if is_predecessor && is_within_grace {
            RefreshDecision::Repeat
        } else {
            RefreshDecision::EndReused
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: Timestamp = Timestamp::from_millis(1_795_207_396_042);

    fn session() -> Session {
        Session {
            id: SessionId::new(T),
            user: UserId::new(T),
            created_at: T,
            rotated_at: T,
            generation: 5,
            salt: vec![],
            user_agent: None,
            ip: None,
        }
    }

    #[test]
    fn a_refresh_token_is_judged_by_its_generation_and_age() {
        use RefreshDecision::{EndReused, Expired, Repeat, Rotate};
        let days = |n: u64| Duration::from_hours(24 * n);
        let ms = Duration::from_millis;
        let cases = [
            (5, ms(0), Rotate),
            (5, days(7).saturating_sub(ms(1)), Rotate),
            (5, days(7), Expired),
            (4, ms(0), Repeat),
            (4, ms(10_000), Repeat),
            (4, ms(10_001), EndReused),
            (3, ms(0), EndReused),
            (0, ms(0), EndReused),
            (6, ms(0), Expired),
            (u64::MAX, ms(0), Expired),
            (4, days(8), Expired),
        ];

        for (presented, age, expected) in cases {
            let decision = session().judge(presented, T.plus(age));
            assert_eq!(decision, expected, "generation {presented} after {age:?}");
        }
    }

    #[test]
    fn a_session_ends_after_thirty_days_although_it_is_refreshed() {
        let day_29 = T.plus(Duration::from_hours(29 * 24));
        let session = Session {
            rotated_at: day_29,
            ..session()
        };

        assert!(session.is_live(day_29));
        assert_eq!(session.refreshable_until(), T.plus(SESSION_LIFETIME));
        assert!(!session.is_live(T.plus(SESSION_LIFETIME)));
    }
}
