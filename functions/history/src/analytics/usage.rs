//! `GET /api/v1/analytics/usage`: the same as `GET /api/v1/users/usage`.

use axum::Json;
use axum::extract::State;
use turnpike_shared::admission::Caller;
use turnpike_shared::errors::Problem;
use turnpike_shared::web::{ApiQuery, UsageBody, UsageQuery};

use crate::App;

/// Show the own usage among the analytics
///
/// Answers as `GET /api/v1/users/usage` does.
#[utoipa::path(
    get, path = "/api/v1/analytics/usage", operation_id = "analyseUsage", tag = "Usage",
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
