//! Answers that hold secrets: encrypted where they are kept, and shown again only while what they
//! show still stands, to who may see it.

use std::io::Write as _;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::json;
use turnpike_local::Options;

use super::{REGISTER, make, register, wish};
use crate::support::{Account, Answer, Key, PASSWORD, TestStack};

const WRONG: &str = "not-the-password-7";

/// Everything that the tables hold.
async fn everything_stored(stack: &TestStack) -> Vec<u8> {
    fn bytes_of(value: &AttributeValue, into: &mut Vec<u8>) {
        match value {
            AttributeValue::S(text) | AttributeValue::N(text) => into.extend(text.as_bytes()),
            AttributeValue::B(bytes) => into.extend(bytes.as_ref()),
            AttributeValue::Ss(texts) => into.extend(texts.join(" ").as_bytes()),
            AttributeValue::L(values) => values.iter().for_each(|value| bytes_of(value, into)),
            AttributeValue::M(values) => values.values().for_each(|value| bytes_of(value, into)),
            _ => {}
        }
        into.push(b'\n');
    }
    let client = stack.dynamodb().await;
    let mut stored = vec![];
    for table in ["CredentialsTable", "IdentityTable", "AdmissionTable"] {
        let answer = client.scan().table_name(table).send().await.unwrap();
        for value in answer.items().iter().flat_map(|item| item.values()) {
            bytes_of(value, &mut stored);
        }
    }
    stored
}

fn holds(stored: &[u8], text: &str) -> bool {
    stored
        .windows(text.len())
        .any(|part| part == text.as_bytes())
}

#[tokio::test]
async fn no_key_token_or_password_can_be_read_in_the_tables() {
    let stack = TestStack::start().await;
    let answer = register(&stack, "ada@example.com", PASSWORD, "secret-1").await;
    let ada = Account::from_answer("ada@example.com", &answer.body);
    let key = Key::from_answer(&make(&stack, &ada, "secret-2", &wish()).await);

    let stored = everything_stored(&stack).await;

    assert!(holds(&stored, "IDEMPOTENCY#"), "there is something to find");
    assert!(holds(&stored, &ada.id), "and it is found");
    let body = &key.secret["tp_test_".len()..];
    let (_, claims_and_signature) = ada.access_token.split_once('.').unwrap();
    let (_, mac) = ada.refresh_token.rsplit_once('_').unwrap();
    for secret in [
        body,
        claims_and_signature,
        mac,
        PASSWORD,
        "secret-1",
        "secret-2",
    ] {
        assert!(!holds(&stored, secret), "{secret}");
    }
}

#[tokio::test]
async fn an_answer_is_gone_with_the_key_that_it_showed() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let revoked = Key::from_answer(&make(&stack, &ada, "revoked", &wish()).await);
    let rotated = Key::from_answer(&make(&stack, &ada, "rotated", &wish()).await);
    let overlapping = Key::from_answer(&make(&stack, &ada, "overlapping", &wish()).await);
    let in_an_hour = stack.now().plus(Duration::from_hours(1)).to_string();
    let expiring = json!({"name": "CI", "expires_at": in_an_hour});
    make(&stack, &ada, "expiring", &expiring).await;

    stack.revoke_key(&ada, &revoked).await;
    assert_eq!(stack.rotate_key(&ada, &rotated, 0).await.status, 201);
    assert_eq!(stack.rotate_key(&ada, &overlapping, 60).await.status, 201);

    for key in ["revoked", "rotated"] {
        let answer = make(&stack, &ada, key, &wish()).await;
        answer.assert_problem(409, "idempotency-answer-gone");
    }
    let still_live = make(&stack, &ada, "overlapping", &wish()).await;
    assert_eq!(still_live.status, 201, "{}", still_live.text);
    let not_expired = make(&stack, &ada, "expiring", &expiring).await;
    assert_eq!(not_expired.status, 201, "{}", not_expired.text);

    stack.pass(Duration::from_hours(1));
    let ada = stack.login("ada@example.com").await;
    for (key, body) in [("overlapping", wish()), ("expiring", expiring)] {
        let answer = make(&stack, &ada, key, &body).await;
        answer.assert_problem(409, "idempotency-answer-gone");
    }
}

