//! What a request costs: calls to DynamoDB, counted by a proxy in front of it, and commands to
//! Valkey, counted by the server.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use redis::aio::MultiplexedConnection;
use reqwest::Method;
use serde_json::json;
use turnpike_local::{Engine, Options};

use super::epoch::{Instances, change_tier};
use super::{
    Decider, LOGIN, ME, PolicyFile, REFRESH, SESSIONS, WRONG, assert_refused, limit_of, url_of,
};
use crate::support::{Answer, Call, CountingProxy, OwnEngine, TestStack};

/// A stack in front of whose DynamoDB calls are counted.
struct Counted {
    stack: TestStack,
    proxy: CountingProxy,
    _policy: PolicyFile,
    _engine: OwnEngine,
}

impl Counted {
    async fn with_policy(text: &str) -> Self {
        let engine = OwnEngine::start().await;
        let proxy = CountingProxy::start(&engine).await;
        let policy = PolicyFile::new(text);
        let stack = TestStack::start_as(|options| Options {
            engine: Engine::At(proxy.endpoint.clone()),
            policy: Some(policy.path()),
            ..options
        });
        Self {
            stack: stack.await,
            proxy,
            _policy: policy,
            _engine: engine,
        }
    }

    /// The answer, and how many calls it took.
    async fn send(&self, call: Call) -> (Answer, usize) {
        calls_of(&self.proxy, call).await
    }
}

async fn calls_of(proxy: &CountingProxy, call: Call) -> (Answer, usize) {
    let before = proxy.calls();
    let answer = call.send().await;
    (answer, proxy.calls() - before)
}

const TIERS: &str = "[tiers.anonymous]\nhour = 60\nday = 500\n\
                     [tiers.free]\nhour = 100\nday = 1000\nmonth = 20000\n";

/// Two instances that read their policy from a file: reading it from the table is a call too.
async fn instances(decider: Decider) -> Instances {
    let pro = "[tiers.pro]\nhour = 1000\nday = 10000\nmonth = 200000\n";
    let policy = PolicyFile::new(&format!("{TIERS}{pro}"));
    Instances::start(decider, Some(policy)).await
}

#[tokio::test]
async fn a_request_with_a_token_takes_one_call_to_dynamodb_once_the_user_is_known() {
    let counted = Counted::with_policy(TIERS).await;
    let stack = &counted.stack;
    let ada = stack.register("ada@example.com").await;
    let me = || stack.get(ME).bearer(&ada.access_token);

    let (first, cold) = counted.send(me()).await;
    let mut warm = vec![];
    for pause in [0, 0, 61, 3_600 / 2 - 120, 0] {
        stack.pass(Duration::from_secs(pause));
        let (answer, calls) = counted.send(me()).await;
        assert_eq!(answer.status, 200, "{pause}: {}", answer.text);
        warm.push(calls);
    }

    assert_eq!((first.status, cold), (200, 2), "the user is read too");
    assert_eq!(warm, [1, 1, 1, 1, 1], "whether a bucket has passed or not");
}

#[tokio::test]
async fn where_another_instance_moved_the_window_on_a_request_takes_two_calls_and_then_one() {
    let instances = instances(Decider::DynamoDb).await;
    let ada = instances.first.register("ada@example.com").await;
    let on_first = || instances.first.get(ME).bearer(&ada.access_token);
    let on_second = || instances.second.get(ME).bearer(&ada.access_token);
    on_first().send().await;
    on_second().send().await;
    let (_, warm) = calls_of(&instances.proxy, on_second()).await;

    instances.pass(Duration::from_secs(61));
    on_first().send().await;
    let (moved, behind) = calls_of(&instances.proxy, on_second()).await;
    let (_, again) = calls_of(&instances.proxy, on_second()).await;

    assert_eq!((warm, behind, again), (1, 2, 1));
    assert_eq!(limit_of(&moved, "hour").remaining, 95);
}

#[tokio::test]
async fn whatever_an_instance_does_not_know_a_request_takes_three_calls_at_most() {
    let instances = instances(Decider::DynamoDb).await;
    let ada = instances.first.register("ada@example.com").await;
    let on_first = || instances.first.get(ME).bearer(&ada.access_token);
    let on_second = || instances.second.get(ME).bearer(&ada.access_token);
    on_first().send().await;

    let (_, cold) = calls_of(&instances.proxy, on_second()).await;
    change_tier(&instances, &ada, "pro").await;
    let (changed, of_change) = calls_of(&instances.proxy, on_second()).await;
    let (_, after_change) = calls_of(&instances.proxy, on_second()).await;
    instances.pass(Duration::from_secs(61));
    on_first().send().await;
    change_tier(&instances, &ada, "free").await;
    let (both, of_both) = calls_of(&instances.proxy, on_second()).await;

    assert_eq!(cold, 3, "the window is found out about and the user read");
    assert_eq!(limit_of(&changed, "hour").limit, 1_000);
    assert_eq!((of_change, after_change), (3, 1));
    assert_eq!(limit_of(&both, "hour").limit, 100);
    assert_eq!(of_both, 3, "both the window and the user have changed");
}

