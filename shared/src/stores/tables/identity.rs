//! The `identity` table: who there is, and the outbox of what is to be told to whom.
//!
//! | pk | sk | item |
//! |---|---|---|
//! | `USER#<user>` | `USER` | [`UserItem`] |
//! | `EMAIL#<folded address>` | `GUARD` | [`EmailGuardItem`]: of one address there is one account |
//! | `OUTBOX#<event>` | `EVENT` | [`OutboxItem`] |
//! | `HEALTH` | `PROBE` | nothing: `/health` reads it to see whether the table answers |

use serde::{Deserialize, Serialize};

use crate::auth::{EmailAddress, EmailKey, Role, Tier, User};
use crate::clock::Timestamp;
use crate::ids::{EventId, UserId};
use crate::mail::MailEvent;

pub(crate) const USER_SK: &str = "USER";
pub(crate) const GUARD_SK: &str = "GUARD";
pub(crate) const EVENT_SK: &str = "EVENT";
pub(crate) const PROBE_PK: &str = "HEALTH";
pub(crate) const PROBE_SK: &str = "PROBE";

/// What the partition keys of the outbox begin with.
pub(crate) const OUTBOX_PK_PREFIX: &str = "OUTBOX#";

pub(crate) fn user_pk(user: UserId) -> String {
    format!("USER#{user}")
}

pub(crate) fn email_pk(email: &EmailKey) -> String {
    format!("EMAIL#{}", email.as_str())
}

pub(crate) fn outbox_pk(event: EventId) -> String {
    format!("{OUTBOX_PK_PREFIX}{event}")
}

#[derive(Serialize, Deserialize)]
pub(crate) struct UserItem {
    pub(crate) pk: String,
    pub(crate) sk: String,
    pub(crate) id: UserId,
    pub(crate) email: EmailAddress,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) full_name: Option<String>,
    pub(crate) tier: Tier,
    pub(crate) roles: Vec<Role>,
    pub(crate) is_active: bool,
    pub(crate) is_verified: bool,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
    pub(crate) epoch: u64,
}

impl From<&User> for UserItem {
    fn from(user: &User) -> Self {
        Self {
            pk: user_pk(user.id),
            sk: USER_SK.to_owned(),
            id: user.id,
            email: user.email.clone(),
            full_name: user.full_name.clone(),
            tier: user.tier.clone(),
            roles: user.roles.clone(),
            is_active: user.is_active,
            is_verified: user.is_verified,
            created_at: user.created_at.millis(),
            updated_at: user.updated_at.millis(),
            epoch: user.epoch,
        }
    }
}

impl From<UserItem> for User {
    fn from(item: UserItem) -> Self {
        Self {
            id: item.id,
            email: item.email,
            full_name: item.full_name,
            tier: item.tier,
            roles: item.roles,
            is_active: item.is_active,
            is_verified: item.is_verified,
            created_at: Timestamp::from_millis(item.created_at),
            updated_at: Timestamp::from_millis(item.updated_at),
            epoch: item.epoch,
        }
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct EmailGuardItem {
    pub(crate) pk: String,
    pub(crate) sk: String,
    pub(crate) user_id: UserId,
}

/// Something to be told, until it has been: what for and to whom, never a token.
#[derive(Serialize, Deserialize)]
pub(crate) struct OutboxItem {
    pub(crate) pk: String,
    pub(crate) sk: String,
    pub(crate) id: EventId,
    pub(crate) mail: MailEvent,
    pub(crate) created_at: i64,
    pub(crate) ttl: i64,
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use serde_dynamo::AttributeValue;

    use super::*;

    #[test]
    fn a_user_survives_the_round_trip_through_its_item() {
        let at = Timestamp::from_millis(1_795_207_396_042);
        let user = User {
            id: UserId::new(at),
            email: "Ada@example.com".parse().unwrap(),
            full_name: Some("Ada King".into()),
            tier: Tier::free(),
            roles: vec![Role::User, Role::Admin],
            is_active: true,
            is_verified: false,
            created_at: at,
            updated_at: at,
            epoch: 7,
        };

        let item: HashMap<String, AttributeValue> =
            serde_dynamo::to_item(UserItem::from(&user)).unwrap();
        let read = User::from(serde_dynamo::from_item::<_, UserItem>(item).unwrap());

        assert_eq!(format!("{read:?}"), format!("{user:?}"));
        assert_eq!(read.email.as_str(), "Ada@example.com");
    }
}
