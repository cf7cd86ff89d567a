//! `POST /api/v1/query`: asks an upstream, through the cache.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use turnpike_shared::cache::{CacheStatus, CacheTier, Mode};
use turnpike_shared::errors::{FieldError, Problem};
use turnpike_shared::history::QueryRecord;
use turnpike_shared::ids::{QueryId, UserId};
use turnpike_shared::limits::policy::Policy;
use turnpike_shared::queries::{Asker, NotOffered, Outcome, Price, Query, Question, upstream_for};
use turnpike_shared::upstreams::InvalidTarget;
use turnpike_shared::web::{ApiJson, Deadline, LargeJson, Visitor};
use utoipa::ToSchema;

use crate::App;

/// The longest text of a query, in characters.
const MAX_CHARS: usize = 100_000;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct QueryRequest {
    /// The upstream, by its name in the stage's policy.
    #[schema(example = "library")]
    upstream: String,
    /// What is asked.
    #[schema(min_length = 1, max_length = 100_000, example = "whales")]
    query: String,
    /// What the upstream takes besides. To an upstream that is asked by GET they go as parameters
    /// of the query string.
    #[serde(default)]
    #[schema(value_type = Option<Object>, example = json!({"limit": 5}))]
    params: Option<Map<String, Value>>,
    /// Whether an answer from the cache will do.
    #[serde(default)]
    cache: Option<CacheMode>,
}

/// How the cache is used.
#[derive(Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum CacheMode {
    /// An answer from the cache will do.
    #[default]
    Default,
    /// The upstream is asked, and its answer not kept.
    Bypass,
    /// The upstream is asked, and its answer kept in place of what was.
    Refresh,
}

impl From<CacheMode> for Mode {
    fn from(mode: CacheMode) -> Self {
        match mode {
            CacheMode::Default => Self::Default,
            CacheMode::Bypass => Self::Bypass,
            CacheMode::Refresh => Self::Refresh,
        }
    }
}

/// A request, understood.
struct Asked {
    query: Query,
    mode: Mode,
    /// What is put to the upstream, if the policy has it.
    question: Option<Question>,
}

impl Asked {
    fn read(
        request: QueryRequest,
        policy: &Arc<Policy>,
        headers: &HeaderMap,
    ) -> Result<Self, Problem> {
        let text = text(request.query).map_err(|error| Problem::validation(vec![error]))?;
        let query = Query::new(request.upstream, text, request.params.unwrap_or_default());
        let question = policy
            .upstream(&query.upstream)
            .map(|upstream| Question::new(Arc::clone(policy), upstream, &query, headers))
            .transpose()
            .map_err(not_to_be_sent)?;
        Ok(Self {
            query,
            mode: request.cache.unwrap_or_default().into(),
            question,
        })
    }
}

fn text(text: String) -> Result<String, FieldError> {
    let told = |code, detail| Err(FieldError::new("query", code, detail));
    match text.chars().count() {
        0 => told("too-short", "A query has at least one character."),
        1..=MAX_CHARS => Ok(text),
        _ => told("too-long", "A query has at most 100,000 characters."),
    }
}

/// Of what a query can make an address of, only its length can be wrong.
fn not_to_be_sent(reason: InvalidTarget) -> Problem {
    let detail = format!("The upstream cannot be asked this: {reason}.");
    Problem::validation(vec![FieldError::new("query", "too-long", detail)])
}

/// The answer to a query.
#[derive(Serialize, ToSchema)]
#[schema(as = QueryResult)]
pub(crate) struct QueryBody {
    /// The query's id in the history.
    #[schema(value_type = String, example = "qry_019a9f3c1c2a7d3e8f00112233445566")]
    id: QueryId,
    upstream: String,
    /// What the upstream answered: JSON as it is, any other text as a string, nothing as null.
    #[schema(required, value_type = Value)]
    result: Box<RawValue>,
    cache: CacheUse,
    /// How long it took, without admission.
    execution_time_ms: u64,
}

/// What the cache had to do with an answer.
#[derive(Serialize, ToSchema)]
struct CacheUse {
    /// `hit`: it was there; `stale`: it was there, and is fetched anew after this answer; `miss`,
    /// `bypass`, `refresh`: the upstream was asked.
    status: ShownStatus,
    /// Where it was; null if the upstream was asked, for this query or one at the same time.
    #[schema(required)]
    tier: Option<ShownTier>,
    /// How old it is.
    age_seconds: u64,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = CacheStatus)]
