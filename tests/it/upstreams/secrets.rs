//! Secrets of upstreams: attached, read again when they are not taken, and never shown.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use tokio::net::TcpListener;
use turnpike_shared::errors::{Problem, ProblemCode};
use turnpike_shared::upstreams::{UpstreamError, Upstreams};

use super::{Ground, get, policy_of};
use crate::support::{Received, Reply, TestUpstream};

const SECRET_HEADER: &str = r#"secret_header = { name = "Authorization", secret = "token" }"#;

/// Secrets Manager, as far as it is asked for secrets: it knows one at a time.
struct SecretsManager {
    endpoint: String,
    secret: Arc<std::sync::Mutex<Option<String>>>,
    asked: Arc<std::sync::Mutex<Vec<String>>>,
}

impl SecretsManager {
    async fn start(secret: &str) -> Self {
        let secret = Arc::new(std::sync::Mutex::new(Some(secret.to_owned())));
        let asked = Arc::new(std::sync::Mutex::new(vec![]));
        let (known, log) = (Arc::clone(&secret), Arc::clone(&asked));
        let answer = move |body: Bytes| {
            let (known, log) = (Arc::clone(&known), Arc::clone(&log));
            async move {
                let asked: serde_json::Value = serde_json::from_slice(&body).unwrap();
                log.lock()
                    .unwrap()
                    .push(asked["SecretId"].as_str().unwrap().to_owned());
                match known.lock().unwrap().clone() {
                    Some(secret) => (
                        axum::http::StatusCode::OK,
                        serde_json::json!({"Name": "token", "SecretString": secret}).to_string(),
                    ),
                    None => (
                        axum::http::StatusCode::BAD_REQUEST,
                        r#"{"__type":"ResourceNotFoundException","Message":"no"}"#.to_owned(),
                    ),
                }
            }
        };
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            endpoint,
            secret,
            asked,
        }
    }

    fn put(&self, secret: Option<&str>) {
        *self.secret.lock().unwrap() = secret.map(str::to_owned);
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    fn instance(&self, ground: &Ground) -> Upstreams {
        ground.instance_with(&ground.engine.endpoint(), |env| {
            env.with("TURNPIKE_UPSTREAM_SECRETS_PREFIX", "dev/upstreams/")
                .with("AWS_ENDPOINT_URL_SECRETS_MANAGER", &self.endpoint)
        })
    }
}

/// Answers who has this secret, and 401 to everybody else.
async fn guarded(secret: &'static str) -> TestUpstream {
    TestUpstream::start(
        move |request: &Received| match request.header("authorization") {
            Some(given) if given == secret => Reply::text("in"),
            _ => Reply::status(401),
        },
    )
    .await
}

#[tokio::test]
async fn a_secret_is_read_once_and_attached_to_every_call() {
    let ground = Ground::new().await;
    let manager = SecretsManager::start("Bearer one").await;
    let upstream = guarded("Bearer one").await;
    let policy = policy_of(&upstream, SECRET_HEADER);
    let upstreams = manager.instance(&ground);

    for _ in 0..3 {
        assert_eq!(get(&upstreams, &policy, "/").await.unwrap().body, "in");
    }

    assert_eq!(*manager.asked.lock().unwrap(), ["dev/upstreams/token"]);
}

#[tokio::test]
async fn a_secret_that_is_no_longer_taken_is_read_again_and_used_at_once() {
    let ground = Ground::new().await;
    let manager = SecretsManager::start("Bearer one").await;
    let upstream = guarded("Bearer one").await;
    let policy = policy_of(&upstream, SECRET_HEADER);
    let upstreams = manager.instance(&ground);
    get(&upstreams, &policy, "/").await.unwrap();

    manager.put(Some("Bearer two"));
    upstream.behave(|request| match request.header("authorization").as_deref() {
        Some("Bearer two") => Reply::text("in again"),
        _ => Reply::status(401),
    });
    ground.pass(Duration::from_secs(11));
    let answer = get(&upstreams, &policy, "/").await.unwrap();

    assert_eq!(answer.body, "in again");
    assert_eq!((manager.asked(), upstream.calls()), (2, 3));
}

#[tokio::test]
async fn an_upstream_that_refuses_everybody_makes_nobody_read_secrets_all_the_time() {
    let ground = Ground::new().await;
    let manager = SecretsManager::start("Bearer one").await;
    let upstream = guarded("Bearer other").await;
    let policy = policy_of(&upstream, SECRET_HEADER);
    let upstreams = manager.instance(&ground);

    for _ in 0..5 {
        let answer = get(&upstreams, &policy, "/").await.unwrap();
        assert_eq!(answer.status, 401);
    }

    assert_eq!((manager.asked(), upstream.calls()), (1, 5));
}

#[tokio::test]
async fn a_secret_goes_on_while_secrets_manager_has_none() {
    let ground = Ground::new().await;
    let manager = SecretsManager::start("Bearer one").await;
    let upstream = guarded("Bearer one").await;
    let policy = policy_of(&upstream, SECRET_HEADER);
    let upstreams = manager.instance(&ground);
    get(&upstreams, &policy, "/").await.unwrap();

    manager.put(None);
    ground.pass(Duration::from_secs(301));
    let answer = get(&upstreams, &policy, "/").await.unwrap();

    assert_eq!((answer.status.as_u16(), manager.asked()), (200, 2));
}

#[tokio::test]
async fn without_its_secret_an_upstream_is_not_called_and_the_client_is_told_nothing() {
    let ground = Ground::new().await;
    let manager = SecretsManager::start("line\nbreak").await;
    let upstream = guarded("Bearer one").await;
    let policy = policy_of(&upstream, SECRET_HEADER);

    for upstreams in [manager.instance(&ground), ground.instance()] {
        let refused = get(&upstreams, &policy, "/").await.unwrap_err();

        assert!(matches!(refused, UpstreamError::Secret(_)), "{refused:?}");
        let problem = Problem::from(refused);
        assert_eq!(problem.code, ProblemCode::InternalError);
        assert!(!problem.detail.contains("secret"));
    }
    assert_eq!(upstream.calls(), 0);
}

#[tokio::test]
async fn a_secret_from_the_environment_is_no_part_of_what_debug_shows() {
    let seen = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&seen);
    let upstream = TestUpstream::start(move |request: &Received| {
        counted.fetch_add(
            usize::from(request.header("authorization").as_deref() == Some("hush")),
            Ordering::SeqCst,
        );
        Reply::status(500).with_header("x-authorization", "hush")
    })
    .await;
    let policy = policy_of(&upstream, SECRET_HEADER);
    let ground = Ground::new().await;
    let upstreams = ground.instance_with(&ground.engine.endpoint(), |env| {
        env.with("TURNPIKE_UPSTREAM_SECRETS", r#"{"token": "hush\n"}"#)
    });

    let answer = get(&upstreams, &policy, "/").await.unwrap();

    assert_eq!(seen.load(Ordering::SeqCst), 1);
    assert!(!format!("{answer:?} {policy:?}").contains("hush"));
}
