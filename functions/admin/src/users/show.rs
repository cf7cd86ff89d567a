//! `GET /api/v1/admin/users/{id}`.

use axum::Json;
use axum::extract::State;
use turnpike_shared::admission::Caller;
use turnpike_shared::errors::Problem;
use turnpike_shared::ids::UserId;
use turnpike_shared::web::{ApiPath, UserBody};

use crate::App;

/// Show a user
///
/// Answers with a user's account.
#[utoipa::path(
    get, path = "/api/v1/admin/users/{id}", operation_id = "showOtherUser", tag = "Administration",
    params(("id" = String, Path, description = "The user's id", example = "usr_019a9f3c1c2a7d3e8f00112233445566")),
    responses((status = 200, description = "The user's account", body = UserBody)),
    extensions(("x-problems" = json!(["not-found"]))),
    security(("access_token" = ["admin:read"]), ("api_key" = ["admin:read"])),
)]
pub(crate) async fn show(
    State(app): State<App>,
    _: Caller,
    ApiPath(id): ApiPath<UserId>,
) -> Result<Json<UserBody>, Problem> {
    let user = app.users().user(id).await?;
    let user = user.ok_or_else(Problem::not_found)?;
    Ok(Json(UserBody::from(&user)))
}
