//! Which requests leave a record, and what it says.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use turnpike_local::{Engine, Options};
use turnpike_shared::usage::UsageRecord;

use super::records;
use crate::support::{Fault, FaultProxy, KEYS, OwnEngine, PASSWORD, TestStack, client_at};

/// Method, path, status, whose it is, and what was charged.
type Shown = (String, String, u16, Option<String>, u32);

fn shown(record: &UsageRecord) -> Shown {
    (
        record.method.clone(),
        record.path.clone(),
        record.status,
        record.caller.as_ref().map(|caller| caller.user.to_string()),
        record.charged,
    )
}

async fn recorded(stack: &TestStack) -> Vec<UsageRecord> {
    stack.stack.recorder.flush().await;
    records(&stack.dynamodb().await).await
}

#[tokio::test]
async fn each_request_that_is_let_in_leaves_one_record_of_what_became_of_it() {
    let stack = TestStack::start().await;
    let before = stack.now();
    let ada = stack.register("ada@example.com").await;
    let token = &ada.access_token;
    let key = stack.make_key(&ada, json!({})).await;

    stack.get("/api/v1/auth/me").bearer(token).send().await;
    stack.use_key(&key).await;
    stack.get(&key.path()).bearer(token).send().await;
    let nobody = json!({"name": 7});
    let invalid = stack.patch("/api/v1/users/me").bearer(token);
    invalid.json(&nobody).send().await;
    stack
        .get("/api/v1/auth/sessions")
        .key(&key.secret)
        .send()
        .await;
    let head = stack.call(reqwest::Method::HEAD, "/api/v1/users/me");
    head.bearer(token).send().await;

    let recorded = recorded(&stack).await;
    let of_ada = |method: &str, path: &str, status| {
        let owner = Some(ada.id.clone());
        (method.to_owned(), path.to_owned(), status, owner, 1)
    };
    let register = "/api/v1/auth/register";
    assert_eq!(
        recorded.iter().map(shown).collect::<Vec<_>>(),
        [
            ("POST".into(), register.into(), 201, None, 1),
            of_ada("POST", KEYS, 201),
            of_ada("GET", "/api/v1/auth/me", 200),
            of_ada("GET", "/api/v1/users/me", 200),
            of_ada("GET", "/api/v1/users/api-keys/{id}", 200),
            of_ada("PATCH", "/api/v1/users/me", 422),
            of_ada("GET", "/api/v1/auth/sessions", 403),
            of_ada("HEAD", "/api/v1/users/me", 200),
        ]
    );
    for record in &recorded {
        let tier = record.caller.as_ref().map(|caller| caller.tier.as_str());
        assert_eq!(tier.unwrap_or("free"), "free");
        assert!(
            record.at >= before && record.at <= stack.now(),
            "{record:?}"
        );
        assert!(record.duration_ms < 30_000, "{record:?}");
    }
}

#[tokio::test]
async fn what_is_refused_at_the_gate_or_counted_nowhere_leaves_none() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let token = &ada.access_token;
    let explain = "/api/v1/users/limits/explain?method=GET&path=/api/v1/users/me";

    let answers = [
        stack.get("/api/v1/auth/me").bearer("junk").send().await,
        stack.get("/api/v1/auth/me").send().await,
        stack.get("/api/v1/nowhere").bearer(token).send().await,
        stack.put("/api/v1/auth/me").bearer(token).send().await,
        stack.get("/health").send().await,
        stack.get(explain).bearer(token).send().await,
    ];

    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [401, 401, 404, 405, 200, 200]);
    let paths: Vec<String> = recorded(&stack).await.into_iter().map(|r| r.path).collect();
    assert_eq!(paths, ["/api/v1/auth/register"]);
}

#[tokio::test]
async fn a_request_that_a_limit_refuses_leaves_none() {
    let stack = TestStack::start_as(|options| Options {
        policy: None,
        ..options
    })
    .await;
    let admitted = async |email: String| {
        let body = json!({"email": email, "password": PASSWORD});
        let answer = stack.post("/api/v1/auth/register").json(&body).send();
        answer.await.status
    };

    let mut statuses = vec![];
    for number in 0..21 {
        statuses.push(admitted(format!("ada-{number}@example.com")).await);
    }

    assert_eq!(statuses.last(), Some(&429));
    assert_eq!(recorded(&stack).await.len(), 20);
}

#[tokio::test]
async fn a_key_that_somebody_has_verified_is_charged_to_its_owner_and_recorded_as_theirs() {
    let stack = TestStack::start().await;
    let admin = stack.admin().await;
    let ada = stack.register("ada@example.com").await;
    let key = stack.make_key(&ada, json!({})).await;
    let verify = async |key: &str| {
        let body = json!({"key": key, "cost": 5});
        let call = stack
            .post("/api/v1/keys/verify")
            .bearer(&admin.access_token);
        let answer = call.json(&body).send().await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.body["valid"].clone()
    };

    let good = verify(&key.secret).await;
    stack.revoke_key(&ada, &key).await;
    let revoked = verify(&key.secret).await;

    assert_eq!([good, revoked], [Value::Bool(true), Value::Bool(false)]);
    let recorded = recorded(&stack).await;
    let of_verify = recorded.iter().filter(|r| r.path == "/api/v1/keys/verify");
    let charges: Vec<_> = of_verify
        .map(|record| (shown(record).3.unwrap(), record.charged))
        .collect();
    assert_eq!(charges, [(admin.id.clone(), 1), (ada.id, 5), (admin.id, 1)]);
}

#[tokio::test]
async fn a_request_whose_client_goes_away_is_charged_and_recorded() {
    let engine = OwnEngine::start().await;
    let proxy = FaultProxy::start(&engine).await;
    let stack = TestStack::start_on(Engine::At(proxy.endpoint.clone()), |env| env).await;
    let ada = stack.register("ada@example.com").await;
    // From now on the function knows the public keys.
    let me = stack.get("/api/v1/users/me").bearer(&ada.access_token);
    assert_eq!(me.send().await.status, 200);
    proxy.set(Fault::Hold("IdentityTable".into()));

    let change = stack.patch("/api/v1/users/me").bearer(&ada.access_token);
    let answer = change.json(&json!({"full_name": "Ada"})).send();
    let gone = tokio::time::timeout(Duration::from_millis(500), answer).await;

    assert!(gone.is_err());
    let client = client_at(&engine.endpoint());
    let is_recorded = async || {
        stack.stack.recorder.flush().await;
        records(&client)
            .await
            .pop()
            .filter(|last| last.status == 499)
    };
    let deadline = Instant::now() + Duration::from_secs(20);
    let last = loop {
        if let Some(last) = is_recorded().await {
            break last;
        }
        assert!(Instant::now() < deadline, "nothing is recorded");
    };
    proxy.set(Fault::None);
    let of_ada = (Some(ada.id), 1);
    assert_eq!((shown(&last).3, last.charged), of_ada);
}
