//! The circuit breaker, as several instances share it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use reqwest::Method;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use turnpike_shared::errors::{Problem, ProblemCode};
use turnpike_shared::limits::policy::UpstreamPolicy;
use turnpike_shared::upstreams::{UpstreamAnswer, UpstreamError, Upstreams};

use super::{Ground, NAME, get, policy_of, to, upstream_at};
use crate::support::{CountingProxy, Fault, FaultProxy, Reply, TestUpstream, until};

const FIELDS: &str =
    "retries = 0\nbreaker = { failures = 5, within_seconds = 60, open_seconds = 60 }";
/// Longer than any instance believes what it knows of a breaker.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
const OPEN_FOR: Duration = Duration::from_mins(1);

async fn fail(upstreams: &Upstreams, policy: &UpstreamPolicy, times: usize) {
    for _ in 0..times {
        let answer = get(upstreams, policy, "/").await;
        assert!(!is_refused(&answer), "{answer:?}");
    }
}

fn is_refused(answer: &Result<UpstreamAnswer, UpstreamError>) -> bool {
    matches!(answer, Err(UpstreamError::CircuitOpen { .. }))
}

async fn broken() -> TestUpstream {
    TestUpstream::answering(Reply::status(500)).await
}

#[tokio::test]
async fn an_upstream_that_keeps_failing_is_left_alone_and_the_client_is_told_how_long() {
    let (ground, upstream) = (Ground::new().await, broken().await);
    let (policy, upstreams) = (policy_of(&upstream, FIELDS), ground.instance());

    fail(&upstreams, &policy, 5).await;
    ground.pass(Duration::from_secs(10));
    let refused = get(&upstreams, &policy, "/").await.unwrap_err();

    assert_eq!(upstream.calls(), 5);
    let problem = Problem::from(refused);
    assert_eq!(problem.code, ProblemCode::CircuitOpen);
    // Of 60 s 10 have passed, and what the test took.
    let retry_after = problem.retry_after.unwrap();
    assert!((40..=50).contains(&retry_after), "{retry_after}");
}

#[tokio::test]
async fn after_that_one_call_tries_and_closes_it() {
    let (ground, upstream) = (Ground::new().await, broken().await);
    let (policy, upstreams) = (policy_of(&upstream, FIELDS), ground.instance());
    fail(&upstreams, &policy, 5).await;

    upstream.answer(Reply::text("back"));
    ground.pass(OPEN_FOR);
    for _ in 0..3 {
        assert_eq!(get(&upstreams, &policy, "/").await.unwrap().body, "back");
    }

    assert_eq!(upstream.calls(), 8);
}

#[tokio::test]
async fn a_trial_that_fails_opens_it_again_and_is_not_tried_again_by_itself() {
    let (ground, upstream) = (Ground::new().await, broken().await);
    let policy = policy_of(&upstream, &FIELDS.replace("retries = 0", "retries = 5"));
    let upstreams = ground.instance();
    fail(&upstreams, &policy, 5).await;

    upstream.answer(Reply::status(503));
    ground.pass(OPEN_FOR);
    let trial = get(&upstreams, &policy, "/").await.unwrap();
    let refused = get(&upstreams, &policy, "/").await;
    ground.pass(OPEN_FOR);
    let next_trial = get(&upstreams, &policy, "/").await.unwrap();

    assert_eq!(
        (trial.status.as_u16(), next_trial.status.as_u16()),
        (503, 503)
    );
    assert!(is_refused(&refused), "{refused:?}");
    assert_eq!(upstream.calls(), 7);
}

#[tokio::test]
async fn only_what_speaks_against_an_upstream_counts() {
    let fine = [
        Reply::text("fine"),
        Reply::status(404),
        Reply::status(429),
        Reply::status(302).with_header("location", "http://elsewhere.example/"),
        Reply::bytes("text/plain", vec![b'a'; 5 << 20]),
    ];
    for reply in fine {
        let (ground, upstream) = (Ground::new().await, TestUpstream::answering(reply).await);
        let (policy, upstreams) = (policy_of(&upstream, FIELDS), ground.instance());

        fail(&upstreams, &policy, 8).await;

        assert_eq!(upstream.calls(), 8);
    }
    let bad = [
        Reply::status(500),
        Reply::status(503),
        Reply::reset(),
        Reply::Raw(b"nonsense\r\n\r\n".to_vec()),
        Reply::silence(),
    ];
    for reply in bad {
        let (ground, upstream) = (Ground::new().await, TestUpstream::answering(reply).await);
        let fields = format!("timeout_ms = 200\n{FIELDS}");
        let (policy, upstreams) = (policy_of(&upstream, &fields), ground.instance());

        fail(&upstreams, &policy, 5).await;

        assert!(is_refused(&get(&upstreams, &policy, "/").await));
    }
    let nobody = upstream_at(&TestUpstream::nobody().await, FIELDS);
    let upstreams = Ground::new().await.instance();
    fail(&upstreams, &nobody, 5).await;
    assert!(is_refused(&get(&upstreams, &nobody, "/").await));
}

