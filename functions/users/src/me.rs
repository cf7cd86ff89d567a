//! `GET` and `PATCH /api/v1/users/me`: the caller's own account.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use turnpike_shared::admission::Caller;
use turnpike_shared::auth::User;
use turnpike_shared::auth::profile;
use turnpike_shared::errors::Problem;
use turnpike_shared::web::{ApiJson, UserBody};
use utoipa::ToSchema;

use crate::App;
use crate::fields::given;

/// Show the own account
///
/// Answers with the caller's own account.
#[utoipa::path(
    get, path = "/api/v1/users/me", operation_id = "showUser", tag = "Accounts",
    responses((status = 200, description = "The caller's account", body = UserBody)),
    security(("access_token" = ["profile:read"]), ("api_key" = ["profile:read"])),
)]
pub(crate) async fn show(
    State(app): State<App>,
    caller: Caller,
) -> Result<Json<UserBody>, Problem> {
    let user = app.admission().user_of(&caller).await?;
    let user = user.ok_or_else(Problem::unauthenticated)?;
    Ok(Json(UserBody::from(user.as_ref())))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProfileRequest {
    /// 1 to 200 characters; null removes the name.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 200, example = "Ada King")]
    #[expect(
        clippy::option_option,
        reason = "left out, null and a value are three things that a client can say"
    )]
    full_name: Option<Option<String>>,
}

/// Change the own account
///
/// Changes what is given and leaves the rest.
#[utoipa::path(
    patch, path = "/api/v1/users/me", operation_id = "changeUser", tag = "Accounts",
    request_body = ProfileRequest,
    responses((status = 200, description = "The account as it is now", body = UserBody)),
    security(("access_token" = ["profile:write"]), ("api_key" = ["profile:write"])),
)]
pub(crate) async fn rename(
    State(app): State<App>,
    caller: Caller,
    ApiJson(request): ApiJson<ProfileRequest>,
) -> Result<Json<UserBody>, Problem> {
    let user: Option<User> = match request.full_name.map(profile::full_name).transpose() {
        Ok(Some(name)) => {
            let renamed = app.users().rename(caller.id(), name.as_deref(), app.now());
            app.admission().changing(caller.id(), renamed).await?
        }
        Ok(None) => app.users().user(caller.id()).await?,
        Err(error) => return Err(Problem::validation(vec![error])),
    };
    let user = user.ok_or_else(Problem::unauthenticated)?;
    Ok(Json(UserBody::from(&user)))
}
