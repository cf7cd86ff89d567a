//! What a repetition is, and what it is answered with.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use turnpike_local::Engine;
use turnpike_shared::limits::routes::ROUTES;

use super::{REGISTER, live_keys, make, register, wish};
use crate::support::{Answer, CountingProxy, KEYS, Key, OwnEngine, PASSWORD, TestStack};

#[tokio::test]
async fn every_route_that_takes_a_key_answers_a_repetition_as_it_did_first() {
    for route in ROUTES.iter().filter(|route| route.takes_idempotency_key) {
        let stack = TestStack::start().await;
        let ada = stack.register("ada@example.com").await;
        let old = stack.make_key(&ada, json!({})).await;
        let path = route.path.replace("{id}", &old.id);
        let body = match route.path {
            REGISTER => json!({"email": "bob@example.com", "password": PASSWORD}),
            KEYS => wish(),
            "/api/v1/users/api-keys/{id}/rotate" => json!({"overlap_seconds": 60}),
            "/api/v1/preferences" => json!({
                "topic_preferences": {}, "depth_preference": 3,
                "surprise_tolerance": 2, "contextual_preferences": {},
            }),
            "/api/v1/behavior" => json!({"events": [
                {"session_id": "s", "content_id": "c", "behavior_data": {}},
            ]}),
            other => panic!("{other} takes an Idempotency-Key and is not tested"),
        };
        let send = || {
            let call = stack.post(&path).idempotency_key("once").json(&body);
            match route.path {
                REGISTER => call.send(),
                _ => call.bearer(&ada.access_token).send(),
            }
        };

        let first = send().await;
        let again = send().await;

        assert!(matches!(first.status, 201 | 202), "{path}: {}", first.text);
        assert!(!first.is_replayed(), "{path}");
        assert_eq!((again.status, &again.text), (first.status, &first.text));
        assert!(again.is_replayed(), "{path}");
        for name in ["content-type", "cache-control", "x-content-type-options"] {
            assert_eq!(again.header(name), first.header(name), "{path}: {name}");
        }
        assert_ne!(again.header("x-request-id"), first.header("x-request-id"));
    }
}

#[tokio::test]
async fn a_key_that_was_made_once_works_and_is_the_only_one() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;

    let first = make(&stack, &ada, "once", &wish()).await;
    let again = make(&stack, &ada, "once", &wish()).await;

    let key = Key::from_answer(&again);
    assert_eq!(key.secret, Key::from_answer(&first).secret);
    assert_eq!(stack.use_key(&key).await.status, 200);
    assert_eq!(live_keys(&stack, &ada).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_twenty_simultaneous_tries_one_takes_effect_and_all_get_its_answer_in_the_end() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let until_answered =
        async |send: &dyn Fn() -> futures_util::future::BoxFuture<'static, Answer>| loop {
            let answer = send().await;
            if answer.status == 201 {
                return answer;
            }
            answer.assert_problem(409, "idempotency-in-progress");
            assert_eq!(answer.header("retry-after"), "1");
        };
    let cases: [(&str, Value, Option<&str>); 2] = [
        (KEYS, wish(), Some(&ada.access_token)),
        (
            REGISTER,
            json!({"email": "bob@example.com", "password": PASSWORD}),
            None,
        ),
    ];

    for (path, body, token) in cases {
        let send = || -> futures_util::future::BoxFuture<'static, Answer> {
            let call = stack.post(path).idempotency_key("once").json(&body);
            let call = match token {
                Some(token) => call.bearer(token),
                None => call,
            };
            Box::pin(call.send())
        };
        let answers = join_all((0..20).map(|_| until_answered(&send))).await;

        let first = answers.iter().filter(|answer| !answer.is_replayed());
        assert_eq!(first.count(), 1, "{path}");
        assert!(answers.iter().all(|one| one.text == answers[0].text));
    }
    assert_eq!(live_keys(&stack, &ada).await, 1);
    assert_eq!(stack.mails("bob@example.com").await.len(), 1);
}

#[tokio::test]
async fn another_body_is_told_and_does_nothing() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    make(&stack, &ada, "once", &wish()).await;
    register(&stack, "bob@example.com", PASSWORD, "once").await;

    let of_key = make(&stack, &ada, "once", &json!({"name": "another"})).await;
    let body = json!({"email": "bob@example.com", "password": PASSWORD, "full_name": "Bob"});
    let of_account = stack.post(REGISTER).idempotency_key("once");
    let of_account = of_account.json(&body).send().await;

    for answer in [of_key, of_account] {
        answer.assert_problem(422, "idempotency-key-reused");
        assert_eq!(answer.body["errors"][0]["field"], "Idempotency-Key");
    }
    assert_eq!(live_keys(&stack, &ada).await, 1);
}

