//! A user, as the API shows one.

use serde::Serialize;
use utoipa::ToSchema;

use crate::auth::{Role, Tier, User};
use crate::clock::Timestamp;
use crate::ids::UserId;

/// An account.
#[derive(Serialize, ToSchema)]
#[schema(as = User)]
pub struct UserObject {
    #[schema(value_type = String, example = "usr_019a9f3c1c2a7d3e8f00112233445566")]
    id: UserId,
    /// The address as its owner wrote it.
    #[schema(format = Email, example = "ada@example.com")]
    email: String,
    #[schema(required, example = "Ada King")]
    full_name: Option<String>,
    tier: Tier,
    roles: Vec<Role>,
    /// False when an admin has deactivated the account.
    is_active: bool,
    /// Whether the address is known to be its owner's.
    is_verified: bool,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

impl From<&User> for UserObject {
    fn from(user: &User) -> Self {
        Self {
            id: user.id,
            email: user.email.as_str().to_owned(),
            full_name: user.full_name.clone(),
            tier: user.tier.clone(),
            roles: user.roles.clone(),
            is_active: user.is_active,
            is_verified: user.is_verified,
            created_at: user.created_at,
            updated_at: user.updated_at,
        }
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = UserAnswer)]
pub struct UserBody {
    pub user: UserObject,
}

impl From<&User> for UserBody {
    fn from(user: &User) -> Self {
        Self { user: user.into() }
    }
}
