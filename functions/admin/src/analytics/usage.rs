//! `GET /api/v1/admin/analytics/usage`: what everybody asked for, by tier, endpoint or day.

use axum::Json;
use axum::extract::State;
use turnpike_shared::admission::Caller;
use turnpike_shared::errors::Problem;
use turnpike_shared::web::{ApiQuery, StageUsageBody, StageUsageQuery};

use crate::App;

/// Show the stage's usage
///
/// The requests of everybody that were let in: how many, how many failed and how long they took, by
/// tier, endpoint or day. It follows the requests by about a minute.
#[utoipa::path(
    get, path = "/api/v1/admin/analytics/usage", operation_id = "showStageUsage", tag = "Administration",
    params(StageUsageQuery),
    responses((status = 200, description = "The usage", body = StageUsageBody)),
    extensions(("x-problems" = json!(["validation-failed"]))),
    security(("access_token" = ["admin:read"]), ("api_key" = ["admin:read"])),
)]
pub(crate) async fn usage(
    State(app): State<App>,
    _: Caller,
    ApiQuery(query): ApiQuery<StageUsageQuery>,
) -> Result<Json<StageUsageBody>, Problem> {
    let now = app.now();
    let (range, group_by) = query.parse(now)?;
    let report = app.usage().of_stage(range, group_by, now).await?;
    Ok(Json(StageUsageBody::from(&report)))
}
