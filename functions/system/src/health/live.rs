//! `GET /health/live`: whether this instance runs at all.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

use crate::HEALTH;

/// That the instance runs.
#[derive(Serialize, ToSchema)]
pub(crate) struct Liveness {
    #[schema(example = "live")]
    status: &'static str,
}

#[utoipa::path(
    get, path = "/health/live", tag = HEALTH, operation_id = "showLiveness",
    summary = "Say that the service runs",
    description = "Answers whenever an instance can be reached, and asks nothing of anything \
        else. It is the question of whether to restart, not of whether to send requests.",
    security(()),
    responses((status = 200, description = "The instance runs", body = Liveness)),
)]
pub(crate) async fn show() -> Json<Liveness> {
    Json(Liveness { status: "live" })
}