#[tokio::test]
async fn an_answer_is_gone_with_the_session_that_it_showed_and_with_its_first_refresh() {
    let stack = TestStack::start().await;
    let post = |path: &str| stack.post(&format!("/api/v1/auth/{path}"));
    let cases = ["logout", "logout-all", "refresh"];

    for case in cases {
        let email = format!("{case}@example.com");
        let answer = register(&stack, &email, PASSWORD, "once").await;
        let account = Account::from_answer(&email, &answer.body);
        assert!(
            register(&stack, &email, PASSWORD, "once")
                .await
                .is_replayed()
        );

        let ended = match case {
            "refresh" => post(case).json(&json!({"refresh_token": account.refresh_token})),
            _ => post(case).bearer(&account.access_token),
        };
        assert!(ended.send().await.status < 300);

        let gone = register(&stack, &email, PASSWORD, "once").await;
        gone.assert_problem(409, "idempotency-answer-gone");
    }
}

#[tokio::test]
async fn an_answer_is_gone_once_the_user_is_deactivated() {
    let stack = TestStack::start().await;
    let answer = register(&stack, "ada@example.com", PASSWORD, "once").await;
    let ada = Account::from_answer("ada@example.com", &answer.body);

    stack.deactivate(&ada.id).await;

    let gone = register(&stack, "ada@example.com", PASSWORD, "once").await;
    gone.assert_problem(409, "idempotency-answer-gone");
}

#[tokio::test]
async fn a_registration_is_shown_again_to_nobody_who_does_not_know_its_password() {
    let stack = TestStack::start().await;
    let first = register(&stack, "ada@example.com", PASSWORD, "once").await;

    let with_another = register(&stack, "ada@example.com", WRONG, "once").await;
    let without_a_key = json!({"email": "ada@example.com", "password": WRONG});
    let without_a_key = stack.post(REGISTER).json(&without_a_key).send().await;
    let malformed = json!({"email": "ada@example.com", "full_name": "Ada King", "password": 7});
    let malformed = stack
        .post(REGISTER)
        .idempotency_key("once")
        .json(&malformed);
    let malformed = malformed.send().await;
    let right = register(&stack, "ada@example.com", PASSWORD, "once").await;

    with_another.assert_problem(409, "email-taken");
    assert_eq!(with_another.body["detail"], without_a_key.body["detail"]);
    malformed.assert_invalid(&[("password", "wrong-type")]);
    assert_eq!(right.text, first.text);
}

#[tokio::test]
async fn guessing_a_password_by_repetition_is_limited_as_at_sign_in() {
    let mut policy = tempfile::NamedTempFile::with_suffix(".toml").unwrap();
    write!(
        policy,
        "version = 1\n[tiers.anonymous]\n[tiers.free]\n[tiers.enterprise]\n\
         [classes.register]\nlimits = [{{ rate = \"1000/hour\", per = \"ip\" }}]\n\
         [classes.auth]\nlimits = [{{ name = \"auth-email\", rate = \"5/900s\", per = \"email+ip\" }}]\n"
    )
    .unwrap();
    let path = policy.path().to_owned();
    let stack = TestStack::start_as(|options| Options {
        policy: Some(path),
        ..options
    })
    .await;
    register(&stack, "ada@example.com", PASSWORD, "once").await;
    // What is right uses up nothing.
    for _ in 0..6 {
        assert!(
            register(&stack, "ada@example.com", PASSWORD, "once")
                .await
                .is_replayed()
        );
    }

    for _ in 0..5 {
        let wrong = register(&stack, "ada@example.com", WRONG, "once").await;
        wrong.assert_problem(409, "email-taken");
    }
    let even_right: Answer = register(&stack, "ada@example.com", PASSWORD, "once").await;
    let body = json!({"email": "ada@example.com", "password": PASSWORD});
    let sign_in = stack.post("/api/v1/auth/login").json(&body).send().await;

    assert_eq!(even_right.status, 429, "{}", even_right.text);
    assert_eq!(even_right.body["violated-policies"], json!(["auth-email"]));
    assert_eq!(sign_in.status, 429, "the same limit");
}
