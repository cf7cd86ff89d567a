//! `POST /api/v1/auth/login`

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::future::join_all;
use serde_json::{Value, json};
use turnpike_local::Engine;

use crate::support::{CountingProxy, OwnEngine, PASSWORD, TestStack};

const PATH: &str = "/api/v1/auth/login";

#[tokio::test]
async fn the_right_password_makes_a_new_session_whatever_the_case_of_the_address() {
    let stack = TestStack::start().await;
    let registered = stack.register("ada@example.com").await;

    let body = json!({"email": "ADA@Example.com", "password": PASSWORD});
    let answer = stack.post(PATH).json(&body).send().await;

    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.body["user"]["id"], registered.id.as_str());
    assert_ne!(
        answer.body["tokens"]["session_id"],
        registered.session_id.as_str()
    );
    assert_eq!(
        stack
            .me_status(answer.body["tokens"]["access_token"].as_str().unwrap())
            .await,
        200
    );
    assert_eq!(stack.me_status(&registered.access_token).await, 200);
}

#[tokio::test]
async fn sign_in_does_not_tell_an_unknown_address_a_wrong_password_and_an_inactive_account_apart() {
    let engine = OwnEngine::start().await;
    let proxy = CountingProxy::start(&engine).await;
    let stack = TestStack::start_on(Engine::At(proxy.endpoint.clone()), |env| env).await;
    stack.register("ada@example.com").await;
    let inactive = stack.register("gone@example.com").await;
    stack.deactivate_at(&engine.endpoint(), &inactive.id).await;
    let cases = [
        ("nobody@example.com", PASSWORD),
        ("ada@example.com", "wrong-violin-harbour-7"),
        ("gone@example.com", PASSWORD),
        ("gone@example.com", "wrong-violin-harbour-7"),
    ];

    let mut told = vec![];
    for (email, password) in cases {
        let before = (stack.hasher.computed(), proxy.calls());
        let body = json!({"email": email, "password": password});
        let answer = stack.post(PATH).json(&body).send().await;
        answer.assert_problem(401, "invalid-credentials");
        let work = (stack.hasher.computed() - before.0, proxy.calls() - before.1);
        let mut body = answer.body.clone();
        body["request_id"] = Value::Null;
        let headers: Vec<String> = answer.headers.keys().map(ToString::to_string).collect();
        told.push((body, headers, work));
    }

    let (_, _, (hashes, calls)) = &told[0];
    assert_eq!(
        (*hashes, *calls),
        (1, 6),
        "one hash, three questions about limits and three reads of the database"
    );
    assert!(told.iter().all(|case| case == &told[0]), "{told:#?}");
}

#[tokio::test]
async fn an_imported_bcrypt_password_signs_in_and_is_replaced_by_argon2id() {
    let stack = TestStack::start().await;
    let account = stack.register("ada@example.com").await;
    let stored = async || {
        let answer = stack
            .dynamodb()
            .await
            .get_item()
            .table_name("CredentialsTable")
            .key("pk", AttributeValue::S(format!("USER#{}", account.id)))
            .key("sk", AttributeValue::S("PASSWORD".into()))
            .send()
            .await;
        answer.unwrap().item.unwrap()
    };
    let mut item = stored().await;
    let imported = bcrypt::hash("imported-violin-harbour", 4).unwrap();
    item.insert("hash".into(), AttributeValue::S(imported));
    stack
        .dynamodb()
        .await
        .put_item()
        .table_name("CredentialsTable")
        .set_item(Some(item))
        .send()
        .await
        .unwrap();
    let login = async |password: &str| {
        stack
            .post(PATH)
            .json(&json!({"email": account.email, "password": password}))
            .send()
            .await
    };

    login("wrong-violin-harbour")
        .await
        .assert_problem(401, "invalid-credentials");
    let first = login("imported-violin-harbour").await;

    assert_eq!(first.status, 200, "{}", first.text);
    let hash = stored().await["hash"].as_s().unwrap().clone();
    assert!(
        hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
        "{hash}"
    );
    assert_eq!(login("imported-violin-harbour").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_has_at_most_fifty_sessions_and_the_oldest_goes_first() {
    let stack = TestStack::start().await;
    let first = stack.register("ada@example.com").await;
    let second = stack.login("ada@example.com").await;
    for _ in 0..12 {
        join_all((0..4).map(|_| stack.login("ada@example.com"))).await;
    }
    assert_eq!(stack.me_status(&first.access_token).await, 200);

    let newest = stack.login("ada@example.com").await;

    assert_eq!(stack.me_status(&first.access_token).await, 401);
    assert_eq!(stack.me_status(&second.access_token).await, 200);
    let path = "/api/v1/auth/sessions?limit=100";
    let list = stack.get(path).bearer(&newest.access_token).send().await;
    assert_eq!(list.body["items"].as_array().unwrap().len(), 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn simultaneous_sign_ins_all_get_a_session_of_their_own() {
    let stack = TestStack::start().await;
    stack.register("ada@example.com").await;

    let signed_in = join_all((0..8).map(|_| stack.login("ada@example.com"))).await;

    let mut sessions: Vec<_> = signed_in
        .iter()
        .map(|account| &account.session_id)
        .collect();
    sessions.sort();
    sessions.dedup();
    assert_eq!(sessions.len(), 8);
    for account in &signed_in {
        assert_eq!(stack.me_status(&account.access_token).await, 200);
    }
}

#[tokio::test]
async fn a_field_that_is_wrong_is_named() {
    let stack = TestStack::start().await;
    let cases = [
        (
            json!({"email": "ada@example.com"}),
            ("password", "required"),
        ),
        (
            json!({"email": "ada", "password": "x"}),
            ("email", "invalid"),
        ),
        (
            json!({"email": "a@example.com", "password": "x", "otp": "1"}),
            ("otp", "unknown"),
        ),
        (
            json!({"email": ["a@example.com"], "password": "x"}),
            ("email", "wrong-type"),
        ),
    ];

    for (body, field) in cases {
        stack
            .post(PATH)
            .json(&body)
            .send()
            .await
            .assert_invalid(&[field]);
    }
}
