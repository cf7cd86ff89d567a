//! `POST /api/v1/cache/clear`.

use turnpike_shared::cache::{CacheOwner, CacheTier};

use super::{CacheOf, owner_of};
use crate::support::TestStack;

#[tokio::test]
async fn it_ends_all_of_the_callers_entries_and_nobody_elses() {
    let stack = TestStack::start().await;
    let (ada, bob) = (
        stack.register("ada@example.com").await,
        stack.register("bob@example.com").await,
    );
    let cache = CacheOf::the(&stack).await;
    let owners = [owner_of(&ada), owner_of(&bob), CacheOwner::Shared];
    for owner in owners {
        assert_eq!(cache.tier_of(owner, "query/library").await, None);
    }

    let cleared = stack.post("/api/v1/cache/clear").bearer(&ada.access_token);
    let cleared = cleared.send().await;

    assert_eq!((cleared.status, cleared.text.as_str()), (204, ""));
    let memory = Some(CacheTier::Memory);
    let found = [
        cache.tier_of(owners[0], "query/library").await,
        cache.tier_of(owners[1], "query/library").await,
        cache.tier_of(owners[2], "query/library").await,
    ];
    assert_eq!(found, [None, memory, memory]);
}
