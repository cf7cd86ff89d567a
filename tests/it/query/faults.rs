//! Upstreams, stores and processes that do not do their part: the documented answer within its
//! time, and the next query works.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Child;
use tokio::sync::Semaphore;
use turnpike_local::{Engine, Options};

use super::{Library, PolicyFile, QUERY, ask, cache_of, stack_with, status_of};
use crate::limits_on_the_wire::{DECIDERS, url_of};
use crate::support::{
    Call, Fault, FaultProxy, OwnEngine, RedisServer, Reply, TestUpstream, command, policy_with,
    signing_keys, until,
};

/// What a query may take beyond the upstream's own time, on a busy machine.
const SLACK: Duration = Duration::from_secs(3);
/// An upstream that is given up soon, with a breaker that stays closed.
const QUICK: &str = "timeout_ms = 500\nretries = 0\nbreaker = { failures = 1000 }";

fn announced(length: usize, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}").into_bytes()
}

#[tokio::test]
async fn whatever_an_upstream_does_the_answer_is_the_documented_one_and_the_next_query_works() {
    let cases = [
        ("hangs", Reply::silence(), 504, "upstream-timeout"),
        (
            "hangs in the middle",
            Reply::RawThenSilence(announced(10, "half")),
            504,
            "upstream-timeout",
        ),
        ("resets", Reply::reset(), 502, "upstream-failed"),
        ("answers 500", Reply::status(500), 502, "upstream-failed"),
        ("answers 403", Reply::status(403), 502, "upstream-failed"),
        (
            "answers 10 MB",
            Reply::bytes("text/plain", vec![b'x'; 10_000_000]),
            502,
            "upstream-too-large",
        ),
        (
            "announces 10 MB",
            Reply::RawThenSilence(announced(10_000_000, "")),
            502,
            "upstream-too-large",
        ),
        (
            "announces more than it sends",
            Reply::Raw(announced(100, "half")),
            502,
            "upstream-failed",
        ),
        (
            "sends what is not UTF-8",
            Reply::bytes("text/plain", b"caf\xe9".to_vec()),
            502,
            "upstream-failed",
        ),
        (
            "sends what is not the JSON that it says",
            Reply::bytes("application/json", "{\"a\":"),
            502,
            "upstream-failed",
        ),
        (
            "does not speak HTTP",
            Reply::Raw(b"hello".to_vec()),
            502,
            "upstream-failed",
        ),
    ];
    let library = Library::answering(Reply::text("a"), QUICK).await;
    let ada = library.stack.register("ada@example.com").await;

    for (case, reply, status, code) in cases {
        library.upstream.answer(reply);
        let began = Instant::now();
        let failed = library.ask(&ada, case).send().await;
        let took = began.elapsed();
        library.upstream.answer(Reply::text("well again"));
        let next = library.ask(&ada, case).send().await;

        assert_eq!(
            (failed.status, failed.code()),
            (status, code),
            "{case}: {}",
            failed.text
        );
        assert!(
            took < Duration::from_millis(500) + SLACK,
            "{case}: {took:?}"
        );
        assert_eq!(next.body["result"], "well again", "{case}: {}", next.text);
        assert_eq!(status_of(&next), "miss", "{case}");
    }
}

#[tokio::test]
async fn nobody_there_is_an_upstream_that_failed() {
    let nobody = TestUpstream::nobody().await;
    let policy = PolicyFile::new(&policy_with("library", &nobody, QUICK));
    let stack = stack_with(&policy, |options| options).await;
    let ada = stack.register("ada@example.com").await;

    let failed = ask(&stack, &ada, "whales").send().await;

    failed.assert_problem(502, "upstream-failed");
    let port = nobody.rsplit(':').next().unwrap();
    assert!(!failed.text.contains(port), "{}", failed.text);
}

