//! `POST /api/v1/admin/users/{id}/quota/reset`

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Value, json};
use turnpike_local::Options;
use turnpike_shared::admission::Budgets;
use turnpike_shared::limits::Window;

use crate::admin::{audited, limit, patch, quota_path};
use crate::support::{Account, Answer, Key, OldData, RedisServer, TestStack, until};

const ME: &str = "/api/v1/auth/me";

/// Patient with a busy machine, and not for long with a server that hangs.
const BUDGETS: Budgets = Budgets {
    valkey: Duration::from_secs(1),
    dynamodb: Duration::from_secs(10),
};

async fn stack_on(redis: Option<&RedisServer>) -> TestStack {
    let valkey = redis.map(|redis| redis.address().url);
    TestStack::start_as(|options| Options {
        policy: None,
        valkey,
        budgets: BUDGETS,
        ..options
    })
    .await
}

async fn reset(stack: &TestStack, by: &Account, user: &Account) -> Answer {
    let call = stack.post(&format!("{}/reset", quota_path(user)));
    call.bearer(&by.access_token).send().await
}

async fn quota(stack: &TestStack, by: &Account, user: &Account) -> Value {
    let call = stack.get(&quota_path(user)).bearer(&by.access_token);
    let answer = call.send().await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.body
}

/// What the user's admission item says was forgiven of this month.
async fn forgiven(stack: &TestStack, user: &Account) -> u64 {
    let item = stack
        .dynamodb()
        .await
        .get_item()
        .table_name("AdmissionTable")
        .key("pk", AttributeValue::S(format!("USER#{}", user.id)))
        .key("sk", AttributeValue::S("ADMISSION".to_owned()))
        .send()
        .await
        .unwrap();
    let name = format!("m.f.{}", Window::Month.bucket_at(stack.now()));
    let forgiven = item.item.as_ref().and_then(|item| item.get(&name));
    forgiven.map_or(0, |number| number.as_n().unwrap().parse().unwrap())
}

/// What of this month was leased to Valkey and can no more be spent: whoever closes the month takes it
/// off again.
async fn put_aside(redis: Option<&RedisServer>, stack: &TestStack, user: &Account) -> u64 {
    let Some(redis) = redis else {
        return 0;
    };
    let month = Window::Month.bucket_at(stack.now());
    let mut get = redis::cmd("HGET");
    get.arg(format!("tp:{{USER#{}}}:m", user.id)).arg(month);
    let aside: Option<u64> = get
        .query_async(&mut redis.connection().await)
        .await
        .unwrap();
    aside.unwrap_or_default()
}

/// How the limits of a key stand, as it is told itself.
async fn remaining_of_key(stack: &TestStack, key: &Key) -> String {
    let answer = stack.use_key(key).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.header("ratelimit").to_owned()
}

#[tokio::test]
async fn a_reset_clears_the_tiers_the_classes_and_the_keys_windows() {
    let redis = RedisServer::start().await;
    for redis in [None, Some(&redis)] {
        let stack = stack_on(redis).await;
        let admin = stack.admin().await;
        let ada = stack.register("ada@example.com").await;
        patch(&stack, &admin, &ada, json!({"roles": ["admin"]})).await;
        let limits = json!({"hour": 10, "day": 10, "month": 10});
        let key = stack.make_key(&ada, json!({"limits": limits})).await;
        for _ in 0..3 {
            stack.use_key(&key).await;
            quota(&stack, &ada, &ada).await;
        }
        let before = quota(&stack, &admin, &ada).await;

        let reset = reset(&stack, &admin, &ada).await;

        assert_eq!(reset.status, 204, "{}", reset.text);
        for name in ["hour", "day", "month", "admin"] {
            assert_ne!(limit(&before, name)["used"], 0, "{name}");
        }
        let after = quota(&stack, &admin, &ada).await;
        for limit in after["limits"].as_array().unwrap() {
            assert_eq!(limit["used"], 0, "{limit}");
        }
        let of_key = remaining_of_key(&stack, &key).await;
        for (name, left) in [
            ("hour", 99),
            ("day", 999),
            ("month", 19_999),
            ("key-hour", 9),
            ("key-day", 9),
            ("key-month", 9),
        ] {
            let expected = format!("\"{name}\";r={left};");
            assert!(of_key.contains(&expected), "{expected} in {of_key}");
        }
    }
}

#[tokio::test]
async fn what_was_admitted_before_a_reset_stays_charged() {
    let redis = RedisServer::start().await;
    for redis in [None, Some(&redis)] {
        let stack = stack_on(redis).await;
        let admin = stack.admin().await;
        let ada = stack.register("ada@example.com").await;
        let mut admitted = 0;
        for used in [5, 0, 7] {
            for _ in 0..used {
                assert_eq!(stack.me_status(&ada.access_token).await, 200);
            }
            admitted += used;

            assert_eq!(reset(&stack, &admin, &ada).await.status, 204);

            let charged = forgiven(&stack, &ada).await - put_aside(redis, &stack, &ada).await;
            assert_eq!(charged, admitted);
            assert_eq!(
                limit(&quota(&stack, &admin, &ada).await, "month")["used"],
                0
            );
        }
        stack.me_status(&ada.access_token).await;
        let month = quota(&stack, &admin, &ada).await;
        assert_eq!(limit(&month, "month")["used"], 1);
    }
}

