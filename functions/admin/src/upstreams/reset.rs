//! `POST /api/v1/admin/upstreams/{name}/reset`.

use axum::extract::State;
use axum::http::StatusCode;
use turnpike_shared::admission::Caller;
use turnpike_shared::errors::Problem;
use turnpike_shared::web::ApiPath;

use crate::App;
use crate::users::changed_by;

/// Reset an upstream's circuit breaker
///
/// Closes the breaker and forgets the failures, so that the upstream is called again: within a
/// second, by every instance.
#[utoipa::path(
    post, path = "/api/v1/admin/upstreams/{name}/reset", operation_id = "resetUpstream", tag = "Administration",
    params(("name" = String, Path, description = "The upstream's name in the policy", example = "library")),
    responses((status = 204, description = "The breaker is closed")),
    extensions(("x-problems" = json!(["not-found"]))),
    security(("access_token" = ["admin:write"]), ("api_key" = ["admin:write"])),
)]
pub(crate) async fn reset(
    State(app): State<App>,
    caller: Caller,
    ApiPath(name): ApiPath<String>,
) -> Result<StatusCode, Problem> {
    let policy = app.admission().policy().await;
    let upstream = policy.upstream(&name).ok_or_else(Problem::not_found)?;
    let by = changed_by(&caller);
    app.breakers().reset(&name, upstream, by).await?;
    Ok(StatusCode::NO_CONTENT)
}
