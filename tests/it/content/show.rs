//! `GET /api/v1/content/{location_id}`.

use reqwest::Method;

use super::{path, put, show, under, wish};
use crate::support::TestStack;

#[tokio::test]
async fn content_is_everybodys_who_may_read() {
    let stack = TestStack::start().await;
    let admin = stack.admin().await;
    let ada = stack.register("ada@example.com").await;
    let created = put(&stack, &admin, "a", &wish()).await;

    let shown = show(&stack, &ada, "a").await;

    assert_eq!(shown.body, created.body);
    assert_eq!(shown.header("etag"), created.header("etag"));
    assert_eq!(shown.header("cache-control"), "private, no-cache");
    assert!(
        !shown.text.contains(&admin.id),
        "who put it is nobody's business"
    );
    show(&stack, &ada, "b")
        .await
        .assert_problem(404, "not-found");
}

#[tokio::test]
async fn what_the_client_has_is_not_sent_again() {
    let stack = TestStack::start().await;
    let admin = stack.admin().await;
    let tag = put(&stack, &admin, "a", &wish())
        .await
        .header("etag")
        .to_owned();
    let several = format!("\"other\", {tag}");
    let weak = format!("W/{tag}");

    for method in [Method::GET, Method::HEAD] {
        for known in [tag.as_str(), &several, &weak, "*"] {
            let call = stack.call(method.clone(), &path("a"));
            let answer = under(call, &admin, "if-none-match", known).await;
            assert_eq!((answer.status, answer.text.as_str()), (304, ""), "{known}");
            assert_eq!(answer.header("etag"), tag);
            assert_eq!(answer.header("cache-control"), "private, no-cache");
        }
    }
    for unknown in ["\"other\"", "\"\""] {
        let call = stack.get(&path("a"));
        let answer = under(call, &admin, "if-none-match", unknown).await;
        assert_eq!(answer.status, 200, "{unknown}");
    }
}

#[tokio::test]
async fn a_tag_that_was_never_one_is_told() {
    let stack = TestStack::start().await;
    let admin = stack.admin().await;
    put(&stack, &admin, "a", &wish()).await;

    for (name, field) in [("if-none-match", "If-None-Match"), ("if-match", "If-Match")] {
        let answer = under(stack.get(&path("a")), &admin, name, "unquoted").await;
        answer.assert_invalid(&[(field, "invalid")]);
    }
}
