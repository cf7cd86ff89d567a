//! The `credentials` table: what proves who somebody is. Only `auth` may read it.
//!
//! | pk | sk | item |
//! |---|---|---|
//! | `USER#<user>` | `PASSWORD` | [`PasswordItem`] |
//! | `USER#<user>` | `SESSION#<session>` | [`SessionItem`] |
//! | `TOKEN#<digest>` | `TOKEN` | [`OneTimeTokenItem`] |
//! | `MAILS#<digest of the address>` | `BUDGET` | [`MailBudgetItem`] |

use serde::{Deserialize, Serialize};

use crate::auth::access_token::ACCESS_TOKEN_LIFETIME;
use crate::auth::one_time_token::sha256_base64;
use crate::auth::{EmailKey, Purpose, Session, TokenDigest};
use crate::clock::Timestamp;
use crate::ids::{SessionId, UserId};

pub(crate) const PASSWORD_SK: &str = "PASSWORD";
pub(crate) const SESSION_SK_PREFIX: &str = "SESSION#";
pub(crate) const TOKEN_SK: &str = "TOKEN";
pub(crate) const BUDGET_SK: &str = "BUDGET";

pub(crate) fn user_pk(user: UserId) -> String {
    format!("USER#{user}")
}

pub(crate) fn session_sk(session: SessionId) -> String {
    format!("{SESSION_SK_PREFIX}{session}")
}

pub(crate) fn token_pk(digest: &TokenDigest) -> String {
    format!("TOKEN#{}", digest.as_str())
}

/// The address itself does not stand in the key: it may be a stranger's.
pub(crate) fn budget_pk(email: &EmailKey) -> String {
    format!("MAILS#{}", sha256_base64(email.as_str().as_bytes()))
}

/// A user's password. `version` is raised by every change of it, and `resets` by every reset.
#[derive(Serialize, Deserialize)]
pub(crate) struct PasswordItem {
    pub(crate) pk: String,
    pub(crate) sk: String,
    pub(crate) hash: String,
    pub(crate) version: u64,
    pub(crate) resets: u64,
    pub(crate) changed_at: i64,
}

/// A session and the state of its refresh token.
#[derive(Serialize, Deserialize)]
pub(crate) struct SessionItem {
    pub(crate) pk: String,
    pub(crate) sk: String,
    pub(crate) id: SessionId,
    pub(crate) user_id: UserId,
    pub(crate) created_at: i64,
    pub(crate) rotated_at: i64,
    pub(crate) generation: u64,
    #[serde(with = "serde_bytes")]
    pub(crate) salt: Vec<u8>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) user_agent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) ip: Option<String>,
    pub(crate) ttl: i64,
}

impl From<&Session> for SessionItem {
    fn from(session: &Session) -> Self {
        Self {
            pk: user_pk(session.user),
            sk: session_sk(session.id),
            id: session.id,
            user_id: session.user,
            created_at: session.created_at.millis(),
            rotated_at: session.rotated_at.millis(),
            generation: session.generation,
            salt: session.salt.clone(),
            user_agent: session.user_agent.clone(),
            ip: session.ip.clone(),
            ttl: session
                .refreshable_until()
                .plus(ACCESS_TOKEN_LIFETIME)
                .seconds(),
        }
    }
}

impl From<SessionItem> for Session {
    fn from(item: SessionItem) -> Self {
        Self {
            id: item.id,
            user: item.user_id,
            created_at: Timestamp::from_millis(item.created_at),
            rotated_at: Timestamp::from_millis(item.rotated_at),
            generation: item.generation,
            salt: item.salt,
            user_agent: item.user_agent,
            ip: item.ip,
        }
    }
}

/// A one-time token, by its digest. It is good only while the password's `version` (for a reset)
/// or `resets` (for a verification) is what it was when the token was made.
#[derive(Serialize, Deserialize)]
pub(crate) struct OneTimeTokenItem {
    pub(crate) pk: String,
    pub(crate) sk: String,
    pub(crate) purpose: Purpose,
    pub(crate) user_id: UserId,
    pub(crate) password_version: u64,
    pub(crate) resets: u64,
    pub(crate) expires_at: i64,
    pub(crate) ttl: i64,
}

/// When mails went to an address within the last hour.
#[derive(Serialize, Deserialize)]
pub(crate) struct MailBudgetItem {
    pub(crate) pk: String,
    pub(crate) sk: String,
    pub(crate) sent_at: Vec<i64>,
    pub(crate) version: u64,
    pub(crate) ttl: i64,
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use serde_dynamo::AttributeValue;

    use super::*;
    use crate::auth::OneTimeToken;

    #[test]
    fn a_session_survives_the_round_trip_through_its_item() {
        let at = Timestamp::from_millis(1_795_207_396_042);
        let session = Session {
            id: SessionId::new(at),
            user: UserId::new(at),
            created_at: at,
            rotated_at: at,
            generation: 3,
            salt: vec![0, 1, 255],
            user_agent: Some("curl/8".into()),
            ip: None,
        };

        let item: HashMap<String, AttributeValue> =
            serde_dynamo::to_item(SessionItem::from(&session)).unwrap();
        let read = Session::from(serde_dynamo::from_item::<_, SessionItem>(item).unwrap());

        assert_eq!(format!("{read:?}"), format!("{session:?}"));
    }

    #[test]
    fn keys_of_different_things_never_meet() {
        let at = Timestamp::from_millis(1_795_207_396_042);
        let email = |text: &str| text.parse::<crate::auth::EmailAddress>().unwrap().key();
        let keys = [
            user_pk(UserId::new(at)),
            token_pk(&OneTimeToken::generate().digest()),
            budget_pk(&email("ada@example.com")),
            budget_pk(&email("ada@example.org")),
        ];

        for (index, key) in keys.iter().enumerate() {
            assert!(!keys[index + 1..].contains(key));
        }
        assert_eq!(budget_pk(&email("ADA@example.com")), keys[2]);
    }
}
