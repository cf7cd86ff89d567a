//! Headers that every answer carries.

use crate::support::{Answer, TestStack};

async fn answers_of_every_kind(stack: &TestStack) -> Vec<Answer> {
    vec![
        stack.get("/").send().await,
        stack.get("/health").send().await,
        stack.get("/docs").send().await,
        stack.get("/openapi.json").send().await,
        stack.get("/.well-known/jwks.json").send().await,
        stack.get("/nowhere").send().await,
        stack.get("/api/v1/auth/nowhere").send().await,
        stack.get("/api/v1/auth/login").send().await,
        stack.get("/api/v1/auth/me").send().await,
        stack.post("/api/v1/auth/login").raw_json("{").send().await,
        stack.get("/_local/mail").send().await,
    ]
}

#[tokio::test]
async fn every_answer_has_the_security_headers_and_an_id() {
    let stack = TestStack::start().await;

    for answer in answers_of_every_kind(&stack).await {
        assert!(
            answer
                .header("strict-transport-security")
                .starts_with("max-age=")
        );
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        assert!(
            answer
                .header("content-security-policy")
                .contains("default-src 'none'")
        );
        assert!(
            answer
                .header("content-security-policy")
                .contains("frame-ancestors 'none'")
        );
        assert!(!answer.header("cache-control").is_empty());
        assert_eq!(answer.header("x-request-id").len(), 32);
    }
}

#[tokio::test]
async fn what_is_personal_or_secret_is_stored_by_nobody() {
    let stack = TestStack::start().await;
    let account = stack.register("ada@example.com").await;

    let me = stack
        .get("/api/v1/auth/me")
        .bearer(&account.access_token)
        .send()
        .await;
    let sessions = stack
        .get("/api/v1/auth/sessions")
        .bearer(&account.access_token)
        .send()
        .await;
    let refused = stack.get("/api/v1/auth/me").send().await;

    for answer in [me, sessions, refused] {
        assert_eq!(answer.header("cache-control"), "no-store");
    }
}

#[tokio::test]
async fn a_request_id_of_the_callers_own_is_kept_if_it_is_a_plain_one() {
    let stack = TestStack::start().await;
    let longest = "x".repeat(128);
    let too_long = "x".repeat(129);

    for id in ["12345678", "a.b_c-D9", longest.as_str()] {
        let answer = stack.get("/").header("x-request-id", id).send().await;
        assert_eq!(answer.header("x-request-id"), id);
    }
    for id in [
        "1234567",
        "with space",
        "a/b/c/d/e",
        "<script>alert</script>",
        too_long.as_str(),
        "",
    ] {
        let answer = stack.get("/").header("x-request-id", id).send().await;
        assert_eq!(answer.header("x-request-id").len(), 32, "{id}");
    }
    let twice = stack
        .get("/")
        .header("x-request-id", "first-id")
        .header("x-request-id", "second-id");
    assert_eq!(twice.send().await.header("x-request-id").len(), 32);
}

#[tokio::test]
async fn a_problem_names_its_own_request() {
    let stack = TestStack::start().await;

    let answer = stack
        .get("/nowhere")
        .header("x-request-id", "my-request-1")
        .send()
        .await;

    answer.assert_problem(404, "not-found");
    assert_eq!(answer.body["request_id"], "my-request-1");
    assert_eq!(
        answer.body["type"],
        format!("{}/docs/errors/not-found", stack.base)
    );
}

#[tokio::test]
async fn a_valid_trace_is_continued_and_a_malformed_one_ignored() {
    let stack = TestStack::start().await;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    let traced = stack.get("/").header("traceparent", trace).send().await;
    let malformed = stack
        .get("/")
        .header("traceparent", "00-xyz-1-01")
        .send()
        .await;

    let continued = traced.header("traceparent");
    assert!(continued.starts_with("00-0af7651916cd43dd8448eb211c80319c-"));
    assert_ne!(continued, trace);
    assert_eq!(
        (malformed.status, malformed.header("traceparent")),
        (200, "")
    );
}

#[tokio::test]
async fn impossible_headers_never_make_a_5xx() {
    let stack = TestStack::start().await;
    let long = "x".repeat(16_000);
    let cases = [
        ("authorization", long.as_str()),
        ("user-agent", long.as_str()),
        ("traceparent", long.as_str()),
        ("content-length", "-1"),
        ("accept", "nonsense///"),
        ("cookie", ";;;=;=;"),
        ("x-forwarded-for", "not an address"),
        ("if-none-match", "\"unfinished"),
    ];

    for (name, value) in cases {
        let Ok(response) = reqwest::Client::new()
            .get(format!("{}/api/v1/auth/me", stack.base))
            .header(name, value)
            .send()
            .await
        else {
            continue;
        };
        assert!(
            response.status().is_client_error(),
            "{name}: {}",
            response.status()
        );
    }
}
