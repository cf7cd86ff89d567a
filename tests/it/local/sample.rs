//! The sample upstream: `/_local/sample`.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::TestStack;

const LIBRARY: &str = "/_local/sample/library";

#[tokio::test]
async fn the_library_finds_books_and_takes_its_time() {
    let stack = TestStack::start().await;

    let began = Instant::now();
    let found = stack.get(&format!("{LIBRARY}?q=whale")).send().await;

    assert!(began.elapsed() >= Duration::from_millis(700));
    assert_eq!((found.status, &found.body["count"]), (200, &json!(1)));
    assert_eq!(found.body["items"][0]["first_line"], "Call me Ishmael.");
    assert_eq!(found.header("cache-control"), "public, max-age=60");
}

#[tokio::test]
async fn a_book_that_is_known_is_not_sent_again() {
    let stack = TestStack::start().await;
    let path = format!("{LIBRARY}/books/moby-dick");
    let first = stack.get(&path).send().await;
    let tag = first.header("etag");

    let again = stack.get(&path).header("if-none-match", tag).send().await;
    let another = stack.get(&path).header("if-none-match", "\"no\"").send();

    assert_eq!(
        (first.status, first.body["year"].as_u64()),
        (200, Some(1851))
    );
    assert_eq!((again.status, again.text.as_str()), (304, ""));
    assert_eq!(again.header("etag"), tag);
    assert_eq!(another.await.status, 200);
    let unknown = stack.get(&format!("{LIBRARY}/books/none")).send().await;
    assert_eq!(unknown.status, 404);
}

#[tokio::test]
async fn it_breaks_and_works_again_as_it_is_told() {
    let stack = TestStack::start().await;
    let search = async || {
        let search = stack.get(&format!("{LIBRARY}?q=whale"));
        search.send().await.status
    };
    let tell = async |failing: bool| {
        let told = stack
            .post("/_local/sample")
            .json(&json!({"failing": failing}));
        assert_eq!(told.send().await.status, 200);
    };

    tell(true).await;
    let broken = search().await;
    tell(false).await;
    let mended = search().await;

    assert_eq!((broken, mended), (500, 200));
    let unclear = stack
        .post("/_local/sample")
        .json(&json!({"failing": "a bit"}));
    assert_eq!(unclear.send().await.status, 422);
}
