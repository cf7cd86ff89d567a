//! `GET /api/v1/cache/stats`.

use serde_json::{Value, json};
use turnpike_shared::cache::CacheOwner;

use super::{CacheOf, owner_of};
use crate::support::TestStack;

fn tier(name: &str, counts: [u64; 3], entries: u64, available: bool) -> Value {
    let [hits, misses, fills] = counts;
    json!({"name": name, "hits": hits, "misses": misses, "fills": fills, "entries": entries, "available": available})
}

#[tokio::test]
async fn it_shows_what_the_callers_own_entries_were_asked_for() {
    let stack = TestStack::start().await;
    let (ada, bob) = (
        stack.register("ada@example.com").await,
        stack.register("bob@example.com").await,
    );
    let cache = CacheOf::the(&stack).await;
    for owner in [
        owner_of(&ada),
        owner_of(&ada),
        owner_of(&bob),
        CacheOwner::Shared,
    ] {
        cache.tier_of(owner, "query/library").await;
    }
    cache.flush().await;

    let answer = stack.get("/api/v1/cache/stats").bearer(&ada.access_token);
    let mut answer = answer.send().await;

    assert_eq!(answer.status, 200, "{}", answer.text);
    for tier in answer.body["tiers"].as_array_mut().unwrap() {
        let bytes = tier.as_object_mut().unwrap().remove("bytes").unwrap();
        assert_eq!(bytes.as_u64().unwrap() > 0, tier["entries"] == 1, "{tier}");
    }
    let expected = json!({
        "tiers": [
            tier("memory", [1, 1, 1], 1, true),
            tier("valkey", [0, 0, 0], 0, false),
            tier("dynamodb", [0, 1, 1], 1, true),
        ],
        "hit_ratio": 0.5,
    });
    assert_eq!(answer.body, expected);
}
