//! What an admin changes holds on the user's very next request, on every instance, whichever
//! engine decides.

use serde_json::{Value, json};

use super::{path_of, quota_path};
use crate::limits_on_the_wire::epoch::Instances;
use crate::limits_on_the_wire::{DECIDERS, Decider, PolicyFile};
use crate::support::{Account, Answer, TestStack};

const POLICY: &str =
    "[tiers.anonymous]\n[tiers.free]\nhour = 3\nday = 10\nmonth = 20\n[tiers.pro]\nhour = 1000\n";

/// Two instances, an admin and a user whom both know.
async fn start(decider: Decider) -> (Instances, Account, Account) {
    let instances = Instances::start(decider, Some(PolicyFile::new(POLICY))).await;
    let admin = instances.first.register("admin@example.com").await;
    instances.make_admin(&admin, "pro").await;
    let ada = instances.first.register("ada@example.com").await;
    (instances, admin, ada)
}

async fn me(stack: &TestStack, account: &Account) -> Answer {
    let call = stack.get("/api/v1/auth/me").bearer(&account.access_token);
    call.send().await
}

/// Asks until it is refused, once on each instance; how often it was admitted.
async fn exhaust(instances: &Instances, account: &Account) -> u64 {
    let mut admitted = 0;
    for (_, stack) in instances.both() {
        while me(stack, account).await.status == 200 {
            admitted += 1;
            assert!(admitted < 200, "some limit is reached");
        }
    }
    admitted
}

async fn lift(instances: &Instances, admin: &Account, ada: &Account, limits: Value) -> Answer {
    let lifted = json!({"limits": limits, "reason": "agreed by phone"});
    let call = instances
        .first
        .put(&quota_path(ada))
        .bearer(&admin.access_token);
    call.json(&lifted).send().await
}

#[tokio::test]
async fn an_admin_lifts_a_limit_and_the_very_next_request_passes_on_every_instance() {
    for decider in DECIDERS {
        for nth in 0..2 {
            let (instances, admin, ada) = start(decider).await;
            exhaust(&instances, &ada).await;

            let lifted = lift(&instances, &admin, &ada, json!({"hour": 8})).await;
            let (name, stack) = instances.both()[nth];
            let next = me(stack, &ada).await;

            assert_eq!(lifted.status, 200, "{}", lifted.text);
            assert_eq!(next.status, 200, "{decider:?}, {name}: {}", next.text);
        }
    }
}

#[tokio::test]
async fn a_limit_that_is_lifted_again_and_again_admits_exactly_as_much() {
    for decider in DECIDERS {
        let (instances, admin, ada) = start(decider).await;
        let mut admitted = 0;

        for limit in 4..=8 {
            let lifted = lift(&instances, &admin, &ada, json!({"hour": limit})).await;
            assert_eq!(lifted.status, 200, "{}", lifted.text);
            admitted += exhaust(&instances, &ada).await;

            assert_eq!(admitted, limit, "{decider:?}");
        }
    }
}

#[tokio::test]
async fn a_tier_and_a_deactivation_hold_on_the_next_request() {
    for decider in DECIDERS {
        let (instances, admin, ada) = start(decider).await;
        exhaust(&instances, &ada).await;
        let change = async |change: Value| {
            let call = instances
                .first
                .patch(&path_of(&ada))
                .bearer(&admin.access_token);
            let changed = call.json(&change).send().await;
            assert_eq!(changed.status, 200, "{}", changed.text);
        };

        change(json!({"tier": "pro"})).await;
        let in_pro = [
            me(&instances.second, &ada).await.status,
            me(&instances.first, &ada).await.status,
        ];
        change(json!({"is_active": false})).await;
        let inactive = [
            me(&instances.second, &ada).await.status,
            me(&instances.first, &ada).await.status,
        ];

        assert_eq!(in_pro, [200, 200], "{decider:?}");
        assert_eq!(inactive, [401, 401], "{decider:?}");
    }
}

#[tokio::test]
async fn sessions_that_are_revoked_end_on_every_instance() {
    for decider in DECIDERS {
        let (instances, admin, ada) = start(decider).await;
        for (_, stack) in instances.both() {
            assert_eq!(me(stack, &ada).await.status, 200);
        }

        let path = format!("{}/sessions/revoke", path_of(&ada));
        let revoked = instances.first.post(&path).bearer(&admin.access_token);
        assert_eq!(revoked.send().await.status, 204);

        for (name, stack) in instances.both() {
            assert_eq!(me(stack, &ada).await.status, 401, "{decider:?} {name}");
        }
    }
}

#[tokio::test]
async fn a_reset_admits_the_next_request_everywhere_and_then_the_limit_once_more() {
    for decider in DECIDERS {
        let (instances, admin, ada) = start(decider).await;
        assert_eq!(exhaust(&instances, &ada).await, 3, "{decider:?}");

        for round in 0..2 {
            let path = format!("{}/reset", quota_path(&ada));
            let reset = instances.first.post(&path).bearer(&admin.access_token);
            let reset = reset.send().await;
            let admitted = exhaust(&instances, &ada).await;

            assert_eq!(reset.status, 204, "{}", reset.text);
            assert_eq!(admitted, 3, "{decider:?}, round {round}");
        }
    }
}