#[tokio::test]
async fn requests_that_race_a_reset_bring_nothing_back_and_none_is_lost() {
    const CALLERS: usize = 6;
    const EACH: usize = 20;
    // Well below what an admin may ask for in a minute.
    const RESETS: usize = 200;
    let redis = RedisServer::start().await;
    for redis in [None, Some(&redis)] {
        let stack = Arc::new(stack_on(redis).await);
        let admin = stack.admin().await;
        let ada = stack.register("ada@example.com").await;
        let lifted = json!({"limits": {"hour": null, "day": null}, "reason": "race"});
        let put = stack.put(&quota_path(&ada)).bearer(&admin.access_token);
        assert_eq!(put.json(&lifted).send().await.status, 200);
        let callers: Vec<_> = (0..CALLERS)
            .map(|_| {
                let (stack, ada) = (Arc::clone(&stack), ada.clone());
                tokio::spawn(async move {
                    let mut admitted = 0;
                    for _ in 0..EACH {
                        admitted += u64::from(stack.me_status(&ada.access_token).await == 200);
                    }
                    admitted
                })
            })
            .collect();

        let mut resets = 0;
        while resets < RESETS && callers.iter().any(|caller| !caller.is_finished()) {
            assert_eq!(reset(&stack, &admin, &ada).await.status, 204);
            resets += 1;
        }
        let mut admitted = 0;
        for caller in callers {
            admitted += caller.await.unwrap();
        }

        // Whoever counts next puts aside what the last reset made void.
        admitted += u64::from(stack.me_status(&ada.access_token).await == 200);

        let month = quota(&stack, &admin, &ada).await;
        let used = limit(&month, "month")["used"].as_u64().unwrap();
        let counted = forgiven(&stack, &ada).await + used;
        let charged = counted - put_aside(redis, &stack, &ada).await;
        assert!(resets > 0 && admitted > 0);
        assert_eq!(charged, admitted, "after {resets} resets");
        assert_eq!(reset(&stack, &admin, &ada).await.status, 204);
        let month = quota(&stack, &admin, &ada).await;
        assert_eq!(limit(&month, "month")["used"], 0);
    }
}

#[tokio::test]
async fn a_reset_while_valkey_hangs_holds_when_it_is_back() {
    let redis = RedisServer::start().await;
    let stack = stack_on(Some(&redis)).await;
    let admin = stack.admin().await;
    let ada = stack.register("ada@example.com").await;
    for _ in 0..5 {
        stack.me_status(&ada.access_token).await;
    }

    redis.pause();
    let answer = reset(&stack, &admin, &ada).await;
    redis.resume();
    // Whoever reaches Valkey again takes the copy away that still says the old number of resets.
    until_valkey_is_back(&stack, &quota_path(&ada), &admin).await;
    let next = stack.get(ME).bearer(&ada.access_token).send().await;

    assert_eq!(answer.status, 204, "{}", answer.text);
    assert_eq!(answer.header("turnpike-degraded"), "valkey, revocation");
    assert_eq!(next.header("turnpike-degraded"), "");
    assert_eq!(next.header("x-ratelimit-remaining"), "99");
}

#[tokio::test]
async fn a_valkey_that_comes_back_with_old_counts_is_not_believed() {
    let mut redis = RedisServer::start().await;
    let stack = stack_on(Some(&redis)).await;
    let admin = stack.admin().await;
    let ada = stack.register("ada@example.com").await;
    for _ in 0..5 {
        stack.me_status(&ada.access_token).await;
    }
    redis.save().await;
    assert_eq!(reset(&stack, &admin, &ada).await.status, 204);

    redis.restart(OldData::Kept).await;
    until_valkey_is_back(&stack, ME, &admin).await;
    stack.pass(Duration::from_secs(61));
    let next = stack.get(ME).bearer(&ada.access_token).send().await;

    assert_eq!(next.header("turnpike-degraded"), "");
    assert_eq!(next.header("x-ratelimit-remaining"), "99");
}

/// Asks until Valkey decides again.
async fn until_valkey_is_back(stack: &TestStack, path: &str, account: &Account) {
    until(async || {
        let call = stack.get(path).bearer(&account.access_token);
        let answer = call.send().await;
        let is_back = answer.status == 200 && answer.header("turnpike-degraded").is_empty();
        is_back.then_some(()).ok_or(answer.text)
    })
    .await;
}

#[tokio::test]
async fn a_reset_leaves_word_of_who_made_it() {
    let stack = stack_on(None).await;
    let admin = stack.admin().await;
    let ada = stack.register("ada@example.com").await;

    reset(&stack, &admin, &ada).await;

    let entries = audited(&stack, &ada).await;
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0]["action"], "quota-reset");
    assert_eq!(entries[0]["actor"], admin.id);
}
