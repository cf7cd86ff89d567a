//! An instance that dies over any of its calls to the database leaves nothing torn, and another does
//! the same request to its end.

use std::time::Duration;

use serde_json::json;
use turnpike_shared::clock::Timestamp;
use turnpike_shared::content::{Content, LocationId};
use turnpike_shared::ids::UserId;
use turnpike_shared::stores::{ContentRemoved, ContentStore, ContentWish, StoreError};

use super::soundness;
use crate::support::{Fault, FaultProxy, LastCall, OwnEngine, client_at, dynamodb_at};

const NOW: Timestamp = Timestamp::from_millis(1_795_207_396_042);
const HOUR: Duration = Duration::from_hours(1);

pub(super) fn content(name: &str) -> Content {
    Content {
        content_type: name.to_owned(),
        source_apis: vec![],
        quality_score: 1.0,
        metadata: json!({"name": name}).as_object().unwrap().clone(),
    }
}

pub(super) fn store_at(endpoint: &str) -> ContentStore {
    ContentStore::new(&dynamodb_at(endpoint), "WorkTable".to_owned())
}

/// What an instance dies over.
#[derive(Clone, Copy, Debug)]
enum Operation {
    /// At a location, content for so long.
    Put(&'static str, &'static str, Option<Duration>),
    Remove(&'static str),
}

async fn carry_out(
    store: &ContentStore,
    operation: Operation,
    user: UserId,
) -> Result<(), StoreError> {
    match operation {
        Operation::Put(location, name, ttl) => {
            let location: LocationId = location.parse().unwrap();
            let wish = ContentWish {
                location: &location,
                content: &content(name),
                ttl,
                put_by: user,
            };
            store.put(&wish, NOW, |_| true).await.map(drop)
        }
        Operation::Remove(location) => {
            let location = location.parse().unwrap();
            let removed = store.remove(&location, NOW, |_| true).await?;
            assert_ne!(removed, ContentRemoved::Refused);
            Ok(())
        }
    }
}

#[tokio::test]
async fn a_death_over_any_call_leaves_it_done_or_not_done_and_nothing_in_between() {
    use Operation::{Put, Remove};

    let before = [
        Put("shared", "one", None),
        Put("alone", "two", None),
        Put("brief", "one", Some(HOUR)),
    ];
    let operations = [
        Put("new", "three", None),
        Put("new", "one", Some(2 * HOUR)),
        Put("shared", "two", None),
        Put("alone", "one", None),
        Put("alone", "two", Some(HOUR)),
        Put("brief", "one", None),
        Remove("shared"),
        Remove("alone"),
        Remove("brief"),
    ];
    for operation in operations {
        for last_call in [LastCall::NeverSent, LastCall::CarriedOut] {
            let mut deaths = 0;
            loop {
                let engine = OwnEngine::start().await;
                engine.create_table("WorkTable").await;
                let proxy = FaultProxy::start(&engine).await;
                let (dying, other) = (store_at(&proxy.endpoint), store_at(&engine.endpoint()));
                let (one, another) = (UserId::new(NOW), UserId::new(NOW));
                for put in before {
                    carry_out(&other, put, one).await.unwrap();
                }

                proxy.set(Fault::DeadAfter(deaths, last_call));
                let is_through = tokio::select! {
                    done = carry_out(&dying, operation, another) => { done.unwrap(); true }
                    () = proxy.death() => false,
                };

                let client = client_at(&engine.endpoint());
                soundness::check(&client, NOW).await;
                carry_out(&other, operation, another).await.unwrap();
                soundness::check(&client, NOW).await;
                let (location, name) = match operation {
                    Put(location, name, _) => (location, Some(name)),
                    Remove(location) => (location, None),
                };
                let there = other.get(&location.parse().unwrap(), NOW).await.unwrap();
                let there = there.map(|(_, content)| content);
                assert_eq!(there, name.map(content), "{operation:?}");
                if is_through {
                    break;
                }
                deaths += 1;
            }
            assert!(
                deaths >= 3,
                "{operation:?} makes three calls or more: {deaths}"
            );
        }
    }
}

#[tokio::test]
async fn an_answer_that_is_lost_and_conflicts_change_nothing_in_the_end() {
    let engine = OwnEngine::start().await;
    engine.create_table("WorkTable").await;
    let proxy = FaultProxy::start(&engine).await;
    let store = store_at(&proxy.endpoint);
    let client = client_at(&engine.endpoint());
    let user = UserId::new(NOW);

    proxy.set(Fault::Conflicts("TransactWriteItems", 3));
    carry_out(&store, Operation::Put("a", "one", None), user)
        .await
        .unwrap();
    assert_eq!(proxy.left(), Fault::Conflicts("TransactWriteItems", 0));
    proxy.set(Fault::LoseAnswer("CONTENT#".to_owned()));
    let lost = carry_out(&store, Operation::Put("b", "one", None), user).await;
    proxy.set(Fault::None);
    carry_out(&store, Operation::Put("b", "one", None), user)
        .await
        .unwrap();

    assert!(lost.is_err_and(|error| error.is_transient()));
    let found = soundness::check(&client, NOW).await;
    assert_eq!((found.locations, found.contents), (2, 1));
}
