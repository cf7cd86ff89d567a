//! Notices of how much of a month is used: each threshold once in a period.

use turnpike_shared::auth::{Tier, User};

use super::ground::{Ground, MONTH, override_until, valkey_of};
use crate::support::{OldData, RedisServer, TestStack};

impl Ground {
    /// The notices in the outbox: whose, and of how many percent.
    async fn notices(&self) -> Vec<String> {
        let dump = self.dump().await;
        let of_outbox = dump
            .keys()
            .filter_map(|key| key.strip_prefix("IdentityTable NOTICE "));
        of_outbox.map(str::to_owned).collect()
    }
}

#[tokio::test]
async fn a_threshold_is_told_once_in_a_period() {
    let ground = Ground::at("2026-11-20T00:00:00Z").await;
    let ada = ground.user(1).await;
    let app = ground.app().await;
    let fifth = MONTH / 5;
    let mut raised = vec![];

    for cost in [4 * fifth - 1, 1, 1, fifth - 1, 0] {
        ada.uses(cost).await;
        for _ in 0..2 {
            raised.push(ground.reset(&app).await.unwrap().notices_raised);
        }
    }
    ground.be_at("2026-12-20T00:00:00Z");
    ada.uses(4 * fifth).await;
    raised.push(ground.reset(&app).await.unwrap().notices_raised);

    assert_eq!(raised, [0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1]);
    let notices = ground.notices().await;
    let told = [
        "2026-11 N(\"100\")",
        "2026-11 N(\"80\")",
        "2026-12 N(\"80\")",
    ];
    assert_eq!(notices, told.map(|told| format!("{} {told}", ada.id)));
}

#[tokio::test]
async fn who_uses_all_at_once_is_told_that_alone() {
    let ground = Ground::at("2026-11-20T00:00:00Z").await;
    let ada = ground.user(1).await;
    ada.uses(MONTH).await;

    ground.reset(&ground.app().await).await.unwrap();

    let notices = ground.notices().await;
    assert_eq!(notices.len(), 1);
    assert!(notices[0].contains("100"), "{notices:?}");
}

#[tokio::test]
async fn the_limit_is_the_users_own_and_what_is_unlimited_is_never_used_up() {
    let ground = Ground::at("2026-11-20T00:00:00Z").await;
    let lifted = Some(override_until("2026-11-21T00:00:00Z"));
    let lifted = ground
        .user_as(1, |user| User {
            quota_override: lifted,
            ..user
        })
        .await;
    let enterprise = |user| User {
        tier: Tier::enterprise(),
        ..user
    };
    let unlimited = ground.user_as(2, enterprise).await;
    lifted.uses(80).await;
    unlimited.uses(MONTH).await;

    let report = ground.reset(&ground.app().await).await.unwrap();

    assert_eq!(report.notices_raised, 1);
    assert!(ground.notices().await[0].contains(&lifted.id.to_string()));
}

#[tokio::test]
async fn what_is_leased_and_not_spent_is_not_used() {
    let ground = Ground::at("2026-11-20T00:00:00Z").await;
    let server = RedisServer::start().await;
    let ada = ground.user(1).await;
    ada.uses(MONTH / 5 * 4 - 50).await;
    let valkey = valkey_of(&ground, &server.address()).await;
    ada.uses_through(&valkey, 40).await;
    let leased = ada.counted().await;
    let app = ground.app_with(&server.address()).await;

    let below = ground.reset(&app).await.unwrap();
    ada.uses_through(&valkey, 10).await;
    let reached = ground.reset(&app).await.unwrap();

    assert!(leased >= MONTH / 5 * 4 - 10, "{leased} are leased");
    assert_eq!((below.notices_raised, reached.notices_raised), (0, 1));
}

#[tokio::test]
async fn nobody_is_told_of_use_that_may_not_have_happened_while_valkey_is_away() {
    let ground = Ground::at("2026-11-20T00:00:00Z").await;
    let mut server = RedisServer::start().await;
    let ada = ground.user(1).await;
    ada.uses(MONTH / 5 * 4 - 30).await;
    let valkey = valkey_of(&ground, &server.address()).await;
    ada.uses_through(&valkey, 25).await;
    assert!(ada.counted().await >= MONTH / 5 * 4, "more is leased");
    server.save().await;
    server.kill().await;

    let away = ground.app_with(&server.address()).await;
    let untold = ground.reset(&away).await.unwrap();
    ada.uses(10).await;
    server.restart(OldData::Kept).await;
    let back = ground.app_with(&server.address()).await;
    let told = ground.reset(&back).await.unwrap();

    assert_eq!((untold.notices_raised, told.notices_raised), (0, 1));
    assert_eq!(ground.notices().await.len(), 1);
}

#[tokio::test]
async fn the_mailbox_of_the_local_stack_passes_notices_over() {
    let stack = TestStack::start().await;
    stack.register("ada@example.com").await;
    let notice = [
        ("pk", "OUTBOX#evt_019aa000000070008000000000000001"),
        ("sk", "NOTICE"),
    ];
    let client = stack.dynamodb().await;
    let mut put = client.put_item().table_name("IdentityTable");
    for (name, value) in notice {
        put = put.item(
            name,
            aws_sdk_dynamodb::types::AttributeValue::S(value.into()),
        );
    }
    put.send().await.unwrap();

    stack.stack.settle().await.unwrap();

    assert_eq!(stack.mails("ada@example.com").await.len(), 1);
    let kept = client.get_item().table_name("IdentityTable");
    let kept = notice.into_iter().fold(kept, |get, (name, value)| {
        get.key(
            name,
            aws_sdk_dynamodb::types::AttributeValue::S(value.into()),
        )
    });
    assert!(kept.send().await.unwrap().item.is_some());
}
