//! `GET /api/v1/users/quota`: what the caller has, and how much of it is used.

use axum::Json;
use axum::extract::State;
use turnpike_shared::admission::Caller;
use turnpike_shared::errors::Problem;
use turnpike_shared::web::{QuotaBody, problem_of};

use crate::App;

/// Show the quota
///
/// Every limit that the caller's requests can meet, and how much of each is used: the tier's hour,
/// day and month, those of the classes that count users, and, when an API key asks, the key's own.
/// What is unlimited is null, and then nothing is counted.
#[utoipa::path(
    get, path = "/api/v1/users/quota", operation_id = "showQuota", tag = "Limits",
    responses((status = 200, description = "The quota", body = QuotaBody)),
    security(("access_token" = ["usage:read"]), ("api_key" = ["usage:read"])),
)]
pub(crate) async fn quota(
    State(app): State<App>,
    caller: Caller,
) -> Result<Json<QuotaBody>, Problem> {
    let admission = app.admission();
    let quota = admission.quota(&caller.principal, caller.key()).await;
    let quota = quota.map_err(|error| problem_of(error.into(), admission.now()))?;
    Ok(Json(QuotaBody::from(&quota)))
}
