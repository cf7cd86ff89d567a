//! Calls of upstreams, against a real server that behaves well or badly, as a function makes them.

mod breaker;
mod calls;
mod misbehaviour;
mod redirects;
mod retries;
mod secrets;
mod targets;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use reqwest::Method;
use tokio::time::Instant;
use turnpike_shared::admission::{AdmissionParts, Budgets};
use turnpike_shared::clock::Clock;
use turnpike_shared::config::Environment;
use turnpike_shared::limits::policy::{Policy, UpstreamPolicy};
use turnpike_shared::upstreams::{
    Target, UpstreamAnswer, UpstreamError, UpstreamRequest, Upstreams,
};

use crate::support::{OwnEngine, PATIENT, TestUpstream, dynamodb_at, policy_with};

const NAME: &str = "library";
/// More than any of these calls takes.
const PLENTY: Duration = Duration::from_mins(1);

/// The database that instances share, and their time.
struct Ground {
    engine: OwnEngine,
    clock_shift: Arc<AtomicI64>,
}

impl Ground {
    async fn new() -> Self {
        let engine = OwnEngine::start().await;
        for table in ["AdmissionTable", "IdentityTable"] {
            engine.create_table(table).await;
        }
        Self {
            engine,
            clock_shift: Arc::default(),
        }
    }

    fn clock(&self) -> Clock {
        Clock::shifted(Arc::clone(&self.clock_shift))
    }

    fn pass(&self, time: Duration) {
        let millis = i64::try_from(time.as_millis()).unwrap();
        self.clock_shift.fetch_add(millis, Ordering::SeqCst);
    }

    /// One more instance of a function.
    fn instance(&self) -> Upstreams {
        self.instance_with(&self.engine.endpoint(), |env| env)
    }

    /// An instance that gives the database up as soon as one that is deployed.
    fn impatient_instance(&self, endpoint: &str) -> Upstreams {
        self.instance_as(endpoint, Budgets::default(), |env| env)
    }

    fn instance_with(
        &self,
        endpoint: &str,
        configure: impl FnOnce(Environment) -> Environment,
    ) -> Upstreams {
        self.instance_as(endpoint, PATIENT, configure)
    }

    fn instance_as(
        &self,
        endpoint: &str,
        budgets: Budgets,
        configure: impl FnOnce(Environment) -> Environment,
    ) -> Upstreams {
        let env = Environment::default()
            .with("TURNPIKE_ENVIRONMENT", "testing")
            .with("TURNPIKE_ISSUER", "http://127.0.0.1:3000")
            .with("TURNPIKE_IDENTITY_TABLE", "IdentityTable")
            .with("TURNPIKE_ADMISSION_TABLE", "AdmissionTable")
            .with("TURNPIKE_USAGE_TABLE", "UsageTable")
            .with("AWS_REGION", "us-east-1")
            .with("AWS_ACCESS_KEY_ID", "test")
            .with("AWS_SECRET_ACCESS_KEY", "test");
        let env = configure(env);
        let parts = AdmissionParts {
            dynamodb: dynamodb_at(endpoint),
            clock: self.clock(),
            budgets,
            ..AdmissionParts::from_environment(&env).unwrap()
        };
        Upstreams::from_environment(&env, &parts).unwrap()
    }
}

/// What a policy says of the upstream at an address, with more `fields`.
fn upstream_at(base_url: &str, fields: &str) -> UpstreamPolicy {
    let policy = Policy::parse(&policy_with(NAME, base_url, fields)).unwrap();
    policy.upstream(NAME).unwrap().clone()
}

/// What a policy says of an upstream of the test's, with more `fields`.
fn policy_of(upstream: &TestUpstream, fields: &str) -> UpstreamPolicy {
    upstream_at(&upstream.base, fields)
}

fn to(policy: &UpstreamPolicy, method: Method, path: &str) -> UpstreamRequest {
    UpstreamRequest::new(method, Target::of_path(policy, path, None).unwrap())
}

/// Asks for a path with GET, in plenty of time.
async fn get(
    upstreams: &Upstreams,
    policy: &UpstreamPolicy,
    path: &str,
) -> Result<UpstreamAnswer, UpstreamError> {
    let request = to(policy, Method::GET, path);
    upstreams
        .call(NAME, policy, request, Instant::now() + PLENTY)
        .await
}
