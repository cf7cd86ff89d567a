//! `GET /.well-known/openid-configuration`

use crate::support::TestStack;

#[tokio::test]
async fn it_names_the_issuer_its_keys_and_its_algorithm() {
    let stack = TestStack::start().await;

    let answer = stack.get("/.well-known/openid-configuration").send().await;

    assert_eq!(answer.status, 200);
    assert_eq!(answer.body["issuer"], stack.base.as_str());
    assert_eq!(
        answer.body["jwks_uri"],
        format!("{}/.well-known/jwks.json", stack.base)
    );
    assert_eq!(
        answer.body["id_token_signing_alg_values_supported"][0],
        "RS256"
    );
}
