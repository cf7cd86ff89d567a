//! `DELETE /api/v1/history/queries/{id}`.

use axum::extract::State;
use axum::http::StatusCode;
use turnpike_shared::admission::Caller;
use turnpike_shared::errors::Problem;
use turnpike_shared::ids::QueryId;
use turnpike_shared::web::ApiPath;

use crate::App;

/// Remove a query from the history
///
/// What was charged for it stays charged.
#[utoipa::path(
    delete, path = "/api/v1/history/queries/{id}", operation_id = "deleteQuery", tag = "History",
    params(("id" = String, Path, description = "The query's id", example = "qry_019a9f3c1c2a7d3e8f00112233445566")),
    responses((status = 204, description = "The query is no longer in the history")),
    extensions(("x-problems" = json!(["not-found"]))),
    security(("access_token" = ["history:write"]), ("api_key" = ["history:write"])),
)]
pub(crate) async fn delete(
    State(app): State<App>,
    caller: Caller,
    ApiPath(id): ApiPath<QueryId>,
) -> Result<StatusCode, Problem> {
    let was_there = app.history().delete(caller.id(), id, app.now()).await?;
    if was_there {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::not_found())
    }
}
