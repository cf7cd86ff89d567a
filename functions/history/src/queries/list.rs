//! `GET /api/v1/history/queries`.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use turnpike_shared::admission::Caller;
use turnpike_shared::clock::Timestamp;
use turnpike_shared::errors::Problem;
use turnpike_shared::history::QueryRecord;
use turnpike_shared::ids::QueryId;
use turnpike_shared::web::{ApiQuery, ListOf, ListQuery, Page};
use utoipa::ToSchema;

use crate::App;

/// A query that was asked.
#[derive(Serialize, ToSchema)]
#[schema(as = QueryRecord)]
pub(crate) struct QueryObject {
    #[schema(value_type = String, example = "qry_019a9f3c1c2a7d3e8f00112233445566")]
    id: QueryId,
    #[schema(example = "library")]
    upstream: String,
    /// What was asked for, at most the first 2,000 characters of it.
    #[schema(example = "whales")]
    query: String,
    /// The HTTP status that it was answered with.
    #[schema(minimum = 100, maximum = 599, example = 200)]
    status: u16,
    /// The tier of the cache that answered: memory, valkey or dynamodb; null when the upstream did.
    #[schema(required, example = "valkey")]
    cache_tier: Option<String>,
    #[schema(minimum = 0, example = 41)]
    execution_time_ms: u64,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl From<QueryRecord> for QueryObject {
    fn from(record: QueryRecord) -> Self {
        Self {
            id: record.id,
            upstream: record.upstream,
            query: record.query,
            status: record.status,
            cache_tier: record.cache_tier,
            execution_time_ms: record.execution_time_ms,
            created_at: record.created_at,
        }
    }
}

/// List the own queries
///
/// What the caller asked upstreams for within the last 90 days, newest first.
#[utoipa::path(
    get, path = "/api/v1/history/queries", operation_id = "listQueries", tag = "History",
    params(ListQuery),
    responses((status = 200, description = "A page of queries", body = Page<QueryObject>)),
    extensions(("x-problems" = json!(["invalid-cursor", "validation-failed"]))),
    security(("access_token" = ["history:read"]), ("api_key" = ["history:read"])),
)]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    ApiQuery(query): ApiQuery<ListQuery>,
) -> Result<Json<Page<QueryObject>>, Problem> {
    let owner = caller.id().to_string();
    let listed = ListOf {
        name: "queries",
        caller: &owner,
    };
    let limit = query.limit()?;
    let behind = query.position(app.cursor_key(), &listed)?;
    let behind = behind.and_then(|id| id.parse().ok());
    let found = app.history().list(caller.id(), behind, limit, app.now());
    let found = found.await?;
    let last = found.items.last().filter(|_| found.has_more);
    let next_cursor = last.map(|query| app.cursor_key().seal(&query.id.to_string(), &listed));
    Ok(Json(Page {
        items: found.items.into_iter().map(QueryObject::from).collect(),
        next_cursor,
    }))
}
