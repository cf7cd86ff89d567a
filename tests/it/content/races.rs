//! Content that many put, share and remove at once, in two instances.

use std::time::Duration;

use futures_util::future::join_all;
use turnpike_shared::clock::Timestamp;
use turnpike_shared::content::{Location, LocationId};
use turnpike_shared::ids::UserId;
use turnpike_shared::stores::{ContentPut, ContentRemoved, ContentStore, ContentWish, StoreError};

use super::crashes::{content, store_at};
use super::soundness;
use crate::support::{Fault, FaultProxy, OwnEngine, client_at};

const NOW: Timestamp = Timestamp::from_millis(1_795_207_396_042);

async fn put(
    store: &ContentStore,
    location: &str,
    name: &str,
    ttl: Option<Duration>,
    user: UserId,
) -> Result<ContentPut, StoreError> {
    let location: LocationId = location.parse().unwrap();
    let wish = ContentWish {
        location: &location,
        content: &content(name),
        ttl,
        put_by: user,
    };
    store.put(&wish, NOW, |_| true).await
}

#[tokio::test(flavor = "multi_thread")]
async fn content_never_vanishes_when_its_last_location_goes_as_another_comes() {
    let engine = OwnEngine::start().await;
    engine.create_table("WorkTable").await;
    let (one, other) = (store_at(&engine.endpoint()), store_at(&engine.endpoint()));
    let user = UserId::new(NOW);
    let (mut from, mut to) = ("a", "b");
    put(&one, from, "shared", None, user).await.unwrap();

    for _ in 0..40 {
        let location = from.parse().unwrap();
        let removing = one.remove(&location, NOW, |_| true);
        let (removed, put) = tokio::join!(removing, put(&other, to, "shared", None, user));

        removed.unwrap();
        put.unwrap();
        let there = one.get(&to.parse().unwrap(), NOW).await.unwrap();
        assert_eq!(there.map(|(_, content)| content), Some(content("shared")));
        std::mem::swap(&mut from, &mut to);
    }

    let found = soundness::check(&client_at(&engine.endpoint()), NOW).await;
    assert_eq!((found.locations, found.contents), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_locations_that_get_one_piece_of_content_at_once_all_have_it_and_it_once() {
    let engine = OwnEngine::start().await;
    engine.create_table("WorkTable").await;
    let store = store_at(&engine.endpoint());
    let user = UserId::new(NOW);
    let locations: Vec<String> = (0..20).map(|number| number.to_string()).collect();

    let put_one = |location| put(&store, location, "shared", None, user);
    let answers = join_all(locations.iter().map(|location| put_one(location))).await;

    for answer in answers {
        assert!(matches!(answer.unwrap(), ContentPut::Created(_)));
    }
    let found = soundness::check(&client_at(&engine.endpoint()), NOW).await;
    assert_eq!((found.locations, found.contents), (20, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_put_and_removed_at_once_by_whom_is_sound_in_the_end() {
    const TASKS: usize = 8;
    const STEPS: usize = 24;

    let engine = OwnEngine::start().await;
    engine.create_table("WorkTable").await;
    let stores = [store_at(&engine.endpoint()), store_at(&engine.endpoint())];
    let users = [UserId::new(NOW), UserId::new(NOW)];
    let locations = ["a", "b", "c"];
    let task = async |task: usize| {
        let store = &stores[task % 2];
        for step in 0..STEPS {
            // Every task goes through the same cases in another order.
            let number = task * 7 + step * 5;
            let location = locations[number % 3];
            let id = location.parse().unwrap();
            let name = ["one", "two"][(number / 3) % 2];
            let ttl = number.is_multiple_of(4).then_some(Duration::from_hours(1));
            match number % 5 {
                0 | 1 => drop(store.remove(&id, NOW, |_| true).await.unwrap()),
                2 => drop(store.get(&id, NOW).await.unwrap()),
                _ => drop(
                    put(store, location, name, ttl, users[task % 2])
                        .await
                        .unwrap(),
                ),
            }
        }
    };

    join_all((0..TASKS).map(task)).await;

    let client = client_at(&engine.endpoint());
    soundness::check(&client, NOW).await;
    for location in locations {
        let id = location.parse().unwrap();
        stores[0].remove(&id, NOW, |_| true).await.unwrap();
    }
    let left = soundness::check(&client, NOW).await;
    assert_eq!((left.locations, left.contents, left.named), (0, 0, 0));
}

#[tokio::test]
async fn whoever_is_overtaken_between_reading_and_writing_decides_anew() {
    let engine = OwnEngine::start().await;
    engine.create_table("WorkTable").await;
    let proxy = FaultProxy::start(&engine).await;
    let (slow, quick) = (store_at(&proxy.endpoint), store_at(&engine.endpoint()));
    let user = UserId::new(NOW);
    let location: LocationId = "a".parse().unwrap();
    let wish = ContentWish {
        location: &location,
        content: &content("slow"),
        ttl: None,
        put_by: user,
    };

    proxy.set(Fault::Hold("TransactItems".to_owned()));
    let putting = slow.put(&wish, NOW, |there| there.is_none());
    let overtaking = async {
        proxy.held().await;
        put(&quick, "a", "quick", None, user).await.unwrap();
        proxy.set(Fault::None);
    };
    let (where_nothing_is, ()) = tokio::join!(putting, overtaking);
    let (known, _) = quick.get(&location, NOW).await.unwrap().unwrap();
    let is_known = |there: &Location| there.version() == known.version();
    proxy.set(Fault::Hold("TransactItems".to_owned()));
    let replacing = slow.put(&wish, NOW, |there| there.is_some_and(is_known));
    let overtaking = async {
        proxy.held().await;
        put(&quick, "a", "quicker", None, user).await.unwrap();
        proxy.set(Fault::None);
    };
    let (what_was_known, ()) = tokio::join!(replacing, overtaking);
    proxy.set(Fault::Hold("TransactItems".to_owned()));
    let removing = slow.remove(&location, NOW, |_| true);
    let overtaking = async {
        proxy.held().await;
        quick.remove(&location, NOW, |_| true).await.unwrap();
        proxy.set(Fault::None);
    };
    let (removed, ()) = tokio::join!(removing, overtaking);

    assert_eq!(where_nothing_is.unwrap(), ContentPut::Refused);
    assert_eq!(what_was_known.unwrap(), ContentPut::Refused);
    assert_eq!(removed.unwrap(), ContentRemoved::NotFound);
    let left = soundness::check(&client_at(&engine.endpoint()), NOW).await;
    assert_eq!((left.locations, left.contents, left.named), (0, 0, 0));
}
