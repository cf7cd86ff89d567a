//! `GET /api/v1/content/{location_id}`.

use axum::extract::State;
use axum::http::StatusCode;
use turnpike_shared::admission::Caller;
use turnpike_shared::content::LocationId;
use turnpike_shared::errors::Problem;
use turnpike_shared::web::ApiPath;

use super::{ContentAnswer, ContentBody, precondition_failed};
use crate::App;
use crate::preconditions::{Preconditions, ReadPreconditions};

/// Show content
///
/// With `If-None-Match`, content that the client has is not sent again.
#[utoipa::path(
    get, path = "/api/v1/content/{location_id}", operation_id = "showContent", tag = "Content",
    params(
        ("location_id" = String, Path, description = "The location's name", example = "trail:42"),
        ("If-None-Match" = Option<String>, Header, description = "The entity tags that the client has, or *"),
        ("If-Match" = Option<String>, Header, description = "The entity tags of which one is to be current, or *"),
    ),
    responses(
        (status = 200, description = "The content", body = ContentBody,
            headers(("ETag" = String, description = "The entity tag of what is shown; strong"))),
        (status = 304, description = "The client has it as it is",
            headers(("ETag" = String, description = "The entity tag of what is there; strong"))),
    ),
    extensions(("x-problems" = json!(["not-found", "precondition-failed", "validation-failed"]))),
    security(("access_token" = ["content:read"]), ("api_key" = ["content:read"])),
)]
pub(crate) async fn show(
    State(app): State<App>,
    _: Caller,
    ApiPath(id): ApiPath<LocationId>,
    ReadPreconditions(preconditions): ReadPreconditions,
) -> Result<ContentAnswer, Problem> {
    let Preconditions {
        if_match,
        if_none_match,
    } = preconditions?;
    let found = app.content().get(&id, app.now()).await?;
    let (location, content) = found.ok_or_else(Problem::not_found)?;
    let version = location.version();
    if !if_match.is_none_or(|tags| tags.include(Some(&version))) {
        Err(precondition_failed())
    } else if if_none_match.is_some_and(|tags| tags.include_weakly(Some(&version))) {
        Ok(ContentAnswer::not_modified(&location))
    } else {
        Ok(ContentAnswer::new(StatusCode::OK, &location, content))
    }
}
