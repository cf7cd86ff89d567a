//! `GET /.well-known/jwks.json`

use crate::support::TestStack;

#[tokio::test]
async fn it_shows_public_keys_only_and_may_be_cached() {
    let stack = TestStack::start().await;

    let answer = stack.get("/.well-known/jwks.json").send().await;

    assert_eq!(answer.status, 200);
    let key = answer.body["keys"][0].as_object().unwrap();
    let members: Vec<&str> = key.keys().map(String::as_str).collect();
    assert!(
        ["alg", "e", "kid", "kty", "n", "use"]
            .iter()
            .all(|member| members.contains(member))
    );
    assert!(
        ["d", "p", "q", "dp", "dq", "qi", "k"]
            .iter()
            .all(|secret| !members.contains(secret))
    );
    assert_eq!(answer.header("cache-control"), "public, max-age=3600");
}
