//! `GET /api/v1/admin/policy`: the policy in force, in the form of its file.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use turnpike_shared::admission::Caller;
use turnpike_shared::errors::Problem;
use turnpike_shared::limits::policy::{
    AccessPolicy, CacheTtls, ClassLimit, ClassPolicy, Mode, OnOutage, Per, Policy, QueryMethod,
    TierPolicy, UpstreamPolicy,
};
use utoipa::ToSchema;

use crate::App;

/// What stands in the place of a header's value, which may be a secret.
const REDACTED: &str = "[redacted]";

#[derive(Serialize, ToSchema)]
#[schema(as = PolicyAnswer)]
pub(crate) struct PolicyBody {
    /// Tells policies apart: the first 16 hex digits of the SHA-256 of the policy's file.
    #[schema(example = "0123456789abcdef")]
    version: String,
    policy: PolicyObject,
}

/// A policy, in the form of its file; what the file leaves out is as it holds.
#[derive(Serialize, ToSchema)]
#[schema(as = Policy)]
struct PolicyObject {
    /// The version of the format.
    #[schema(example = 1)]
    version: u64,
    access: AccessObject,
    tiers: BTreeMap<String, TierObject>,
    classes: BTreeMap<String, ClassObject>,
    upstreams: BTreeMap<String, UpstreamObject>,
    cache_ttls: CacheTtlsObject,
}

#[derive(Serialize, ToSchema)]
#[schema(as = PolicyAccess)]
struct AccessObject {
    /// Scopes that a user lacks until their e-mail address is verified.
    require_verified_email: Vec<String>,
    reveal_accounts: bool,
}

/// A tier; null is unlimited.
#[derive(Serialize, ToSchema)]
#[schema(as = PolicyTier)]
struct TierObject {
    #[schema(required, example = 100)]
    hour: Option<u64>,
    #[schema(required, example = 1_000)]
    day: Option<u64>,
    #[schema(required, example = 20_000)]
    month: Option<u64>,
    #[schema(required, example = 5)]
    concurrent_jobs: Option<u64>,
    features: Vec<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = PolicyClass)]
struct ClassObject {
    limits: Vec<ClassLimitObject>,
    /// What happens while no store answers: `open`, `local` or `closed`.
    #[schema(example = "open")]
    on_outage: &'static str,
    mode: Mode,
}

#[derive(Serialize, ToSchema)]
#[schema(as = PolicyLimit)]
struct ClassLimitObject {
    #[schema(example = "query")]
    name: String,
    #[schema(example = "20/minute")]
    rate: String,
    /// Whom it counts: `user`, `ip`, `email` or `email+ip`.
    #[schema(example = "user")]
    per: &'static str,
}

#[derive(Serialize, ToSchema)]
#[schema(as = PolicyUpstream)]
struct UpstreamObject {
    #[schema(format = "uri")]
    base_url: String,
    method: &'static str,
    proxy: bool,
    methods: Vec<String>,
    paths: Vec<String>,
    forward_headers: Vec<String>,
    timeout_ms: u64,
    retries: u32,
    cache_ttl_seconds: u64,
    negative_ttl_seconds: u64,
    stale_seconds: u64,
    shared_cache: bool,
    allow_refresh: bool,
    hit_cost: u64,
    class: String,
    cost: u64,
    #[schema(required)]
    requires_feature: Option<String>,
    breaker: BreakerObject,
    /// The headers that every request to it has, without their values.
    headers: BTreeMap<String, &'static str>,
    #[schema(required)]
    secret_header: Option<SecretHeaderObject>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = PolicyBreaker)]
struct BreakerObject {
    failures: u32,
    within_seconds: u64,
    open_seconds: u64,
}

/// A header whose value is a secret, by the secret's name.
#[derive(Serialize, ToSchema)]
#[schema(as = PolicySecretHeader)]
struct SecretHeaderObject {
    name: String,
    secret: String,
}

/// In seconds.
#[derive(Serialize, ToSchema)]
#[schema(as = PolicyCacheTtls)]
struct CacheTtlsObject {
    dataset_list: u64,
    dataset_content: u64,
    query_result: u64,
    session_state: u64,
    llm_models: u64,
}

