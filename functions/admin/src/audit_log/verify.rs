//! `GET /api/v1/admin/audit-log/verify`.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;
use turnpike_shared::admission::Caller;
use turnpike_shared::audit::{Verdict, Verification};
use turnpike_shared::errors::{Problem, ProblemCode};
use turnpike_shared::ids::AuditId;
use turnpike_shared::stores::StoreError;
use turnpike_shared::web::{ApiQuery, ListOf, ListQuery};
use utoipa::{IntoParams, ToSchema};

use crate::App;

/// How long one request verifies: less than the function may take in all.
const PATIENCE: Duration = Duration::from_secs(7);

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct VerifyQuery {
    /// The `next_cursor` of the answer before; left out to begin with the first entry.
    cursor: Option<String>,
}

/// Whether the log is whole.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditVerification)]
pub(crate) struct VerificationBody {
    /// Whether everything that was looked at is as it was written.
    valid: bool,
    /// How many entries, from the first on, are what they were and where they were.
    entries: u64,
    /// The first entry that is not: altered, moved, forged, or behind one that is missing. Where the
    /// end is missing, the last that is left; null where none can be named, or nothing is broken.
    #[schema(required, value_type = Option<String>, example = json!(null))]
    first_broken: Option<AuditId>,
    /// Where to go on with a log that is too long for one request; null at its end.
    #[schema(required, example = json!(null))]
    next_cursor: Option<String>,
}

/// Verify the audit log
///
/// Goes through the log from its first entry and finds the first that was altered, moved, forged or
/// cut off. A log too long for one request is verified by several: as long as there is a
/// `next_cursor`, all up to there is sound, and the rest is not looked at yet.
#[utoipa::path(
    get, path = "/api/v1/admin/audit-log/verify", operation_id = "verifyAuditLog", tag = "Administration",
    params(VerifyQuery),
    responses((status = 200, description = "What was found", body = VerificationBody)),
    extensions(("x-problems" = json!(["invalid-cursor", "validation-failed"]))),
    security(("access_token" = ["admin:read"]), ("api_key" = ["admin:read"])),
)]
pub(crate) async fn verify(
    State(app): State<App>,
    caller: Caller,
    ApiQuery(query): ApiQuery<VerifyQuery>,
) -> Result<Json<VerificationBody>, Problem> {
    let caller = caller.id().to_string();
    let listed = ListOf {
        name: "audit-log, verified",
        caller: &caller,
    };
    let reached = ListQuery::new(None, query.cursor).position(app.cursor_key(), &listed)?;
    let mut verification = begun(&app, reached.as_deref()).await?;
    let verdict = within(&app, &mut verification).await?;
    let reached = verification.reached().count;
    Ok(Json(match verdict {
        Some(verdict) => VerificationBody {
            valid: verdict.broken.is_none(),
            entries: verdict.entries,
            first_broken: verdict.broken.and_then(|broken| broken.at),
            next_cursor: None,
        },
        None => VerificationBody {
            valid: true,
            entries: reached,
            first_broken: None,
            next_cursor: Some(app.cursor_key().seal(&reached.to_string(), &listed)),
        },
    }))
}

/// The verification from the first entry on, or from behind the one with this number.
async fn begun(app: &App, reached: Option<&str>) -> Result<Verification, Problem> {
    let sequence = reached.and_then(|number| number.parse().ok()).unwrap_or(0);
    let verification = app.audit_log().verified_up_to(sequence).await?;
    verification.ok_or_else(|| {
        Problem::new(
            ProblemCode::InvalidCursor,
            "What was sound when the cursor was made is not so now; begin anew without one.",
        )
    })
}

/// The verdict; `None` if there was not the time to come to one.
async fn within(app: &App, verification: &mut Verification) -> Result<Option<Verdict>, StoreError> {
    match timeout(PATIENCE, app.audit_log().verify(verification)).await {
        Ok(verdict) => verdict.map(Some),
        Err(_) => Ok(None),
    }
}
