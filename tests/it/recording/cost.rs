//! What a request writes, counted.

use turnpike_local::{Engine, Options};

use crate::support::{Account, CountingProxy, OwnEngine, PATIENT, RedisServer, TestStack};

const ME: &str = "/api/v1/auth/me";
const USERS: usize = 20;
const REQUESTS: usize = 2_000;
/// How many are under way at a time.
const AT_ONCE: usize = 8;

/// What a number of requests of several users wrote: batches of records, and everything.
async fn written(valkey: Option<String>) -> (usize, usize) {
    let engine = OwnEngine::start().await;
    let proxy = CountingProxy::start(&engine).await;
    // With a month, which Valkey spends in blocks that DynamoDB leases to it.
    let policy = super::policy_file();
    let stack = TestStack::start_as(|options| Options {
        engine: Engine::At(proxy.endpoint.clone()),
        valkey,
        policy: Some(policy.path().to_owned()),
        budgets: PATIENT,
        ..options
    })
    .await;
    let mut users = vec![];
    for number in 0..USERS {
        users.push(stack.register(&format!("ada-{number}@example.com")).await);
    }
    stack.stack.recorder.flush().await;
    let before = (proxy.batches(), proxy.writes());

    let some = |worker: usize| {
        let of_worker = (0..REQUESTS).skip(worker).step_by(AT_ONCE);
        let callers: Vec<&Account> = of_worker.map(|number| &users[number % USERS]).collect();
        let stack = &stack;
        async move {
            for caller in callers {
                let answer = stack.get(ME).bearer(&caller.access_token).send().await;
                assert_eq!(answer.status, 200, "{}", answer.text);
            }
        }
    };
    futures_util::future::join_all((0..AT_ONCE).map(some)).await;
    stack.stack.recorder.flush().await;

    (proxy.batches() - before.0, proxy.writes() - before.1)
}

#[tokio::test]
async fn with_valkey_a_request_costs_less_than_a_tenth_of_a_write() {
    let redis = RedisServer::start().await;

    let (batches, writes) = written(Some(redis.address().url)).await;

    assert!(batches * 10 < REQUESTS, "{batches} batches");
    assert!(
        writes * 10 < REQUESTS,
        "{writes} writes, {batches} of them batches"
    );
}

#[tokio::test]
async fn without_valkey_a_request_costs_less_than_a_tenth_of_a_write_beyond_its_admission() {
    let (batches, writes) = written(None).await;

    assert!(batches * 10 < REQUESTS, "{batches} batches");
    let of_admission = writes - batches;
    assert!(
        (REQUESTS..=REQUESTS * 2).contains(&of_admission),
        "{of_admission}"
    );
}
