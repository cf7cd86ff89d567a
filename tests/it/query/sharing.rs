//! Answers that several instances share, that outlive the one that fetched them, and that end
//! everywhere at once.

use serde_json::json;
use tokio::task::JoinSet;
use turnpike_local::{Engine, Options};

use super::{PolicyFile, ask, cache_of, stack_with, status_of};
use crate::limits_on_the_wire::{DECIDERS, Decider, url_of};
use crate::support::{Account, OwnEngine, RedisServer, Reply, TestStack, TestUpstream};

/// A stage of which instances can be started: one engine, one Valkey if there is one, one policy.
struct Stage {
    engine: OwnEngine,
    server: Option<RedisServer>,
    upstream: TestUpstream,
    policy: PolicyFile,
}

impl Stage {
    async fn new(decider: Decider, fields: &str) -> Self {
        let upstream = TestUpstream::answering(Reply::json(&json!(1))).await;
        Self {
            engine: OwnEngine::start().await,
            server: decider.server().await,
            policy: PolicyFile::new(&upstream.policy("library", fields)),
            upstream,
        }
    }

    async fn instance(&self) -> TestStack {
        stack_with(&self.policy, |options| Options {
            engine: Engine::At(self.engine.endpoint()),
            valkey: url_of(self.server.as_ref()),
            env: options
                .env
                .with("TURNPIKE_ISSUER", "http://127.0.0.1:3000")
                .with("TURNPIKE_AUTH_SECRET", "0123456789abcdef0123456789abcdef"),
            ..options
        })
        .await
    }

    /// The nearest tier that outlives a process.
    fn warm_tier(&self) -> &'static str {
        if self.server.is_some() {
            "valkey"
        } else {
            "dynamodb"
        }
    }
}

async fn invalidate(stack: &TestStack, account: &Account, body: &serde_json::Value) {
    let call = stack.post("/api/v1/cache/invalidate");
    let answer = call.bearer(&account.access_token).json(body).send().await;
    assert_eq!(answer.status, 204, "{}", answer.text);
}

#[tokio::test]
async fn what_one_instance_fetched_another_serves() {
    for decider in DECIDERS {
        let stage = Stage::new(decider, "").await;
        let (first, second) = (stage.instance().await, stage.instance().await);
        let ada = first.register("ada@example.com").await;

        let fetched = ask(&first, &ada, "whales").send().await;
        let served = ask(&second, &ada, "whales").send().await;
        let again = ask(&second, &ada, "whales").send().await;

        assert_eq!(cache_of(&fetched), ("miss", None));
        assert_eq!(cache_of(&served), ("hit", Some(stage.warm_tier())));
        assert_eq!(cache_of(&again), ("hit", Some("memory")));
        assert_eq!(stage.upstream.calls(), 1, "{decider:?}");
    }
}

#[tokio::test]
async fn an_answer_outlives_the_process_that_fetched_it() {
    for decider in DECIDERS {
        let stage = Stage::new(decider, "").await;
        let first = stage.instance().await;
        let ada = first.register("ada@example.com").await;
        ask(&first, &ada, "whales").send().await;
        first.stack.stop().await;

        let restarted = stage.instance().await;
        let served = ask(&restarted, &ada, "whales").send().await;

        assert_eq!(cache_of(&served), ("hit", Some(stage.warm_tier())));
        assert_eq!(stage.upstream.calls(), 1, "{decider:?}");
    }
}

#[tokio::test]
async fn an_answer_in_the_folder_of_the_data_outlives_the_stack() {
    let upstream = TestUpstream::answering(Reply::json(&json!(1))).await;
    let policy = PolicyFile::new(&upstream.policy("library", ""));
    let folder = tempfile::tempdir().unwrap();
    let start = || {
        stack_with(&policy, |options| Options {
            data: Some(folder.path().to_owned()),
            env: options.env.with("TURNPIKE_ISSUER", "http://127.0.0.1:3000"),
            ..options
        })
    };
    let first = start().await;
    let ada = first.register("ada@example.com").await;
    ask(&first, &ada, "whales").send().await;
    first.stack.stop().await;

    let restarted = start().await;
    let served = ask(&restarted, &ada, "whales").send().await;
    invalidate(&restarted, &ada, &json!({"prefix": "query/library"})).await;
    let after = ask(&restarted, &ada, "whales").send().await;

    assert_eq!(cache_of(&served), ("hit", Some("dynamodb")));
    assert_eq!(status_of(&after), "miss");
}

#[tokio::test]
async fn one_invalidation_ends_an_answer_on_every_instance() {
    let ways = [
        json!({"tags": ["upstream:library"]}),
        json!({"prefix": "query"}),
    ];
    for decider in DECIDERS {
        let stage = Stage::new(decider, "").await;
        let (first, second) = (stage.instance().await, stage.instance().await);
        let ada = first.register("ada@example.com").await;
        let bob = first.register("bob@example.com").await;
        for stack in [&first, &second] {
            for account in [&ada, &bob] {
                ask(stack, account, "whales").send().await;
            }
        }
        let fetched = stage.upstream.calls();

        for way in &ways {
            invalidate(&first, &ada, way).await;
            let on_second = ask(&second, &ada, "whales").send().await;
            let on_first = ask(&first, &ada, "whales").send().await;
            let of_bob = ask(&second, &bob, "whales").send().await;

            assert_eq!(status_of(&on_second), "miss", "{decider:?}: {way}");
            assert_eq!(status_of(&on_first), "hit", "{decider:?}: {way}");
            assert_eq!(status_of(&of_bob), "hit", "{decider:?}: {way}");
        }
        assert_eq!((fetched, stage.upstream.calls()), (2, 4));
    }
}

#[tokio::test]
async fn of_many_who_ask_two_instances_at_once_one_is_waited_for() {
    let fields = "shared_cache = true\nclass = \"rare\"\n\
                  [classes.rare]\nlimits = [\"1000000/day\"]";
    for decider in DECIDERS {
        let stage = Stage::new(decider, fields).await;
        let instances = [stage.instance().await, stage.instance().await];
        let mut accounts = vec![];
        for number in 0..8 {
            let email = format!("ada-{number}@example.com");
            accounts.push(instances[0].register(&email).await);
        }
        let mut sent = JoinSet::new();

        for number in 0..64 {
            let account = &accounts[number % accounts.len()];
            sent.spawn(ask(&instances[number / 32], account, "whales").send());
        }
        let answers = sent.join_all().await;

        for answer in &answers {
            assert_eq!(answer.status, 200, "{decider:?}: {}", answer.text);
            assert_eq!(answer.body["result"], 1, "{decider:?}");
        }
        assert_eq!(stage.upstream.calls(), 1, "{decider:?}");
    }
}
