//! `GET /api/v1/admin/upstreams` and `POST /api/v1/admin/upstreams/{name}/reset`

use std::time::Duration;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::Instant;
use turnpike_local::Options;
use turnpike_shared::admission::AdmissionParts;
use turnpike_shared::config::Environment;
use turnpike_shared::limits::policy::{Policy, UpstreamPolicy};
use turnpike_shared::upstreams::{Target, UpstreamError, UpstreamRequest, Upstreams};

use crate::audit::settled_log;
use crate::support::{Account, Answer, PATIENT, Reply, TestStack, TestUpstream, dynamodb_at};

const PATH: &str = "/api/v1/admin/upstreams";

/// A stack with an upstream `library` in its policy, and another instance that calls it.
struct Ground {
    stack: TestStack,
    upstream: TestUpstream,
    policy: UpstreamPolicy,
    upstreams: Upstreams,
    admin: Account,
}

impl Ground {
    async fn new() -> Self {
        let upstream = TestUpstream::answering(Reply::status(500)).await;
        let others: String = ["archive", "models"]
            .map(|name| format!("[upstreams.{name}]\nbase_url = \"http://{name}.example\"\n"))
            .concat();
        let text = upstream.policy("library", &format!("retries = 0\n{others}"));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("policy.toml");
        std::fs::write(&file, &text).unwrap();
        let stack = TestStack::start_as(|options| Options {
            policy: Some(file),
            ..options
        })
        .await;
        let env = Environment::default()
            .with("TURNPIKE_ENVIRONMENT", "testing")
            .with("TURNPIKE_IDENTITY_TABLE", "IdentityTable")
            .with("TURNPIKE_ADMISSION_TABLE", "AdmissionTable")
            .with("TURNPIKE_USAGE_TABLE", "UsageTable")
            .with("AWS_REGION", "us-east-1")
            .with("AWS_ACCESS_KEY_ID", "test")
            .with("AWS_SECRET_ACCESS_KEY", "test");
        let parts = AdmissionParts {
            dynamodb: dynamodb_at(stack.engine_endpoint().await),
            budgets: PATIENT,
            ..AdmissionParts::from_environment(&env).unwrap()
        };
        let policy = Policy::parse(&text).unwrap();
        Self {
            admin: stack.admin().await,
            policy: policy.upstream("library").unwrap().clone(),
            upstreams: Upstreams::from_environment(&env, &parts).unwrap(),
            stack,
            upstream,
        }
    }

    async fn call(&self) -> Result<u16, UpstreamError> {
        let target = Target::of_path(&self.policy, "/", None).unwrap();
        let request = UpstreamRequest::new(Method::GET, target);
        let deadline = Instant::now() + Duration::from_secs(30);
        let called = self
            .upstreams
            .call("library", &self.policy, request, deadline);
        called.await.map(|answer| answer.status.as_u16())
    }

    async fn list(&self, query: &str) -> Value {
        let call = self.stack.get(&format!("{PATH}{query}"));
        let answer = call.bearer(&self.admin.access_token).send().await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.body
    }

    async fn reset(&self, name: &str) -> Answer {
        let call = self.stack.post(&format!("{PATH}/{name}/reset"));
        call.bearer(&self.admin.access_token).send().await
    }
}

fn closed(name: &str, failures: usize) -> Value {
    json!({"name": name, "state": "closed", "failures": failures, "opened_at": null, "next_trial_at": null})
}

#[tokio::test]
async fn every_upstream_of_the_policy_is_listed_by_name_also_those_that_were_never_called() {
    let ground = Ground::new().await;

    let list = ground.list("").await;

    let expected = [
        closed("archive", 0),
        closed("library", 0),
        closed("models", 0),
    ];
    assert_eq!(list, json!({"items": expected, "next_cursor": null}));
}

#[tokio::test]
async fn the_list_goes_on_behind_a_cursor() {
    let ground = Ground::new().await;

    let first = ground.list("?limit=2").await;
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = ground.list(&format!("?limit=2&cursor={cursor}")).await;

    assert_eq!(
        first["items"],
        json!([closed("archive", 0), closed("library", 0)])
    );
    assert_eq!(
        second,
        json!({"items": [closed("models", 0)], "next_cursor": null})
    );
    let call = ground.stack.get(&format!("{PATH}?cursor=other"));
    let refused = call.bearer(&ground.admin.access_token).send().await;
    assert_eq!(
        (refused.status, refused.body["code"].as_str()),
        (400, Some("invalid-cursor"))
    );
}

#[tokio::test]
async fn failures_are_shown_as_they_count_and_an_open_breaker_with_its_times() {
    let ground = Ground::new().await;

    ground.call().await.unwrap();
    ground.call().await.unwrap();
    let failing = ground.list("").await;
    for _ in 0..3 {
        ground.call().await.unwrap();
    }
    let open = ground.list("").await;

    assert_eq!(failing["items"][1], closed("library", 2));
    let library = &open["items"][1];
    assert_eq!(
        (&library["state"], &library["failures"]),
        (&json!("open"), &json!(5))
    );
    let time = |name: &str| {
        let text = library[name].as_str().unwrap();
        text.parse::<turnpike_shared::clock::Timestamp>().unwrap()
    };
    assert_eq!(
        time("next_trial_at").since(time("opened_at")),
        Duration::from_mins(1)
    );
    assert_eq!(open["items"][0], closed("archive", 0));
}

#[tokio::test]
async fn a_reset_lets_calls_through_again_on_every_instance_and_is_audited_once() {
    let ground = Ground::new().await;
    for _ in 0..5 {
        ground.call().await.unwrap();
    }
    assert!(ground.call().await.is_err());

    ground.upstream.answer(Reply::text("back"));
    let reset = ground.reset("library").await;
    let again = ground.reset("library").await;

    assert_eq!((reset.status, again.status), (204, 204));
    assert_eq!(ground.list("").await["items"][1], closed("library", 0));
    // The other instance believes what it knows for a second.
    crate::support::until(async || ground.call().await.map_err(|error| error.to_string())).await;
    let log = settled_log(&ground.stack).await;
    let resets: Vec<&Value> = log
        .iter()
        .filter(|entry| entry["action"] == "breaker-reset")
        .collect();
    assert_eq!(resets.len(), 1, "{log:#?}");
    assert_eq!(
        (
            &resets[0]["actor"],
            &resets[0]["target"],
            &resets[0]["details"]
        ),
        (
            &json!(ground.admin.id),
            &json!("library"),
            &json!({"was": "open"})
        )
    );
}

#[tokio::test]
async fn of_simultaneous_resets_one_is_audited() {
    let ground = Ground::new().await;
    for _ in 0..5 {
        ground.call().await.unwrap();
    }

    let resets = join_all((0..8).map(|_| ground.reset("library"))).await;

    let statuses: Vec<u16> = resets.iter().map(|reset| reset.status).collect();
    assert_eq!(statuses, [204; 8]);
    let log = settled_log(&ground.stack).await;
    assert_eq!(
        log.iter()
            .filter(|entry| entry["action"] == "breaker-reset")
            .count(),
        1
    );
}

#[tokio::test]
async fn an_upstream_that_the_policy_does_not_have_is_not_found() {
    let ground = Ground::new().await;

    for name in ["other", "Library", "%2e%2e", "library%20"] {
        let answer = ground.reset(name).await;
        assert_eq!(
            (answer.status, answer.body["code"].as_str()),
            (404, Some("not-found")),
            "{name}"
        );
    }
}
