//! `GET /api/v1/users/limits/explain`: how a request would fare.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use turnpike_shared::admission::Caller;
use turnpike_shared::errors::{FieldError, Problem};
use turnpike_shared::limits::LimitReport;
use turnpike_shared::limits::policy::Policy;
use turnpike_shared::limits::routes::{self, Access, Found};
use turnpike_shared::queries::Price;
use turnpike_shared::web::{ApiQuery, ClientIp, LimitStateObject, problem_of};
use utoipa::{IntoParams, ToSchema};

use crate::App;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ExplainQuery {
    /// The request's method.
    #[param(example = "GET")]
    method: String,
    /// The request's path, without a query string.
    #[param(example = "/api/v1/users/me")]
    path: String,
}

/// Whether limits would let a request in.
#[derive(Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Decision {
    Allow,
    Deny,
}

/// How a request would fare.
#[derive(Serialize, ToSchema)]
#[schema(as = Explanation)]
pub(crate) struct ExplanationBody {
    decision: Decision,
    /// The limits that the request would have to keep; none where it is not limited.
    checks: Vec<LimitStateObject>,
}

/// Explain the limits of a request
///
/// Says which limits a request of the caller's would have to keep, how they stand, and whether it
/// would be let in. Routes that are open without a credential are limited by address: the
/// caller's. Neither this request nor the one it asks about is counted. Permissions are not looked
/// at, and nor are limits on what stands in a body.
#[utoipa::path(
    get, path = "/api/v1/users/limits/explain", operation_id = "explainLimits", tag = "Limits",
    params(ExplainQuery),
    responses((status = 200, description = "The limits", body = ExplanationBody)),
    extensions(("x-problems" = json!(["validation-failed"]))),
    security(("access_token" = ["usage:read"]), ("api_key" = ["usage:read"])),
)]
pub(crate) async fn explain(
    State(app): State<App>,
    ClientIp(ip): ClientIp,
    caller: Caller,
    ApiQuery(query): ApiQuery<ExplainQuery>,
) -> Result<Json<ExplanationBody>, Problem> {
    let admission = app.admission();
    let policy = admission.policy().await;
    let report = match find(&query, &policy)? {
        None | Some((_, Access::Uncounted(_))) => Ok(LimitReport::default()),
        Some((class, Access::Open)) => admission.look_open(ip, &class).await,
        Some((class, _)) => admission.look(&caller, &class).await,
    };
    let report = report.map_err(|error| problem_of(error.into(), admission.now()))?;
    Ok(Json(ExplanationBody {
        decision: if report.is_refused() {
            Decision::Deny
        } else {
            Decision::Allow
        },
        checks: LimitStateObject::all_of(&report),
    }))
}

/// The class of the route that is asked about, and who may call it; `None` where nothing is
/// limited.
fn find(query: &ExplainQuery, policy: &Policy) -> Result<Option<(String, Access)>, Problem> {
    const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    let is_method = METHODS.contains(&query.method.as_str());
    let invalid = |field: &str, detail: &'static str| FieldError::new(field, "invalid", detail);
    let bad_method = || invalid("method", "This is not a method of HTTP that is used here.");
    let bad_path = || {
        invalid(
            "path",
            "There is no such path; give it whole, from its first /.",
        )
    };
    let errors = match routes::find(&query.method, &query.path) {
        Found::Route(route) => {
            // The class of a proxied request is its upstream's.
            let proxied = routes::proxied_upstream(&query.path);
            let class = match proxied {
                Some(upstream) => Price::of(policy, upstream).class,
                None => route.class.to_owned(),
            };
            return Ok(Some((class, route.access)));
        }
        Found::Unlimited => return Ok(None),
        Found::NoSuchPath if is_method => vec![bad_path()],
        Found::NoSuchPath => vec![bad_method(), bad_path()],
        Found::NoSuchMethod if is_method => {
            vec![invalid("method", "The path has no such method.")]
        }
        Found::NoSuchMethod => vec![bad_method()],
    };
    Err(Problem::validation(errors))
}