#[tokio::test]
async fn how_a_body_is_written_does_not_count() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let send = |body: &'static str| {
        let call = stack.post(KEYS).bearer(&ada.access_token);
        call.idempotency_key("once").raw_json(body).send()
    };

    let first = send(r#"{"name":"CI","limits":{"hour":5,"day":9}}"#).await;
    let again = send("{ \"limits\": {\"day\": 9,\n\"hour\": 5},\n\"name\": \"C\\u0049\" }").await;

    assert_eq!(first.status, 201, "{}", first.text);
    assert_eq!(again.text, first.text);
}

#[tokio::test]
async fn a_key_with_quotes_and_without_is_the_same() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;

    let first = make(&stack, &ada, "8e03978e-40d5", &wish()).await;
    let again = make(&stack, &ada, "\"8e03978e-40d5\"", &wish()).await;
    let another = make(&stack, &ada, "8e03978e-40d6", &wish()).await;

    assert_eq!(again.text, first.text);
    assert_ne!(another.text, first.text);
}

#[tokio::test]
async fn what_is_no_key_is_refused_after_all_that_comes_before_a_bodys_content() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let longer = "k".repeat(256);

    for key in ["", "two words", "\"open", "\"one\", \"two\"", &longer] {
        let answer = make(&stack, &ada, key, &wish()).await;
        answer.assert_invalid(&[("Idempotency-Key", "invalid")]);
    }
    let twice = stack.post(KEYS).bearer(&ada.access_token);
    let twice = twice.idempotency_key("one").idempotency_key("two");
    let twice = twice.json(&wish()).send().await;
    twice.assert_invalid(&[("Idempotency-Key", "invalid")]);

    let call = |path: &str| stack.post(path).idempotency_key("two words");
    let signed_in = |path: &str| call(path).bearer(&ada.access_token);
    let rotate = format!("{KEYS}/not-an-id/rotate");
    let cases = [
        (call(KEYS).json(&wish()), 401, "unauthenticated"),
        (signed_in(&rotate).json(&json!({})), 404, "not-found"),
        (signed_in(KEYS).body("{}"), 415, "unsupported-media-type"),
        (signed_in(KEYS).raw_json("{"), 400, "malformed-json"),
        (
            signed_in(KEYS).raw_json("x".repeat(65 * 1024)),
            413,
            "payload-too-large",
        ),
    ];
    for (call, status, code) in cases {
        call.send().await.assert_problem(status, code);
    }
    assert_eq!(live_keys(&stack, &ada).await, 0);
}

#[tokio::test]
async fn a_key_is_its_callers_own() {
    let stack = TestStack::start().await;
    let admin = stack.admin().await;
    let ada = stack.register("ada@example.com").await;
    let scopes = json!({"scopes": ["profile:read", "keys:write"]});
    let (one, other) = (
        stack.make_key(&ada, scopes.clone()).await,
        stack.make_key(&ada, scopes).await,
    );
    let by_key = |key: &Key| {
        let call = stack.post(KEYS).key(&key.secret);
        call.idempotency_key("once").json(&wish()).send()
    };

    let answers = [
        make(&stack, &ada, "once", &wish()).await,
        make(&stack, &admin, "once", &wish()).await,
        by_key(&one).await,
        by_key(&other).await,
    ];
    let elsewhere = stack.login("ada@example.com").await;
    let from_another_session = make(&stack, &elsewhere, "once", &wish()).await;

    for (index, answer) in answers.iter().enumerate() {
        assert_eq!(answer.status, 201, "{}", answer.text);
        assert!(!answer.is_replayed());
        let is_another = |later: &Answer| later.text != answer.text;
        assert!(answers[index + 1..].iter().all(is_another));
    }
    assert_eq!(from_another_session.text, answers[0].text);
}

#[tokio::test]
async fn a_key_is_its_routes_and_its_resources_own() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let first = Key::from_answer(&make(&stack, &ada, "once", &wish()).await);
    let rotate = |key: &Key| {
        let call = stack.post(&format!("{}/rotate", key.path()));
        let call = call.bearer(&ada.access_token).idempotency_key("once");
        call.json(&json!({})).send()
    };

    let second = Key::from_answer(&rotate(&first).await);
    let third = Key::from_answer(&rotate(&second).await);

    assert_eq!(stack.use_key(&third).await.status, 200);
    assert_eq!(live_keys(&stack, &ada).await, 1);
}

#[tokio::test]
async fn a_rotation_that_is_repeated_is_the_same_rotation() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let old = stack.make_key(&ada, json!({})).await;
    let rotate = || {
        let call = stack.post(&format!("{}/rotate", old.path()));
        let call = call.bearer(&ada.access_token).idempotency_key("once");
        call.json(&json!({})).send()
    };

    let first = rotate().await;
    let again = rotate().await;

    assert_eq!(again.text, first.text, "and not 409 key-revoked");
    assert_eq!(stack.use_key(&Key::from_answer(&again)).await.status, 200);
}

