//! `PUT /api/v1/admin/users/{id}/quota`.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use turnpike_shared::admission::Caller;
use turnpike_shared::auth::{Allowance, QuotaOverride};
use turnpike_shared::clock::Timestamp;
use turnpike_shared::errors::{FieldError, Problem};
use turnpike_shared::ids::UserId;
use turnpike_shared::web::fields::{Errors, given, within};
use turnpike_shared::web::{ApiJson, ApiPath, QuotaBody};
use utoipa::ToSchema;

use super::quota_of;
use crate::App;
use crate::users::changed_by;

/// The largest limit, as in a policy.
const MAX_LIMIT: u64 = 1_000_000_000;
const MAX_REASON_CHARS: usize = 500;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OverrideRequest {
    limits: OverrideLimits,
    /// When the tier's limits hold again; left out or null: when an admin ends the override.
    #[schema(value_type = Option<String>, format = DateTime, example = "2030-01-01T00:00:00Z")]
    expires_at: Option<String>,
    /// Why, for the audit log.
    #[schema(
        min_length = 1,
        max_length = 500,
        example = "Load test, agreed by phone"
    )]
    reason: String,
}

/// At least one of them. Null is unlimited; what is left out stays the tier's.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(
    clippy::option_option,
    reason = "left out, null and a value are three things that a client can say"
)]
pub(crate) struct OverrideLimits {
    /// In any 60 minutes.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<i64>, minimum = 0, maximum = 1_000_000_000, example = 1_000)]
    hour: Option<Option<i64>>,
    /// In any 24 hours.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<i64>, minimum = 0, maximum = 1_000_000_000)]
    day: Option<Option<i64>>,
    /// In a calendar month, in UTC.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<i64>, minimum = 0, maximum = 1_000_000_000)]
    month: Option<Option<i64>>,
}

impl OverrideRequest {
    /// The limits and the reason for them.
    fn parse(self, now: Timestamp) -> Result<(QuotaOverride, String), Problem> {
        let mut errors = Errors::default();
        let OverrideLimits { hour, day, month } = self.limits;
        if hour.is_none() && day.is_none() && month.is_none() {
            let detail = "Give at least one of hour, day and month.";
            errors.one::<()>(Err(FieldError::new("limits", "too-short", detail)));
        }
        let limits = [("hour", hour), ("day", day), ("month", month)]
            .map(|(name, asked)| errors.one(asked.map(|limit| allowance(name, limit)).transpose()));
        let expires_at = self.expires_at.map(|text| expires_at(&text, now));
        let expires_at = errors.one(expires_at.transpose());
        let reason = errors.one(reason(self.reason));
        match (limits, expires_at, reason, errors.is_empty()) {
            ([Some(hour), Some(day), Some(month)], Some(expires_at), Some(reason), true) => {
                let expires_at = expires_at.map(Timestamp::millis);
                let limits = QuotaOverride {
                    hour,
                    day,
                    month,
                    expires_at,
                };
                Ok((limits, reason))
            }
            _ => Err(errors.into_problem()),
        }
    }
}

fn allowance(name: &str, limit: Option<i64>) -> Result<Allowance, FieldError> {
    let detail = "A limit is 0 to 1,000,000,000, or null for unlimited.";
    let within = |limit| within(&format!("limits.{name}"), limit, 0, MAX_LIMIT, detail);
    limit.map(within).transpose().map(Allowance)
}

fn expires_at(text: &str, now: Timestamp) -> Result<Timestamp, FieldError> {
    let told = |code, detail| FieldError::new("expires_at", code, detail);
    let bad = "This is not a time by RFC 3339, such as 2030-01-01T00:00:00Z.";
    let expiry: Timestamp = text.parse().map_err(|_| told("invalid", bad))?;
    if expiry > now {
        Ok(expiry)
    } else {
        Err(told("out-of-range", "An override expires in the future."))
    }
}

fn reason(text: String) -> Result<String, FieldError> {
    let told = |code, detail| Err(FieldError::new("reason", code, detail));
    match text.chars().count() {
        _ if text.trim().is_empty() => told("too-short", "A reason has at least one character."),
        // It is read in a terminal too, where they would write over what stands beside it.
        ..=MAX_REASON_CHARS if text.contains(char::is_control) => {
            told("invalid", "A reason has no control characters.")
        }
        ..=MAX_REASON_CHARS => Ok(text),
        _ => told("too-long", "A reason has at most 500 characters."),
    }
}

/// Override a user's limits
///
/// Gives the user limits of their own in the place of the tier's, and of an earlier override. The
/// user's next request meets them, on every instance. A limit of 0 admits nothing.
#[utoipa::path(
    put, path = "/api/v1/admin/users/{id}/quota", operation_id = "overrideQuota", tag = "Administration",
    params(("id" = String, Path, description = "The user's id", example = "usr_019a9f3c1c2a7d3e8f00112233445566")),
    request_body = OverrideRequest,
    responses((status = 200, description = "The quota as it is now", body = QuotaBody)),
    extensions(("x-problems" = json!(["not-found"]))),
    security(("access_token" = ["admin:write"]), ("api_key" = ["admin:write"])),
)]
pub(crate) async fn replace(
    State(app): State<App>,
    caller: Caller,
    ApiPath(id): ApiPath<UserId>,
    ApiJson(request): ApiJson<OverrideRequest>,
) -> Result<Json<QuotaBody>, Problem> {
    let now = app.now();
    let (limits, reason) = request.parse(now)?;
    let by = changed_by(&caller);
    let overridden = app.users().override_quota(id, limits, &reason, by, now);
    let user = app.administer(id, overridden).await?;
    Ok(Json(quota_of(&app, &user).await?))
}
