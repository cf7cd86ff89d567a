//! `GET /api/v1/admin/policy`

use serde_json::json;
use turnpike_local::Options;

use crate::support::TestStack;

const PATH: &str = "/api/v1/admin/policy";

#[tokio::test]
async fn the_policy_in_force_is_shown_in_the_form_of_its_file() {
    let stack = TestStack::start_as(|options| Options {
        policy: None,
        ..options
    })
    .await;
    let admin = stack.admin().await;

    let answer = stack.get(PATH).bearer(&admin.access_token).send().await;

    assert_eq!(answer.status, 200, "{}", answer.text);
    let policy = &answer.body["policy"];
    assert_eq!(answer.body["version"].as_str().unwrap().len(), 16);
    assert_eq!(policy["version"], 1);
    assert_eq!(
        policy["tiers"]["free"],
        json!({"hour": 100, "day": 1000, "month": 20000, "concurrent_jobs": 5, "features": []})
    );
    assert_eq!(policy["tiers"]["enterprise"]["month"], json!(null));
    assert_eq!(
        policy["classes"]["auth"],
        json!({
            "limits": [
                {"name": "auth", "rate": "10/minute", "per": "ip"},
                {"name": "auth-email", "rate": "5/900s", "per": "email+ip"},
                {"name": "auth-email-day", "rate": "100/day", "per": "email"},
            ],
            "on_outage": "closed",
            "mode": "enforce",
        })
    );
    assert_eq!(policy["access"]["reveal_accounts"], true);
    assert_eq!(policy["cache_ttls"]["session_state"], 1_800);
}

#[tokio::test]
async fn an_upstreams_headers_are_named_and_their_values_kept() {
    const VALUE: &str = "only-the-upstream-knows";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policy.toml");
    let text = format!(
        r#"
        version = 1
        [tiers.anonymous]
        [tiers.free]
        [tiers.enterprise]
        [upstreams.library]
        base_url = "https://library.example.com/search"
        headers = {{ "X-Client" = "{VALUE}" }}
        secret_header = {{ name = "Authorization", secret = "library-token" }}
        timeout_ms = 2000
        "#
    );
    std::fs::write(&file, text).unwrap();
    let stack = TestStack::start_as(|options| Options {
        policy: Some(file.clone()),
        ..options
    })
    .await;
    let admin = stack.admin().await;

    let answer = stack.get(PATH).bearer(&admin.access_token).send().await;

    let library = &answer.body["policy"]["upstreams"]["library"];
    assert_eq!(library["headers"], json!({"x-client": "[redacted]"}));
    assert_eq!(
        library["secret_header"],
        json!({"name": "authorization", "secret": "library-token"})
    );
    assert_eq!(library["base_url"], "https://library.example.com/search");
    assert_eq!(library["timeout_ms"], 2_000);
    assert!(!answer.text.contains(VALUE));
}
