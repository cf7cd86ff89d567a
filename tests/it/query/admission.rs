//! Who is let in to ask, in which order the others are refused, and what that takes.

use reqwest::Method;
use serde_json::{Value, json};
use turnpike_local::{Engine, Options};

use super::{Library, PolicyFile, QUERY, ask, put, stack_with, status_of};
use crate::limits_on_the_wire::{
    DECIDERS, Decider, assert_refused, assert_unlimited, limits_of, remaining, url_of,
};
use crate::support::{Answer, Call, CountingProxy, OwnEngine, Reply, TestUpstream};

/// How a body can be wrong, its type, and what is said of it.
fn bodies() -> Vec<(u16, &'static str, String)> {
    let json = "application/json";
    let query = |value: Value| value.to_string();
    vec![
        (413, json, "x".repeat(1024 * 1024 + 1)),
        (415, "text/plain", "{}".into()),
        (400, json, "{".into()),
        (422, json, "{}".into()),
        (
            422,
            json,
            query(json!({"upstream": "library", "query": ""})),
        ),
        (
            422,
            json,
            query(json!({"upstream": "nowhere", "query": ""})),
        ),
        (
            422,
            json,
            query(json!({"upstream": "library", "query": "a", "x": 1})),
        ),
        (
            422,
            json,
            query(json!({"upstream": "library", "query": "a", "params": []})),
        ),
        (
            422,
            json,
            query(json!({"upstream": "library", "query": "a", "cache": "never"})),
        ),
    ]
}

fn with_body(call: Call, kind: &str, body: &str) -> Call {
    call.header("content-type", kind).body(body.to_owned())
}

/// An upstream `library`, and a `model` that needs a feature, where users have four queries.
fn policy(upstream: &TestUpstream) -> String {
    let base = &upstream.base;
    let four = upstream
        .policy("library", "")
        .replace("1000000/minute\"]", "4/hour\"]");
    format!("{four}\n[upstreams.model]\nbase_url = \"{base}\"\nrequires_feature = \"ai\"\n")
}

async fn limited(decider: Decider) -> (Library, Option<crate::support::RedisServer>) {
    let server = decider.server().await;
    let upstream = TestUpstream::answering(Reply::text("a")).await;
    let policy = PolicyFile::new(&policy(&upstream));
    let stack = stack_with(&policy, |options| Options {
        valkey: url_of(server.as_ref()),
        ..options
    });
    let library = Library {
        stack: stack.await,
        upstream,
        _policy: policy,
    };
    (library, server)
}

#[tokio::test]
async fn what_is_wrong_with_a_body_is_told_ahead_of_limits_and_counts_nothing() {
    for decider in DECIDERS {
        let (library, _server) = limited(decider).await;
        let ada = library.stack.register("ada@example.com").await;
        let post = || library.stack.post(QUERY).bearer(&ada.access_token);
        let model = json!({"upstream": "model", "query": "a"});
        let nowhere = json!({"upstream": "nowhere", "query": "a"});

        for (status, kind, body) in bodies() {
            let answer = with_body(post(), kind, &body).send().await;
            assert_eq!(answer.status, status, "{decider:?}: {}", answer.text);
            assert_unlimited(&answer);
        }
        let unknown = put(&library.stack, &ada, &nowhere).send().await;
        let without_feature = put(&library.stack, &ada, &model).send().await;
        let first = library.ask(&ada, "a").send().await;
        let last = library.ask(&ada, "a").send().await;

        unknown.assert_problem(404, "unknown-upstream");
        without_feature.assert_problem(403, "feature-not-in-tier");
        assert_eq!((status_of(&first), status_of(&last)), ("miss", "hit"));
        let left = [&unknown, &without_feature, &first, &last].map(|a| remaining(a, "query"));
        assert_eq!(left, [3, 2, 1, 0], "{decider:?}");
        for body in [
            &nowhere,
            &model,
            &json!({"upstream": "library", "query": "a"}),
        ] {
            let refused = put(&library.stack, &ada, body).send().await;
            assert_refused(&refused, &["query"]);
        }
        for (status, kind, body) in bodies() {
            let answer = with_body(post(), kind, &body).send().await;
            assert_eq!(answer.status, status, "{decider:?}: {}", answer.text);
        }
    }
}

