//! `POST /api/v1/cache/invalidate`.

use serde_json::{Value, json};
use turnpike_shared::cache::CacheTier;

use super::{CacheOf, owner_of};
use crate::support::{Account, Answer, TestStack};

async fn invalidate(stack: &TestStack, by: &Account, body: Value) -> Answer {
    let call = stack
        .post("/api/v1/cache/invalidate")
        .bearer(&by.access_token);
    call.json(&body).send().await
}

#[tokio::test]
async fn it_ends_what_carries_a_tag_or_lies_under_the_prefix_among_the_callers_own() {
    let stack = TestStack::start().await;
    let (ada, bob) = (
        stack.register("ada@example.com").await,
        stack.register("bob@example.com").await,
    );
    let cache = CacheOf::the(&stack).await;
    let user_tag = format!("user:{}", ada.id);
    let bodies = [
        (json!({"tags": ["upstream:library"]}), true),
        (
            json!({"tags": ["upstream:other", "upstream:library"]}),
            true,
        ),
        (json!({"prefix": "query"}), true),
        (json!({"prefix": "/query/library/"}), true),
        (
            json!({"tags": ["upstream:other"], "prefix": "query/library"}),
            true,
        ),
        (json!({"tags": [user_tag]}), true),
        (json!({}), true),
        (json!({"tags": ["upstream:other"]}), false),
        (json!({"prefix": "query/lib"}), false),
        (json!({"tags": [format!("user:{}", bob.id)]}), false),
    ];

    for (body, is_ended) in bodies {
        cache.tier_of(owner_of(&ada), "query/library").await;
        cache.tier_of(owner_of(&bob), "query/library").await;

        let answer = invalidate(&stack, &ada, body.clone()).await;

        assert_eq!(answer.status, 204, "{}", answer.text);
        let mine = cache.tier_of(owner_of(&ada), "query/library").await;
        let theirs = cache.tier_of(owner_of(&bob), "query/library").await;
        assert_eq!(mine.is_none(), is_ended, "{body}");
        assert_eq!(theirs, Some(CacheTier::Memory), "{body}");
    }
}

#[tokio::test]
async fn what_names_nothing_is_refused_with_the_field() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let cases = [
        (json!({"tags": []}), "tags"),
        (json!({"tags": ["fine", ""]}), "tags.1"),
        (json!({"tags": null}), "tags"),
        (json!({"prefix": "//"}), "prefix"),
        (json!({"prefix": 1}), "prefix"),
        (json!({"everything": true}), "everything"),
    ];

    for (body, field) in cases {
        let answer = invalidate(&stack, &ada, body.clone()).await;

        answer.assert_problem(422, "validation-failed");
        assert_eq!(answer.body["errors"][0]["field"], field, "{body}");
    }
}
