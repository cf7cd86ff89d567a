//! `GET /health`, `/health/live`, `/health/ready`

use crate::support::TestStack;

#[tokio::test]
async fn it_reports_every_service_under_both_paths() {
    let stack = TestStack::start().await;

    for path in ["/health", "/api/v1/health"] {
        let answer = stack.get(path).send().await;

        assert_eq!(answer.status, 200);
        assert_eq!(answer.body["status"], "healthy");
        assert_eq!(answer.body["version"], turnpike_shared::VERSION);
        assert_eq!(answer.body["environment"], "testing");
        assert!(answer.body["timestamp"].as_str().unwrap().ends_with('Z'));
        assert!(answer.body["response_time_ms"].is_number());
        let services = &answer.body["services"];
        assert_eq!(services["dynamodb"]["status"], "up");
        assert!(services["dynamodb"]["latency_ms"].is_number());
        assert_eq!(services["valkey"]["status"], "disabled");
        assert_eq!(services["queue"]["status"], "disabled");
        assert_eq!(services["mail"]["status"], "up");
        assert!(
            answer.body["details"].is_object(),
            "open to everybody in the local stack"
        );
    }
}

#[tokio::test]
async fn live_and_ready_answer_at_both_paths() {
    let stack = TestStack::start().await;

    for path in [
        "/health/live",
        "/health/ready",
        "/api/v1/health/live",
        "/api/v1/health/ready",
    ] {
        assert_eq!(stack.get(path).send().await.status, 200, "{path}");
    }
}
