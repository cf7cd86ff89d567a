//! One credential, in the form that the contract names.

use crate::support::TestStack;

const ME: &str = "/api/v1/auth/me";

#[tokio::test]
async fn no_credential_or_one_of_another_scheme_is_401_with_a_challenge() {
    let stack = TestStack::start().await;
    let token = stack.register("ada@example.com").await.access_token;
    let cases = [
        String::new(),
        "Bearer".into(),
        "Bearer ".into(),
        format!("Basic {token}"),
        format!("Token {token}"),
        token.clone(),
        format!("Bearer {token}, Bearer {token}"),
        format!("Bearer\t{token}"),
    ];

    let none = stack.get(ME).send().await;
    none.assert_problem(401, "unauthenticated");
    assert!(none.header("www-authenticate").starts_with("Bearer"));
    for value in cases {
        let answer = stack.get(ME).header("authorization", &value).send().await;
        answer.assert_problem(401, "unauthenticated");
    }
    stack
        .get(ME)
        .header("x-api-key", "tp_live_x")
        .send()
        .await
        .assert_problem(401, "unauthenticated");
}

#[tokio::test]
async fn the_schemes_name_has_no_case() {
    let stack = TestStack::start().await;
    let token = stack.register("ada@example.com").await.access_token;

    for scheme in ["Bearer", "bearer", "BEARER"] {
        let answer = stack
            .get(ME)
            .header("authorization", &format!("{scheme} {token}"))
            .send()
            .await;
        assert_eq!(answer.status, 200);
    }
}

#[tokio::test]
async fn more_than_one_credential_is_ambiguous_even_if_one_is_good() {
    let stack = TestStack::start().await;
    let token = stack.register("ada@example.com").await.access_token;

    let two = stack
        .get(ME)
        .bearer(&token)
        .header("authorization", &format!("Bearer {token}"))
        .send()
        .await;
    let both = stack
        .get(ME)
        .bearer(&token)
        .header("x-api-key", "tp_live_x")
        .send()
        .await;
    let keys = stack
        .get(ME)
        .header("x-api-key", "a")
        .header("x-api-key", "b")
        .send()
        .await;

    for answer in [two, both, keys] {
        answer.assert_problem(400, "ambiguous-credentials");
    }
}
