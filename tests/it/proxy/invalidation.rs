//! What a change ends (RFC 9111, section 4.4), and what the users and the policy end.

use reqwest::Method;

use super::{Proxied, is_hit, said};
use crate::support::Reply;

const FIELDS: &str = "methods = [\"GET\", \"PUT\"]\n";

#[tokio::test]
async fn a_change_ends_what_is_kept_of_its_address_and_nothing_else() {
    let proxied = Proxied::start(said("max-age=60"), FIELDS).await;
    let kept = ["/books", "/books?page=2", "/books/1", "/films"];
    for path in kept {
        proxied.get(path).send().await;
    }

    let changed = proxied
        .call(Method::PUT, "/books?x")
        .body("new")
        .send()
        .await;

    assert_eq!(changed.status, 200);
    for (path, expected) in kept.into_iter().zip([false, false, true, true]) {
        let answer = proxied.get(path).send().await;
        assert_eq!(is_hit(&answer), expected, "{path}");
    }
}

#[tokio::test]
async fn a_change_that_the_upstream_refuses_ends_nothing() {
    let proxied = Proxied::start(said("max-age=60"), FIELDS).await;
    proxied.get("/books").send().await;

    for status in [400, 404, 500] {
        proxied.upstream.answer(Reply::status(status));
        let refused = proxied.call(Method::PUT, "/books").send().await;
        assert_eq!(refused.status, status);
    }
    let answer = proxied.get("/books").send().await;

    assert!(is_hit(&answer));
}

#[tokio::test]
async fn a_change_ends_what_users_share_and_of_others_nothing_else() {
    for (fields, expected) in [("", true), ("shared_cache = true\n", false)] {
        let proxied = Proxied::start(said("max-age=60"), &format!("{FIELDS}{fields}")).await;
        let other = proxied.stack.register("grace@example.com").await;
        let of_other = || proxied.call_by(&other, Method::GET, "/books");
        of_other().send().await;

        proxied.call(Method::PUT, "/books").send().await;

        let answer = of_other().send().await;
        assert_eq!(is_hit(&answer), expected, "{fields:?}");
    }
}
