//! `GET /api/v1/auth/me`: who is calling.

use axum::Json;
use axum::extract::State;
use turnpike_shared::admission::Caller;
use turnpike_shared::errors::Problem;
use turnpike_shared::web::UserBody;

use crate::App;

/// Show who is signed in
///
/// Answers with the caller's own account.
#[utoipa::path(
    get, path = "/api/v1/auth/me", operation_id = "showMe", tag = "Accounts",
    responses((status = 200, description = "The caller's account", body = UserBody)),
    security(("access_token" = ["profile:read"]), ("api_key" = ["profile:read"])),
)]
pub(crate) async fn me(State(app): State<App>, caller: Caller) -> Result<Json<UserBody>, Problem> {
    let user = app.admission().user_of(&caller).await?;
    let user = user.ok_or_else(Problem::unauthenticated)?;
    Ok(Json(UserBody::from(user.as_ref())))
}
