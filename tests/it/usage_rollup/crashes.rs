//! A rollup that dies between any two of its calls loses nothing: the event comes again, and the end
//! is as if it had not died.

use turnpike_shared::clock::Clock;
use turnpike_shared::ids::UserId;
use turnpike_shared::usage::UsageRecord;

use super::{Table, deliver, record, rollup_at, yesterday_at_23};
use crate::support::{Fault, FaultProxy, LastCall};

/// Of two users and both sides of midnight.
fn records() -> Vec<UsageRecord> {
    let start = yesterday_at_23();
    let users = [UserId::new(start), UserId::new(start)];
    let hour = std::time::Duration::from_hours(1);
    let of = |user: usize, hours: u32| record(users[user], start.plus(hour * hours));
    vec![of(0, 0), of(1, 0), of(0, 1), of(0, 1), of(1, 1)]
}

#[tokio::test]
async fn a_rollup_that_dies_over_any_of_its_calls_is_made_good_by_the_next() {
    for last_call in [LastCall::NeverSent, LastCall::CarriedOut] {
        let mut deaths = 0;
        loop {
            let table = Table::start().await;
            let proxy = FaultProxy::start(&table.engine).await;
            let mortal = rollup_at(&proxy.endpoint, Clock::system());
            let records = records();
            let told = table.append(&records).await;
            let expected = {
                let untouched = Table::start().await;
                let told = untouched.append(&records).await;
                deliver(&untouched.rollup(), &told).await.unwrap();
                untouched.sums().await
            };

            proxy.set(Fault::DeadAfter(deaths, last_call));
            let died = tokio::select! {
                outcome = deliver(&mortal, &told) => { outcome.unwrap(); false }
                () = proxy.death() => true,
            };
            deliver(&table.rollup(), &told).await.unwrap();

            assert_eq!(table.sums().await, expected, "{last_call:?} {deaths}");
            if !died {
                break;
            }
            deaths += 1;
        }
        // A query for each slice, and for each of three sums in it an hour, a query and a day.
        assert_eq!(deaths, 2 * (1 + 3 * 3));
    }
}

#[tokio::test]
async fn what_cannot_be_written_fails_the_event_and_keeps_nobody_elses_back() {
    let table = Table::start().await;
    let proxy = FaultProxy::start(&table.engine).await;
    let app = rollup_at(&proxy.endpoint, Clock::system());
    let records = records();
    let told = table.append(&records).await;
    let unlucky = records[0].caller.as_ref().unwrap().user;
    let lucky = records[1].caller.as_ref().unwrap().user;

    proxy.set(Fault::Throttle(unlucky.to_string()));
    let failed = deliver(&app, &told).await;
    let sums = table.sums().await;
    proxy.set(Fault::None);
    deliver(&app, &told).await.unwrap();

    assert!(failed.is_err());
    let of = |sums: &[super::Item], user: UserId| {
        let pk = format!("USER#{user}");
        sums.iter()
            .filter(|item| item["pk"].as_s().unwrap() == &pk)
            .count()
    };
    assert_eq!((of(&sums, unlucky), of(&sums, lucky)), (0, 4));
    assert_eq!(of(&table.sums().await, unlucky), 4);
}
