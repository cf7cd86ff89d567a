//! What an answer says of limits, and that what it says is so.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;
use turnpike_local::{Engine, Options};
use turnpike_shared::clock::{Clock, Timestamp};
use turnpike_shared::limits::policy::Policy;

use super::{
    CHANGE, DECIDERS, Decider, HEADERS, LOGIN, Limited, ME, OPEN_ROUTES, PolicyFile, REFRESH,
    REGISTER, SESSIONS, WRONG, assert_refused, assert_unlimited, limit_of, limits_of, remaining,
};
use crate::support::{Account, Answer, CountingProxy, OwnEngine, PASSWORD, TestStack};

async fn me(stack: &TestStack, account: &Account) -> Answer {
    let call = stack.get(ME).bearer(&account.access_token);
    call.send().await
}

#[tokio::test]
async fn every_answer_of_a_limited_route_names_the_limits_that_applied() {
    const USER: &str = r#""hour";q=100;w=3600, "day";q=1000;w=86400, "month";q=20000"#;
    const ADDRESS: &str = r#""hour";q=60;w=3600, "day";q=500;w=86400"#;
    const REGISTERING: &str = r#""register";q=20;w=3600"#;
    const SIGNING_IN: &str = r#""auth";q=10;w=60"#;
    const FAILED: &str = r#""auth-email";q=5;w=900, "auth-email-day";q=100;w=86400"#;
    const TOKEN: &str = r#""token";q=120;w=60"#;

    for decider in DECIDERS {
        let limited = Limited::built_in(decider).await;
        let stack = &limited.stack;
        let ada = stack.register("ada@example.com").await;
        let register = |body| stack.post(REGISTER).json(&body).send();
        let login = |body| stack.post(LOGIN).json(&body).send();
        let new = json!({"email": "new@example.com", "password": PASSWORD});
        let taken = json!({"email": "ada@example.com", "password": PASSWORD});
        let wrong = json!({"email": "ada@example.com", "password": WRONG});
        let change = json!({"current_password": WRONG, "new_password": "quartz-lantern-orchid-3"});
        let absent = format!("{SESSIONS}/ses_019a9f3c1c2a7d3e8f00112233445566");
        let of_ada = |method, path: &str| stack.call(method, path).bearer(&ada.access_token);

        let answers = [
            (200, USER.to_owned(), me(stack, &ada).await),
            (401, ADDRESS.into(), stack.get(ME).send().await),
            (201, REGISTERING.into(), register(new).await),
            (409, REGISTERING.into(), register(taken.clone()).await),
            (422, REGISTERING.into(), register(json!({})).await),
            (200, SIGNING_IN.into(), login(taken).await),
            (401, format!("{SIGNING_IN}, {FAILED}"), login(wrong).await),
            (
                422,
                SIGNING_IN.into(),
                login(json!({"email": "ada@example.com"})).await,
            ),
            (
                401,
                TOKEN.into(),
                stack
                    .post(REFRESH)
                    .json(&json!({"refresh_token": "junk"}))
                    .send()
                    .await,
            ),
            (
                403,
                format!("{USER}, {FAILED}"),
                of_ada(Method::PUT, CHANGE).json(&change).send().await,
            ),
            (
                404,
                USER.into(),
                of_ada(Method::DELETE, &absent).send().await,
            ),
            (
                422,
                USER.into(),
                of_ada(Method::GET, &format!("{SESSIONS}?limit=0"))
                    .send()
                    .await,
            ),
            (
                415,
                USER.into(),
                of_ada(Method::PUT, CHANGE).body("{}").send().await,
            ),
            (
                400,
                USER.into(),
                of_ada(Method::PUT, CHANGE).raw_json("{").send().await,
            ),
            (
                413,
                USER.into(),
                of_ada(Method::PUT, CHANGE)
                    .raw_json("x".repeat(65 * 1024))
                    .send()
                    .await,
            ),
            (
                204,
                USER.into(),
                of_ada(Method::POST, "/api/v1/auth/logout").send().await,
            ),
        ];
        let mut refused = stack.post(LOGIN).send().await;
        for _ in 0..10 {
            refused = stack.post(LOGIN).send().await;
        }

        let refused = (429, SIGNING_IN.to_owned(), refused);
        for (status, policy, answer) in answers.into_iter().chain([refused]) {
            let case = format!("{decider:?}: {status} {policy}");
            assert_eq!(answer.status, status, "{case}: {}", answer.text);
            assert_eq!(answer.header("ratelimit-policy"), policy, "{case}");
            for limit in limits_of(&answer) {
                assert!((0..=limit.limit).contains(&limit.remaining), "{case}");
                assert!(limit.reset.is_some_and(|reset| reset > 0), "{case}");
            }
            for header in HEADERS {
                assert!(answer.headers.contains_key(header), "{case}: {header}");
            }
        }
    }
}

