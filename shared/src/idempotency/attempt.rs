//! One try of a request, and what it meets that an earlier one left.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{Fingerprint, KEPT_FOR, LEASE, RecordId};
use crate::auth::one_time_token::random_bytes;
use crate::clock::Timestamp;

/// Tells tries of one request apart.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AttemptId(String);

impl AttemptId {
    fn generate() -> Self {
        Self(URL_SAFE_NO_PAD.encode(random_bytes::<16>()))
    }

    pub fn stored(text: String) -> Self {
        Self(text)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A try of a request. Its answer is kept only if the record is still its own by then, and what the
/// request does is done only if the answer is kept: so of several tries one takes effect, however
/// late another one wakes up.
#[derive(Clone, Debug)]
pub struct Attempt {
    pub record: RecordId,
    pub id: AttemptId,
    pub fingerprint: Fingerprint,
    pub began_at: Timestamp,
}

impl Attempt {
    pub fn begin(record: RecordId, fingerprint: Fingerprint, now: Timestamp) -> Self {
        Self {
            record,
            id: AttemptId::generate(),
            fingerprint,
            began_at: now,
        }
    }

    /// Until when no other try takes its place.
    pub fn leased_until(&self) -> Timestamp {
        self.began_at.plus(LEASE)
    }

    /// Until when the key stands for this request.
    pub fn kept_until(&self) -> Timestamp {
        self.began_at.plus(KEPT_FOR)
    }
}

/// A try's answer, sealed, to be written with what the request does.
#[derive(Clone, Debug)]
pub struct KeptAnswer {
    pub record: RecordId,
    pub attempt: AttemptId,
    pub sealed: Vec<u8>,
}

/// What an earlier try left, and still stands.
#[derive(Clone, Debug)]
pub struct Earlier {
    pub attempt: AttemptId,
    pub fingerprint: Fingerprint,
    /// `None` while it runs.
    pub sealed: Option<Vec<u8>>,
}

/// What becomes of a try that is not the first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Repeated {
    /// The key came with another content.
    WithAnotherContent,
    InProgress,
    /// This was answered, sealed.
    Answered(Vec<u8>),
}

impl Earlier {
    /// `None` when the try has met itself: the call that wrote it down was sent twice.
    pub fn met_by(self, attempt: &Attempt) -> Option<Repeated> {
        if !self.fingerprint.is_of_same(&attempt.fingerprint) {
            return Some(Repeated::WithAnotherContent);
        }
        match self.sealed {
            Some(sealed) => Some(Repeated::Answered(sealed)),
            None if self.attempt == attempt.id => None,
            None => Some(Repeated::InProgress),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::idempotency::KeyUser;
    use crate::ids::UserId;

    #[test]
    fn what_a_try_meets_decides_what_becomes_of_it() {
        let now = Timestamp::from_millis(1_795_207_396_042);
        let record = RecordId {
            user: KeyUser::Sessions(UserId::new(now)),
            digest: "digest".into(),
        };
        let (same, other) = (
            Fingerprint::stored(vec![1; 32]),
            Fingerprint::stored(vec![2; 32]),
        );
        let attempt = Attempt::begin(record, same.clone(), now);
        let (own, another) = (attempt.id.clone(), AttemptId::generate());
        let answer = Some(vec![7]);
        let answered = Some(Repeated::Answered(vec![7]));
        let cases = [
            (&another, &same, None, Some(Repeated::InProgress)),
            (&own, &same, None, None),
            (&another, &same, answer.clone(), answered),
            (&another, &other, None, Some(Repeated::WithAnotherContent)),
            (&another, &other, answer, Some(Repeated::WithAnotherContent)),
        ];

        for (id, fingerprint, sealed, expected) in cases {
            let earlier = Earlier {
                attempt: id.clone(),
                fingerprint: fingerprint.clone(),
                sealed,
            };

            assert_eq!(earlier.met_by(&attempt), expected);
        }
    }
}
