//! Failed passwords: counted before the hash, per e-mail and address, and given back when they
//! were right after all.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{
    CHANGE, DECIDERS, Decider, LOGIN, Limited, ME, WRONG, assert_refused, limits_of, remaining,
};
use crate::support::{Account, Answer, PASSWORD, TestStack};

const NEW: &str = "quartz-lantern-orchid-3";

/// The limits per e-mail as they are built in, and none per address that a test would meet.
const POLICY: &str = r#"
    [tiers.anonymous]
    [tiers.free]
    [classes.auth]
    limits = [
        { rate = "1000/minute", per = "ip" },
        { name = "auth-email", rate = "5/900s", per = "email+ip" },
        { name = "auth-email-day", rate = "100/day", per = "email" },
    ]
"#;

async fn login(stack: &TestStack, email: &str, password: &str) -> Answer {
    let body = json!({"email": email, "password": password});
    stack.post(LOGIN).json(&body).send().await
}

async fn change(stack: &TestStack, account: &Account, current: &str) -> Answer {
    let body = json!({"current_password": current, "new_password": NEW});
    let call = stack.put(CHANGE).bearer(&account.access_token);
    call.json(&body).send().await
}

#[tokio::test]
async fn after_five_wrong_passwords_even_the_right_one_is_refused_until_the_time_is_up() {
    for decider in DECIDERS {
        let limited = Limited::built_in(decider).await;
        let stack = &limited.stack;
        stack.register("ada@example.com").await;
        stack.register("bob@example.com").await;

        for left in (0..5).rev() {
            let answer = login(stack, "Ada@Example.com", WRONG).await;
            answer.assert_problem(401, "invalid-credentials");
            assert_eq!(remaining(&answer, "auth-email"), left, "{decider:?}");
            assert_eq!(remaining(&answer, "auth-email-day"), 95 + left);
        }
        let hashes = stack.hasher.computed();
        let refused = login(stack, "ada@example.com", PASSWORD).await;
        let hashes = stack.hasher.computed() - hashes;
        let other = login(stack, "bob@example.com", PASSWORD).await;
        let wait: u64 = refused.header("retry-after").parse().unwrap();
        stack.pass(Duration::from_secs(wait));
        let in_time = login(stack, "ada@example.com", PASSWORD).await;

        assert_refused(&refused, &["auth-email"]);
        assert_eq!(
            refused.header("ratelimit-policy"),
            r#""auth";q=10;w=60, "auth-email";q=5;w=900"#
        );
        assert!((840..=915).contains(&wait), "{decider:?}: {wait}");
        assert_eq!(hashes, 0, "{decider:?}: no password was looked at");
        assert_eq!(other.status, 200, "{decider:?}: {}", other.text);
        assert_eq!(in_time.status, 200, "{decider:?}: {}", in_time.text);
    }
}