#[tokio::test]
async fn the_numbers_are_those_of_the_windows() {
    for decider in DECIDERS {
        let limited = Limited::built_in(decider).await;
        let stack = &limited.stack;
        let ada = stack.register("ada@example.com").await;
        me(stack, &ada).await;

        let before = stack.now();
        let answer = me(stack, &ada).await;
        let after = stack.now();

        let seconds = |from: Timestamp, to: i64| (to - from.millis() + 999).div_euclid(1_000);
        let whole = |at: Timestamp, window: i64| {
            let bucket = window * 1_000 / 60;
            (at.millis().div_euclid(bucket) + 61) * bucket
        };
        for (name, limit, window) in [("hour", 100, 3_600), ("day", 1_000, 86_400)] {
            let shown = limit_of(&answer, name);
            assert_eq!((shown.limit, shown.remaining), (limit, limit - 2));
            let earliest = seconds(after, whole(before, window));
            let latest = seconds(before, whole(after, window));
            let reset = shown.reset.unwrap();
            assert!(
                (earliest..=latest).contains(&reset),
                "{decider:?} {name}: {earliest} {reset} {latest}"
            );
        }
        let month = limit_of(&answer, "month");
        assert_eq!(
            (month.limit, month.window, month.remaining),
            (20_000, None, 19_998)
        );
        let next_month = |at| next_month(at).millis();
        let reset = month.reset.unwrap();
        let possible = seconds(after, next_month(before))..=seconds(before, next_month(after));
        assert!(possible.contains(&reset), "{reset} {possible:?}");
        assert_eq!(answer.header("x-ratelimit-limit"), "100");
        assert_eq!(answer.header("x-ratelimit-remaining"), "98");
        let reset: i64 = answer.header("x-ratelimit-reset").parse().unwrap();
        let of_hour = |at| (whole(at, 3_600) + 999).div_euclid(1_000);
        assert!((of_hour(before)..=of_hour(after)).contains(&reset));
    }
}

/// Midnight in UTC of the next month's first day.
fn next_month(now: Timestamp) -> Timestamp {
    let text = now.to_string();
    let (year, month): (u32, u32) = (text[..4].parse().unwrap(), text[5..7].parse().unwrap());
    let (year, month) = match month {
        12 => (year + 1, 1),
        _ => (year, month + 1),
    };
    format!("{year}-{month:02}-01T00:00:00Z").parse().unwrap()
}

#[tokio::test]
async fn the_older_headers_show_the_limit_of_which_the_smallest_share_is_left() {
    for decider in DECIDERS {
        let policy = r#"
            [tiers.anonymous]
            [tiers.free]
            hour = 40
            day = 1000
            [classes.default]
            limits = [{ name = "burst", rate = "20/minute" }]
        "#;
        let limited = Limited::with_policy(decider, policy).await;
        let stack = &limited.stack;
        let ada = stack.register("ada@example.com").await;
        let shown = |answer: &Answer| {
            let header = |name: &str| answer.header(name).to_owned();
            (header("x-ratelimit-limit"), header("x-ratelimit-remaining"))
        };

        let burst = me(stack, &ada).await;
        for _ in 0..13 {
            me(stack, &ada).await;
        }
        stack.pass(Duration::from_mins(2));
        let hour = me(stack, &ada).await;

        assert_eq!(shown(&burst), ("20".into(), "19".into()), "{decider:?}");
        assert_eq!(remaining(&hour, "burst"), 19);
        assert_eq!(shown(&hour), ("40".into(), "25".into()), "{decider:?}");
    }
}

#[tokio::test]
async fn a_caller_without_limits_is_told_none() {
    for decider in DECIDERS {
        let limited = Limited::built_in(decider).await;
        let stack = &limited.stack;
        let ada = stack.register("ada@example.com").await;
        let enterprise = AttributeValue::S("enterprise".into());
        stack.set_user_attribute(&ada.id, "tier", enterprise).await;
        let ada = stack.login("ada@example.com").await;

        let answer = me(stack, &ada).await;

        assert_eq!(answer.status, 200);
        assert_eq!(answer.body["user"]["tier"], "enterprise");
        assert_unlimited(&answer);
    }
}