#[tokio::test]
async fn an_upstream_that_fails_for_a_minute_is_left_alone_and_asked_again() {
    let fields = "retries = 0\nbreaker = { failures = 3, within_seconds = 60, open_seconds = 60 }";
    let library = Library::answering(Reply::text("a"), fields).await;
    let ada = library.stack.register("ada@example.com").await;
    library.ask(&ada, "known").send().await;
    library.upstream.answer(Reply::status(500));
    let mut codes = vec![];

    for number in 0..5 {
        let answer = library.ask(&ada, &format!("q{number}")).send().await;
        codes.push(answer.code().to_owned());
    }
    let called = library.upstream.calls();
    let open = library.ask(&ada, "q0").send().await;
    let known = library.ask(&ada, "known").send().await;
    library.upstream.answer(Reply::text("b"));
    library.stack.pass(Duration::from_secs(61));
    let after = library.ask(&ada, "q0").send().await;

    assert_eq!(codes[..3], ["upstream-failed"; 3]);
    assert_eq!(codes[3..], ["circuit-open"; 2]);
    open.assert_problem(503, "circuit-open");
    let seconds: u64 = open.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
    assert_eq!((called, status_of(&known)), (4, "hit"));
    assert_eq!(after.body["result"], "b", "{}", after.text);
}

#[tokio::test]
async fn that_there_is_nothing_is_kept_as_long_as_the_policy_says() {
    let fields = "retries = 0\nnegative_ttl_seconds = 10";
    let library = Library::answering(Reply::status(404), fields).await;
    let ada = library.stack.register("ada@example.com").await;
    let mut calls = vec![];

    for pause in [0, 0, 11] {
        library.stack.pass(Duration::from_secs(pause));
        let answer = library.ask(&ada, "whales").send().await;
        answer.assert_problem(502, "upstream-failed");
        calls.push(library.upstream.calls());
    }

    assert_eq!(calls, [1, 1, 2]);
}

#[tokio::test]
async fn while_an_answer_is_stale_a_failing_upstream_is_not_noticed() {
    let fields = "retries = 0\ncache_ttl_seconds = 10\nstale_seconds = 60";
    let library = Library::answering(Reply::text("a"), fields).await;
    let ada = library.stack.register("ada@example.com").await;
    library.ask(&ada, "whales").send().await;
    library.upstream.answer(Reply::status(500));
    library.stack.pass(Duration::from_secs(11));

    for _ in 0..2 {
        let answer = library.ask(&ada, "whales").send().await;
        library.stack.stack.settle().await.unwrap();
        assert_eq!(
            (status_of(&answer), &answer.body["result"]),
            ("stale", &json!("a"))
        );
    }
}

/// A query that the upstream is answering when something happens, and is then let go on.
struct Held {
    gate: Arc<Semaphore>,
}

impl Held {
    fn new(upstream: &TestUpstream) -> Self {
        let gate = Arc::new(Semaphore::new(0));
        let reply = Reply::Held(Arc::clone(&gate), Box::new(Reply::text("a")));
        upstream.answer(reply);
        Self { gate }
    }

    async fn has_begun(&self, upstream: &TestUpstream) {
        until(async || {
            (upstream.calls() > 0)
                .then_some(())
                .ok_or("nobody asks".to_owned())
        })
        .await;
    }

    fn let_go(&self) {
        self.gate.add_permits(1_000);
    }
}

#[tokio::test]
async fn valkey_may_die_in_the_middle_of_a_fill() {
    let engine = OwnEngine::start().await;
    let mut server = RedisServer::start().await;
    let valkey = url_of(Some(&server));
    let endpoint = engine.endpoint();
    let library = Library::start(Reply::text("a"), "", |options| Options {
        engine: Engine::At(endpoint),
        valkey,
        ..options
    });
    let library = library.await;
    let ada = library.stack.register("ada@example.com").await;
    let held = Held::new(&library.upstream);
    let call = tokio::spawn(library.ask(&ada, "whales").send());
    held.has_begun(&library.upstream).await;

    server.kill().await;
    held.let_go();
    let filled = call.await.unwrap();
    let next = library.ask(&ada, "whales").send().await;
    let other = library.ask(&ada, "krill").send().await;

    assert_eq!(
        (status_of(&filled), &filled.body["result"]),
        ("miss", &json!("a"))
    );
    assert_eq!(next.body["result"], "a", "{}", next.text);
    assert_eq!(status_of(&other), "miss");
}

