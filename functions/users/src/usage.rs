//! `GET /api/v1/users/usage`: what the caller asked for, and how it was answered.

use axum::Json;
use axum::extract::State;
use turnpike_shared::admission::Caller;
use turnpike_shared::errors::Problem;
use turnpike_shared::web::{ApiQuery, UsageBody, UsageQuery};

use crate::App;

/// Show the own usage
///
/// The requests of the caller that were let in, with whatever credential: how many, what they counted,
/// where they went, how they were answered and how long that took. It follows the requests by about a
/// minute; what is left of limits is told by the quota, at once.
#[utoipa::path(
    get, path = "/api/v1/users/usage", operation_id = "showUsage", tag = "Usage",
    params(UsageQuery),
    responses((status = 200, description = "The usage", body = UsageBody)),
    extensions(("x-problems" = json!(["validation-failed"]))),
    security(("access_token" = ["usage:read"]), ("api_key" = ["usage:read"])),
)]
pub(crate) async fn usage(
    State(app): State<App>,
    caller: Caller,
    ApiQuery(query): ApiQuery<UsageQuery>,
) -> Result<Json<UsageBody>, Problem> {
    let now = app.now();
    let range = query.range(now)?;
    let report = app.usage().of_user(caller.id(), range, now).await?;
    Ok(Json(UsageBody::from(&report)))
}
