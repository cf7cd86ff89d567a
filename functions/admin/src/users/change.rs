//! `PATCH /api/v1/admin/users/{id}`.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use turnpike_shared::admission::Caller;
use turnpike_shared::auth::administration::with_roles;
use turnpike_shared::auth::{Role, Tier, UserChange};
use turnpike_shared::errors::{FieldError, Problem};
use turnpike_shared::ids::UserId;
use turnpike_shared::limits::policy::Policy;
use turnpike_shared::web::fields::{Errors, given};
use turnpike_shared::web::{ApiJson, ApiPath, UserBody};
use utoipa::ToSchema;

use super::changed_by;
use crate::App;

/// The tier of addresses without a credential, which no user is in.
const ANONYMOUS: &str = "anonymous";

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UserChangeRequest {
    /// One of the tiers of the policy in force, but for `anonymous`.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, example = "pro")]
    tier: Option<String>,
    /// False ends every session and suspends the keys; true revives the keys.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    is_active: Option<bool>,
    /// Replaces the roles; everybody keeps `user`.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, value_type = Vec<Role>)]
    roles: Option<Vec<String>>,
}

impl UserChangeRequest {
    fn parse(self, policy: &Policy) -> Result<UserChange, Problem> {
        let mut errors = Errors::default();
        let tier = errors.one(self.tier.map(|name| tier(name, policy)).transpose());
        let roles = errors.all(self.roles.map(|words| roles(&words)).transpose());
        match (tier, roles) {
            (Some(tier), Some(roles)) => Ok(UserChange {
                tier,
                is_active: self.is_active,
                roles,
            }),
            _ => Err(errors.into_problem()),
        }
    }
}

fn tier(name: String, policy: &Policy) -> Result<Tier, FieldError> {
    if name != ANONYMOUS && policy.has_tier(&name) {
        return Ok(Tier::named(name));
    }
    let names = policy.tiers().map(|(name, _)| name);
    let names: Vec<&str> = names.filter(|name| *name != ANONYMOUS).collect();
    let detail = format!("The policy in force has the tiers {}.", names.join(", "));
    Err(FieldError::new("tier", "invalid", detail))
}

fn roles(words: &[String]) -> Result<Vec<Role>, Vec<FieldError>> {
    let role = |word: &String| Role::ALL.into_iter().find(|role| role.as_str() == word);
    let (mut found, mut errors) = (vec![], vec![]);
    for (at, word) in words.iter().enumerate() {
        if let Some(role) = role(word) {
            found.push(role);
        } else {
            let detail = "A role is user, support or admin.";
            errors.push(FieldError::new(format!("roles[{at}]"), "invalid", detail));
        }
    }
    if errors.is_empty() {
        Ok(with_roles(&found))
    } else {
        Err(errors)
    }
}

/// Change a user
///
/// Changes what is given and leaves the rest; the user's next request meets it, on every instance.
/// A change to what is so already, like a body without members, changes nothing. One active admin
/// stays, whoever is quickest.
#[utoipa::path(
    patch, path = "/api/v1/admin/users/{id}", operation_id = "changeOtherUser", tag = "Administration",
    params(("id" = String, Path, description = "The user's id", example = "usr_019a9f3c1c2a7d3e8f00112233445566")),
    request_body = UserChangeRequest,
    responses((status = 200, description = "The account as it is now", body = UserBody)),
    extensions(("x-problems" = json!(["not-found", "last-admin"]))),
    security(("access_token" = ["admin:write"]), ("api_key" = ["admin:write"])),
)]
pub(crate) async fn change(
    State(app): State<App>,
    caller: Caller,
    ApiPath(id): ApiPath<UserId>,
    ApiJson(request): ApiJson<UserChangeRequest>,
) -> Result<Json<UserBody>, Problem> {
    let change = request.parse(&*app.admission().policy().await)?;
    let (by, now) = (changed_by(&caller), app.now());
    let changed = app.users().change_user(id, &change, by, now);
    let user = app.administer(id, changed).await?;
    Ok(Json(UserBody::from(&user)))
}
