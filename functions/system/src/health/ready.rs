//! `GET /health/ready`: whether requests can be answered now.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use turnpike_shared::errors::{Problem, ProblemCode};
use utoipa::ToSchema;

use super::last_probe::FRESH_SECONDS;
use crate::{App, HEALTH};

/// That requests can be answered.
#[derive(Serialize, ToSchema)]
pub(crate) struct Readiness {
    #[schema(example = "ready")]
    status: &'static str,
}

#[utoipa::path(
    get, path = "/health/ready", tag = HEALTH, operation_id = "showReadiness",
    summary = "Say whether requests can be answered",
    description = "Answers 503 while DynamoDB, without which no request is answered, cannot be \
        reached. What it says was found out at most 5 seconds ago.",
    security(()),
    responses((status = 200, description = "Requests can be answered", body = Readiness)),
    extensions(("x-problems" = json!(["not-ready"]))),
)]
pub(crate) async fn show(State(app): State<App>) -> Result<Json<Readiness>, Problem> {
    if app.dynamodb.outcome().await.is_up {
        Ok(Json(Readiness { status: "ready" }))
    } else {
        Err(not_ready())
    }
}

/// The cause is in the log already, once per probe.
fn not_ready() -> Problem {
    let problem = Problem::new(
        ProblemCode::NotReady,
        "Requests cannot be answered for now.",
    );
    Problem {
        retry_after: Some(FRESH_SECONDS),
        ..problem
    }
}