enum ShownStatus {
    Hit,
    Stale,
    Miss,
    Bypass,
    Refresh,
}

impl From<CacheStatus> for ShownStatus {
    fn from(status: CacheStatus) -> Self {
        match status {
            CacheStatus::Hit => Self::Hit,
            CacheStatus::Stale => Self::Stale,
            CacheStatus::Miss => Self::Miss,
            CacheStatus::Bypass => Self::Bypass,
            CacheStatus::Refresh => Self::Refresh,
        }
    }
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = CacheTier)]
enum ShownTier {
    Memory,
    Valkey,
    DynamoDb,
}

impl From<CacheTier> for ShownTier {
    fn from(tier: CacheTier) -> Self {
        match tier {
            CacheTier::Memory => Self::Memory,
            CacheTier::Valkey => Self::Valkey,
            CacheTier::DynamoDb => Self::DynamoDb,
        }
    }
}

/// Ask an upstream
///
/// Puts a query to one of the stage's upstreams, or answers it from the cache. What it counts, and
/// in which class, is the upstream's; an answer from the cache may count less. A request that is
/// refused for its body counts nothing. Callers of a shared upstream get shared answers, unless the
/// policy lets them go past those.
#[utoipa::path(
    post, path = "/api/v1/query", operation_id = "query", tag = "Queries",
    request_body = QueryRequest,
    responses((status = 200, description = "The answer", body = QueryBody)),
    extensions(("x-problems" = json!([
        "unknown-upstream", "feature-not-in-tier", "upstream-failed", "upstream-too-large",
        "upstream-timeout", "circuit-open"
    ]))),
    security(("access_token" = ["query:run"]), ("api_key" = ["query:run"])),
)]
pub(crate) async fn query(
    State(app): State<App>,
    visitor: Visitor,
    deadline: Deadline,
    headers: HeaderMap,
    body: Result<LargeJson<QueryRequest>, Problem>,
) -> Result<Json<QueryBody>, Problem> {
    let policy = app.admission().policy().await;
    let asked = body.and_then(|ApiJson(request)| Asked::read(request, &policy, &headers));
    let (visitor, asked) = visitor.sending(asked).await?;
    let Asked {
        query,
        mode,
        question,
    } = asked;
    let price = Price::of(&policy, &query.upstream);
    let admitted = visitor.admit_after_body(&price.class, price.cost);
    let (caller, charge) = admitted.await?;
    let question = question.ok_or(NotOffered::Unknown)?;
    upstream_for(&policy, &query.upstream, &caller.principal.tier)?;
    let id = QueryId::new(app.now());
    let by = Asker {
        user: caller.id(),
        mode,
        deadline: deadline.instant(),
    };
    let outcome = app.queries().ask(question, by).await;
    if outcome.is_from_cache() {
        let refund = price.refund_of_hit();
        app.admission().give_back_part(charge, refund).await;
    }
    let (record, answer) = told(id, caller.id(), query, outcome);
    app.remember(record).await;
    answer.map(Json)
}

/// What the history is told, and the client.
fn told(
    id: QueryId,
    user: UserId,
    query: Query,
    outcome: Outcome,
) -> (QueryRecord, Result<QueryBody, Problem>) {
    let execution_time_ms = whole(outcome.execution_time.as_millis());
    let answer = outcome.result.map_err(Problem::from);
    let record = QueryRecord {
        id,
        user,
        upstream: query.upstream.clone(),
        query: QueryRecord::text_kept(&query.text).to_owned(),
        status: answer
            .as_ref()
            .map_or_else(|problem| problem.code.status(), |_| 200),
        cache_tier: outcome.tier.map(|tier| tier.as_str().to_owned()),
        execution_time_ms,
        created_at: id.made_at(),
    };
    let cache = CacheUse {
        status: outcome.status.into(),
        tier: outcome.tier.map(ShownTier::from),
        age_seconds: outcome.age.as_secs(),
    };
    let answer = answer.map(|result| QueryBody {
        id,
        upstream: query.upstream,
        result,
        cache,
        execution_time_ms,
    });
    (record, answer)
}

fn whole(millis: u128) -> u64 {
    u64::try_from(millis).unwrap_or(u64::MAX)
}
