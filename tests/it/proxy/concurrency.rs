//! Many who ask the same at the same time.

use std::sync::Arc;

use futures_util::future::join_all;
use tokio::sync::Semaphore;

use super::{Proxied, cache_status, said};
use crate::support::{Answer, Reply};

const MANY: usize = 64;

/// Asks `MANY` times at once, and lets the upstream answer when all but those that wait for the first
/// have come to it.
async fn asked_at_once(proxied: &Proxied, reply: Reply, expected_calls: usize) -> Vec<Answer> {
    let gate = Arc::new(Semaphore::new(0));
    proxied
        .upstream
        .answer(Reply::Held(Arc::clone(&gate), Box::new(reply)));
    let asking = join_all((0..MANY).map(|_| proxied.get("/books").send()));
    let letting = async {
        proxied.until_called(1).await;
        gate.add_permits(1);
        proxied.until_called(expected_calls).await;
        gate.add_permits(MANY);
    };
    let (answers, ()) = tokio::join!(asking, letting);
    answers
}

#[tokio::test]
async fn sixty_four_at_once_ask_the_upstream_once() {
    let proxied = Proxied::answering(Reply::status(500)).await;

    let answers = asked_at_once(&proxied, said("max-age=60"), 1).await;

    assert!(answers.iter().all(|answer| answer.text == "content"));
    assert_eq!(proxied.calls(), 1);
    let collapsed = "fwd=uri-miss;fwd-status=200;collapsed";
    let shares = answers
        .iter()
        .filter(|answer| cache_status(answer) == collapsed);
    let asked = answers
        .iter()
        .filter(|it| cache_status(it).ends_with(";stored;ttl=60"));
    assert_eq!(asked.count(), 1);
    // Whoever came after the answer found it in the cache.
    let hits = answers
        .iter()
        .filter(|answer| super::is_hit(answer))
        .count();
    assert_eq!(shares.count() + hits, MANY - 1);
}

#[tokio::test]
async fn nobody_gets_an_answer_that_was_for_one_alone() {
    for reply in [
        said("no-store"),
        said("max-age=60, no-cache").with_header("etag", "\"1\""),
        said("max-age=60").with_header("set-cookie", "a=b"),
    ] {
        let proxied = Proxied::answering(Reply::status(500)).await;

        let answers = asked_at_once(&proxied, reply, MANY).await;

        assert!(answers.iter().all(|answer| answer.status == 200));
        assert_eq!(proxied.calls(), MANY);
    }
}

#[tokio::test]
async fn each_variant_is_asked_for_once() {
    let proxied = Proxied::answering(Reply::status(500)).await;
    proxied.upstream.behave(|request| {
        let language = request.header("accept-language").unwrap_or_default();
        Reply::text(&language)
            .with_header("cache-control", "max-age=60")
            .with_header("vary", "accept-language")
    });
    let languages = ["en", "de", "fr", "it"];

    let answers = join_all((0..MANY).map(|number| {
        let language = languages[number % languages.len()];
        let call = proxied.get("/books").header("accept-language", language);
        async move { (call.send().await.text, language) }
    }))
    .await;

    assert!(answers.iter().all(|(text, language)| text == language));
    assert_eq!(proxied.calls(), languages.len());
}
