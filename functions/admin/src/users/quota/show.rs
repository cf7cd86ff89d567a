//! `GET /api/v1/admin/users/{id}/quota`.

use axum::Json;
use axum::extract::State;
use turnpike_shared::admission::Caller;
use turnpike_shared::errors::Problem;
use turnpike_shared::ids::UserId;
use turnpike_shared::web::{ApiPath, QuotaBody};

use super::quota_of;
use crate::App;

/// Show a user's quota
///
/// Every limit that the user's requests can meet, and how much of each is used, as the user's own
/// `GET /users/quota` says it to a session. A limit that an admin gave has the source `override`.
#[utoipa::path(
    get, path = "/api/v1/admin/users/{id}/quota", operation_id = "showOtherQuota", tag = "Administration",
    params(("id" = String, Path, description = "The user's id", example = "usr_019a9f3c1c2a7d3e8f00112233445566")),
    responses((status = 200, description = "The quota", body = QuotaBody)),
    extensions(("x-problems" = json!(["not-found"]))),
    security(("access_token" = ["admin:read"]), ("api_key" = ["admin:read"])),
)]
pub(crate) async fn show(
    State(app): State<App>,
    _: Caller,
    ApiPath(id): ApiPath<UserId>,
) -> Result<Json<QuotaBody>, Problem> {
    let user = app.users().user(id).await?;
    let user = user.ok_or_else(Problem::not_found)?;
    Ok(Json(quota_of(&app, &user).await?))
}
