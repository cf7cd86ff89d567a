//! `POST /api/v1/admin/cache/clear`.

use axum::extract::State;
use axum::http::StatusCode;
use turnpike_shared::admission::Caller;
use turnpike_shared::audit::{Action, AuditEntry};
use turnpike_shared::cache::{CacheName, CacheTag, Invalidation};
use turnpike_shared::errors::Problem;
use turnpike_shared::web::{ApiJson, InvalidationRequest};

use crate::App;
use crate::users::changed_by;

/// Clear the cache
///
/// Ends what carries one of the tags, and what lies under the prefix, among the entries that are
/// shared; without either, all of these. The tag `user:<id>` ends all of that user's own entries. It
/// holds everywhere at once.
#[utoipa::path(
    post, path = "/api/v1/admin/cache/clear", operation_id = "clearCacheOfAll", tag = "Administration",
    request_body = InvalidationRequest,
    responses((status = 204, description = "They are ended")),
    security(("access_token" = ["admin:write"]), ("api_key" = ["admin:write"])),
)]
pub(crate) async fn clear(
    State(app): State<App>,
    caller: Caller,
    ApiJson(request): ApiJson<InvalidationRequest>,
) -> Result<StatusCode, Problem> {
    let what = request.parse()?;
    let entry = changed_by(&caller).entry(app.now(), Action::CacheCleared, "cache");
    let entry = with_details(entry, &what);
    app.cache().clear(&what, app.users(), &entry).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn with_details(entry: AuditEntry, what: &Invalidation) -> AuditEntry {
    let tags: Vec<&str> = what.tags.iter().map(CacheTag::as_str).collect();
    let entry = if tags.is_empty() {
        entry
    } else {
        entry.with("tags", tags)
    };
    match what.prefix.as_ref().map(CacheName::as_str) {
        Some(prefix) => entry.with("prefix", prefix),
        None => entry,
    }
}