#[tokio::test]
async fn what_is_unlimited_is_left_out_beside_what_is_not() {
    for decider in DECIDERS {
        let policy = "[tiers.anonymous]\n[tiers.free]\nhour = \"unlimited\"\nday = 5\n";
        let limited = Limited::with_policy(decider, policy).await;
        let ada = limited.stack.register("ada@example.com").await;

        let answer = me(&limited.stack, &ada).await;

        assert_eq!(answer.header("ratelimit-policy"), r#""day";q=5;w=86400"#);
        assert!(answer.header("ratelimit").starts_with(r#""day";r=4;t=8"#));
        assert_unlimited(&limited.stack.get(ME).send().await);
    }
}

#[tokio::test]
async fn exactly_the_tiers_limit_is_admitted_one_by_one() {
    for decider in DECIDERS {
        let limited = Limited::built_in(decider).await;
        let stack = &limited.stack;
        let ada = stack.register("ada@example.com").await;

        let mut answers = vec![];
        for _ in 0..130 {
            answers.push(me(stack, &ada).await);
        }

        for (number, answer) in (1_i64..).zip(&answers) {
            if number <= 100 {
                assert_eq!(answer.status, 200, "{decider:?} {number}");
                assert_eq!(remaining(answer, "hour"), 100 - number);
            } else {
                assert_refused(answer, &["hour"]);
                assert_eq!(remaining(answer, "hour"), 0);
                assert_eq!(answer.header("x-ratelimit-limit"), "100");
                assert_eq!(answer.header("x-ratelimit-remaining"), "0");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_the_tiers_limit_is_admitted_of_forty_at_once() {
    for decider in DECIDERS {
        let limited = Limited::built_in(decider).await;
        let stack = &limited.stack;
        let ada = stack.register("ada@example.com").await;

        let mut statuses = vec![];
        for _ in 0..4 {
            let answers = join_all((0..40).map(|_| me(stack, &ada))).await;
            statuses.extend(answers.iter().map(|answer| answer.status));
        }

        let count = |status| statuses.iter().filter(|of| **of == status).count();
        assert_eq!((count(200), count(429)), (100, 60), "{decider:?}");
    }
}

#[tokio::test]
async fn a_refused_request_uses_up_nothing_else() {
    for decider in DECIDERS {
        let policy = r#"
            [tiers.anonymous]
            [tiers.free]
            hour = 3
            day = 1000
            month = 20000
            [classes.default]
            limits = [{ name = "burst", rate = "2/minute" }]
        "#;
        let limited = Limited::with_policy(decider, policy).await;
        let stack = &limited.stack;
        let ada = stack.register("ada@example.com").await;
        // Each refusal is one by a store, none of them from memory.
        let ask = async || {
            stack.pass(Duration::from_millis(1_100));
            me(stack, &ada).await
        };
        for _ in 0..2 {
            assert_eq!(ask().await.status, 200);
        }

        for _ in 0..5 {
            assert_refused(&ask().await, &["burst"]);
        }
        stack.pass(Duration::from_mins(2));
        let by_burst = ask().await;
        for _ in 0..5 {
            assert_refused(&ask().await, &["hour"]);
        }
        let refresh = json!({"refresh_token": ada.refresh_token});
        stack.pass(Duration::from_mins(62));
        let refreshed = stack.post(REFRESH).json(&refresh).send().await;
        let token = refreshed.body["tokens"]["access_token"].as_str().unwrap();
        let by_hour = stack.get(ME).bearer(token).send().await;

        let left = |answer: &Answer, name| remaining(answer, name);
        assert_eq!(by_burst.status, 200, "{decider:?}");
        assert_eq!(
            ["burst", "hour", "day", "month"].map(|name| left(&by_burst, name)),
            [1, 0, 997, 19_997]
        );
        assert_eq!(by_hour.status, 200, "{decider:?}: {}", by_hour.text);
        assert_eq!(
            ["burst", "hour", "day", "month"].map(|name| left(&by_hour, name)),
            [1, 2, 996, 19_996]
        );
    }
}

#[tokio::test]
async fn of_several_limits_that_refuse_all_are_named_and_the_longest_wait_is_told() {
    for decider in DECIDERS {
        let policy = "[tiers.anonymous]\nhour = 2\nday = 2\n[tiers.free]\n";
        let limited = Limited::with_policy(decider, policy).await;
        for _ in 0..2 {
            let unauthenticated = limited.stack.get(ME).send().await;
            unauthenticated.assert_problem(401, "unauthenticated");
        }

        let refused = limited.stack.get(ME).send().await;

        assert_refused(&refused, &["hour", "day"]);
        let wait: i64 = refused.header("retry-after").parse().unwrap();
        assert!((86_400..=88_000).contains(&wait), "{wait}");
        assert!(limit_of(&refused, "hour").reset.unwrap() <= 3_660);
    }
}

#[tokio::test]
async fn whoever_waits_as_long_as_told_is_admitted_and_nobody_much_sooner() {
    for decider in DECIDERS {
        let limited = Limited::built_in(decider).await;
        let stack = &limited.stack;
        for _ in 0..60 {
            stack.get(ME).send().await;
        }
        let refused = stack.get(ME).send().await;
        assert_refused(&refused, &["hour"]);
        let wait: u64 = refused.header("retry-after").parse().unwrap();

        stack.pass(Duration::from_secs(wait - 10));
        let too_soon = stack.get(ME).send().await;
        let again: u64 = too_soon.header("retry-after").parse().unwrap();
        stack.pass(Duration::from_secs(again));
        let in_time = stack.get(ME).send().await;

        assert_refused(&too_soon, &["hour"]);
        assert!((1..=10).contains(&again), "{decider:?}: {again}");
        in_time.assert_problem(401, "unauthenticated");
    }
}

#[tokio::test]
async fn whoever_really_waits_as_long_as_told_is_admitted_by_the_stores_own_time() {
    for decider in DECIDERS {
        let policy = r#"
            [tiers.anonymous]
            [tiers.free]
            [classes.token]
            limits = [{ rate = "2/2s", per = "ip" }]
        "#;
        let limited = Limited::start(decider, Some(PolicyFile::new(policy)), |options| Options {
            clock: Clock::system(),
            ..options
        });
        let limited = limited.await;
        let body = json!({"refresh_token": "junk"});
        let refresh = || limited.stack.post(REFRESH).json(&body).send();

        for round in 0..2 {
            let mut answer = refresh().await;
            while answer.status == 401 {
                answer = refresh().await;
            }
            assert_refused(&answer, &["token"]);
            let wait = answer.header("retry-after").parse().unwrap();
            assert!((1..=3).contains(&wait), "{wait}");
            tokio::time::sleep(Duration::from_secs(wait)).await;

            let admitted = refresh().await;

            let case = format!("{decider:?} {round}: {}", admitted.text);
            assert_eq!(admitted.code(), "invalid-refresh-token", "{case}");
        }
    }
}

#[tokio::test]
async fn a_limit_of_zero_refuses_for_good_and_asks_no_more_than_whether_it_still_is_one() {
    let engine = OwnEngine::start().await;
    let proxy = CountingProxy::start(&engine).await;
    let policy = PolicyFile::new("[tiers.anonymous]\nday = 0\n[tiers.free]\nhour = 0\nday = 9\n");
    let stack = TestStack::start_as(|options| Options {
        engine: Engine::At(proxy.endpoint.clone()),
        policy: Some(policy.path()),
        ..options
    });
    let stack = stack.await;
    let ada = stack.register("ada@example.com").await;
    // Of a user the store is asked once whether that is still the limit.
    let cases = [
        (
            Some(&ada.access_token),
            "hour",
            r#""hour";r=0, "day";r=9"#,
            [1, 1],
        ),
        (None, "day", r#""day";r=0"#, [0, 0]),
    ];

    for (token, name, states, at_most) in cases {
        for calls in at_most {
            let before = proxy.calls();
            let call = stack.get(ME);
            let call = match token {
                Some(token) => call.bearer(token),
                None => call,
            };
            let answer = call.send().await;

            assert!(proxy.calls() - before <= calls, "{name}");
            assert_eq!((answer.status, answer.code()), (429, "quota-exceeded"));
            assert_eq!(answer.body["violated-policies"], json!([name]));
            assert!(!answer.headers.contains_key("retry-after"));
            assert!(!answer.headers.contains_key("x-ratelimit-reset"));
            assert_eq!(answer.header("x-ratelimit-limit"), "0");
            assert_eq!(answer.header("x-ratelimit-remaining"), "0");
            let shown = answer.header("ratelimit");
            let shown = shown.strip_suffix(";t=0").unwrap_or(shown);
            assert_eq!(shown, states);
        }
    }
}

#[tokio::test]
async fn a_limit_in_shadow_mode_counts_and_neither_refuses_nor_shows() {
    let with_mode = |mode: &str| {
        format!(
            "[tiers.anonymous]\n[tiers.free]\nhour = 100\n[classes.default]\n\
             limits = [{{ name = \"trial\", rate = \"3/hour\" }}]\nmode = \"{mode}\"\n"
        )
    };
    for decider in DECIDERS {
        let limited = Limited::with_policy(decider, &with_mode("shadow")).await;
        let stack = &limited.stack;
        let ada = stack.register("ada@example.com").await;

        let mut tried_out = vec![];
        for _ in 0..5 {
            tried_out.push(me(stack, &ada).await);
        }
        let policy = limited.policy.as_ref().unwrap();
        policy.write(&with_mode("enforce"));
        stack.pass(Duration::from_secs(61));
        let enforced = me(stack, &ada).await;

        for answer in &tried_out {
            assert_eq!(answer.status, 200, "{decider:?}");
            let policy = answer.header("ratelimit-policy");
            assert_eq!(policy, r#""hour";q=100;w=3600"#);
        }
        assert_refused(&enforced, &["trial"]);
        assert_eq!(remaining(&enforced, "hour"), 95, "{decider:?}");
    }
}

#[tokio::test]
async fn a_limit_has_one_name_in_policy_headers_and_refusals() {
    let built_in = Policy::built_in();
    let of_classes = ["register", "auth", "token"].map(|class| {
        let limits = built_in.class(class).limits.iter();
        limits.map(|limit| limit.name.clone())
    });
    let mut in_policy: BTreeSet<String> = of_classes.into_iter().flatten().collect();
    in_policy.extend(["hour", "day", "month"].map(str::to_owned));
    let one_of =
        |table: &str, rest: &str| format!("[tiers.anonymous]\n[tiers.free]\n{table}\n{rest}");
    let auth = |limits: &str| one_of("", &format!("[classes.auth]\nlimits = [{limits}]\n"));
    let per_ip = r#"{ rate = "9/minute", per = "ip" }"#;
    let cases = [
        ("hour", one_of("hour = 1", OPEN_ROUTES)),
        ("day", one_of("day = 1", OPEN_ROUTES)),
        ("month", one_of("month = 1", OPEN_ROUTES)),
        (
            "register",
            one_of(
                "",
                "[classes.register]\nlimits = [{ rate = \"2/hour\", per = \"ip\" }]",
            ),
        ),
        (
            "token",
            one_of(
                "",
                "[classes.token]\nlimits = [{ rate = \"1/hour\", per = \"ip\" }]",
            ),
        ),
        ("auth", auth(r#"{ rate = "1/hour", per = "ip" }"#)),
        (
            "auth-email",
            auth(&format!(
                r#"{per_ip}, {{ name = "auth-email", rate = "1/hour", per = "email+ip" }}"#
            )),
        ),
        (
            "auth-email-day",
            auth(&format!(
                r#"{per_ip}, {{ name = "auth-email-day", rate = "1/day", per = "email" }}"#
            )),
        ),
    ];

    let mut refused_by = BTreeSet::new();
    for (name, policy) in &cases {
        let limited = Limited::with_policy(Decider::DynamoDb, policy).await;
        let stack = &limited.stack;
        let ada = stack.register("ada@example.com").await;
        let send = async || {
            let (path, body) = match *name {
                "hour" | "day" | "month" => return me(stack, &ada).await,
                "register" => (REGISTER, json!({})),
                "token" => (REFRESH, json!({"refresh_token": "junk"})),
                _ => (LOGIN, json!({"email": ada.email, "password": WRONG})),
            };
            stack.post(path).json(&body).send().await
        };
        let admitted = send().await;
        let refused = send().await;

        assert_ne!(admitted.status, 429, "{name}");
        limit_of(&admitted, name);
        assert_refused(&refused, &[name]);
        refused_by.insert((*name).to_owned());
    }
    assert_eq!(refused_by, in_policy);
}

#[tokio::test]
async fn paths_at_the_root_are_never_limited() {
    const PATHS: [&str; 14] = [
        "/",
        "/health",
        "/health/live",
        "/health/ready",
        "/api/v1/health",
        "/api/v1/health/live",
        "/api/v1/health/ready",
        "/docs",
        "/docs/errors",
        "/docs/errors/quota-exceeded",
        "/openapi.json",
        "/.well-known/jwks.json",
        "/.well-known/openid-configuration",
        "/.well-known/security.txt",
    ];
    let policy = "[tiers.anonymous]\nhour = 1\n[tiers.free]\nhour = 1\n";
    let limited = Limited::with_policy(Decider::DynamoDb, policy).await;
    let stack = &limited.stack;
    let ada = stack.register("ada@example.com").await;

    for path in PATHS {
        let open = stack.get(path).send().await;
        let with_token = stack.get(path).bearer(&ada.access_token).send().await;
        for answer in [open, with_token] {
            assert_eq!(answer.status, 200, "{path}");
            assert_unlimited(&answer);
        }
    }
    let first = stack.get(ME).send().await;
    let second = stack.get(ME).send().await;
    let of_ada = me(stack, &ada).await;

    first.assert_problem(401, "unauthenticated");
    assert_refused(&second, &["hour"]);
    assert_eq!((of_ada.status, remaining(&of_ada, "hour")), (200, 0));
    for path in PATHS {
        let answer = stack.get(path).bearer(&ada.access_token).send().await;
        assert_eq!(answer.status, 200, "{path}");
    }
}

#[tokio::test]
async fn an_unknown_path_or_method_and_a_preflight_are_answered_without_counting() {
    let policy = "[tiers.anonymous]\nhour = 1\n[tiers.free]\nhour = 1\n";
    let engine = OwnEngine::start().await;
    let proxy = CountingProxy::start(&engine).await;
    let policy = PolicyFile::new(policy);
    let stack = TestStack::start_as(|options| Options {
        engine: Engine::At(proxy.endpoint.clone()),
        policy: Some(policy.path()),
        env: options
            .env
            .with("TURNPIKE_CORS_ORIGINS", "https://app.example.com"),
        ..options
    });
    let stack = stack.await;
    let ada = stack.register("ada@example.com").await;
    let preflight = || {
        stack
            .call(Method::OPTIONS, ME)
            .header("origin", "https://app.example.com")
            .header("access-control-request-method", "GET")
    };
    let calls = || {
        [
            (404, stack.get("/api/v1/auth/nowhere")),
            (404, stack.get("/api/v1/nowhere")),
            (404, stack.get("/nowhere").bearer(&ada.access_token)),
            (404, stack.get("/api/v1/auth/nowhere").bearer("junk")),
            (405, stack.delete(ME)),
            (405, stack.delete(ME).bearer(&ada.access_token)),
            (405, stack.get(LOGIN)),
            (405, stack.call(Method::OPTIONS, LOGIN)),
            (200, preflight()),
        ]
    };

    for round in ["open", "spent"] {
        let before = proxy.calls();
        for (status, call) in calls() {
            let answer = call.send().await;
            assert_eq!(answer.status, status, "{round}: {}", answer.text);
            assert_unlimited(&answer);
        }
        assert_eq!(proxy.calls(), before, "{round}");
        if round == "open" {
            let anonymous = stack.get(ME).send().await;
            let of_ada = me(&stack, &ada).await;
            anonymous.assert_problem(401, "unauthenticated");
            assert_eq!(of_ada.status, 200);
            assert_refused(&stack.get(ME).send().await, &["hour"]);
            assert_refused(&me(&stack, &ada).await, &["hour"]);
        }
    }
}

#[tokio::test]
async fn a_head_request_counts_as_the_get_that_it_stands_for() {
    let limited = Limited::built_in(Decider::DynamoDb).await;
    let stack = &limited.stack;
    let ada = stack.register("ada@example.com").await;

    let head = stack
        .call(Method::HEAD, ME)
        .bearer(&ada.access_token)
        .send()
        .await;
    let refused = stack.call(Method::HEAD, ME).send().await;
    let get = me(stack, &ada).await;

    assert_eq!((head.status, head.text.as_str()), (200, ""));
    assert_eq!(remaining(&head, "hour"), 99);
    assert_eq!(refused.status, 401);
    assert_eq!(remaining(&get, "hour"), 98);
}

#[tokio::test]
async fn a_page_of_another_origin_may_read_the_limits() {
    let limited = Limited::start(Decider::DynamoDb, None, |options| Options {
        env: options
            .env
            .with("TURNPIKE_CORS_ORIGINS", "https://app.example.com"),
        ..options
    });
    let limited = limited.await;

    let answer = limited
        .stack
        .get(ME)
        .header("origin", "https://app.example.com")
        .send()
        .await;

    let exposed = answer.header("access-control-expose-headers");
    let exposed: Vec<&str> = exposed.split(',').map(str::trim).collect();
    for name in HEADERS.iter().chain(&["retry-after", "turnpike-degraded"]) {
        assert!(exposed.contains(name), "{name}: {exposed:?}");
    }
}
