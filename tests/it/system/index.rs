//! `GET /`

use crate::support::TestStack;

#[tokio::test]
async fn it_says_what_this_is_and_where_to_read_on() {
    let stack = TestStack::start().await;

    let answer = stack.get("/").send().await;

    assert_eq!(answer.status, 200);
    assert_eq!(answer.body["name"], "Turnpike");
    assert_eq!(answer.body["version"], turnpike_shared::VERSION);
    assert_eq!(answer.body["docs"], format!("{}/docs", stack.base));
    assert_eq!(answer.body["health"], format!("{}/health", stack.base));
    assert_eq!(answer.body.as_object().unwrap().len(), 4);
}
