//! `POST /api/v1/admin/cache/clear`.

use serde_json::{Value, json};
use turnpike_shared::cache::{CacheOwner, CacheTier};

use crate::audit::settled_log;
use crate::cache::{CacheOf, owner_of};
use crate::support::{Account, TestStack};

const MEMORY: Option<CacheTier> = Some(CacheTier::Memory);

#[tokio::test]
async fn it_ends_what_is_shared_and_by_a_users_tag_what_is_that_users() {
    let stack = TestStack::start().await;
    let admin = stack.admin().await;
    let ada = stack.register("ada@example.com").await;
    let cache = CacheOf::the(&stack).await;
    let owners = [CacheOwner::Shared, owner_of(&ada), owner_of(&admin)];
    let of_ada = format!("user:{}", ada.id);
    let cases = [
        (json!({}), [None, MEMORY, MEMORY]),
        (
            json!({"tags": ["upstream:library"]}),
            [None, MEMORY, MEMORY],
        ),
        (json!({"prefix": "query"}), [None, MEMORY, MEMORY]),
        (json!({"tags": [of_ada]}), [MEMORY, None, MEMORY]),
        (
            json!({"tags": [of_ada], "prefix": "query"}),
            [None, None, MEMORY],
        ),
        (
            json!({"tags": ["upstream:other"]}),
            [MEMORY, MEMORY, MEMORY],
        ),
    ];

    for (body, expected) in cases {
        for owner in owners {
            cache.tier_of(owner, "query/library").await;
        }
        let cleared = stack
            .post("/api/v1/admin/cache/clear")
            .bearer(&admin.access_token);
        let cleared = cleared.json(&body).send().await;

        assert_eq!((cleared.status, cleared.text.as_str()), (204, ""), "{body}");
        let mut found = [None; 3];
        for (found, owner) in found.iter_mut().zip(owners) {
            *found = cache.tier_of(owner, "query/library").await;
        }
        assert_eq!(found, expected, "{body}");
    }
}

#[tokio::test]
async fn every_clearing_is_in_the_audit_log_and_a_refused_one_is_not() {
    let stack = TestStack::start().await;
    let admin = stack.admin().await;
    let clear = async |by: &Account, body: Value| {
        let call = stack
            .post("/api/v1/admin/cache/clear")
            .bearer(&by.access_token);
        call.json(&body).send().await.status
    };
    let ada = stack.register("ada@example.com").await;

    assert_eq!(clear(&admin, json!({})).await, 204);
    assert_eq!(
        clear(&admin, json!({"tags": ["upstream:a"], "prefix": "query/b"})).await,
        204
    );
    assert_eq!(clear(&admin, json!({"tags": []})).await, 422);
    assert_eq!(clear(&ada, json!({})).await, 403);

    let mut log = settled_log(&stack).await;
    log.retain(|entry| entry["action"] == "cache-cleared");
    let told: Vec<_> = log
        .iter()
        .map(|entry| (&entry["actor"], &entry["target"], &entry["details"]))
        .collect();
    let (actor, target) = (json!(admin.id), json!("cache"));
    let details = [
        Value::Null,
        json!({"tags": ["upstream:a"], "prefix": "query/b"}),
    ];
    assert_eq!(
        told,
        [
            (&actor, &target, &details[0]),
            (&actor, &target, &details[1])
        ]
    );
}
