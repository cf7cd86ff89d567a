//! The function from outside: requests in, answers out.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tower::ServiceExt;

use super::*;

const ISSUER: &str = "https://api.example.com";
const TOKEN: &str = "0123456789abcdef0123456789abcdef";

fn environment() -> Environment {
    Environment::default()
        .with("TURNPIKE_ENVIRONMENT", "testing")
        .with("TURNPIKE_ISSUER", ISSUER)
        .with("TURNPIKE_IDENTITY_TABLE", "identity")
        .with("AWS_REGION", "eu-central-1")
        .with("AWS_ACCESS_KEY_ID", "key")
        .with("AWS_SECRET_ACCESS_KEY", "secret")
}

/// An app, and the other end of its clock.
struct Stand {
    app: App,
    shift_millis: Arc<AtomicI64>,
}

impl Stand {
    fn new(dynamodb: &str, details: DetailsAccess) -> Self {
        Self::with(dynamodb, details, |env| env)
    }

    /// One whose environment is as `configure` leaves it.
    fn with(
        dynamodb: &str,
        details: DetailsAccess,
        configure: impl FnOnce(Environment) -> Environment,
    ) -> Self {
        let env = environment()
            .with("AWS_ENDPOINT_URL_DYNAMODB", dynamodb)
            .with("TURNPIKE_MAIL", "mailbox");
        let env = configure(env);
        let shift_millis = Arc::<AtomicI64>::default();
        let parts = Parts {
            dynamodb: DynamoDb::from_environment(&env).unwrap(),
            details,
            clock: Clock::shifted(Arc::clone(&shift_millis)),
        };
        let app = App::new(&env, parts).unwrap();
        Self { app, shift_millis }
    }

    /// One whose DynamoDB nobody asks.
    fn without_dynamodb() -> Self {
        Self::new("http://127.0.0.1:1", DetailsAccess::Nobody)
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap())
            .await
    }

    async fn get_with_token(&self, path: &str, token: &str) -> Answer {
        let request = Request::get(path).header(header::AUTHORIZATION, format!("Bearer {token}"));
        self.send(request.body(Body::empty()).unwrap()).await
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let response = router(self.app.clone()).oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8(body.to_vec()).unwrap();
        Answer {
            status: parts.status,
            headers: parts.headers,
            text,
        }
    }
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    fn header(&self, name: header::HeaderName) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

/// Something that answers each request of a probe as DynamoDB would, and counts them.
async fn counting_engine() -> (String, Arc<AtomicUsize>) {
    let answer = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\
        Content-Type: application/x-amz-json-1.0\r\n\r\n{}";
    counting_server("}", answer.to_owned()).await
}

