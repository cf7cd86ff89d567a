//! With Valkey, the month is leased in blocks: what is charged is what was let in, and not what was
//! leased; and where Valkey no longer knows, never less than what was let in.

use super::ground::{Ground, Member, valkey_of};
use crate::support::{OldData, RedisServer};

/// A user who has had 30 requests let in of a block of 100.
async fn who_spent_thirty<'a>(ground: &'a Ground, server: &RedisServer) -> Member<'a> {
    let ada = ground.user(1).await;
    let valkey = valkey_of(ground, &server.address()).await;
    ada.uses_through(&valkey, 30).await;
    assert_eq!(ada.counted().await, 100);
    ada
}

#[tokio::test]
async fn what_was_let_in_is_charged_and_not_what_was_leased() {
    let ground = Ground::at("2026-11-20T00:00:00Z").await;
    let server = RedisServer::start().await;
    let ada = who_spent_thirty(&ground, &server).await;
    let app = ground.app_with(&server.address()).await;

    ground.be_at("2026-12-01T00:10:00Z");
    ground.reset(&app).await.unwrap();
    let valkey = valkey_of(&ground, &server.address()).await;
    ada.uses_through(&valkey, 3).await;
    ground.be_at("2027-01-01T00:10:00Z");
    ground.reset(&app).await.unwrap();

    assert_eq!(ground.charged(ada.id, "2026-11").await, Some(30));
    assert_eq!(ground.charged(ada.id, "2026-12").await, Some(3));
}

#[tokio::test]
async fn requests_that_roll_the_month_over_first_leave_the_rest_of_it_known() {
    let ground = Ground::at("2026-10-20T00:00:00Z").await;
    let server = RedisServer::start().await;
    let ada = who_spent_thirty(&ground, &server).await;
    let valkey = valkey_of(&ground, &server.address()).await;
    for (month, times) in [("2026-11", 120), ("2026-12", 7)] {
        ground.be_at(&format!("{month}-20T00:00:00Z"));
        ada.uses_through(&valkey, times).await;
    }

    ground.be_at("2027-01-01T00:10:00Z");
    let app = ground.app_with(&server.address()).await;
    ground.reset(&app).await.unwrap();
    ground.reset(&app).await.unwrap();

    for (month, used) in [("2026-10", 30), ("2026-11", 120), ("2026-12", 7)] {
        assert_eq!(ground.charged(ada.id, month).await, Some(used), "{month}");
    }
}

#[tokio::test]
async fn nobody_spends_what_was_left_of_a_month_that_is_closed() {
    let ground = Ground::at("2026-11-20T00:00:00Z").await;
    let server = RedisServer::start().await;
    let ada = who_spent_thirty(&ground, &server).await;
    let valkey = valkey_of(&ground, &server.address()).await;
    ground.be_at("2026-12-01T00:10:00Z");
    ground
        .reset(&ground.app_with(&server.address()).await)
        .await
        .unwrap();

    ground.be_at("2026-11-30T23:59:59Z");
    ada.uses_through(&valkey, 5).await;

    ground.be_at("2027-01-01T00:10:00Z");
    ground
        .reset(&ground.app_with(&server.address()).await)
        .await
        .unwrap();
    assert_eq!(ground.charged(ada.id, "2026-11").await, Some(30));
    assert_eq!(ground.charged(ada.id, "2026-12").await, Some(5));
}

#[tokio::test]
async fn what_dynamodb_let_in_while_valkey_was_away_is_charged_too() {
    let ground = Ground::at("2026-11-20T00:00:00Z").await;
    let server = RedisServer::start().await;
    let ada = who_spent_thirty(&ground, &server).await;
    ada.uses(11).await;

    ground.be_at("2026-12-01T00:10:00Z");
    ground
        .reset(&ground.app_with(&server.address()).await)
        .await
        .unwrap();

    assert_eq!(ground.charged(ada.id, "2026-11").await, Some(41));
}

#[tokio::test]
async fn a_valkey_that_lost_everything_makes_all_that_was_leased_charged() {
    let ground = Ground::at("2026-11-20T00:00:00Z").await;
    let mut server = RedisServer::start().await;
    let ada = who_spent_thirty(&ground, &server).await;
    server.restart(OldData::Lost).await;

    ground.be_at("2026-12-01T00:10:00Z");
    ground
        .reset(&ground.app_with(&server.address()).await)
        .await
        .unwrap();

    assert_eq!(ground.charged(ada.id, "2026-11").await, Some(100));
}

#[tokio::test]
async fn while_valkey_is_away_periods_stay_open_for_two_days() {
    let ground = Ground::at("2026-11-20T00:00:00Z").await;
    let mut server = RedisServer::start().await;
    let ada = who_spent_thirty(&ground, &server).await;
    server.save().await;
    server.kill().await;
    let app = ground.app_with(&server.address()).await;

    ground.be_at("2026-12-02T23:59:00Z");
    let deferred = ground.reset(&app).await.unwrap();
    let still_open = ground.charged(ada.id, "2026-11").await;
    ground.be_at("2026-12-03T00:00:00Z");
    let given_up = ground.reset(&app).await.unwrap();

    assert_eq!((deferred.deferred, deferred.periods_closed), (1, 0));
    assert_eq!(still_open, None);
    assert_eq!((given_up.deferred, given_up.periods_closed), (0, 1));
    assert_eq!(ground.charged(ada.id, "2026-11").await, Some(100));
}

#[tokio::test]
async fn a_valkey_that_comes_back_in_time_still_knows_what_was_not_spent() {
    let ground = Ground::at("2026-11-20T00:00:00Z").await;
    let mut server = RedisServer::start().await;
    let ada = who_spent_thirty(&ground, &server).await;
    server.save().await;
    server.kill().await;
    ground.be_at("2026-12-01T00:10:00Z");
    let away = ground.app_with(&server.address()).await;
    ground.reset(&away).await.unwrap();

    server.restart(OldData::Kept).await;
    let back = ground.app_with(&server.address()).await;
    ground.reset(&back).await.unwrap();

    assert_eq!(ground.charged(ada.id, "2026-11").await, Some(30));
}
