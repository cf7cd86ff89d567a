//! `GET /api/v1/admin/audit-log/verify`.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;
use turnpike_shared::admission::Caller;
use turnpike_shared::audit::{Verdict, Verification};
use turnpike_shared::errors::{FieldError, Problem, ProblemCode};
use turnpike_shared::web::ApiQuery;
use utoipa::{IntoParams, ToSchema};

use crate::App;

/// How long one request goes through the log: less than a call of the database may take, so that one
/// that hangs costs no progress, and less than half of the function's ten seconds.
const BUDGET: Duration = Duration::from_secs(4);

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct VerifyQuery {
    /// The number of the entry to go on from, where a verification came to the end of its time; the
    /// oldest entry has the number 1.
    #[param(minimum = 1, default = 1)]
    from: Option<u64>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct VerificationBody {
    /// Whether every entry, up to the end, is what it was and where it was.
    valid: bool,
    /// How many entries are, from the first of the log on.
    entries: u64,
    /// The first entry that is not: one that was altered, moved or forged; where one is missing, the
    /// entry behind the gap; where the end of the log was cut off or cannot be read, the last entry
    /// before that. Null in a log that is valid, or of which no entry is left.
    #[schema(required, example = "aud_019a9f3c1c2a7d3e8f00112233445566")]
    first_broken: Option<String>,
}

impl From<Verdict> for VerificationBody {
    fn from(verdict: Verdict) -> Self {
        let at = verdict.broken.and_then(|broken| broken.at);
        Self {
            valid: verdict.broken.is_none(),
            entries: verdict.entries,
            first_broken: at.map(|id| id.to_string()),
        }
    }
}

/// Verify the audit log
///
/// Goes through the whole log and names the first entry that does not follow from those before it.
/// A log that is too long for one request is answered with 503 `verification-unfinished`; its detail
/// says with which `from` to go on. Whether the end was cut off together with what says where the
/// log ends is shown by the log lines of the function audit-writer alone.
#[utoipa::path(
    get, path = "/api/v1/admin/audit-log/verify", operation_id = "verifyAuditLog", tag = "Administration",
    params(VerifyQuery),
    responses((status = 200, description = "What became of the verification", body = VerificationBody)),
    extensions(("x-problems" = json!(["validation-failed", "verification-unfinished"]))),
    security(("access_token" = ["admin:read"]), ("api_key" = ["admin:read"])),
)]
pub(crate) async fn verify(
    State(app): State<App>,
    _caller: Caller,
    ApiQuery(query): ApiQuery<VerifyQuery>,
) -> Result<Json<VerificationBody>, Problem> {
    let from = query.from.unwrap_or(1);
    let mut verification = begin(&app, from).await?;
    match timeout(BUDGET, app.audit_log().verify(&mut verification)).await {
        Ok(verdict) => Ok(Json(verdict?.into())),
        Err(_) => Err(unfinished(from, &verification)),
    }
}

/// The verification from an entry on, which must be behind one that is as it was written.
async fn begin(app: &App, from: u64) -> Result<Verification, Problem> {
    let before = match from.checked_sub(1) {
        Some(before) => app.audit_log().verified_up_to(before).await?,
        None => None,
    };
    before.ok_or_else(|| {
        let detail = "The entry before this one is not in the log, or not as it was written.";
        Problem::validation(vec![FieldError::new("from", "out-of-range", detail)])
    })
}

fn unfinished(from: u64, verification: &Verification) -> Problem {
    let reached = verification.reached().count;
    let detail = format!(
        "The entries {from} to {reached} hold; ask with from={} for those behind them.",
        reached + 1
    );
    Problem::new(ProblemCode::VerificationUnfinished, detail)
}