/// Something that gives every request that ends with `end` the same answer, and counts them.
async fn counting_server(end: &'static str, answer: String) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let requests = Arc::<AtomicUsize>::default();
    let counter = Arc::clone(&requests);
    tokio::spawn(async move {
        loop {
            let (mut connection, _) = listener.accept().await.unwrap();
            counter.fetch_add(1, Ordering::SeqCst);
            let mut request = Vec::new();
            while !request.ends_with(end.as_bytes()) {
                connection.read_buf(&mut request).await.unwrap();
            }
            connection.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (address, requests)
}

/// An ElastiCache that answers so whenever it is asked about `turnpike-dev`.
async fn elasticache(status: u16, body: &str) -> (String, Arc<AtomicUsize>) {
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 {status} Answer\r\nConnection: close\r\nContent-Length: {length}\r\n\
         Content-Type: text/xml\r\n\r\n{body}"
    );
    counting_server("ServerlessCacheName=turnpike-dev", answer).await
}

/// What ElastiCache says of a cache; `None` of one that has no endpoint yet.
fn described(status: &str, host: Option<&str>) -> String {
    let endpoint = host.map_or_else(String::new, |host| {
        format!("<Endpoint><Address>{host}</Address><Port>6379</Port></Endpoint>")
    });
    format!(
        "<DescribeServerlessCachesResponse xmlns=\"http://elasticache.amazonaws.com/doc/2015-02-02/\">\
         <DescribeServerlessCachesResult><ServerlessCaches><member><Status>{status}</Status>\
         <Engine>valkey</Engine><FullEngineVersion>8.1</FullEngineVersion>{endpoint}</member>\
         </ServerlessCaches></DescribeServerlessCachesResult></DescribeServerlessCachesResponse>"
    )
}

fn refused(code: &str) -> String {
    format!(
        "<ErrorResponse xmlns=\"http://elasticache.amazonaws.com/doc/2015-02-02/\"><Error>\
         <Type>Sender</Type><Code>{code}</Code><Message>no</Message></Error></ErrorResponse>"
    )
}

/// An environment with a serverless cache, which `elasticache` knows.
fn with_cache(elasticache: &str) -> impl FnOnce(Environment) -> Environment {
    move |env| {
        env.with("TURNPIKE_VALKEY_CACHE", "turnpike-dev")
            .with("TURNPIKE_VALKEY_USER", "turnpike-dev-functions")
            .with("AWS_ENDPOINT_URL_ELASTICACHE", elasticache)
    }
}

/// An address that takes connections and says nothing; for as long as the listener lives.
async fn silent_port() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

/// An address at which nothing answers.
async fn closed_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[tokio::test]
async fn the_index_says_what_this_is_and_where_to_read_on() {
    let answer = Stand::without_dynamodb().get("/").await;

    assert_eq!(answer.status, StatusCode::OK);
    let expected = json!({
        "name": "Turnpike",
        "version": turnpike_shared::VERSION,
        "docs": "https://api.example.com/docs",
        "health": "https://api.example.com/health",
    });
    assert_eq!(answer.json(), expected);
}

#[tokio::test]
async fn while_dynamodb_answers_the_service_is_healthy_and_ready() {
    let (engine, _) = counting_engine().await;
    let stand = Stand::new(&engine, DetailsAccess::Nobody);

    for prefix in ["", "/api/v1"] {
        let report = stand.get(&format!("{prefix}/health")).await;
        let live = stand.get(&format!("{prefix}/health/live")).await;
        let ready = stand.get(&format!("{prefix}/health/ready")).await;

        assert_eq!(report.status, StatusCode::OK);
        assert_eq!(report.header(header::CACHE_CONTROL), "no-store");
        let report = report.json();
        assert_eq!(report["status"], "healthy");
        assert_eq!(report["environment"], "testing");
        assert_eq!(report["services"]["dynamodb"]["status"], "up");
        assert!(report["services"]["dynamodb"]["latency_ms"].is_number());
        assert!(report["response_time_ms"].is_number());
        let disabled = json!({"status": "disabled", "latency_ms": null});
        assert_eq!(report["services"]["valkey"], disabled);
        assert_eq!(report["services"]["queue"], disabled);
        assert_eq!(
            report["services"]["mail"],
            json!({"status": "up", "latency_ms": null})
        );
        assert_eq!(
            (live.status, live.json()),
            (StatusCode::OK, json!({"status": "live"}))
        );
        assert_eq!(
            (ready.status, ready.json()),
            (StatusCode::OK, json!({"status": "ready"}))
        );
    }
}

#[tokio::test]
async fn while_dynamodb_is_away_the_service_is_unhealthy_and_not_ready_but_live() {
    let stand = Stand::new(&closed_port().await, DetailsAccess::Everybody);

    let report = stand.get("/health").await;
    let ready = stand.get("/health/ready").await;
    let live = stand.get("/health/live").await;

    assert_eq!(report.status, StatusCode::OK);
    let report = report.json();
    assert_eq!(report["status"], "unhealthy");
    let down = json!({"status": "down", "latency_ms": null});
    assert_eq!(report["services"]["dynamodb"], down);
    assert_eq!(report["details"]["dynamodb_error_kind"], "unavailable");
    assert_eq!(report["details"]["failed_probes"], 1);
    assert_eq!(ready.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(ready.header(header::RETRY_AFTER), "5");
    assert_eq!(ready.json()["code"], "not-ready");
    assert_eq!(live.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn however_many_ask_dynamodb_is_asked_once_in_five_seconds() {
    let (engine, requests) = counting_engine().await;
    let stand = Arc::new(Stand::new(&engine, DetailsAccess::Nobody));
    let ask_50_times = async || {
        let asking = (0..50).map(|number| {
            let stand = Arc::clone(&stand);
            let path = if number % 2 == 0 {
                "/health"
            } else {
                "/health/ready"
            };
            tokio::spawn(async move { stand.get(path).await.status })
        });
        for status in asking.collect::<Vec<_>>() {
            assert_eq!(status.await.unwrap(), StatusCode::OK);
        }
        requests.load(Ordering::SeqCst)
    };

    assert_eq!(ask_50_times().await, 1);

    stand.shift_millis.store(5_000, Ordering::Relaxed);
    assert_eq!(ask_50_times().await, 2);

    // A clock that was set back does not keep the outcome until it has caught up.
    stand.shift_millis.store(-3_600_000, Ordering::Relaxed);
    assert_eq!(ask_50_times().await, 3);
}

#[tokio::test]
async fn a_failed_probe_is_not_repeated_within_five_seconds_and_is_then_forgotten() {
    let (engine, requests) = counting_engine().await;
    let away = Stand::new(&closed_port().await, DetailsAccess::Everybody);
    let back = Stand::new(&engine, DetailsAccess::Everybody);

    away.get("/health").await;
    away.shift_millis.store(4_000, Ordering::Relaxed);
    let within = away.get("/health").await.json();
    away.shift_millis.store(5_001, Ordering::Relaxed);
    let after = away.get("/health").await.json();
    let healthy = back.get("/health").await.json();

    assert_eq!(within["details"]["probes"], 1);
    assert_eq!(after["details"]["probes"], 2);
    assert_eq!(after["details"]["failed_probes"], 2);
    assert_eq!(healthy["details"]["failed_probes"], 0);
    assert_eq!(requests.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_serverless_cache_is_what_elasticache_says_of_it() {
    let host = "turnpike-dev-abc.serverless.euc1.cache.amazonaws.com";
    let known = |status: &str, endpoint: Value| json!({"name": "turnpike-dev", "status": status, "endpoint": endpoint, "engine_version": "8.1"});
    let unknown =
        json!({"name": "turnpike-dev", "status": null, "endpoint": null, "engine_version": null});
    let endpoint = json!(format!("{host}:6379"));
    let cases = [
        (
            200,
            described("available", Some(host)),
            Value::Null,
            known("available", endpoint.clone()),
        ),
        (
            200,
            described("modifying", Some(host)),
            Value::Null,
            known("modifying", endpoint.clone()),
        ),
        (
            200,
            described("deleting", Some(host)),
            json!("not_serving"),
            known("deleting", endpoint),
        ),
        (
            200,
            described("creating", None),
            json!("not_serving"),
            known("creating", Value::Null),
        ),
        (
            404,
            refused("ServerlessCacheNotFoundFault"),
            json!("not_found"),
            unknown.clone(),
        ),
        (
            403,
            refused("AccessDenied"),
            json!("refused"),
            unknown.clone(),
        ),
        (
            503,
            refused("ServiceUnavailable"),
            json!("unavailable"),
            unknown,
        ),
    ];
    let (engine, _) = counting_engine().await;

    for (status, body, kind, cache) in cases {
        let (elasticache, _) = elasticache(status, &body).await;
        let access = DetailsAccess::Token(TOKEN.into());
        let stand = Stand::with(&engine, access, with_cache(&elasticache));

        let report = stand.get_with_token("/health", TOKEN).await.json();
        let to_others = stand.get("/health").await;

        let (service, overall) = if kind.is_null() {
            ("up", "healthy")
        } else {
            ("down", "degraded")
        };
        assert_eq!(report["status"], overall, "{body}");
        let valkey = json!({"status": service, "latency_ms": null});
        assert_eq!(report["services"]["valkey"], valkey, "{body}");
        let details = &report["details"]["valkey"];
        assert_eq!((&details["error_kind"], &details["cache"]), (&kind, &cache));
        assert_eq!(to_others.json()["services"]["valkey"], valkey);
        assert!(
            !to_others.text.contains("turnpike-dev"),
            "{}",
            to_others.text
        );
    }
}

#[tokio::test]
async fn elasticache_is_asked_once_in_five_seconds() {
    let (engine, _) = counting_engine().await;
    let (elasticache, lookups) = elasticache(200, &described("available", Some("cache"))).await;
    let stand = Stand::with(&engine, DetailsAccess::Nobody, with_cache(&elasticache));

    for (shift, expected) in [(0, 1), (4_000, 1), (5_001, 2)] {
        stand.shift_millis.store(shift, Ordering::Relaxed);
        stand.get("/health").await;
        assert_eq!(lookups.load(Ordering::SeqCst), expected, "at {shift}");
    }
}

#[tokio::test]
async fn a_valkey_that_does_not_answer_costs_a_few_seconds_and_does_not_stop_the_service() {
    let (engine, _) = counting_engine().await;
    let (_hangs, silent) = silent_port().await;
    let (_hangs_too, silent_api) = silent_port().await;
    let closed = closed_port().await.replace("http://", "redis://");
    let at = |url: String| move |env: Environment| env.with("TURNPIKE_VALKEY_URL", url);
    let stands = [
        Stand::with(&engine, DetailsAccess::Everybody, at(closed)),
        Stand::with(
            &engine,
            DetailsAccess::Everybody,
            at(format!("redis://{silent}")),
        ),
        Stand::with(
            &engine,
            DetailsAccess::Everybody,
            with_cache(&format!("http://{silent_api}")),
        ),
    ];

    for stand in stands {
        let began = std::time::Instant::now();
        let report = stand.get("/health").await;
        let ready = stand.get("/health/ready").await;

        // Two seconds and some for a busy machine; without a bound it would be four or more.
        assert!(began.elapsed() < std::time::Duration::from_millis(3_500));
        assert_eq!(report.status, StatusCode::OK);
        let report = report.json();
        assert_eq!(report["status"], "degraded");
        let down = json!({"status": "down", "latency_ms": null});
        assert_eq!(report["services"]["valkey"], down);
        assert_eq!(report["details"]["valkey"]["error_kind"], "unavailable");
        assert_eq!(report["details"]["dynamodb_error_kind"], Value::Null);
        assert_eq!(
            ready.status,
            StatusCode::OK,
            "readiness is DynamoDB's alone"
        );
    }
}

#[tokio::test]
async fn details_are_for_who_bears_the_token() {
    let (engine, _) = counting_engine().await;
    let guarded = Stand::new(&engine, DetailsAccess::Token(TOKEN.into()));
    let closed = Stand::new(&engine, DetailsAccess::Nobody);

    let with_token = guarded.get_with_token("/health", TOKEN).await.json();
    let without = guarded.get("/health").await.json();
    let with_another = guarded.get_with_token("/health", "another").await;
    let where_there_is_none = closed.get_with_token("/health", TOKEN).await.json();

    let details = with_token["details"].as_object().unwrap();
    assert!(details["started_at"].as_str().unwrap().ends_with('Z'));
    assert!(details["probed_at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(details["dynamodb_error_kind"], Value::Null);
    assert_eq!(details["valkey"], Value::Null, "this stage has none");
    assert_eq!(with_another.status, StatusCode::OK);
    for report in [without, with_another.json(), where_there_is_none] {
        assert_eq!(report["details"], Value::Null);
    }
}

#[tokio::test]
async fn the_openapi_document_is_sent_once_and_then_known_by_its_tag() {
    let stand = Stand::without_dynamodb();
    let first = stand.get("/openapi.json").await;
    let again = Request::get("/openapi.json")
        .header(header::IF_NONE_MATCH, first.header(header::ETAG))
        .body(Body::empty())
        .unwrap();

    let again = stand.send(again).await;

    assert_eq!(first.status, StatusCode::OK);
    assert_eq!(first.header(header::CONTENT_TYPE), "application/json");
    assert_eq!(first.header(header::CACHE_CONTROL), "public, max-age=300");
    assert!(first.json()["openapi"].as_str().unwrap().starts_with("3.1"));
    assert_eq!(again.status, StatusCode::NOT_MODIFIED);
    assert_eq!(again.header(header::ETAG), first.header(header::ETAG));
    assert_eq!(again.text, "");
}

#[tokio::test]
async fn pages_are_html_that_may_load_nothing() {
    let stand = Stand::without_dynamodb();

    for path in ["/docs", "/docs/errors", "/docs/errors/not-found"] {
        let page = stand.get(path).await;

        assert_eq!(page.status, StatusCode::OK, "{path}");
        assert_eq!(
            page.header(header::CONTENT_TYPE),
            "text/html; charset=utf-8"
        );
        let policy = page.header(header::CONTENT_SECURITY_POLICY);
        assert!(
            policy.starts_with("default-src 'none'; style-src 'sha256-"),
            "{policy}"
        );
        assert!(
            policy.ends_with("base-uri 'none'; form-action 'none'"),
            "{policy}"
        );
        assert!(page.text.starts_with("<!DOCTYPE html>"));
        for loader in ["<script", " src=", "<link", "<img", " style=", " onclick="] {
            assert!(!page.text.contains(loader), "{path} has {loader}");
        }
    }
}

#[tokio::test]
async fn every_problem_code_has_a_page_and_nothing_else_has() {
    let stand = Stand::without_dynamodb();

    for code in turnpike_shared::errors::ProblemCode::ALL {
        let page = stand.get(&format!("/docs/errors/{}", code.code())).await;
        assert_eq!(page.status, StatusCode::OK, "{code:?}");
        assert!(page.text.contains(code.title()), "{code:?}");
    }
    for unknown in [
        "teapot",
        "NOT-FOUND",
        "not-found%20",
        "%FF",
        "..%2Fnot-found",
    ] {
        let answer = stand.get(&format!("/docs/errors/{unknown}")).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{unknown}");
        assert_eq!(answer.json()["code"], "not-found");
        assert_eq!(
            answer.json()["type"],
            "https://api.example.com/docs/errors/not-found"
        );
    }
}

#[tokio::test]
async fn unknown_paths_and_methods_are_problems() {
    let stand = Stand::without_dynamodb();
    let post = Request::post("/health").body(Body::empty()).unwrap();

    let unknown = stand.get("/nowhere").await;
    let method = stand.send(post).await;

    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    assert_eq!(unknown.json()["code"], "not-found");
    assert_eq!(method.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(method.json()["code"], "method-not-allowed");
    assert_eq!(method.header(header::ALLOW), "GET,HEAD");
}

#[tokio::test]
async fn the_environment_decides_who_is_shown_the_details() {
    let env = environment();

    let closed = App::from_environment(&env).unwrap();
    let guarded = App::from_environment(&env.clone().with("METRICS_TOKEN", TOKEN)).unwrap();
    let misconfigured = App::from_environment(&env.with("TURNPIKE_IDENTITY_TABLE", ""));

    assert!(matches!(*closed.details, DetailsAccess::Nobody));
    assert!(matches!(*guarded.details, DetailsAccess::Token(_)));
    assert_eq!(
        misconfigured.err().unwrap().variable,
        "TURNPIKE_IDENTITY_TABLE"
    );
}

#[test]
fn every_operation_is_described_and_named_once() {
    let document = serde_json::to_value(openapi()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let mut ids = Vec::new();

    for (path, item) in paths {
        let operation = &item["get"];
        for member in ["summary", "description", "operationId"] {
            assert!(operation[member].is_string(), "{path} has no {member}");
        }
        assert_eq!(operation["tags"].as_array().unwrap().len(), 1, "{path}");
        ids.push(operation["operationId"].as_str().unwrap());
    }

    assert_eq!(paths.len(), 11);
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 11);
}
