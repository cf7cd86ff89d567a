//! `GET /openapi.json`

use crate::support::TestStack;

#[tokio::test]
async fn it_is_what_the_code_says_and_can_be_revalidated() {
    let stack = TestStack::start().await;

    let answer = stack.get("/openapi.json").send().await;
    let etag = answer.header("etag").to_owned();
    let again = stack
        .get("/openapi.json")
        .header("if-none-match", &etag)
        .send()
        .await;

    assert_eq!(answer.body, turnpike_local::openapi::document().unwrap());
    assert!(answer.body["openapi"].as_str().unwrap().starts_with("3.1"));
    assert_eq!((again.status, again.text.as_str()), (304, ""));
}
