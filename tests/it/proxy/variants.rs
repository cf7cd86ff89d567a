//! `Vary`: several answers of one address, each for those who ask as it was asked for.

use super::{Proxied, cache_status, is_hit};
use crate::support::{Received, Reply};

fn in_language(request: &Received) -> Reply {
    let language = request.header("accept-language").unwrap_or_default();
    Reply::text(&language)
        .with_header("cache-control", "max-age=60")
        .with_header("vary", "Accept-Language")
}

#[tokio::test]
async fn each_language_is_kept_beside_the_others() {
    let proxied = Proxied::answering(Reply::status(500)).await;
    proxied.upstream.behave(in_language);
    let ask = async |language: &str| {
        let call = proxied.get("/books").header("accept-language", language);
        call.send().await
    };

    let mut first = vec![];
    for language in ["en", "de", "fr"] {
        let answer = ask(language).await;
        assert_eq!(answer.text, language);
        first.push(cache_status(&answer));
    }
    for language in ["fr", "de", "en"] {
        let answer = ask(language).await;
        assert_eq!(answer.text, language);
        assert!(is_hit(&answer), "{language}");
    }
    let plain = proxied.get("/books").send().await;

    assert_eq!(first[0], "fwd=uri-miss;fwd-status=200;stored;ttl=60");
    assert_eq!(first[1], "fwd=vary-miss;fwd-status=200;stored;ttl=60");
    assert_eq!(first[2], first[1]);
    assert_eq!((plain.text.as_str(), proxied.calls()), ("", 4));
}

#[tokio::test]
async fn an_answer_that_varies_by_more_than_the_first_reaches_no_other_variant() {
    let fields = "shared_cache = true\nforward_headers = [\"x-tenant\", \"accept-language\"]\n";
    let proxied = Proxied::start(Reply::status(500), fields).await;
    proxied.upstream.behave(|request| {
        let is_first = request.header("accept-language").as_deref() == Some("de");
        let vary = if is_first {
            "accept-language"
        } else {
            "accept-language, x-tenant"
        };
        Reply::text(&request.header("x-tenant").unwrap_or_default())
            .with_header("cache-control", "max-age=60")
            .with_header("vary", vary)
    });
    let ask = async |language: &str, tenant: &str| {
        let call = proxied.get("/books").header("accept-language", language);
        call.header("x-tenant", tenant).send().await
    };
    ask("de", "none").await;
    ask("fr", "acme").await;

    let other = ask("fr", "globex").await;
    let again = ask("fr", "globex").await;

    assert_eq!(other.text, "globex");
    assert!(cache_status(&other).starts_with("fwd=vary-miss"));
    assert_eq!(again.text, "globex");
}

#[tokio::test]
async fn what_an_answer_does_not_vary_by_makes_no_other_answer() {
    let proxied = Proxied::answering(Reply::status(500)).await;
    proxied.upstream.behave(in_language);
    let ask = async |accept: &str| {
        let call = proxied.get("/books").header("accept-language", "en");
        call.header("accept", accept).send().await
    };

    ask("text/plain").await;
    let other = ask("text/html").await;

    assert!(is_hit(&other));
}

#[tokio::test]
async fn a_header_that_the_upstream_never_sees_makes_no_variant() {
    let reply = Reply::text("content")
        .with_header("cache-control", "max-age=60")
        .with_header("vary", "User-Agent, Cookie, Authorization");
    let proxied = Proxied::answering(reply).await;
    let ask = async |agent: &str| {
        proxied
            .get("/books")
            .header("user-agent", agent)
            .send()
            .await
    };

    ask("one").await;
    let other = ask("another").await;

    assert!(is_hit(&other));
}

#[tokio::test]
async fn variants_are_asked_about_each_by_its_own_validator() {
    let proxied = Proxied::answering(Reply::status(500)).await;
    proxied.upstream.behave(|request: &Received| {
        let language = request.header("accept-language").unwrap_or_default();
        in_language(request).with_header("etag", &format!("\"{language}\""))
    });
    let ask = async |language: &str| {
        let call = proxied.get("/books").header("accept-language", language);
        call.send().await
    };
    ask("en").await;
    ask("de").await;
    proxied.stack.pass(std::time::Duration::from_secs(61));

    for language in ["de", "en"] {
        ask(language).await;
        let asked = proxied.upstream.received().pop().unwrap();
        let validator = asked.header("if-none-match");
        assert_eq!(validator, Some(format!("\"{language}\"")));
    }
}