#[tokio::test]
async fn dynamodb_may_throttle_a_fill() {
    let engine = OwnEngine::start().await;
    let proxy = FaultProxy::start(&engine).await;
    let endpoint = proxy.endpoint.clone();
    let library = Library::start(Reply::text("a"), "", |options| Options {
        engine: Engine::At(endpoint),
        ..options
    });
    let library = library.await;
    let ada = library.stack.register("ada@example.com").await;

    proxy.set(Fault::Throttle("CacheTable".to_owned()));
    let filled = library.ask(&ada, "whales").send().await;
    let next = library.ask(&ada, "krill").send().await;
    proxy.set(Fault::None);
    let after = [
        library.ask(&ada, "whales").send().await,
        library.ask(&ada, "whales").send().await,
    ];

    assert_eq!(
        (status_of(&filled), &filled.body["result"]),
        ("miss", &json!("a"))
    );
    assert_eq!(status_of(&next), "miss");
    assert_eq!(cache_of(&after[1]).0, "hit");
}

/// `turnpike-local` on a test's engine, with the keys of its stacks.
fn process(engine: &OwnEngine, valkey: Option<&str>, policy: &PolicyFile) -> Child {
    let (endpoint, policy) = (
        engine.endpoint(),
        policy.0.path().to_str().unwrap().to_owned(),
    );
    let mut arguments = vec!["--dynamodb", &endpoint, "--policy", &policy];
    arguments.extend(valkey.iter().flat_map(|url| ["--valkey", *url]));
    let mut command = command("127.0.0.1:0", &arguments);
    command.envs([
        ("TURNPIKE_ENVIRONMENT", "testing"),
        ("TURNPIKE_ISSUER", ISSUER),
        ("TURNPIKE_SIGNING_KEYS", signing_keys()),
        ("TURNPIKE_AUTH_SECRET", AUTH_SECRET),
        ("TURNPIKE_CURSOR_SECRET", "fedcba9876543210fedcba9876543210"),
    ]);
    command.spawn().expect("make test-it builds turnpike-local")
}

/// Where it listens; what it prints besides is read and dropped.
async fn base_of(process: &mut Child) -> String {
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let greeting = lines.next_line().await.unwrap().expect("it greets");
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    let mut words = greeting.split_whitespace();
    let base = words.find(|word| word.starts_with("http://"));
    base.expect("it says where it is").to_owned()
}

const ISSUER: &str = "http://127.0.0.1:3000";
const AUTH_SECRET: &str = "0123456789abcdef0123456789abcdef";

#[tokio::test]
async fn a_process_that_is_killed_in_mid_fetch_does_not_stand_in_the_way_of_the_next_query() {
    for decider in DECIDERS {
        let engine = OwnEngine::start().await;
        let server = decider.server().await;
        let valkey = url_of(server.as_ref());
        let upstream = TestUpstream::answering(Reply::text("a")).await;
        let policy = PolicyFile::new(&upstream.policy("library", ""));
        let stack = stack_with(&policy, |options| Options {
            engine: Engine::At(engine.endpoint()),
            valkey: valkey.clone(),
            env: options
                .env
                .with("TURNPIKE_ISSUER", ISSUER)
                .with("TURNPIKE_AUTH_SECRET", AUTH_SECRET),
            ..options
        });
        let stack = stack.await;
        let ada = stack.register("ada@example.com").await;
        let held = Held::new(&upstream);
        let mut killed = process(&engine, valkey.as_deref(), &policy);
        let url = format!("{}{QUERY}", base_of(&mut killed).await);
        let body = json!({"upstream": "library", "query": "whales"});
        let request = reqwest::Client::new().post(url).json(&body);
        let call = Call::new(request).bearer(&ada.access_token);
        let call = tokio::spawn(call.try_send());
        held.has_begun(&upstream).await;

        killed.kill().await.unwrap();
        upstream.answer(Reply::text("b"));
        let began = Instant::now();
        let next = ask(&stack, &ada, "whales").send().await;

        assert!(call.await.unwrap().is_none());
        assert_eq!(next.body["result"], "b", "{decider:?}: {}", next.text);
        // Whoever is gone is waited for as long as a lease lives without its holder.
        assert!(
            began.elapsed() < Duration::from_secs(10) + SLACK,
            "{decider:?}"
        );
        held.let_go();
    }
}