#[tokio::test]
async fn a_request_that_fails_leaves_its_key_free() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let failures = [
        (json!({"name": ""}), 422),
        (json!({"name": "CI", "scopes": ["admin:write"]}), 403),
        (json!({"nonsense": true}), 422),
    ];

    for (body, status) in failures {
        let answer = make(&stack, &ada, "once", &body).await;
        assert_eq!(answer.status, status, "{}", answer.text);
    }
    let weak = register(&stack, "bob@example.com", "password123", "once").await;
    weak.assert_problem(422, "weak-password");
    for _ in 0..2 {
        let taken = register(&stack, "ada@example.com", PASSWORD, "once").await;
        taken.assert_problem(409, "email-taken");
    }

    assert_eq!(make(&stack, &ada, "once", &wish()).await.status, 201);
    let registered = register(&stack, "bob@example.com", PASSWORD, "once").await;
    assert_eq!(registered.status, 201, "{}", registered.text);
}

#[tokio::test]
async fn a_key_stands_for_its_request_for_24_hours() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let first = make(&stack, &ada, "once", &wish()).await;

    stack.pass(Duration::from_mins(24 * 60 - 1));
    let ada = stack.login("ada@example.com").await;
    let within = make(&stack, &ada, "once", &wish()).await;
    stack.pass(Duration::from_secs(61));
    let after = make(&stack, &ada, "once", &json!({"name": "another"})).await;

    assert_eq!(within.text, first.text);
    assert_eq!(after.status, 201, "{}", after.text);
    assert!(!after.is_replayed());
    assert_eq!(live_keys(&stack, &ada).await, 2);
}

#[tokio::test]
async fn a_repetition_is_counted_as_any_request_is() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let left = |answer: &Answer| -> u64 { answer.header("x-ratelimit-remaining").parse().unwrap() };

    let first = make(&stack, &ada, "once", &wish()).await;
    let again = make(&stack, &ada, "once", &wish()).await;
    let reused = make(&stack, &ada, "once", &json!({"name": "another"})).await;

    assert_eq!(left(&again), left(&first) - 1);
    assert_eq!(left(&reused), left(&first) - 2);
    assert!(!again.header("ratelimit-policy").is_empty());
}

#[tokio::test]
async fn a_key_costs_one_call_to_the_database_more_and_no_key_none() {
    let engine = OwnEngine::start().await;
    let proxy = CountingProxy::start(&engine).await;
    let stack = TestStack::start_on(Engine::At(proxy.endpoint.clone()), |env| env).await;
    let ada = stack.register("ada@example.com").await;
    let post = async |body: Value, key: Option<&str>| {
        // Each key that is made changes what is known of its owner, who is read anew here.
        live_keys(&stack, &ada).await;
        let call = stack.post(KEYS).bearer(&ada.access_token).json(&body);
        let call = match key {
            Some(key) => call.idempotency_key(key),
            None => call,
        };
        let before = proxy.calls();
        let answer = call.send().await;
        (answer.status, proxy.calls() - before)
    };
    let (another, empty) = (json!({"name": "another"}), json!({"name": ""}));

    let without = post(wish(), None).await;
    let with = post(wish(), Some("once")).await;
    let again = post(wish(), Some("once")).await;
    let with_another = post(another, Some("once")).await;
    let refused = post(empty.clone(), None).await;
    let refused_with = post(empty, Some("other")).await;

    // Admission, the owner, the keys and what is counted of them, and the transaction.
    assert_eq!(without, (201, 5));
    assert_eq!(with, (201, 6), "the record");
    assert_eq!(again, (201, 4), "the record, and whether the key is live");
    assert_eq!(with_another, (422, 2), "the record");
    assert_eq!(refused, (422, 1));
    assert_eq!(refused_with, (422, 3), "the record, and its removal");
}

#[tokio::test]
async fn routes_that_take_no_key_ignore_it() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let body = json!({"email": "ada@example.com", "password": PASSWORD});
    let sign_in = || {
        let call = stack
            .post("/api/v1/auth/login")
            .idempotency_key("two words");
        call.json(&body).send()
    };

    let (one, other) = (sign_in().await, sign_in().await);
    let read = stack.get(KEYS).idempotency_key("once");
    let read = read.bearer(&ada.access_token).send().await;

    assert_eq!((one.status, other.status, read.status), (200, 200, 200));
    assert_ne!(one.text, other.text);
    assert!(!other.is_replayed());
}

#[tokio::test]
async fn a_page_of_a_configured_origin_may_send_a_key_and_read_of_a_replay() {
    let stack =
        TestStack::start_with(|env| env.with("TURNPIKE_CORS_ORIGINS", "https://app.example.com"))
            .await;
    let from_page = |method: reqwest::Method| {
        let call = stack.call(method, REGISTER);
        call.header("origin", "https://app.example.com")
    };

    let preflight = from_page(reqwest::Method::OPTIONS)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "idempotency-key")
        .send()
        .await;
    let call = from_page(reqwest::Method::POST)
        .json(&json!({}))
        .send()
        .await;

    let allowed = preflight.header("access-control-allow-headers");
    assert!(allowed.contains("idempotency-key"), "{allowed}");
    let exposed = call.header("access-control-expose-headers");
    assert!(exposed.contains("idempotency-replayed"), "{exposed}");
}