#[tokio::test]
async fn a_caller_with_little_time_does_not_speak_against_an_upstream() {
    let ground = Ground::new().await;
    let upstream = TestUpstream::answering(Reply::silence()).await;
    let (policy, upstreams) = (policy_of(&upstream, FIELDS), ground.instance());

    for _ in 0..8 {
        let request = to(&policy, Method::GET, "/");
        let deadline = Instant::now() + Duration::from_millis(100);
        let late = upstreams.call(NAME, &policy, request, deadline).await;
        assert!(matches!(late, Err(UpstreamError::Timeout)), "{late:?}");
    }
}

#[tokio::test]
async fn tries_of_one_call_are_one_failure() {
    let ground = Ground::new().await;
    let upstream = TestUpstream::answering(Reply::status(503)).await;
    let fields = FIELDS.replace("retries = 0", "retries = 4");
    let (policy, upstreams) = (policy_of(&upstream, &fields), ground.instance());

    fail(&upstreams, &policy, 4).await;

    assert_eq!(upstream.calls(), 20);
    fail(&upstreams, &policy, 1).await;
    assert!(is_refused(&get(&upstreams, &policy, "/").await));
}

#[tokio::test]
async fn instances_count_together_and_stop_together() {
    let (ground, upstream) = (Ground::new().await, broken().await);
    let policy = policy_of(&upstream, FIELDS);
    let (one, other) = (ground.instance(), ground.instance());
    get(&other, &policy, "/").await.unwrap();

    fail(&one, &policy, 2).await;
    fail(&other, &policy, 2).await;
    ground.pass(LOOK_AGAIN);

    assert!(is_refused(&get(&one, &policy, "/").await));
    assert!(is_refused(&get(&other, &policy, "/").await));
    assert_eq!(upstream.calls(), 5);
}

#[tokio::test]
async fn upstreams_do_not_answer_for_one_another() {
    let (ground, upstream) = (Ground::new().await, broken().await);
    let (policy, upstreams) = (policy_of(&upstream, FIELDS), ground.instance());
    fail(&upstreams, &policy, 5).await;

    let request = to(&policy, Method::GET, "/");
    let deadline = Instant::now() + Duration::from_secs(30);
    let other = upstreams.call("archive", &policy, request, deadline).await;

    assert_eq!(other.unwrap().status, 500);
}

#[tokio::test]
async fn of_sixty_four_calls_on_four_instances_one_tries() {
    let (ground, upstream) = (Ground::new().await, broken().await);
    let policy = Arc::new(policy_of(&upstream, FIELDS));
    let instances: Vec<Upstreams> = (0..4).map(|_| ground.instance()).collect();
    fail(&instances[0], &policy, 5).await;
    let gate = Arc::new(Semaphore::new(0));
    upstream.answer(Reply::Held(
        Arc::clone(&gate),
        Box::new(Reply::text("back")),
    ));
    ground.pass(OPEN_FOR);

    let refused = Arc::new(AtomicUsize::new(0));
    let calls: Vec<_> = (0..64)
        .map(|caller| {
            let upstreams = instances[caller % 4].clone();
            let (policy, refused) = (Arc::clone(&policy), Arc::clone(&refused));
            tokio::spawn(async move {
                let answer = get(&upstreams, &policy, "/").await;
                refused.fetch_add(usize::from(is_refused(&answer)), Ordering::SeqCst);
                answer.is_ok()
            })
        })
        .collect();
    // The trial is let go once everybody else has been refused, so that none came after it.
    until(async || match refused.load(Ordering::SeqCst) {
        63 => Ok(()),
        so_far => Err(format!("{so_far} were refused")),
    })
    .await;
    gate.add_permits(1);
    let answered = join_all(calls).await;

    assert_eq!(
        answered
            .iter()
            .filter(|call| *call.as_ref().unwrap())
            .count(),
        1
    );
    assert_eq!(upstream.calls(), 6);
}

#[tokio::test]
async fn the_place_of_an_instance_that_died_over_its_trial_is_taken_after_a_while() {
    let (ground, upstream) = (Ground::new().await, broken().await);
    let policy = Arc::new(policy_of(&upstream, FIELDS));
    let (dying, other) = (ground.instance(), ground.instance());
    fail(&dying, &policy, 5).await;
    upstream.answer(Reply::silence());
    ground.pass(OPEN_FOR);

    let trying = Arc::clone(&policy);
    let trial = tokio::spawn(async move { get(&dying, &trying, "/").await.is_ok() });
    until(async || match upstream.calls() {
        6 => Ok(()),
        calls => Err(format!("{calls} calls")),
    })
    .await;
    trial.abort();
    upstream.answer(Reply::text("back"));
    let meanwhile = get(&other, &policy, "/").await;
    // One try of 5 s, and 5 s beyond.
    ground.pass(Duration::from_secs(10));
    let next = get(&other, &policy, "/").await;

    assert!(is_refused(&meanwhile), "{meanwhile:?}");
    assert_eq!(next.unwrap().body, "back");
}