#[tokio::test]
async fn a_right_password_is_never_counted() {
    for decider in DECIDERS {
        let limited = Limited::with_policy(decider, POLICY).await;
        let stack = &limited.stack;
        stack.register("ada@example.com").await;
        for _ in 0..4 {
            login(stack, "ada@example.com", WRONG).await;
        }

        for _ in 0..20 {
            let answer = login(stack, "ada@example.com", PASSWORD).await;
            assert_eq!(answer.status, 200, "{decider:?}: {}", answer.text);
            assert_eq!(
                answer.header("ratelimit-policy"),
                r#""auth";q=1000;w=60"#,
                "what was given back did not apply"
            );
        }
        let fifth = login(stack, "ada@example.com", WRONG).await;
        let sixth = login(stack, "ada@example.com", PASSWORD).await;

        fifth.assert_problem(401, "invalid-credentials");
        assert_eq!(remaining(&fifth, "auth-email"), 0, "{decider:?}");
        assert_eq!(remaining(&fifth, "auth-email-day"), 95, "{decider:?}");
        assert_refused(&sixth, &["auth-email"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_twenty_wrong_passwords_at_once_five_are_looked_at() {
    for decider in DECIDERS {
        let limited = Limited::with_policy(decider, POLICY).await;
        let stack = &limited.stack;
        stack.register("ada@example.com").await;
        let before = stack.hasher.computed();

        let tries = (0..20).map(|_| login(stack, "ada@example.com", WRONG));
        let answers = join_all(tries).await;

        let count = |status| answers.iter().filter(|of| of.status == status).count();
        assert_eq!((count(401), count(429)), (5, 15), "{decider:?}");
        assert_eq!(stack.hasher.computed() - before, 5, "{decider:?}");
        for refused in answers.iter().filter(|answer| answer.status == 429) {
            assert_refused(refused, &["auth-email"]);
        }
    }
}

#[tokio::test]
async fn an_email_has_a_limit_over_a_day_and_its_refusal_takes_no_other_limit() {
    for decider in DECIDERS {
        let policy = r#"
            [tiers.anonymous]
            [tiers.free]
            [classes.auth]
            limits = [
                { rate = "1000/minute", per = "ip" },
                { name = "auth-email", rate = "5/900s", per = "email+ip" },
                { name = "auth-email-day", rate = "7/day", per = "email" },
            ]
        "#;
        let limited = Limited::with_policy(decider, policy).await;
        let stack = &limited.stack;
        stack.register("ada@example.com").await;
        for _ in 0..5 {
            login(stack, "ada@example.com", WRONG).await;
        }
        stack.pass(Duration::from_mins(16));
        for _ in 0..2 {
            let wrong = login(stack, "ada@example.com", WRONG).await;
            wrong.assert_problem(401, "invalid-credentials");
        }

        // More of them than auth-email would let through, were they counted there.
        for _ in 0..6 {
            let refused = login(stack, "ada@example.com", PASSWORD).await;
            assert_refused(&refused, &["auth-email-day"]);
            stack.pass(Duration::from_millis(1_100));
        }
        stack.pass(Duration::from_hours(25));
        let next_day = login(stack, "ada@example.com", PASSWORD).await;

        assert_eq!(next_day.status, 200, "{decider:?}: {}", next_day.text);
    }
}

#[tokio::test]
async fn the_current_password_is_bound_by_the_same_limit() {
    for decider in DECIDERS {
        let limited = Limited::with_policy(decider, POLICY).await;
        let stack = &limited.stack;
        let ada = stack.register("ada@example.com").await;
        login(stack, "ada@example.com", WRONG).await;
        for left in (0..4).rev() {
            let answer = change(stack, &ada, WRONG).await;
            answer.assert_problem(403, "wrong-password");
            assert_eq!(remaining(&answer, "auth-email"), left, "{decider:?}");
        }

        let hashes = stack.hasher.computed();
        let refused = change(stack, &ada, PASSWORD).await;
        let sign_in = login(stack, "ada@example.com", PASSWORD).await;
        let hashes = stack.hasher.computed() - hashes;
        let me = stack.get(ME).bearer(&ada.access_token).send().await;
        stack.pass(Duration::from_mins(16));
        let in_time = change(stack, &ada, PASSWORD).await;

        assert_refused(&refused, &["auth-email"]);
        assert_refused(&sign_in, &["auth-email"]);
        assert_eq!(hashes, 0, "{decider:?}");
        assert_eq!(me.status, 200, "{decider:?}: the session goes on");
        assert_eq!(in_time.status, 204, "{decider:?}: {}", in_time.text);
    }
}

#[tokio::test]
async fn a_change_with_the_right_password_is_not_counted() {
    for decider in DECIDERS {
        let limited = Limited::with_policy(decider, POLICY).await;
        let stack = &limited.stack;
        let ada = stack.register("ada@example.com").await;
        let mut current = PASSWORD.to_owned();
        for number in 0..7 {
            let new = format!("{NEW}-{number}");
            let body = json!({"current_password": current, "new_password": new});
            let call = stack.put(CHANGE).bearer(&ada.access_token);
            let answer = call.json(&body).send().await;
            assert_eq!(answer.status, 204, "{decider:?}: {}", answer.text);
            current = new;
        }

        let wrong = change(stack, &ada, WRONG).await;

        wrong.assert_problem(403, "wrong-password");
        assert_eq!(remaining(&wrong, "auth-email"), 4, "{decider:?}");
        assert_eq!(remaining(&wrong, "auth-email-day"), 99, "{decider:?}");
    }
}

#[tokio::test]
async fn a_body_that_is_refused_does_not_count_as_a_failed_password() {
    let limited = Limited::with_policy(Decider::DynamoDb, POLICY).await;
    let stack = &limited.stack;
    let ada = stack.register("ada@example.com").await;
    let weak = json!({"current_password": WRONG, "new_password": "ada@example.com"});
    for _ in 0..6 {
        let call = stack.put(CHANGE).bearer(&ada.access_token);
        let answer = call.json(&weak).send().await;
        answer.assert_problem(422, "weak-password");
    }

    let wrong = change(stack, &ada, WRONG).await;

    wrong.assert_problem(403, "wrong-password");
    assert_eq!(remaining(&wrong, "auth-email"), 4);
}

#[tokio::test]
async fn an_unknown_email_is_limited_as_one_that_has_an_account_is() {
    for decider in DECIDERS {
        let limited = Limited::with_policy(decider, POLICY).await;
        let stack = &limited.stack;
        stack.register("ada@example.com").await;
        let inactive = stack.register("gone@example.com").await;
        stack.deactivate(&inactive.id).await;
        let emails = ["ada@example.com", "gone@example.com", "nobody@example.com"];

        let mut told = vec![];
        for email in emails {
            let mut answers = vec![];
            for _ in 0..7 {
                answers.push(shape_of(&login(stack, email, WRONG).await));
            }
            told.push(answers);
        }

        let statuses: Vec<u16> = told[0].iter().map(|shape| shape.status).collect();
        assert_eq!(statuses, [401, 401, 401, 401, 401, 429, 429]);
        assert_eq!(told[0], told[1], "{decider:?}");
        assert_eq!(told[0], told[2], "{decider:?}");
    }
}

/// What a client can tell an answer by, without its time, its id and the address's own limit.
#[derive(PartialEq, Debug)]
struct Shape {
    status: u16,
    body: Value,
    headers: Vec<String>,
    policy: String,
    remaining: Vec<(String, i64)>,
}

fn shape_of(answer: &Answer) -> Shape {
    let mut body = answer.body.clone();
    body["request_id"] = Value::Null;
    let limits = limits_of(answer).into_iter();
    let of_email = limits.filter(|limit| limit.name != "auth");
    Shape {
        status: answer.status,
        body,
        headers: answer.headers.keys().map(ToString::to_string).collect(),
        policy: answer.header("ratelimit-policy").to_owned(),
        remaining: of_email
            .map(|limit| (limit.name, limit.remaining))
            .collect(),
    }
}

/// Other systems have one loopback address of IPv4 until more are configured.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn who_guesses_from_elsewhere_locks_nobody_out_before_the_days_limit() {
    use crate::support::Call;

    for decider in DECIDERS {
        let limited = Limited::with_policy(decider, POLICY).await;
        let stack = &limited.stack;
        stack.register("ada@example.com").await;
        let elsewhere = reqwest::Client::builder().local_address("127.0.0.2".parse().ok());
        let elsewhere = elsewhere.build().unwrap();
        let guess = || {
            let body = json!({"email": "ada@example.com", "password": WRONG});
            let call = Call::new(elsewhere.post(format!("{}{LOGIN}", stack.base)));
            call.json(&body).send()
        };
        for _ in 0..5 {
            let wrong = guess().await;
            wrong.assert_problem(401, "invalid-credentials");
        }

        let refused = guess().await;
        let at_home = login(stack, "ada@example.com", PASSWORD).await;
        let wrong_at_home = login(stack, "ada@example.com", WRONG).await;

        assert_refused(&refused, &["auth-email"]);
        assert_eq!(at_home.status, 200, "{decider:?}: {}", at_home.text);
        assert_eq!(remaining(&wrong_at_home, "auth-email"), 4, "{decider:?}");
        assert_eq!(remaining(&wrong_at_home, "auth-email-day"), 94);
        assert_eq!(remaining(&wrong_at_home, "auth"), 998, "counted apart");
    }
}

#[tokio::test]
async fn an_address_that_is_refused_uses_up_nothing_of_an_email() {
    for decider in DECIDERS {
        let policy = r#"
            [tiers.anonymous]
            [tiers.free]
            [classes.auth]
            limits = [
                { rate = "2/minute", per = "ip" },
                { name = "auth-email", rate = "5/900s", per = "email+ip" },
                { name = "auth-email-day", rate = "100/day", per = "email" },
            ]
        "#;
        let limited = Limited::with_policy(decider, policy).await;
        let stack = &limited.stack;
        stack.register("ada@example.com").await;
        login(stack, "ada@example.com", WRONG).await;
        login(stack, "bob@example.com", WRONG).await;

        for _ in 0..8 {
            let refused = login(stack, "ada@example.com", WRONG).await;
            assert_refused(&refused, &["auth"]);
        }
        stack.pass(Duration::from_secs(62));
        let wrong = login(stack, "ada@example.com", WRONG).await;

        assert_eq!(remaining(&wrong, "auth-email"), 3, "{decider:?}");
        assert_eq!(remaining(&wrong, "auth-email-day"), 98, "{decider:?}");
    }
}
