//! `DELETE /api/v1/content/{location_id}`.

use axum::extract::State;
use axum::http::StatusCode;
use turnpike_shared::admission::Caller;
use turnpike_shared::content::LocationId;
use turnpike_shared::errors::Problem;
use turnpike_shared::stores::ContentRemoved;
use turnpike_shared::web::ApiPath;

use super::precondition_failed;
use crate::App;
use crate::preconditions::ReadPreconditions;

/// Remove content
///
/// With `If-Match` only if what is there is what the client knows.
#[utoipa::path(
    delete, path = "/api/v1/content/{location_id}", operation_id = "deleteContent", tag = "Content",
    params(
        ("location_id" = String, Path, description = "The location's name", example = "trail:42"),
        ("If-Match" = Option<String>, Header, description = "The entity tags of which one is to be current, or *"),
        ("If-None-Match" = Option<String>, Header, description = "The entity tags of which none is to be current"),
    ),
    responses((status = 204, description = "There is nothing any more")),
    extensions(("x-problems" = json!(["not-found", "precondition-failed", "validation-failed"]))),
    security(("access_token" = ["content:write"]), ("api_key" = ["content:write"])),
)]
pub(crate) async fn delete(
    State(app): State<App>,
    _: Caller,
    ApiPath(id): ApiPath<LocationId>,
    ReadPreconditions(preconditions): ReadPreconditions,
) -> Result<StatusCode, Problem> {
    let preconditions = preconditions?;
    let removed = app.content();
    let removed = removed.remove(&id, app.now(), |there| preconditions.admit(Some(there)));
    match removed.await? {
        ContentRemoved::Removed => Ok(StatusCode::NO_CONTENT),
        ContentRemoved::NotFound => Err(Problem::not_found()),
        ContentRemoved::Refused => Err(precondition_failed()),
    }
}