#[tokio::test]
async fn simultaneous_failures_on_as_many_instances_open_it_once() {
    let (ground, upstream) = (Ground::new().await, broken().await);
    let policy = Arc::new(policy_of(&upstream, FIELDS));
    let transitions = Transitions::default();
    let _logging = transitions.listen();

    let calls = (0..32).map(|_| {
        let (upstreams, policy) = (ground.instance(), Arc::clone(&policy));
        tokio::spawn(async move { get(&upstreams, &policy, "/").await.is_ok() })
    });
    join_all(calls).await;

    assert!(is_refused(&get(&ground.instance(), &policy, "/").await));
    assert_eq!(transitions.all(), ["closed to open"]);
}

#[tokio::test]
async fn each_transition_is_told_once_over_all_instances() {
    let (ground, upstream) = (Ground::new().await, broken().await);
    let policy = policy_of(&upstream, FIELDS);
    let instances: Vec<Upstreams> = (0..3).map(|_| ground.instance()).collect();
    let transitions = Transitions::default();
    let _logging = transitions.listen();

    let ask_all = async || {
        for upstreams in &instances {
            let _ = get(upstreams, &policy, "/").await;
        }
    };
    for _ in 0..3 {
        ask_all().await;
    }
    ground.pass(OPEN_FOR);
    ask_all().await;
    upstream.answer(Reply::text("back"));
    ground.pass(OPEN_FOR);
    for _ in 0..3 {
        ask_all().await;
        ground.pass(LOOK_AGAIN);
    }

    let expected = [
        "closed to open",
        "open to half_open",
        "half_open to open",
        "open to half_open",
        "half_open to closed",
    ];
    assert_eq!(transitions.all(), expected);
}

#[tokio::test]
async fn calls_that_succeed_cost_one_look_a_second_and_no_write() {
    let ground = Ground::new().await;
    let upstream = TestUpstream::answering(Reply::text("fine")).await;
    let policy = policy_of(&upstream, FIELDS);
    let proxy = CountingProxy::start(&ground.engine).await;
    let upstreams = ground.instance_with(&proxy.endpoint, |env| env);

    for _ in 0..3 {
        join_all((0..20).map(|_| get(&upstreams, &policy, "/"))).await;
        ground.pass(LOOK_AGAIN);
    }

    assert_eq!((proxy.calls(), proxy.writes()), (3, 0));
    assert_eq!(upstream.calls(), 60);
}

#[tokio::test]
async fn while_the_table_is_away_each_instance_goes_by_what_it_sees() {
    for fault in [Fault::Failure, Fault::Silence] {
        let (ground, upstream) = (Ground::new().await, broken().await);
        let policy = policy_of(&upstream, FIELDS);
        let proxy = FaultProxy::start(&ground.engine).await;
        let alone = ground.impatient_instance(&proxy.endpoint);
        proxy.set(fault);

        fail(&alone, &policy, 5).await;
        let refused = get(&alone, &policy, "/").await;
        upstream.answer(Reply::text("back"));
        ground.pass(OPEN_FOR);
        let back = get(&alone, &policy, "/").await;

        assert!(is_refused(&refused), "{refused:?}");
        assert_eq!(back.unwrap().body, "back");

        // Back, the table counts again.
        proxy.set(Fault::None);
        upstream.answer(Reply::status(500));
        ground.pass(Duration::from_secs(6));
        fail(&alone, &policy, 5).await;
        let elsewhere = get(&ground.instance(), &policy, "/").await;
        assert!(is_refused(&elsewhere), "{elsewhere:?}");
    }
}

/// The transitions of circuit breakers that the log of this thread tells of.
#[derive(Clone, Default)]
struct Transitions(Arc<Mutex<Vec<String>>>);

impl Transitions {
    fn listen(&self) -> tracing::subscriber::DefaultGuard {
        let subscriber = tracing_subscriber::registry().with(self.clone());
        tracing::subscriber::set_default(subscriber)
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl<S: tracing::Subscriber> Layer<S> for Transitions {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "turnpike::circuit" {
            let mut told = Told::default();
            event.record(&mut told);
            let told = format!("{} to {}", told.was, told.state);
            self.0.lock().unwrap().push(told);
        }
    }
}

#[derive(Default)]
struct Told {
    was: String,
    state: String,
}

impl Visit for Told {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "was" => value.clone_into(&mut self.was),
            "state" => value.clone_into(&mut self.state),
            _ => {}
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}
