//! In which order requests are refused, and against whom a refused one counts.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::{
    CHANGE, DECIDERS, Decider, LOGIN, Limited, ME, OPEN_ROUTES, REFRESH, REGISTER, SESSIONS, WRONG,
    assert_refused, assert_unlimited, limits_of, remaining,
};
use crate::support::{Call, PASSWORD, TestStack};

/// How a body can be wrong, and what a route of `fields` says of it.
fn bodies() -> [(u16, &'static str, String); 4] {
    let json = "application/json";
    [
        (413, json, "x".repeat(65 * 1024)),
        (415, "text/plain", "{}".into()),
        (400, json, "{".into()),
        (422, json, "{}".into()),
    ]
}

fn with_body(call: Call, kind: &str, body: &str) -> Call {
    call.header("content-type", kind).body(body.to_owned())
}

#[tokio::test]
async fn a_used_up_limit_is_told_before_permission_size_type_syntax_content_and_absence() {
    for decider in DECIDERS {
        let policy = format!(
            "[access]\nrequire_verified_email = [\"profile:read\"]\n\
             [tiers.anonymous]\n[tiers.free]\nhour = 8\n{OPEN_ROUTES}"
        );
        let limited = Limited::with_policy(decider, &policy).await;
        let stack = &limited.stack;
        let ada = stack.register("ada@example.com").await;
        let call = |method, path: &str| stack.call(method, path).bearer(&ada.access_token);
        let absent = format!("{SESSIONS}/ses_019a9f3c1c2a7d3e8f00112233445566");
        let malformed = format!("{SESSIONS}/none");
        let calls = || {
            let of_bodies = bodies().map(|(status, kind, body)| {
                (status, with_body(call(Method::PUT, CHANGE), kind, &body))
            });
            let others = [
                (403, call(Method::GET, ME)),
                (422, call(Method::GET, &format!("{SESSIONS}?limit=0"))),
                (404, call(Method::DELETE, &absent)),
                (404, call(Method::DELETE, &malformed)),
            ];
            of_bodies.into_iter().chain(others)
        };

        for (left, (status, call)) in (0..8).rev().zip(calls()) {
            let answer = call.send().await;
            assert_eq!(answer.status, status, "{decider:?}: {}", answer.text);
            assert_eq!(remaining(&answer, "hour"), left, "{decider:?} {status}");
        }
        for (status, call) in calls() {
            let answer = call.send().await;
            assert_eq!(answer.status, 429, "{decider:?} {status}: {}", answer.text);
            assert_refused(&answer, &["hour"]);
        }
    }
}

#[tokio::test]
async fn an_open_routes_used_up_limit_is_told_before_anything_of_the_body() {
    for decider in DECIDERS {
        let limit = r#"limits = [{ rate = "4/hour", per = "ip" }]"#;
        let policy = format!(
            "[tiers.anonymous]\n[tiers.free]\n[classes.register]\n{limit}\n\
             [classes.auth]\n{limit}\n[classes.token]\n{limit}\n"
        );
        let limited = Limited::with_policy(decider, &policy).await;
        let stack = &limited.stack;

        for (path, class) in [(REGISTER, "register"), (LOGIN, "auth"), (REFRESH, "token")] {
            for (status, kind, body) in bodies() {
                let answer = with_body(stack.post(path), kind, &body).send().await;
                assert_eq!(answer.status, status, "{path}: {}", answer.text);
            }
            for (_, kind, body) in bodies() {
                let answer = with_body(stack.post(path), kind, &body).send().await;
                assert_refused(&answer, &[class]);
            }
        }
    }
}

#[tokio::test]
async fn bad_credentials_count_against_their_address_and_a_good_one_from_there_still_works() {
    for decider in DECIDERS {
        let policy =
            format!("[tiers.anonymous]\nhour = 7\n[tiers.free]\nhour = 100\n{OPEN_ROUTES}");
        let limited = Limited::with_policy(decider, &policy).await;
        let stack = &limited.stack;
        let expired = stack.register("old@example.com").await;
        stack.pass(Duration::from_mins(31));
        let ada = stack.register("ada@example.com").await;
        let ended = stack.register("gone@example.com").await;
        let logout = stack.post("/api/v1/auth/logout");
        logout.bearer(&ended.access_token).send().await;
        let another_stages = TestStack::start().await.register("ada@example.com").await;
        let calls = || {
            [
                ("none", stack.get(ME)),
                (
                    "of another scheme",
                    stack.get(ME).header("authorization", "Basic eDp5"),
                ),
                ("a junk token", stack.get(ME).bearer("junk")),
                ("a junk key", stack.get(ME).header("x-api-key", "tp_live_x")),
                ("expired", stack.get(ME).bearer(&expired.access_token)),
                (
                    "of an ended session",
                    stack.get(ME).bearer(&ended.access_token),
                ),
                (
                    "of another stage",
                    stack.get(ME).bearer(&another_stages.access_token),
                ),
            ]
        };

        for (left, (case, call)) in (0..7).rev().zip(calls()) {
            let answer = call.send().await;
            answer.assert_problem(401, "unauthenticated");
            assert_eq!(remaining(&answer, "hour"), left, "{decider:?}: {case}");
        }
        for (case, call) in calls() {
            let answer = call.send().await;
            assert_eq!(answer.status, 429, "{decider:?}: {case}: {}", answer.text);
            assert_refused(&answer, &["hour"]);
        }
        let good = stack.get(ME).bearer(&ada.access_token).send().await;
        assert_eq!(good.status, 200, "{decider:?}: {}", good.text);
        assert_eq!(remaining(&good, "hour"), 99);
        assert_eq!(stack.login("ada@example.com").await.id, ada.id);
    }
}

#[tokio::test]
async fn nothing_of_the_body_is_looked_at_for_a_bad_credential() {
    let limited = Limited::built_in(Decider::DynamoDb).await;

    for (_, kind, body) in bodies() {
        let call = limited.stack.put(CHANGE).bearer("junk");
        let answer = with_body(call, kind, &body).send().await;

        answer.assert_problem(401, "unauthenticated");
    }
}

#[tokio::test]
async fn an_open_route_counts_in_its_class_alone_whoever_calls() {
    for decider in DECIDERS {
        let limited = Limited::built_in(decider).await;
        let stack = &limited.stack;
        let ada = stack.register("ada@example.com").await;
        let unknown = json!({"email": "nobody@example.com"});
        let reset = json!({"token": "junk", "new_password": PASSWORD});
        let cases: [(&str, Value, &str, i64); 6] = [
            (REGISTER, json!({}), "register", 18),
            (LOGIN, json!({}), "auth", 9),
            ("/api/v1/auth/password/reset", unknown, "auth", 8),
            ("/api/v1/auth/password/reset/confirm", reset, "auth", 7),
            (REFRESH, json!({"refresh_token": "junk"}), "token", 119),
            (REFRESH, json!({}), "token", 118),
        ];

        for (path, body, class, left) in cases {
            // A credential is not looked at where none is needed.
            let call = stack.post(path).bearer(&ada.access_token).json(&body);
            let answer = call.send().await;

            let limits = limits_of(&answer);
            let names: Vec<&str> = limits.iter().map(|limit| limit.name.as_str()).collect();
            assert_eq!(names, [class], "{decider:?}: {path}");
            assert_eq!(limits[0].remaining, left, "{decider:?}: {path}");
        }
        let of_ada = stack.get(ME).bearer(&ada.access_token).send().await;
        assert_eq!(remaining(&of_ada, "hour"), 99, "{decider:?}");
        let of_address = stack.get(ME).send().await;
        assert_eq!(remaining(&of_address, "hour"), 59, "{decider:?}");
    }
}

#[tokio::test]
async fn a_used_up_class_stands_in_nobody_elses_way() {
    for decider in DECIDERS {
        let policy = r#"
            [tiers.anonymous]
            hour = 1
            [tiers.free]
            hour = 1
            [classes.token]
            limits = [{ rate = "1/hour", per = "ip" }]
        "#;
        let limited = Limited::with_policy(decider, policy).await;
        let stack = &limited.stack;
        let ada = stack.register("ada@example.com").await;
        let refresh = || stack.post(REFRESH).json(&json!({"refresh_token": "junk"}));
        refresh().send().await;
        assert_refused(&refresh().send().await, &["token"]);

        let of_ada = stack.get(ME).bearer(&ada.access_token).send().await;
        let of_address = stack.get(ME).send().await;
        let bob = stack.register("bob@example.com").await;
        let ada_again = stack.get(ME).bearer(&ada.access_token).send().await;
        let of_bob = stack.get(ME).bearer(&bob.access_token).send().await;

        assert_eq!(of_ada.status, 200, "{decider:?}");
        assert_eq!(of_address.status, 401, "{decider:?}");
        assert_refused(&ada_again, &["hour"]);
        assert_eq!(
            of_bob.status, 200,
            "{decider:?}: whose limits are bob's own"
        );
    }
}

#[tokio::test]
async fn ambiguous_credentials_are_refused_whatever_is_used_up_and_count_nowhere() {
    let policy = "[tiers.anonymous]\nhour = 1\n[tiers.free]\nhour = 1\n";
    let limited = Limited::with_policy(Decider::DynamoDb, policy).await;
    let stack = &limited.stack;
    let ada = stack.register("ada@example.com").await;
    let ambiguous = || {
        let me = || stack.get(ME).bearer(&ada.access_token);
        [
            me().header("x-api-key", "tp_live_x"),
            me().header("authorization", "Bearer junk"),
        ]
    };

    for call in ambiguous() {
        let answer = call.send().await;
        answer.assert_problem(400, "ambiguous-credentials");
        assert_unlimited(&answer);
    }
    let of_ada = stack.get(ME).bearer(&ada.access_token).send().await;
    let of_address = stack.get(ME).send().await;
    for call in ambiguous() {
        let answer = call.send().await;
        answer.assert_problem(400, "ambiguous-credentials");
    }

    assert_eq!((of_ada.status, remaining(&of_ada, "hour")), (200, 0));
    assert_eq!(remaining(&of_address, "hour"), 0);
    of_address.assert_problem(401, "unauthenticated");
}

#[tokio::test]
async fn the_limits_per_email_come_after_the_body_and_the_addresss_before_it() {
    let policy = r#"
        [tiers.anonymous]
        [tiers.free]
        [classes.auth]
        limits = [
            { rate = "6/hour", per = "ip" },
            { name = "auth-email", rate = "1/hour", per = "email+ip" },
        ]
    "#;
    let limited = Limited::with_policy(Decider::DynamoDb, policy).await;
    let stack = &limited.stack;
    let ada = stack.register("ada@example.com").await;
    let wrong = json!({"email": ada.email, "password": WRONG});
    let with_more = json!({"email": ada.email, "password": WRONG, "otp": "1"});
    let login = async |body: &Value| stack.post(LOGIN).json(body).send().await;
    login(&wrong)
        .await
        .assert_problem(401, "invalid-credentials");
    assert_refused(&login(&wrong).await, &["auth-email"]);

    let bad_bodies = [json!({"email": ada.email}), with_more.clone()];
    for body in &bad_bodies {
        let answer = login(body).await;
        answer.assert_problem(422, "validation-failed");
    }
    assert_refused(&login(&wrong).await, &["auth-email"]);
    let last = login(&with_more).await;
    let beyond = login(&with_more).await;

    last.assert_problem(422, "validation-failed");
    assert_refused(&beyond, &["auth"]);
}
