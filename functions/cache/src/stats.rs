//! `GET /api/v1/cache/stats`.

use axum::Json;
use axum::extract::State;
use turnpike_shared::admission::Caller;
use turnpike_shared::cache::CacheOwner;
use turnpike_shared::errors::Problem;
use turnpike_shared::web::CacheStatsBody;

use crate::App;

/// Show how the cache does for the caller
///
/// What the caller's own entries were asked for in the last 24 hours, over all instances. What is
/// shared with others is not among it. It follows the requests by about a second.
#[utoipa::path(
    get, path = "/api/v1/cache/stats", operation_id = "showCacheStats", tag = "Cache",
    responses((status = 200, description = "The statistics", body = CacheStatsBody)),
    security(("access_token" = ["cache:read"]), ("api_key" = ["cache:read"])),
)]
pub(crate) async fn stats(
    State(app): State<App>,
    caller: Caller,
) -> Result<Json<CacheStatsBody>, Problem> {
    let stats = app.cache().stats(CacheOwner::User(caller.id())).await?;
    Ok(Json(CacheStatsBody::from(&stats)))
}
