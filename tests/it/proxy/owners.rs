//! Whose an answer is: one user's, or everybody's where the policy says that users share.

use super::{Proxied, cache_status, is_hit, said};
use crate::support::{Answer, Reply, TestUpstream};

#[tokio::test]
async fn users_do_not_meet_each_others_answers_unless_the_upstream_is_shared() {
    for (fields, is_shared) in [("", false), ("shared_cache = true\n", true)] {
        let proxied = Proxied::start(said("public, max-age=60"), fields).await;
        let other = proxied.stack.register("grace@example.com").await;
        proxied.get("/books").send().await;

        let call = proxied.call_by(&other, reqwest::Method::GET, "/books");
        let answer = call.send().await;
        let own = proxied.get("/books").send().await;

        assert_eq!(is_hit(&answer), is_shared, "{fields:?}");
        assert!(is_hit(&own), "{fields:?}");
        let expected = if is_shared { 1 } else { 2 };
        assert_eq!(proxied.calls(), expected, "{fields:?}");
    }
}

#[tokio::test]
async fn what_is_shared_is_kept_as_long_as_shared_caches_may() {
    let shared = Proxied::start(said("max-age=60, s-maxage=10"), "shared_cache = true\n").await;
    let own = Proxied::start(said("max-age=60, s-maxage=10"), "").await;

    let of_all = shared.get("/books").send().await;
    let of_one = own.get("/books").send().await;

    assert!(cache_status(&of_all).ends_with("ttl=10"));
    assert!(cache_status(&of_one).ends_with("ttl=60"));
}

#[tokio::test]
async fn nobody_has_what_is_shared_fetched_anew_unless_the_policy_allows_it() {
    for (fields, is_heard) in [
        ("shared_cache = true\n", false),
        ("shared_cache = true\nallow_refresh = true\n", true),
    ] {
        let proxied = Proxied::start(said("max-age=60"), fields).await;
        proxied.get("/books").send().await;

        for wanted in ["no-cache", "max-age=0", "min-fresh=1000"] {
            let call = proxied.get("/books").header("cache-control", wanted);
            let answer = call.send().await;
            assert_eq!(is_hit(&answer), !is_heard, "{fields:?} {wanted}");
        }
    }
}

#[tokio::test]
async fn an_answer_never_says_that_it_is_for_everybody() {
    let cases = [
        ("public, max-age=60", "private, max-age=60"),
        ("max-age=60, s-maxage=600", "private, max-age=60"),
        ("no-store", "no-store"),
        ("no-cache", "private, no-cache"),
    ];
    for fields in ["", "shared_cache = true\n"] {
        let proxied = Proxied::start(said("no-store"), fields).await;
        for (case, (given, expected)) in cases.into_iter().enumerate() {
            proxied.upstream.answer(said(given));
            for _ in 0..2 {
                let answer = proxied.get(&format!("/{case}")).send().await;
                assert_eq!(answer.header("cache-control"), expected);
                assert!(varies_by_credential(&answer));
            }
        }
    }
    let proxied = Proxied::answering(crate::support::Reply::text("content")).await;

    let answer = proxied.get("/books").send().await;

    assert_eq!(answer.header("cache-control"), "no-store");
}

fn varies_by_credential(answer: &Answer) -> bool {
    let values = answer.headers.get_all("vary").iter();
    let names: Vec<&str> = values
        .flat_map(|value| value.to_str().unwrap().split(", "))
        .collect();
    names.contains(&"authorization") && names.contains(&"x-api-key")
}

#[tokio::test]
async fn an_answer_to_the_upstreams_secret_is_shared_only_if_it_says_so() {
    for (given, expected) in [("max-age=60", false), ("public, max-age=60", true)] {
        let upstream = TestUpstream::answering(said(given)).await;
        let fields = "proxy = true\nshared_cache = true\n\
            secret_header = { name = \"Authorization\", secret = \"library-token\" }\n";
        let policy = upstream.policy("library", fields);
        let secrets = r#"{"library-token": "Bearer of the stage"}"#;
        let proxied = Proxied::with_env(upstream, &policy, &|env| {
            env.with("TURNPIKE_UPSTREAM_SECRETS", secrets)
        })
        .await;

        proxied.get("/books").send().await;
        let again = proxied.get("/books").send().await;

        assert_eq!(is_hit(&again), expected, "{given}");
        let asked = proxied.upstream.received().pop().unwrap();
        let sent = asked.header("authorization");
        assert_eq!(sent.as_deref(), Some("Bearer of the stage"));
    }
}

#[tokio::test]
async fn what_a_redirect_led_to_is_shared_with_nobody() {
    let proxied = Proxied::start(said("max-age=60"), "shared_cache = true\n").await;
    proxied.upstream.behave(|request| {
        if request.target.ends_with("/own") {
            return said("max-age=60");
        }
        Reply::status(302)
            .with_header("location", "/own")
            .with_header("cache-control", "private, no-store")
            .with_header("set-cookie", "session=ada")
    });
    let other = proxied.stack.register("grace@example.com").await;
    proxied.get("/books").send().await;

    let answer = proxied
        .call_by(&other, reqwest::Method::GET, "/books")
        .send()
        .await;

    assert_eq!((answer.status, is_hit(&answer)), (200, false));
    assert_eq!(proxied.calls(), 4);
}