#[tokio::test]
async fn who_may_not_ask_at_all_is_told_so_ahead_of_everything_else_and_counts_nothing() {
    for decider in DECIDERS {
        let (library, _server) = limited(decider).await;
        let stack = &library.stack;
        let ada = stack.register("ada@example.com").await;
        let without = stack
            .make_key(&ada, json!({"scopes": ["profile:read"]}))
            .await;
        let elsewhere = json!({"scopes": ["query:run"], "allowed_cidrs": ["203.0.113.0/24"]});
        let elsewhere = stack.make_key(&ada, elsewhere).await;
        let good = json!({"upstream": "library", "query": "a"}).to_string();
        let all = || {
            let good = (200, "application/json", good.clone());
            bodies().into_iter().chain([good])
        };
        let refuse_both = async || {
            for (_, kind, body) in all() {
                let call = || stack.post(QUERY);
                let answer = with_body(call().key(&without.secret), kind, &body)
                    .send()
                    .await;
                answer.assert_problem(403, "missing-scope");
                let answer = with_body(call().key(&elsewhere.secret), kind, &body)
                    .send()
                    .await;
                answer.assert_problem(403, "ip-not-allowed");
            }
        };

        refuse_both().await;
        let mut left = vec![];
        for _ in 0..4 {
            left.push(remaining(&library.ask(&ada, "a").send().await, "query"));
        }
        assert_refused(&library.ask(&ada, "a").send().await, &["query"]);
        refuse_both().await;

        assert_eq!(left, [3, 2, 1, 0], "{decider:?}");
    }
}

#[tokio::test]
async fn a_bad_credential_counts_against_its_address_whatever_it_is_sent_with() {
    for decider in DECIDERS {
        let server = decider.server().await;
        let upstream = TestUpstream::answering(Reply::text("a")).await;
        let generous = upstream.policy("library", "");
        let policy = generous.replace(
            "[tiers.anonymous]\nhour = 1000000",
            "[tiers.anonymous]\nhour = 6",
        );
        let policy = PolicyFile::new(&policy);
        let stack = stack_with(&policy, |options| Options {
            valkey: url_of(server.as_ref()),
            ..options
        });
        let stack = stack.await;
        let ada = stack.register("ada@example.com").await;
        let ended = stack.register("gone@example.com").await;
        let logout = stack.post("/api/v1/auth/logout");
        logout.bearer(&ended.access_token).send().await;
        let good = json!({"upstream": "library", "query": "a"}).to_string();
        let calls = |body: &str| {
            let json = "application/json";
            [
                with_body(stack.post(QUERY), json, body),
                with_body(stack.post(QUERY).bearer("junk"), json, body),
                with_body(stack.post(QUERY).bearer(&ended.access_token), json, body),
            ]
        };
        let mut left = vec![];

        for body in [good.as_str(), "{"] {
            for call in calls(body) {
                let answer = call.send().await;
                answer.assert_problem(401, "unauthenticated");
                left.push(remaining(&answer, "hour"));
            }
        }
        let [without_any, ..] = calls("{");
        let refused = without_any.send().await;
        let still_good = ask(&stack, &ada, "a").send().await;

        assert_eq!(left, [5, 4, 3, 2, 1, 0], "{decider:?}");
        assert_refused(&refused, &["hour"]);
        assert_eq!(status_of(&still_good), "miss");
    }
}

#[tokio::test]
async fn an_address_that_needs_a_verified_one_is_told_so_ahead_of_the_body() {
    let upstream = TestUpstream::answering(Reply::text("a")).await;
    let access = "[access]\nrequire_verified_email = [\"query:run\"]\n";
    let policy = PolicyFile::new(&format!("{}\n{access}", upstream.policy("library", "")));
    let stack = stack_with(&policy, |options| options).await;
    let ada = stack.register("ada@example.com").await;

    let malformed = stack.post(QUERY).bearer(&ada.access_token).raw_json("{");
    let well_formed = ask(&stack, &ada, "a");

    for call in [malformed, well_formed] {
        let answer = call.send().await;
        answer.assert_problem(403, "email-not-verified");
        assert_unlimited(&answer);
    }
    assert_eq!(upstream.calls(), 0);
}

#[tokio::test]
async fn other_methods_are_refused_and_nothing_else_is_looked_at() {
    let library = Library::answering(Reply::text("a"), "").await;

    let answer = library.stack.call(Method::GET, QUERY).send().await;

    answer.assert_problem(405, "method-not-allowed");
    assert_eq!(answer.header("allow"), "POST");
}

/// A stack on DynamoDB of which the calls about a user's admission are counted.
struct Counted {
    library: Library,
    proxy: CountingProxy,
    _engine: OwnEngine,
}

impl Counted {
    async fn start(fields: &str) -> Self {
        let engine = OwnEngine::start().await;
        let proxy = CountingProxy::start(&engine).await;
        let endpoint = proxy.endpoint.clone();
        let library = Library::start(Reply::text("a"), fields, |options| Options {
            engine: Engine::At(endpoint),
            ..options
        });
        Self {
            library: library.await,
            proxy,
            _engine: engine,
        }
    }

    async fn send(&self, call: Call) -> (Answer, usize) {
        let about_users = ["AdmissionTable", "USER#"];
        let before = self.proxy.calls_about(&about_users);
        let answer = call.send().await;
        (answer, self.proxy.calls_about(&about_users) - before)
    }
}

