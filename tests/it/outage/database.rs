//! DynamoDB is away: a clear answer at once, and everything as before once it is back.

use std::time::{Duration, Instant};

use serde_json::json;
use turnpike_local::Engine;

use crate::support::{OwnEngine, PASSWORD, TestStack};

#[tokio::test]
async fn without_the_database_requests_fail_clearly_and_recover_without_a_restart() {
    let mut engine = OwnEngine::start().await;
    let stack = TestStack::start_on(Engine::At(engine.endpoint()), |env| env).await;
    let account = stack.register("ada@example.com").await;
    assert_eq!(stack.get("/health/ready").send().await.status, 200);

    engine.stop().await;
    stack.pass(Duration::from_secs(6));

    let started = Instant::now();
    let body = json!({"email": "ada@example.com", "password": PASSWORD});
    let login = stack.post("/api/v1/auth/login").json(&body).send().await;
    let me = stack
        .get("/api/v1/auth/me")
        .bearer(&account.access_token)
        .send()
        .await;
    login.assert_problem(503, "service-unavailable");
    me.assert_problem(503, "auth-unavailable");
    for answer in [login, me] {
        assert_eq!(answer.header("retry-after"), "1");
        assert!(
            !answer.text.to_lowercase().contains("dynamo"),
            "a 5xx never tells why"
        );
    }
    assert!(started.elapsed() < Duration::from_secs(15));
    stack
        .get("/health/ready")
        .send()
        .await
        .assert_problem(503, "not-ready");
    let health = stack.get("/health").send().await;
    assert_eq!(
        (health.status, &health.body["status"]),
        (200, &json!("unhealthy"))
    );
    assert_eq!(health.body["services"]["dynamodb"]["status"], "down");
    assert_eq!(stack.get("/health/live").send().await.status, 200);
    assert_eq!(stack.get("/docs").send().await.status, 200);

    engine.serve().await;
    stack.pass(Duration::from_secs(6));
    assert_eq!(stack.me_status(&account.access_token).await, 200);
    assert_eq!(stack.get("/health/ready").send().await.status, 200);
}