/// Show the policy in force
///
/// The tiers, classes and upstreams that this function decides by. Another policy takes up to a
/// minute to be in force everywhere. Values of headers are not shown.
#[utoipa::path(
    get, path = "/api/v1/admin/policy", operation_id = "showPolicy", tag = "Administration",
    responses((status = 200, description = "The policy", body = PolicyBody)),
    security(("access_token" = ["admin:read"]), ("api_key" = ["admin:read"])),
)]
pub(crate) async fn policy(State(app): State<App>, _: Caller) -> Result<Json<PolicyBody>, Problem> {
    let policy = app.admission().policy().await;
    Ok(Json(PolicyBody {
        version: policy.digest().to_owned(),
        policy: PolicyObject::from(policy.as_ref()),
    }))
}

/// A name and what it stands for, as the API shows it.
fn named<'a, T: 'a, O: From<&'a T>>((name, of): (&'a str, &'a T)) -> (String, O) {
    (name.to_owned(), O::from(of))
}

impl From<&Policy> for PolicyObject {
    fn from(policy: &Policy) -> Self {
        Self {
            version: policy.version(),
            access: AccessObject::from(policy.access()),
            tiers: policy.tiers().map(named).collect(),
            classes: policy.classes().map(named).collect(),
            upstreams: policy.upstreams().map(named).collect(),
            cache_ttls: CacheTtlsObject::from(policy.cache_ttls()),
        }
    }
}

impl From<&AccessPolicy> for AccessObject {
    fn from(access: &AccessPolicy) -> Self {
        Self {
            require_verified_email: access.require_verified_email.clone(),
            reveal_accounts: access.reveal_accounts,
        }
    }
}

impl From<&TierPolicy> for TierObject {
    fn from(tier: &TierPolicy) -> Self {
        Self {
            hour: tier.hour,
            day: tier.day,
            month: tier.month,
            concurrent_jobs: tier.concurrent_jobs,
            features: tier.features.clone(),
        }
    }
}

impl From<&ClassPolicy> for ClassObject {
    fn from(class: &ClassPolicy) -> Self {
        Self {
            limits: class.limits.iter().map(ClassLimitObject::from).collect(),
            on_outage: match class.on_outage {
                OnOutage::Open => "open",
                OnOutage::Local => "local",
                OnOutage::Closed => "closed",
            },
            mode: class.mode,
        }
    }
}

impl From<&ClassLimit> for ClassLimitObject {
    fn from(limit: &ClassLimit) -> Self {
        Self {
            name: limit.name.clone(),
            rate: limit.rate.to_string(),
            per: match limit.per {
                Per::User => "user",
                Per::Ip => "ip",
                Per::Email => "email",
                Per::EmailAndIp => "email+ip",
            },
        }
    }
}

impl From<&UpstreamPolicy> for UpstreamObject {
    fn from(upstream: &UpstreamPolicy) -> Self {
        let seconds = |duration: Duration| duration.as_secs();
        let forwarded = upstream.forward_headers.iter();
        let headers = upstream.headers.keys();
        let secret = upstream.secret_header.as_ref();
        Self {
            base_url: upstream.base_url.to_string(),
            method: match upstream.method {
                QueryMethod::Get => "GET",
                QueryMethod::Post => "POST",
            },
            proxy: upstream.proxy,
            methods: upstream.methods.iter().map(ToString::to_string).collect(),
            paths: upstream.paths.clone(),
            forward_headers: forwarded.map(ToString::to_string).collect(),
            timeout_ms: u64::try_from(upstream.timeout.as_millis()).unwrap_or(u64::MAX),
            retries: upstream.retries,
            cache_ttl_seconds: seconds(upstream.cache_ttl),
            negative_ttl_seconds: seconds(upstream.negative_ttl),
            stale_seconds: seconds(upstream.stale),
            shared_cache: upstream.shared_cache,
            allow_refresh: upstream.allow_refresh,
            hit_cost: upstream.hit_cost,
            class: upstream.class.clone(),
            cost: upstream.cost,
            requires_feature: upstream.requires_feature.clone(),
            breaker: BreakerObject {
                failures: upstream.breaker.failures,
                within_seconds: seconds(upstream.breaker.within),
                open_seconds: seconds(upstream.breaker.open),
            },
            headers: headers.map(|name| (name.to_string(), REDACTED)).collect(),
            secret_header: secret.map(|header| SecretHeaderObject {
                name: header.name.to_string(),
                secret: header.secret.clone(),
            }),
        }
    }
}

impl From<&CacheTtls> for CacheTtlsObject {
    fn from(ttls: &CacheTtls) -> Self {
        Self {
            dataset_list: ttls.dataset_list.as_secs(),
            dataset_content: ttls.dataset_content.as_secs(),
            query_result: ttls.query_result.as_secs(),
            session_state: ttls.session_state.as_secs(),
            llm_models: ttls.llm_models.as_secs(),
        }
    }
}