#[tokio::test]
async fn an_instance_that_knows_neither_the_window_nor_the_tier_takes_three_calls() {
    let instances = instances(Decider::DynamoDb).await;
    let ada = instances.first.register("ada@example.com").await;
    let me = |stack: &TestStack| stack.get(ME).bearer(&ada.access_token);
    me(&instances.first).send().await;
    change_tier(&instances, &ada, "pro").await;

    let (answer, calls) = calls_of(&instances.proxy, me(&instances.second)).await;

    assert_eq!(limit_of(&answer, "hour").limit, 1_000);
    assert_eq!(calls, 3);
}

/// Makes the same request again and again.
type Make<'a> = Box<dyn Fn() -> Call + 'a>;

#[tokio::test]
async fn what_was_refused_twice_within_a_second_is_refused_without_a_call() {
    let counted = Counted::with_policy(
        r#"
        [tiers.anonymous]
        hour = 1
        [tiers.free]
        hour = 1
        [classes.token]
        limits = [{ rate = "1/minute", per = "ip" }]
        [classes.auth]
        limits = [
            { rate = "100/minute", per = "ip" },
            { name = "auth-email", rate = "1/900s", per = "email+ip" },
        ]
        "#,
    )
    .await;
    let stack = &counted.stack;
    let ada = stack.register("ada@example.com").await;
    let key = key_that_nobody_has();
    let junk = json!({"refresh_token": "junk"});
    let wrong = json!({"email": ada.email, "password": WRONG});
    // What is sent; how many calls a refusal by a store takes, and one from memory.
    let cases: [(&str, Make<'_>, usize, usize); 5] = [
        (
            "hour",
            Box::new(|| stack.get(ME).bearer(&ada.access_token)),
            1,
            0,
        ),
        ("hour", Box::new(|| stack.get(ME)), 1, 0),
        (
            "hour",
            Box::new(|| stack.get(ME).header("x-api-key", &key)),
            1,
            0,
        ),
        ("token", Box::new(|| stack.post(REFRESH).json(&junk)), 1, 0),
        // The address is counted each time before the e-mail is asked about.
        (
            "auth-email",
            Box::new(|| stack.post(LOGIN).json(&wrong)),
            2,
            1,
        ),
    ];

    for (index, (name, call, by_store, from_memory)) in cases.iter().enumerate() {
        call().send().await;
        stack.pass(Duration::from_millis(1_001));
        for round in 0..2 {
            let case = format!("{index}: {name}, round {round}");
            let (refused, calls) = counted.send(call()).await;
            let (again, asked_anew) = counted.send(call()).await;
            let (once_more, repeated) = counted.send(call()).await;

            for answer in [&refused, &again, &once_more] {
                assert_refused(answer, &[name]);
            }
            assert_eq!((calls, asked_anew), (*by_store, *by_store), "{case}");
            assert_eq!(repeated, *from_memory, "{case}");
            stack.pass(Duration::from_millis(1_001));
        }
    }
    let elsewhere = || stack.get(SESSIONS).bearer(&ada.access_token);
    for _ in 0..2 {
        counted.send(elsewhere()).await;
    }
    let (other_path, calls) = counted.send(elsewhere()).await;
    assert_refused(&other_path, &["hour"]);
    assert_eq!(calls, 0);
}

/// A key of the right form that was never made.
fn key_that_nobody_has() -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let random = "0123456789abcdefghijABCDEFGHIJ01";
    let mut crc = u32::MAX;
    for byte in random.bytes() {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            let is_odd = crc & 1 == 1;
            crc >>= 1;
            if is_odd {
                crc ^= 0xEDB8_8320;
            }
        }
    }
    let mut rest = usize::try_from(!crc).unwrap();
    let mut checksum = [b'0'; 6];
    for digit in checksum.iter_mut().rev() {
        *digit = DIGITS[rest % 62];
        rest /= 62;
    }
    format!(
        "tp_live_{random}{}",
        std::str::from_utf8(&checksum).unwrap()
    )
}

#[tokio::test]
async fn what_cannot_be_good_takes_the_one_call_that_counts_it() {
    let counted = Counted::with_policy(TIERS).await;
    let stack = &counted.stack;
    stack.get(ME).send().await;
    let junk = json!({"refresh_token": "junk"});
    let cases = [
        ("no credential", stack.get(ME), 401),
        ("a junk token", stack.get(ME).bearer("junk"), 401),
        (
            "a junk key",
            stack.get(ME).header("x-api-key", "tp_live_x"),
            401,
        ),
    ];

    for (case, call, status) in cases {
        let (answer, calls) = counted.send(call).await;
        assert_eq!((answer.status, calls), (status, 1), "{case}");
    }
    stack.post(REFRESH).json(&junk).send().await;
    let (answer, calls) = counted.send(stack.post(REFRESH).json(&junk)).await;
    assert_eq!((answer.status, calls), (401, 1));
    let two = stack.get(ME).bearer("a").header("x-api-key", "b");
    let (answer, calls) = counted.send(two).await;
    assert_eq!((answer.status, calls), (400, 0));
}

