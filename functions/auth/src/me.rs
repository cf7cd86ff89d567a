//! `GET /api/v1/auth/me`: who is calling.

use axum::Json;

use crate::answers::UserBody;
use crate::caller::Caller;

/// Show who is signed in
///
/// Answers with the caller's own account.
#[utoipa::path(
    get, path = "/api/v1/auth/me", operation_id = "showMe", tag = "Accounts",
    responses((status = 200, description = "The caller's account", body = UserBody)),
    security(("access_token" = [])),
)]
pub(crate) async fn me(caller: Caller) -> Json<UserBody> {
    Json(UserBody {
        user: caller.user.into(),
    })
}
