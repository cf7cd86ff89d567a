//! `POST /api/v1/auth/register`

use futures_util::future::join_all;
use serde_json::json;

use crate::support::{PASSWORD, TestStack};

const PATH: &str = "/api/v1/auth/register";

#[tokio::test]
async fn a_new_account_is_free_unverified_and_signed_in() {
    let stack = TestStack::start().await;

    let body = json!({"email": "Ada@Example.com", "password": PASSWORD, "full_name": " Ada King "});
    let answer = stack.post(PATH).json(&body).send().await;

    assert_eq!(answer.status, 201, "{}", answer.text);
    let (user, tokens) = (&answer.body["user"], &answer.body["tokens"]);
    assert_eq!(user["email"], "Ada@Example.com");
    assert_eq!(user["full_name"], "Ada King");
    assert_eq!(user["tier"], "free");
    assert_eq!(user["roles"], json!(["user"]));
    assert_eq!(user["is_active"], true);
    assert_eq!(user["is_verified"], false);
    assert!(user["created_at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(user.as_object().unwrap().len(), 9);
    assert_eq!(tokens["token_type"], "Bearer");
    assert_eq!(tokens["expires_in"], 1800);
    assert_eq!(tokens["refresh_expires_in"], 604_800);
    assert_eq!(tokens.as_object().unwrap().len(), 6);
    assert_eq!(
        stack
            .me_status(tokens["access_token"].as_str().unwrap())
            .await,
        200
    );
    assert!(!answer.text.contains(PASSWORD));
}

#[tokio::test]
async fn a_name_may_be_left_out_and_is_null_then() {
    let stack = TestStack::start().await;

    let body = json!({"email": "ada@example.com", "password": PASSWORD});
    let answer = stack.post(PATH).json(&body).send().await;

    assert_eq!(answer.status, 201);
    assert!(answer.body["user"]["full_name"].is_null());
}

#[tokio::test]
async fn an_address_has_one_account_however_it_is_written() {
    let stack = TestStack::start().await;
    stack.register("ada@example.com").await;

    for spelling in ["ada@example.com", "ADA@example.com", "Ada@Example.COM"] {
        let body = json!({"email": spelling, "password": PASSWORD});
        stack
            .post(PATH)
            .json(&body)
            .send()
            .await
            .assert_problem(409, "email-taken");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_twenty_simultaneous_registrations_of_one_address_exactly_one_wins() {
    let stack = TestStack::start().await;
    let register = |n: usize| {
        let email = if n.is_multiple_of(2) {
            "ada@example.com"
        } else {
            "ADA@EXAMPLE.COM"
        };
        let body = json!({"email": email, "password": PASSWORD});
        stack.post(PATH).json(&body).send()
    };

    let answers = join_all((0..20).map(register)).await;

    let won: Vec<_> = answers
        .iter()
        .filter(|answer| answer.status == 201)
        .collect();
    assert_eq!(won.len(), 1);
    assert!(
        answers
            .iter()
            .all(|answer| matches!(answer.status, 201 | 409))
    );
    let user = &won[0].body["user"]["id"];
    assert_eq!(
        &stack.login("ada@example.com").await.id,
        user.as_str().unwrap()
    );
    assert_eq!(stack.mails("ada@example.com").await.len(), 1);
}

#[tokio::test]
async fn a_registration_that_was_refused_leaves_nothing_behind() {
    let stack = TestStack::start().await;
    stack.register("ada@example.com").await;
    let count = async || {
        let client = stack.dynamodb().await;
        let tables = ["CredentialsTable", "IdentityTable"];
        let scans = tables.map(|table| client.scan().table_name(table).send());
        let answers = join_all(scans).await;
        answers
            .into_iter()
            .map(|answer| answer.unwrap().count())
            .sum::<i32>()
    };
    stack.mails("ada@example.com").await;
    let before = count().await;

    for body in [
        json!({"email": "ada@example.com", "password": PASSWORD}),
        json!({"email": "new@example.com", "password": "password123"}),
        json!({"email": "new@example.com", "password": PASSWORD, "role": "admin"}),
    ] {
        assert!(stack.post(PATH).json(&body).send().await.status >= 400);
    }

    assert_eq!(count().await, before);
}

#[tokio::test]
async fn every_field_that_is_wrong_is_named() {
    let stack = TestStack::start().await;
    let long = "x1-".repeat(50);
    let cases = [
        (json!({}), vec![("email", "required")]),
        (
            json!({"email": "ada@example.com"}),
            vec![("password", "required")],
        ),
        (
            json!({"email": "ada", "password": PASSWORD}),
            vec![("email", "invalid")],
        ),
        (
            json!({"email": 1, "password": PASSWORD}),
            vec![("email", "wrong-type")],
        ),
        (
            json!({"email": "a@example.com", "password": null}),
            vec![("password", "wrong-type")],
        ),
        (
            json!({"email": "a@example.com", "password": "short"}),
            vec![("password", "too-short")],
        ),
        (
            json!({"email": "a@example.com", "password": long}),
            vec![("password", "too-long")],
        ),
        (
            json!({"email": "a@example.com", "password": PASSWORD, "is_admin": true}),
            vec![("is_admin", "unknown")],
        ),
        (
            json!({"email": "a@example.com", "password": PASSWORD, "full_name": ""}),
            vec![("full_name", "too-short")],
        ),
        (
            json!({"email": "a@example.com", "password": PASSWORD, "full_name": "x".repeat(201)}),
            vec![("full_name", "too-long")],
        ),
        (
            json!({"email": "a@example.com", "password": PASSWORD, "full_name": "a\u{0}b"}),
            vec![("full_name", "invalid")],
        ),
        (
            json!({"email": "ada", "password": "password123", "full_name": ""}),
            vec![
                ("email", "invalid"),
                ("full_name", "too-short"),
                ("password", "too-guessable"),
            ],
        ),
        (
            json!(["a@example.com", PASSWORD, null]),
            vec![("", "wrong-type")],
        ),
        (
            json!({"email": format!("{}@{}.com", "\u{fdfa}".repeat(21), "\u{fdfa}".repeat(15)), "password": PASSWORD}),
            vec![("email", "invalid")],
        ),
        (json!([]), vec![("", "wrong-type")]),
        (json!("ada"), vec![("", "wrong-type")]),
    ];

    for (body, fields) in cases {
        let answer = stack.post(PATH).json(&body).send().await;
        answer.assert_invalid(&fields);
    }
}

#[tokio::test]
async fn a_password_that_is_easy_to_guess_is_refused_with_advice() {
    let stack = TestStack::start().await;
    let cases = [
        json!({"email": "ada@example.com", "password": "password123"}),
        json!({"email": "adalovelace@example.com", "password": "adalovelace"}),
        json!({"email": "a@example.com", "password": "gracehopper", "full_name": "Grace Hopper"}),
    ];

    for body in cases {
        let answer = stack.post(PATH).json(&body).send().await;
        answer.assert_problem(422, "weak-password");
        assert_eq!(answer.body["errors"][0]["field"], "password");
        assert!(
            !answer.body["errors"][0]["detail"]
                .as_str()
                .unwrap()
                .is_empty()
        );
    }
}
