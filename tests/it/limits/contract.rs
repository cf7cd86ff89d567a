//! The contract of the engines: whatever happens, each answers as the model does; and what is
//! promised of every engine, told without the model.

use std::collections::BTreeMap;

use proptest::test_runner::{Config, TestCaseError, TestRunner};
use tokio::runtime::Runtime;
use turnpike_shared::clock::Timestamp;
use turnpike_shared::limits::policy::Mode;
use turnpike_shared::limits::{Check, MemoryEngine, Verdict, Window, WindowId};

use super::engines::{
    Instances, ask, dynamodb_engine_at, fresh_subject, sliding, start_tables, valkey_instances,
};
use super::history::{CALLERS, Event, Waited, histories};
use super::model::{Counted, Expected, Model, seen};
use crate::support::{OwnEngine, RedisServer};

const STEPS: usize = 60;

#[test]
fn any_history_is_decided_in_memory_as_the_model_decides_it() {
    let runtime = Runtime::new().unwrap();
    let engine = Instances::Memory(MemoryEngine::default());

    hold_to_the_contract(&runtime, &engine, 600);
}

#[test]
fn any_history_is_decided_on_dynamodb_as_the_model_decides_it() {
    let runtime = Runtime::new().unwrap();
    let (_tables, engine) = runtime.block_on(on_dynamodb());

    hold_to_the_contract(&runtime, &engine, 120);
}

#[test]
fn any_history_is_decided_on_valkey_as_the_model_decides_it() {
    let runtime = Runtime::new().unwrap();
    let (_servers, engine) = runtime.block_on(on_valkey());

    hold_to_the_contract(&runtime, &engine, 300);
}

#[tokio::test]
async fn who_paces_themselves_at_the_limit_is_refused_a_bucket_early_at_most_in_memory() {
    hold_to_the_pace(&Instances::Memory(MemoryEngine::default())).await;
}

#[tokio::test]
async fn buckets_leave_one_by_one_in_memory() {
    let_buckets_leave(&Instances::Memory(MemoryEngine::default())).await;
}

#[tokio::test]
async fn buckets_leave_one_by_one_on_dynamodb() {
    let (_tables, engine) = on_dynamodb().await;

    let_buckets_leave(&engine).await;
}

#[tokio::test]
async fn buckets_leave_one_by_one_on_valkey() {
    let (_servers, engine) = on_valkey().await;

    let_buckets_leave(&engine).await;
}

#[tokio::test]
async fn who_paces_themselves_at_the_limit_is_refused_a_bucket_early_at_most_on_dynamodb() {
    let (_tables, engine) = on_dynamodb().await;

    hold_to_the_pace(&engine).await;
}

#[tokio::test]
async fn who_paces_themselves_at_the_limit_is_refused_a_bucket_early_at_most_on_valkey() {
    let (_servers, engine) = on_valkey().await;

    hold_to_the_pace(&engine).await;
}

async fn on_dynamodb() -> (OwnEngine, Instances) {
    let tables = start_tables().await;
    let instance = |_| dynamodb_engine_at(&tables.endpoint());
    let instances = (0..CALLERS).map(instance).collect();
    (tables, Instances::DynamoDb(instances))
}

async fn on_valkey() -> ((OwnEngine, RedisServer), Instances) {
    let tables = start_tables().await;
    let server = RedisServer::start().await;
    let instances = valkey_instances(&server.address(), &tables.endpoint()).await;
    ((tables, server), instances)
}

pub(super) fn hold_to_the_contract(runtime: &Runtime, engine: &Instances, cases: u32) {
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    let mut runner = TestRunner::new(config);

    let result = runner.run(&histories(STEPS), |history| {
        let subject = fresh_subject();
        let (events, waited) = runtime.block_on(history.play(engine, &subject));
        agree_with_the_model(&events)?;
        hold_no_more_than_the_limit(&events)?;
        keep_their_word(waited.as_ref())
    });

    if let Err(failure) = result {
        panic!("{failure}");
    }
}

/// Every verdict and every reading is the model's.
fn agree_with_the_model(events: &[Event]) -> Result<(), TestCaseError> {
    let mut model = Model::default();
    let mut counted: BTreeMap<usize, Vec<Counted>> = BTreeMap::new();
    let mut was_refunded = false;
    for (index, event) in events.iter().enumerate() {
        let (checks, now, verdict) = match event {
            Event::Refunded { asked } => {
                was_refunded = true;
                counted[asked].iter().for_each(|it| model.refund(it));
                continue;
            }
            Event::Asked {
                checks,
                now,
                verdict,
            } => (checks, *now, verdict),
        };
        let expected = model.ask(checks, now);
        let (is_admitted, readings) = match verdict {
            Verdict::Admitted(readings) => (true, readings),
            Verdict::Refused(readings) => (false, readings),
            other => return fail(format!("event {index}: {other:?} without a credential")),
        };
        let seen: Vec<Expected> = readings
            .iter()
            .zip(&expected.readings)
            // When a window is whole again is not told to the bucket once something was taken back.
            .map(|(reading, expected)| Expected {
                whole_at: if was_refunded {
                    expected.whole_at
                } else {
                    reading.whole_at
                },
                ..seen(reading)
            })
            .collect();
        if (is_admitted, &seen) != (expected.is_admitted, &expected.readings) {
            return fail(format!(
                "event {index} at {}: {checks:#?}\n was answered {is_admitted}: {seen:#?}\n \
                 and should be {}: {:#?}",
                now.millis(),
                expected.is_admitted,
                expected.readings
            ));
        }
        counted.insert(index, expected.counted);
    }
    Ok(())
}

