//! Each entry joins the log once, whoever tells of it, however often and at the same time.

use std::time::Duration;

use futures_util::future::join_all;
use turnpike_shared::audit::{Action, Actor, AuditEntry, Verdict};
use turnpike_shared::stores::{AuditOutboxKey, Chained};

use super::{OwnLog, T, logged, place, verify, writer_at};

const HOUR: Duration = Duration::from_hours(1);

fn sound(entries: u64) -> Verdict {
    Verdict {
        entries,
        broken: None,
    }
}

#[tokio::test]
async fn entries_join_the_log_in_the_order_of_their_arrival_and_leave_the_outbox() {
    let own = OwnLog::start().await;
    let entries = own.leave(5).await;
    let arrived: Vec<AuditEntry> = [3, 0, 4, 1, 2].map(|n: usize| entries[n].clone()).into();
    let places: Vec<AuditOutboxKey> = arrived.iter().map(place).collect();

    let chained = own.writer.chain(&places).await.unwrap();

    assert_eq!((chained.entries, own.left().await), (5, 0));
    assert_eq!(logged(&own.log).await, arrived);
    assert_eq!(verify(&own.log).await, sound(5));
}

#[tokio::test]
async fn an_entry_that_is_told_of_again_joins_once() {
    let own = OwnLog::start().await;
    let entries = own.leave(3).await;
    let told: Vec<AuditOutboxKey> = [0, 0, 1, 2, 1].map(|n: usize| place(&entries[n])).into();

    let first = own.writer.chain(&told).await.unwrap();
    let again = own.writer.chain(&told).await.unwrap();
    let swept = own.writer.sweep(T).await.unwrap();

    assert_eq!(
        [first, again, swept].map(|chained| chained.entries),
        [3, 0, 0]
    );
    assert_eq!(logged(&own.log).await, entries);
}

#[tokio::test]
async fn more_entries_than_one_write_takes_are_chained_and_listed_across_partitions() {
    let (own, entries) = OwnLog::with(1_060).await;

    let mut listed = vec![];
    let mut behind = None;
    loop {
        let page = own.log.page(behind, 100).await.unwrap();
        assert!(page.entries.len() == 100 || page.next.is_none());
        listed.extend(page.entries);
        behind = page.next;
        if behind.is_none() {
            break;
        }
    }

    assert_eq!(verify(&own.log).await, sound(1_060));
    assert!(
        listed
            .windows(2)
            .all(|pair| pair[0].previous_hash == pair[1].hash)
    );
    let newest_first: Vec<AuditEntry> = entries.into_iter().rev().collect();
    let listed: Vec<AuditEntry> = listed.into_iter().map(|logged| logged.entry).collect();
    assert_eq!(listed, newest_first);
}

#[tokio::test]
async fn an_empty_log_is_sound_and_lists_nothing() {
    let own = OwnLog::start().await;

    assert_eq!(verify(&own.log).await, sound(0));
    assert!(logged(&own.log).await.is_empty());
    assert_eq!(own.writer.sweep(T).await.unwrap(), Chained::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn several_writers_at_once_chain_each_entry_once() {
    let own = OwnLog::start().await;
    let entries = own.leave(120).await;
    let places: Vec<AuditOutboxKey> = entries.iter().map(place).collect();
    let endpoint = own.engine.endpoint();

    let writers: Vec<_> = (0..4).map(|_| writer_at(&endpoint)).collect();
    let told = writers.iter().enumerate().map(|(n, writer)| {
        let mut places = places.clone();
        places.rotate_left(n * 30);
        async move { writer.chain(&places).await.unwrap().entries }
    });
    let (chained, swept) = tokio::join!(join_all(told), own.writer.sweep(T));

    let all = chained.iter().sum::<usize>() + swept.unwrap().entries;
    assert_eq!((all, own.left().await), (120, 0));
    let mut logged = logged(&own.log).await;
    logged.sort_by_key(|entry| entry.id);
    assert_eq!(logged, entries);
    assert_eq!(verify(&own.log).await, sound(120));
}

#[tokio::test]
async fn a_sweep_finds_what_nobody_told_of_however_long_ago_the_last_one_was() {
    let own = OwnLog::start().await;
    own.writer.sweep(T).await.unwrap();
    let entries = own.leave(3).await;

    let swept = own.writer.sweep(T.plus(HOUR * 24 * 40)).await.unwrap();

    assert_eq!((swept.entries, own.left().await), (3, 0));
    assert_eq!(logged(&own.log).await, entries);
}

#[tokio::test]
async fn a_sweep_looks_again_at_the_hours_that_may_still_get_entries() {
    let own = OwnLog::start().await;
    own.writer.sweep(T.plus(HOUR)).await.unwrap();

    own.leave(1).await;
    let swept = own.writer.sweep(T.plus(HOUR * 2)).await.unwrap();

    assert_eq!(swept.entries, 1);
}

#[tokio::test]
async fn what_cannot_be_read_holds_up_nothing_and_is_not_forgotten() {
    let own = OwnLog::start().await;
    let entries = own.leave(3).await;
    damage(&own, &entries[1]).await;

    let first = own.writer.sweep(T.plus(HOUR * 5)).await.unwrap();
    let later = own.writer.sweep(T.plus(HOUR * 50)).await.unwrap();

    assert_eq!((first.entries, first.unreadable), (2, 1));
    assert_eq!((later.entries, later.unreadable), (0, 1));
    assert_eq!(own.left().await, 1);
    assert_eq!(verify(&own.log).await, sound(2));
}

#[tokio::test]
async fn an_entry_left_twice_is_in_the_outbox_once() {
    let own = OwnLog::start().await;
    let entry = AuditEntry::new(T, Actor::Anonymous, Action::SignInsFailed, "sign-in");

    own.users.leave_entry(&entry).await.unwrap();
    own.users.leave_entry(&entry).await.unwrap();

    assert_eq!(own.left().await, 1);
}

/// Takes the form of an entry from an item of the outbox.
async fn damage(own: &OwnLog, entry: &AuditEntry) {
    let hour = entry.at.seconds() / 3_600;
    let update = own
        .client()
        .update_item()
        .table_name("IdentityTable")
        .key("pk", super::text(format!("AUDIT#{hour}")))
        .key("sk", super::text(entry.id.to_string()))
        .update_expression("SET entry = :nothing")
        .expression_attribute_values(":nothing", super::text("nothing"));
    update.send().await.unwrap();
}
