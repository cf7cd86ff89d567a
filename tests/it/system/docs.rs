//! `GET /docs`

use regex::Regex;

use crate::support::TestStack;

#[tokio::test]
async fn the_reference_lists_every_operation_and_needs_nothing_from_elsewhere() {
    let stack = TestStack::start().await;
    let document = stack.get("/openapi.json").send().await.body;

    let page = stack.get("/docs").send().await;

    assert_eq!(page.status, 200);
    assert!(page.header("content-type").starts_with("text/html"));
    let text = Regex::new("<[^>]*>")
        .unwrap()
        .replace_all(&page.text, "")
        .replace("&#39;", "'");
    for (path, methods) in document["paths"].as_object().unwrap() {
        assert!(text.contains(path.as_str()), "{path}");
        for operation in methods.as_object().unwrap().values() {
            let summary = operation["summary"].as_str().unwrap();
            assert!(text.contains(summary), "{summary}");
        }
    }
    for foreign in [
        "src=\"http",
        "href=\"http",
        "@import",
        "url(http",
        "<script",
    ] {
        assert!(!page.text.contains(foreign), "{foreign}");
    }
}

#[tokio::test]
async fn a_code_that_does_not_exist_has_no_page() {
    let stack = TestStack::start().await;

    stack
        .get("/docs/errors/no-such-code")
        .send()
        .await
        .assert_problem(404, "not-found");
}