/// Whenever a request is admitted, no stretch of a window's length that ends with it holds more
/// than the limit.
fn hold_no_more_than_the_limit(events: &[Event]) -> Result<(), TestCaseError> {
    struct Admitted {
        event: usize,
        at: Timestamp,
        cost: u64,
    }
    let mut windows: BTreeMap<WindowId, Vec<Admitted>> = BTreeMap::new();
    for (event, it) in events.iter().enumerate() {
        let (checks, now) = match it {
            Event::Asked {
                checks,
                now,
                verdict: Verdict::Admitted(_),
            } => (checks, *now),
            Event::Asked { .. } => continue,
            Event::Refunded { asked } => {
                for admitted in windows.values_mut().flatten() {
                    if admitted.event == *asked {
                        admitted.cost = 0;
                    }
                }
                continue;
            }
        };
        for check in checks {
            let admitted = windows.entry(check.id.clone()).or_default();
            // A late clock counts as late as the last request did.
            let at = admitted.last().map_or(now, |last| last.at.max(now));
            admitted.push(Admitted {
                event,
                at,
                cost: check.cost,
            });
            let begins = beginning_of_stretch(check.window, at);
            let within = admitted.iter().filter(|admitted| admitted.at >= begins);
            let total: u64 = within.map(|admitted| admitted.cost).sum();
            if check.mode == Mode::Enforce && total > check.limit {
                return fail(format!(
                    "event {event}: {total} within {:?}, and {} are the limit",
                    check.window, check.limit
                ));
            }
        }
    }
    Ok(())
}

fn beginning_of_stretch(window: Window, end: Timestamp) -> Timestamp {
    match window {
        Window::Sliding { seconds } => {
            Timestamp::from_millis(end.millis() - i64::from(seconds) * 1_000)
        }
        Window::Month => window.start_of(window.bucket_at(end)),
    }
}

/// Who waits until `admits_at` is admitted, and not a millisecond sooner.
fn keep_their_word(waited: Option<&Waited>) -> Result<(), TestCaseError> {
    match waited {
        None
        | Some(Waited {
            too_soon: Verdict::Refused(_),
            in_time: Verdict::Admitted(_),
        }) => Ok(()),
        Some(Waited { too_soon, in_time }) => {
            fail(format!("too soon: {too_soon:?}, in time: {in_time:?}"))
        }
    }
}

async fn hold_to_the_pace(engine: &Instances) {
    for (limit, seconds) in [(1, 60), (7, 61), (60, 60), (61, 100), (100, 60)] {
        let subject = fresh_subject();
        let checks = [sliding("pace", seconds, limit)];
        let length = i64::from(seconds) * 1_000;
        let pace = length / i64::try_from(limit).unwrap() + 1;
        // Somewhere within a bucket.
        let mut now = 1_795_207_380_337;
        for request in 0..3 * limit {
            let at = |now| Timestamp::from_millis(now);
            let verdict = engine.decide(0, &ask(&subject, &checks, at(now))).await;
            if let Verdict::Refused(readings) = verdict.unwrap() {
                let admits_at = readings[0].admits_at.expect("it is a matter of time");
                let wait = admits_at.millis() - now;

                assert!(
                    (1..=length / 60 + 1).contains(&wait),
                    "request {request} of {limit}/{seconds} s: {wait} ms"
                );

                now = admits_at.millis();
                let verdict = engine.decide(0, &ask(&subject, &checks, at(now))).await;
                assert!(matches!(verdict.unwrap(), Verdict::Admitted(_)));
            }
            now += pace;
        }
    }
}

/// The oldest bucket, the one after it and the newest of a window, looked at from every bucket
/// until all have left.
async fn let_buckets_leave(engine: &Instances) {
    let start = 1_795_207_380_000;
    for gap in 0..=125 {
        let subject = fresh_subject();
        let mut events = vec![];
        for (bucket, cost) in [(0, 4), (1, 2), (60, 1), (60 + gap, 1)] {
            let check = Check {
                cost,
                ..sliding("a", 60, 100)
            };
            let now = Timestamp::from_millis(start + bucket * 1_000);
            let checks = vec![check];
            let verdict = engine.decide(0, &ask(&subject, &checks, now)).await;
            events.push(Event::Asked {
                checks,
                now,
                verdict: verdict.unwrap(),
            });
        }

        let agrees = agree_with_the_model(&events);

        assert!(agrees.is_ok(), "after {gap} buckets: {agrees:?}");
    }
}

fn fail(reason: String) -> Result<(), TestCaseError> {
    Err(TestCaseError::fail(reason))
}