/// How often each command was sent since the count began.
async fn commands(connection: &mut MultiplexedConnection) -> BTreeMap<String, u64> {
    let mut info = redis::cmd("INFO");
    let stats: String = info
        .arg("commandstats")
        .query_async(connection)
        .await
        .unwrap();
    let line = |line: &str| {
        let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        let calls = rest.split(',').next()?.parse().ok()?;
        Some((name.to_owned(), calls))
    };
    stats.lines().filter_map(line).collect()
}

async fn count_anew(connection: &mut MultiplexedConnection) {
    let mut reset = redis::cmd("CONFIG");
    reset.arg("RESETSTAT").exec_async(connection).await.unwrap();
}

#[tokio::test]
async fn on_valkey_a_request_takes_one_command_and_no_call_to_dynamodb() {
    let engine = OwnEngine::start().await;
    let proxy = CountingProxy::start(&engine).await;
    let server = Decider::Valkey.server().await;
    let policy = PolicyFile::new(&format!(
        "{TIERS}\n[classes.token]\nlimits = [{{ rate = \"2/minute\", per = \"ip\" }}]"
    ));
    let stack = TestStack::start_as(|options| Options {
        engine: Engine::At(proxy.endpoint.clone()),
        valkey: url_of(server.as_ref()),
        policy: Some(policy.path()),
        ..options
    });
    let stack = stack.await;
    let mut connection = server.as_ref().unwrap().connection().await;
    let ada = stack.register("ada@example.com").await;
    let refresh = || {
        let junk = json!({"refresh_token": "junk"});
        stack.post(REFRESH).json(&junk)
    };
    let cases: [(&str, &dyn Fn() -> Call, u16, u64); 7] = [
        ("token", &|| stack.get(ME).bearer(&ada.access_token), 200, 1),
        ("no credential", &|| stack.get(ME), 401, 1),
        ("an open route", &refresh, 401, 1),
        ("what a store refuses", &refresh, 429, 1),
        ("what a store refuses again", &refresh, 429, 1),
        ("what memory refuses", &refresh, 429, 0),
        ("a root path", &|| stack.get("/"), 200, 0),
    ];
    stack.get(ME).bearer(&ada.access_token).send().await;
    stack.get(ME).send().await;
    refresh().send().await;

    for (case, call, status, scripts) in cases {
        count_anew(&mut connection).await;
        let (answer, calls) = calls_of(&proxy, call()).await;
        let sent = commands(&mut connection).await;

        assert_eq!(answer.status, status, "{case}: {}", answer.text);
        assert_eq!(calls, 0, "{case}");
        assert_eq!(sent.get("evalsha").copied().unwrap_or(0), scripts, "{case}");
        // What else is counted is what the script itself does, and the counting.
        let of_script = ["hget", "hmget", "hset", "hdel", "pexpire"];
        let of_test = ["info", "config|resetstat"];
        for name in sent.keys().map(String::as_str) {
            let is_known = name == "evalsha" || of_test.contains(&name);
            let is_of_script = scripts == 1 && of_script.contains(&name);
            assert!(is_known || is_of_script, "{case}: {sent:?}");
        }
    }
}

#[tokio::test]
async fn on_valkey_a_minute_without_a_copy_costs_one_more_command_and_one_call() {
    let instances = instances(Decider::Valkey).await;
    let ada = instances.first.register("ada@example.com").await;
    let me = || instances.second.get(ME).bearer(&ada.access_token);
    for _ in 0..2 {
        me().send().await;
    }
    let mut connection = instances.server.as_ref().unwrap().connection().await;

    instances.pass(Duration::from_secs(61));
    count_anew(&mut connection).await;
    let (answer, calls) = calls_of(&instances.proxy, me()).await;
    let sent = commands(&mut connection).await;

    assert_eq!((answer.status, calls), (200, 1));
    assert_eq!(sent["evalsha"], 2);
}

#[tokio::test]
async fn a_method_that_stands_for_another_costs_as_much() {
    let counted = Counted::with_policy(TIERS).await;
    let stack = &counted.stack;
    let ada = stack.register("ada@example.com").await;
    let head = || {
        let call = stack.call(Method::HEAD, ME);
        call.bearer(&ada.access_token)
    };
    head().send().await;

    let (answer, calls) = counted.send(head()).await;

    assert_eq!((answer.status, calls), (200, 1));
}

#[tokio::test]
async fn a_user_without_limits_costs_one_call_as_well() {
    let counted = Counted::with_policy("[tiers.anonymous]\n[tiers.free]\n").await;
    let stack = &counted.stack;
    let ada = stack.register("ada@example.com").await;
    let me = || stack.get(ME).bearer(&ada.access_token);
    me().send().await;

    let (answer, calls) = counted.send(me()).await;

    assert_eq!((answer.status, calls), (200, 1));
    let endpoint = counted.proxy.endpoint.clone();
    let inactive = AttributeValue::Bool(false);
    stack
        .set_user_attribute_at(&endpoint, &ada.id, "is_active", inactive)
        .await;
    assert_eq!(me().send().await.status, 401);
}