#[tokio::test]
async fn a_query_takes_one_call_to_be_let_in_and_one_more_to_give_some_of_its_cost_back() {
    let counted = Counted::start("cost = 5\nhit_cost = 1").await;
    let stack = &counted.library.stack;
    let ada = stack.register("ada@example.com").await;
    let key = json!({"scopes": ["profile:read"]});
    let key = stack.make_key(&ada, key).await;
    // From then on the function knows both, and how the user's windows stand.
    put(stack, &ada, &json!({"upstream": "nowhere", "query": "a"}))
        .send()
        .await;
    stack.post(QUERY).key(&key.secret).send().await;
    let library = json!({"upstream": "library", "query": "a"});
    let bypass = json!({"upstream": "library", "query": "a", "cache": "bypass"});
    let nowhere = json!({"upstream": "nowhere", "query": "a"});
    let cases = [
        ("a miss", put(stack, &ada, &library), 200, 1),
        ("a hit", put(stack, &ada, &library), 200, 2),
        ("past the cache", put(stack, &ada, &bypass), 200, 1),
        ("an unknown name", put(stack, &ada, &nowhere), 404, 1),
        ("a bad body", put(stack, &ada, &json!({})), 422, 1),
        (
            "no scope",
            stack.post(QUERY).key(&key.secret).json(&library),
            403,
            1,
        ),
        ("no credential", stack.post(QUERY).json(&library), 401, 0),
    ];

    for (case, call, status, calls) in cases {
        let (answer, taken) = counted.send(call).await;
        assert_eq!(
            (answer.status, taken),
            (status, calls),
            "{case}: {}",
            answer.text
        );
    }
}

#[tokio::test]
async fn a_hit_that_counts_what_a_miss_does_takes_one_call() {
    let counted = Counted::start("cost = 5").await;
    let ada = counted.library.stack.register("ada@example.com").await;
    let ask = || counted.library.ask(&ada, "a");
    ask().send().await;

    let (answer, calls) = counted.send(ask()).await;

    assert_eq!((status_of(&answer), calls), ("hit", 1));
}

#[tokio::test]
async fn on_valkey_a_query_asks_dynamodb_nothing_about_its_user() {
    let engine = OwnEngine::start().await;
    let proxy = CountingProxy::start(&engine).await;
    let server = Decider::Valkey.server().await;
    let endpoint = proxy.endpoint.clone();
    let library = Library::start(Reply::text("a"), "cost = 5\nhit_cost = 1", |options| {
        Options {
            engine: Engine::At(endpoint),
            valkey: url_of(server.as_ref()),
            ..options
        }
    });
    let counted = Counted {
        library: library.await,
        proxy,
        _engine: engine,
    };
    let ada = counted.library.stack.register("ada@example.com").await;
    put(&counted.library.stack, &ada, &json!({})).send().await;

    for status in ["miss", "hit", "hit"] {
        let (answer, calls) = counted.send(counted.library.ask(&ada, "a")).await;
        assert_eq!((status_of(&answer), calls), (status, 0));
    }
}

#[tokio::test]
async fn a_body_may_be_one_mebibyte() {
    let library = Library::answering(Reply::text("a"), "method = \"POST\"").await;
    let ada = library.stack.register("ada@example.com").await;
    let sized = |bytes: usize| {
        let around = json!({"upstream": "library", "query": "a", "params": {"text": ""}});
        let filler = "x".repeat(bytes - around.to_string().len());
        json!({"upstream": "library", "query": "a", "params": {"text": filler}})
    };

    let largest = put(&library.stack, &ada, &sized(1024 * 1024)).send().await;
    let larger = put(&library.stack, &ada, &sized(1024 * 1024 + 1))
        .send()
        .await;

    assert_eq!(status_of(&largest), "miss");
    larger.assert_problem(413, "payload-too-large");
    assert_eq!(limits_of(&largest).len(), 2);
}

#[tokio::test]
async fn what_cannot_be_asked_is_named() {
    let library = Library::answering(Reply::text("a"), "").await;
    let ada = library.stack.register("ada@example.com").await;
    let with = |query: Value, params: Value| {
        let body = json!({"upstream": "library", "query": query, "params": params});
        put(&library.stack, &ada, &body)
    };

    let longest = with(json!("x".repeat(100_000)), Value::Null).send().await;
    let too_long = with(json!("x".repeat(100_001)), Value::Null).send().await;
    let empty = with(json!(""), Value::Null).send().await;
    let no_object = with(json!("a"), json!([1])).send().await;
    let number = with(json!(1), Value::Null).send().await;

    // It would be longer than an address may be.
    longest.assert_invalid(&[("query", "too-long")]);
    too_long.assert_invalid(&[("query", "too-long")]);
    empty.assert_invalid(&[("query", "too-short")]);
    no_object.assert_invalid(&[("params", "wrong-type")]);
    number.assert_invalid(&[("query", "wrong-type")]);
    assert_eq!(library.upstream.calls(), 0);
}
