//! Rollups that overtake each other, and what comes late.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use turnpike_shared::clock::{Clock, Timestamp};
use turnpike_shared::ids::{BatchId, UserId};
use turnpike_shared::stores::Whose;
use turnpike_shared::usage::{Bucket, Granularity, UsageRecord, UserUsage};
use turnpike_usage_rollup::Report;

use super::model::assert_sums;
use super::{Table, deliver, record, rollup_at, yesterday_at_23};
use crate::support::{Fault, FaultProxy};

/// A slice whose batches fill more than a page of an answer, which is 1 MB; by one user, who asks for
/// a long path.
async fn two_pages(table: &Table, user: UserId) -> Vec<UsageRecord> {
    let long = UsageRecord {
        path: "/long".repeat(3_000),
        ..record(user, yesterday_at_23())
    };
    for batch in 1..=80 {
        let id = BatchId::new(Timestamp::from_millis(batch));
        let one = std::slice::from_ref(&long);
        table.usage.append(id, one).await.unwrap();
    }
    vec![long; 80]
}

/// Reading goes page by page and sees no one moment: a rollup that is held up between two pages may
/// see batches that a later one does not, and miss one that this has.
#[tokio::test]
async fn a_rollup_that_was_held_up_between_two_pages_does_not_undo_a_later_one() {
    let table = Table::start().await;
    let proxy = FaultProxy::start(&table.engine).await;
    let start = yesterday_at_23();
    let [ada, bob] = [(); 2].map(|()| UserId::new(start));
    let mut records = two_pages(&table, bob).await;
    let of_ada = vec![record(ada, start)];
    let first = table
        .append_as(BatchId::new(Timestamp::from_millis(500)), &of_ada)
        .await;
    let held_up = rollup_at(&proxy.endpoint, Clock::system());
    proxy.set(Fault::Hold("ExclusiveStartKey".to_owned()));
    let first_event = first.clone();
    let late = tokio::spawn(async move { deliver(&held_up, &first_event).await });
    proxy.held().await;

    // Before what it has read, and behind it.
    let second = table
        .append_as(BatchId::new(Timestamp::from_millis(0)), &of_ada)
        .await;
    deliver(&table.rollup(), &second).await.unwrap();
    let of_bob = vec![record(bob, start); 3];
    let mut third = vec![];
    for one in &of_bob {
        let id = BatchId::new(start);
        third.extend(table.append_as(id, std::slice::from_ref(one)).await);
    }
    proxy.set(Fault::None);
    late.await.unwrap().unwrap();
    deliver(&table.rollup(), &third).await.unwrap();

    records.extend([of_ada.clone(), of_ada, of_bob].concat());
    assert_sums(&table.usage, &[ada, bob], &records).await;
}

#[tokio::test]
async fn eight_rollups_of_the_same_at_once_end_as_one() {
    let table = Table::start().await;
    let start = yesterday_at_23();
    let users = [(); 4].map(|()| UserId::new(start));
    let mut records = vec![];
    let mut told = vec![];
    for minute in 0..40 {
        let at = start.plus(Duration::from_mins(minute * 3));
        let of_all: Vec<UsageRecord> = users.iter().map(|user| record(*user, at)).collect();
        told.push(table.append(&of_all).await);
        records.extend(of_all);
    }

    let rollups = (0..8).map(|instance| {
        let mut own: Vec<_> = told.clone();
        own.rotate_left(instance * 5);
        let app = table.rollup();
        async move {
            for event in own.concat().chunks(7) {
                deliver(&app, event).await.unwrap();
            }
        }
    });
    futures_util::future::join_all(rollups).await;

    assert_sums(&table.usage, &users, &records).await;
}

#[tokio::test]
async fn a_late_batch_is_added_to_its_hour_and_day() {
    let table = Table::start().await;
    let start = yesterday_at_23();
    let user = UserId::new(start);
    let punctual = vec![
        record(user, start),
        record(user, start.plus(Duration::from_mins(50))),
    ];
    let told = table.append(&punctual).await;
    deliver(&table.rollup(), &told).await.unwrap();

    let late = vec![record(user, start.plus(Duration::from_secs(1)))];
    let told = table.append(&late).await;
    deliver(&table.rollup(), &told).await.unwrap();

    assert_sums(&table.usage, &[user], &[punctual, late].concat()).await;
}

/// Batches expire together, but they are removed one by one.
#[tokio::test]
async fn a_slice_of_which_part_may_be_gone_is_left_as_it_was_summed_up() {
    let table = Table::start().await;
    let user = UserId::new(yesterday_at_23());
    let records = vec![record(user, yesterday_at_23())];
    let told = table.append(&records).await;
    deliver(&table.rollup(), &told).await.unwrap();
    let shift = Arc::new(AtomicI64::new(34 * 24 * 3_600_000));
    let later = rollup_at(&table.engine.endpoint(), Clock::shifted(shift));

    let told = table.append(&records).await;
    let report = deliver(&later, &told).await.unwrap();

    let too_old = Report {
        too_old: 1,
        ..Report::default()
    };
    assert_eq!(report, too_old);
    assert_sums(&table.usage, &[user], &records).await;
}

#[tokio::test]
async fn a_sum_of_fewer_requests_never_replaces_one_of_more() {
    let table = Table::start().await;
    let user = UserId::new(yesterday_at_23());
    let records = vec![record(user, yesterday_at_23()); 2];
    let [first, second] = [
        table.append(&records[..1]).await,
        table.append(&records[1..]).await,
    ];
    deliver(&table.rollup(), &[first, second.clone()].concat())
        .await
        .unwrap();
    let summed_up = table.sums().await;

    let keys = &second[0]["dynamodb"]["Keys"];
    let key = |name: &str| {
        let text = keys[name]["S"].as_str().unwrap().to_owned();
        aws_sdk_dynamodb::types::AttributeValue::S(text)
    };
    let remove = table.client.delete_item().table_name(super::TABLE);
    let removed = remove
        .key("pk", key("pk"))
        .key("sk", key("sk"))
        .send()
        .await;
    removed.unwrap();
    deliver(&table.rollup(), &second).await.unwrap();

    assert_eq!(table.sums().await, summed_up);
}

#[tokio::test]
async fn what_has_expired_is_not_read_although_it_is_still_there() {
    let table = Table::start().await;
    let user = UserId::new(yesterday_at_23());
    let told = table
        .append(&[
            record(user, yesterday_at_23()),
            record(user, yesterday_at_23()),
        ])
        .await;
    deliver(&table.rollup(), &told).await.unwrap();
    let hour = Bucket::of(yesterday_at_23(), Granularity::Hour);
    let requests_at = async |now: Timestamp| {
        let mut requests = 0;
        let add = |_, usage: UserUsage| requests += usage.total.count();
        let read = table.usage.read(Whose::User(user), hour, hour, now, add);
        read.await.unwrap();
        requests
    };

    let before = requests_at(hour.expires_at().minus(Duration::from_secs(1))).await;
    let after = requests_at(hour.expires_at()).await;

    assert_eq!((before, after), (2, 0));
}
