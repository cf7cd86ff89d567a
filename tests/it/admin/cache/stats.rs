//! `GET /api/v1/admin/cache/stats`.

use turnpike_shared::cache::CacheOwner;

use crate::cache::{CacheOf, owner_of};
use crate::support::TestStack;

#[tokio::test]
async fn it_shows_what_everybodys_entries_were_asked_for() {
    let stack = TestStack::start().await;
    let admin = stack.admin().await;
    let ada = stack.register("ada@example.com").await;
    let cache = CacheOf::the(&stack).await;
    for owner in [owner_of(&ada), owner_of(&ada), CacheOwner::Shared] {
        cache.tier_of(owner, "query/library").await;
    }
    cache.flush().await;

    let answer = stack
        .get("/api/v1/admin/cache/stats")
        .bearer(&admin.access_token);
    let answer = answer.send().await;

    assert_eq!(answer.status, 200, "{}", answer.text);
    let memory = &answer.body["tiers"][0];
    let counted = ["hits", "misses", "fills", "entries", "skipped", "rejected"]
        .map(|name| memory[name].as_u64());
    assert_eq!(counted, [1, 2, 2, 2, 0, 0].map(Some));
    assert_eq!(memory["name"], "memory");
    assert_eq!(memory["available"], true);
}
