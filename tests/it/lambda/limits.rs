//! Limits, through the binary that is deployed and with the policy that is compiled in.

use serde_json::json;

use super::{Emulator, Invocation};
use crate::support::{PASSWORD, TestStack};

const ONE_IP: &str = "198.51.100.1";
const ANOTHER_IP: &str = "198.51.100.2";

async fn register(auth: &Emulator, ip: &str, number: u32) -> Invocation {
    let email = format!("ada-{number}@example.com");
    let body = json!({"email": email, "password": PASSWORD});
    let path = "/api/v1/auth/register";
    auth.call_from(ip, "POST", path, None, Some(&body)).await
}

#[tokio::test]
async fn an_answer_says_how_the_limits_of_its_caller_stand() {
    let stack = TestStack::start().await;
    let auth = Emulator::start("auth", &stack).await;
    let registered = register(&auth, ONE_IP, 0).await;
    let token = registered.body["tokens"]["access_token"].as_str().unwrap();

    let me = auth.call("GET", "/api/v1/auth/me", Some(token), None).await;

    assert_eq!(registered.headers["x-ratelimit-limit"], "20");
    assert_eq!(registered.headers["x-ratelimit-remaining"], "19");
    assert_eq!(me.status, 200, "{}", me.raw);
    assert_eq!(me.headers["x-ratelimit-limit"], "100");
    assert_eq!(me.headers["x-ratelimit-remaining"], "99");
    let policy = &me.headers["ratelimit-policy"];
    for limit in ["q=100;w=3600", "q=1000;w=86400", "q=20000"] {
        assert!(policy.contains(limit), "{policy}");
    }
    assert!(!me.headers.contains_key("turnpike-degraded"));
}

#[tokio::test]
async fn the_21st_registration_from_one_address_within_an_hour_is_refused() {
    let stack = TestStack::start().await;
    let auth = Emulator::start("auth", &stack).await;

    for number in 1..=20 {
        let let_in = register(&auth, ONE_IP, number).await;
        assert_eq!(let_in.status, 201, "{number}: {}", let_in.raw);
    }
    let refused = register(&auth, ONE_IP, 21).await;
    let from_elsewhere = register(&auth, ANOTHER_IP, 21).await;

    assert_eq!(
        (refused.status, &refused.body["code"]),
        (429, &json!("quota-exceeded")),
        "{}",
        refused.raw
    );
    assert_eq!(refused.headers["content-type"], "application/problem+json");
    assert_eq!(refused.headers["x-ratelimit-remaining"], "0");
    let wait: u32 = refused.headers["retry-after"].parse().unwrap();
    assert!((1..=3_660).contains(&wait), "{wait}");
    assert_eq!(from_elsewhere.status, 201, "{}", from_elsewhere.raw);
    assert_eq!(from_elsewhere.headers["x-ratelimit-remaining"], "19");
}
