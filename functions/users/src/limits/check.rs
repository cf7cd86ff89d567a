//! `POST /api/v1/limits/check`: a limit that the caller keeps for a purpose of its own.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use turnpike_shared::admission::Caller;
use turnpike_shared::clock::Timestamp;
use turnpike_shared::errors::{FieldError, Problem};
use turnpike_shared::limits::policy::{Rate, is_name};
use turnpike_shared::limits::{LimitState, plan};
use turnpike_shared::web::{ApiJson, problem_of};
use utoipa::ToSchema;

use crate::App;
use crate::fields::{Errors, cost, within};

const MAX_IDENTIFIER_CHARS: usize = 256;
/// The longest window: 31 days.
const MAX_WINDOW_SECONDS: u64 = 31 * 24 * 60 * 60;
const MAX_LIMIT: u64 = 1_000_000_000;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LimitRequest {
    /// Whom or what to count.
    #[schema(min_length = 1, max_length = 256, example = "customer-17")]
    identifier: String,
    /// What for: 1 to 32 of `a-z`, `0-9`, `_` and `-`, the first a letter. It is the caller's own.
    #[schema(pattern = "^[a-z][a-z0-9_-]{0,31}$", example = "exports")]
    namespace: String,
    /// How much is admitted in any stretch of `window_seconds`.
    #[schema(minimum = 0, maximum = 1_000_000_000, example = 10)]
    limit: i64,
    /// Each length is counted by itself.
    #[schema(minimum = 1, maximum = 2_678_400, example = 60)]
    window_seconds: i64,
    /// How much this counts.
    #[schema(minimum = 1, maximum = 1_000_000, default = 1)]
    cost: Option<i64>,
}

/// A request, understood.
struct Asked {
    identifier: String,
    namespace: String,
    rate: Rate,
    cost: u64,
}

impl LimitRequest {
    fn parse(self) -> Result<Asked, Problem> {
        let mut errors = Errors::default();
        let identifier = errors.one(identifier(self.identifier));
        let namespace = errors.one(namespace(self.namespace));
        let detail = "A limit is 0 to 1,000,000,000.";
        let limit = errors.one(within("limit", self.limit, 0, MAX_LIMIT, detail));
        let detail = "A window is 1 to 2,678,400 seconds.";
        let seconds = within(
            "window_seconds",
            self.window_seconds,
            1,
            MAX_WINDOW_SECONDS,
            detail,
        );
        let seconds = errors
            .one(seconds)
            .and_then(|seconds| u32::try_from(seconds).ok());
        let cost = errors.one(cost(self.cost));
        match (identifier, namespace, limit, seconds, cost) {
            (Some(identifier), Some(namespace), Some(limit), Some(window_seconds), Some(cost)) => {
                Ok(Asked {
                    identifier,
                    namespace,
                    rate: Rate {
                        limit,
                        window_seconds,
                    },
                    cost,
                })
            }
            _ => Err(errors.into_problem()),
        }
    }
}

fn identifier(text: String) -> Result<String, FieldError> {
    let told = |code, detail| Err(FieldError::new("identifier", code, detail));
    match text.chars().count() {
        0 => told("too-short", "An identifier has at least one character."),
        1..=MAX_IDENTIFIER_CHARS => Ok(text),
        _ => told("too-long", "An identifier has at most 256 characters."),
    }
}

fn namespace(text: String) -> Result<String, FieldError> {
    if is_name(&text) {
        Ok(text)
    } else {
        let detail = "A namespace is 1 to 32 of a-z, 0-9, _ and -, the first of them a letter.";
        Err(FieldError::new("namespace", "invalid", detail))
    }
}

/// Whether it was admitted, and how the limit stands.
#[derive(Serialize, ToSchema)]
#[schema(as = LimitAnswer)]
pub(crate) struct LimitBody {
    /// Whether it was admitted. Then it is counted, else it is not.
    allowed: bool,
    limit: u64,
    remaining: u64,
    /// When the limit is whole again if nothing more is asked; when refused, when this would be
    /// admitted. Null if never.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    reset_at: Option<Timestamp>,
}

/// Check a limit of one's own
///
/// Asks whether an identifier may do something once more, and counts it if so. Callers count
/// apart, and so do namespaces, identifiers and lengths of windows.
#[utoipa::path(
    post, path = "/api/v1/limits/check", operation_id = "checkLimit", tag = "Limits",
    request_body = LimitRequest,
    responses((status = 200, description = "Whether it was admitted", body = LimitBody)),
    security(("access_token" = ["limits:check"]), ("api_key" = ["limits:check"])),
)]
pub(crate) async fn check(
    State(app): State<App>,
    caller: Caller,
    ApiJson(request): ApiJson<LimitRequest>,
) -> Result<Json<LimitBody>, Problem> {
    let asked = request.parse()?;
    let (namespace, identifier) = (&asked.namespace, &asked.identifier);
    let (subject, check) =
        plan::of_caller(caller.id(), namespace, identifier, asked.rate, asked.cost);
    let admission = app.admission();
    let report = admission.check(&subject, check).await;
    let report = report.map_err(|denied| problem_of(denied, admission.now()))?;
    let state = report.states.first();
    Ok(Json(LimitBody {
        allowed: !report.is_refused(),
        limit: asked.rate.limit,
        remaining: state.map_or(0, LimitState::remaining),
        reset_at: state.and_then(|state| state.reset_at),
    }))
}
