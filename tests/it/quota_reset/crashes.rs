//! Ended at any step, run twice, or by two at once on the same users: the state is the same.

use std::collections::BTreeMap;

use turnpike_quota_reset::Event;
use turnpike_shared::auth::User;

use super::ground::{Ground, MONTH, override_until, valkey_of};
use crate::support::{Fault, FaultProxy, RedisServer};

type Dump = BTreeMap<String, BTreeMap<String, String>>;

/// Users for whom everything there is has to be done.
async fn ground_with_much_to_do() -> Ground {
    let ground = Ground::at("2026-10-20T00:00:00Z").await;
    for number in 1..=2 {
        let lifted = Some(override_until("2026-12-01T00:00:00Z"));
        let as_lifted = |user| User {
            quota_override: lifted,
            ..user
        };
        let member = ground.user_as(number, as_lifted).await;
        for (month, used) in [("2026-10", 10), ("2026-11", 20), ("2026-12", MONTH - 10)] {
            ground.be_at(&format!("{month}-20T00:00:00Z"));
            if number == 1 && month == "2026-12" {
                continue;
            }
            member.uses(used + u64::from(number)).await;
        }
        ground.be_at("2026-10-20T00:00:00Z");
    }
    ground.be_at("2026-12-20T01:00:00Z");
    ground
}

/// How it is after one run that nothing happened to.
async fn undisturbed() -> Dump {
    let ground = ground_with_much_to_do().await;
    let report = ground.reset(&ground.app().await).await.unwrap();
    assert_eq!((report.periods_closed, report.charged), (4, 66));
    assert_eq!((report.overrides_dropped, report.notices_raised), (2, 1));
    ground.dump().await
}

/// What differs between how it is and how it is to be.
fn assert_same(dump: &Dump, expected: &Dump, when: &str) {
    for key in dump.keys().chain(expected.keys()) {
        assert_eq!(dump.get(key), expected.get(key), "{when}: {key}");
    }
}

#[tokio::test]
async fn a_run_that_ended_anywhere_is_completed_by_the_next_one() {
    let expected = undisturbed().await;

    for calls in 0.. {
        let ground = ground_with_much_to_do().await;
        let proxy = FaultProxy::start(&ground.engine).await;
        let app = ground.app_at(&proxy.endpoint, None).await;
        proxy.set(Fault::CutOff(calls));

        let run = ground.reset(&app).await;
        proxy.set(Fault::None);
        ground.reset(&ground.app().await).await.unwrap();

        let when = format!("cut off after {calls} calls");
        assert_same(&ground.dump().await, &expected, &when);
        if run.is_ok() {
            assert!(calls > 25, "{calls} calls are too few for all this");
            break;
        }
    }
}

#[tokio::test]
async fn two_runs_at_once_come_to_the_same_as_one() {
    let expected = undisturbed().await;

    for _ in 0..5 {
        let ground = ground_with_much_to_do().await;
        let apps = [ground.app().await, ground.app().await];

        let (one, other) = tokio::join!(ground.reset(&apps[0]), ground.reset(&apps[1]));

        assert_same(&ground.dump().await, &expected, "two at once");
        let (one, other) = (one.unwrap(), other.unwrap());
        assert_eq!(one.periods_closed + other.periods_closed, 4);
        assert_eq!(one.overrides_dropped + other.overrides_dropped, 2);
        assert_eq!(one.notices_raised + other.notices_raised, 1);
        assert_eq!(one.charged + other.charged, 66);
    }
}

#[tokio::test]
async fn shards_that_are_gone_through_apart_come_to_the_same() {
    let expected = undisturbed().await;
    let ground = ground_with_much_to_do().await;
    let app = ground.app().await;
    let part = |shards: &[u8]| Event {
        shards: Some(shards.to_vec()),
    };

    let (one, other) = tokio::join!(
        ground.reset_shards(&app, part(&[1, 3, 5, 7])),
        ground.reset_shards(&app, part(&[0, 2, 4, 6])),
    );

    assert_same(&ground.dump().await, &expected, "apart");
    assert_eq!((one.unwrap().users, other.unwrap().users), (1, 1));
}

#[tokio::test]
async fn requests_that_go_on_meanwhile_are_charged_once_and_in_one_month() {
    let ground = Ground::at("2026-11-20T00:00:00Z").await;
    let server = RedisServer::start().await;
    let ada = ground.user(1).await;
    let valkey = valkey_of(&ground, &server.address()).await;
    ada.uses_through(&valkey, 130).await;
    ground.be_at("2026-12-01T00:10:00Z");
    let apps = [
        ground.app_with(&server.address()).await,
        ground.app_with(&server.address()).await,
    ];

    let (one, other, ..) = tokio::join!(
        ground.reset(&apps[0]),
        ground.reset(&apps[1]),
        ada.uses_through(&valkey, 70),
        async {
            for _ in 0..20 {
                ada.uses(1).await;
            }
        },
    );

    assert_eq!(one.unwrap().charged + other.unwrap().charged, 130);
    ground.be_at("2027-01-01T00:10:00Z");
    ground.reset(&apps[0]).await.unwrap();
    assert_eq!(ground.charged(ada.id, "2026-11").await, Some(130));
    assert_eq!(ground.charged(ada.id, "2026-12").await, Some(90));
}
