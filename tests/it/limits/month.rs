//! The month on Valkey: blocks are leased from DynamoDB, small ones, so that whatever becomes of
//! Valkey no month is sold twice and little of it is lost.

use turnpike_shared::clock::Timestamp;
use turnpike_shared::limits::{Check, Subject, Verdict, Window, WindowId};
use turnpike_shared::stores::ValkeyEngine;

use super::engines::{
    ask, check, decide_when_linked, dynamodb_engine_at, fresh_subject, start_tables,
    timeless_valkey_engine,
};
use crate::support::{OldData, OwnEngine, RedisServer};

const NOVEMBER: Timestamp = Timestamp::from_millis(1_795_207_380_000);

fn month(limit: u64) -> Check {
    check(WindowId::MONTH, Window::Month, limit)
}

fn month_at(limit: u64, cost: u64) -> Check {
    Check {
        cost,
        ..month(limit)
    }
}

/// What DynamoDB says is taken from the subject's month.
async fn taken(tables: &OwnEngine, subject: &Subject) -> u64 {
    let engine = dynamodb_engine_at(&tables.endpoint());
    let readings = engine.look(subject, &[month(1)], NOVEMBER).await.unwrap();
    readings[0].used
}

async fn is_admitted(engine: &ValkeyEngine, subject: &Subject, checks: &[Check]) -> bool {
    let verdict = engine.decide(&ask(subject, checks, NOVEMBER)).await;
    match verdict.unwrap() {
        Verdict::Admitted(_) => true,
        Verdict::Refused(_) => false,
        other => panic!("{other:?} without a credential"),
    }
}

/// Asks until it is refused; how often it was admitted.
async fn spend(engine: &ValkeyEngine, subject: &Subject, checks: &[Check]) -> u64 {
    let mut admitted = 0;
    while is_admitted(engine, subject, checks).await {
        admitted += 1;
    }
    admitted
}

#[tokio::test]
async fn a_lease_is_a_hundred_at_most_or_a_hundredth_of_what_remains_or_what_is_needed() {
    let (tables, server) = (start_tables().await, RedisServer::start().await);
    let engine = timeless_valkey_engine(server.address(), &tables.endpoint()).await;
    let cases = [
        (1_000_000, 1, 100),
        (10_000, 1, 100),
        (9_999, 1, 99),
        (5_000, 1, 50),
        (99, 1, 1),
        (99, 7, 7),
        (50_000, 250, 250),
    ];

    for (limit, cost, block) in cases {
        let subject = fresh_subject();
        assert!(is_admitted(&engine, &subject, &[month_at(limit, cost)]).await);

        let leased = taken(&tables, &subject).await;

        assert_eq!(leased, block, "{cost} of {limit}");
    }
}

#[tokio::test]
async fn of_two_months_in_one_request_each_is_leased_once() {
    let (tables, server) = (start_tables().await, RedisServer::start().await);
    let engine = timeless_valkey_engine(server.address(), &tables.endpoint()).await;

    for (of_user, of_key) in [(250, 260), (260, 250)] {
        let subject = fresh_subject();
        let of_key = check(WindowId::of_key(0, Window::Month), Window::Month, of_key);

        let admitted = spend(&engine, &subject, &[month(of_user), of_key]).await;

        assert_eq!(admitted, 250);
    }
}

#[tokio::test]
async fn two_servers_sell_a_month_once() {
    let tables = start_tables().await;
    let servers = [RedisServer::start().await, RedisServer::start().await];
    let subject = fresh_subject();
    let mut spending = vec![];
    for server in [&servers[0], &servers[0], &servers[1], &servers[1]] {
        let engine = timeless_valkey_engine(server.address(), &tables.endpoint()).await;
        let subject = subject.clone();
        spending.push(tokio::spawn(async move {
            spend(&engine, &subject, &[month(330)]).await
        }));
    }

    let mut admitted = 0;
    for spent in spending {
        admitted += spent.await.unwrap();
    }

    assert_eq!(admitted, 330);
}

#[tokio::test]
async fn a_server_that_lost_everything_loses_a_block_and_sells_none_twice() {
    let (tables, mut server) = (start_tables().await, RedisServer::start().await);
    let engine = timeless_valkey_engine(server.address(), &tables.endpoint()).await;
    let subject = fresh_subject();
    let checks = [month(400)];
    for _ in 0..25 {
        assert!(is_admitted(&engine, &subject, &checks).await);
    }

    server.restart(OldData::Lost).await;
    decide_when_linked(&engine, &ask(&subject, &checks, NOVEMBER)).await;
    let admitted = 25 + 1 + spend(&engine, &subject, &checks).await;

    assert!((396..=400).contains(&admitted), "{admitted} of 400");
    assert_eq!(taken(&tables, &subject).await, 400);
}

#[tokio::test]
async fn what_was_leased_under_a_larger_limit_is_not_spent_under_a_smaller_one() {
    let (tables, server) = (start_tables().await, RedisServer::start().await);
    let engine = timeless_valkey_engine(server.address(), &tables.endpoint()).await;
    let subject = fresh_subject();
    assert!(is_admitted(&engine, &subject, &[month(1_000)]).await);

    let admitted = spend(&engine, &subject, &[month(3)]).await;

    assert_eq!(1 + admitted, 3);
}

#[tokio::test]
async fn what_is_left_of_a_block_and_of_the_month_can_be_spent_together() {
    let (tables, server) = (start_tables().await, RedisServer::start().await);
    let engine = timeless_valkey_engine(server.address(), &tables.endpoint()).await;
    let subject = fresh_subject();
    assert!(is_admitted(&engine, &subject, &[month(250)]).await);
    let elsewhere = dynamodb_engine_at(&tables.endpoint());
    let most = [month_at(250, 247)];
    elsewhere
        .decide(&ask(&subject, &most, NOVEMBER))
        .await
        .unwrap();

    let too_much = is_admitted(&engine, &subject, &[month_at(250, 3)]).await;
    let the_rest = is_admitted(&engine, &subject, &[month_at(250, 2)]).await;
    let more = engine
        .decide(&ask(&subject, &[month(250)], NOVEMBER))
        .await
        .unwrap();

    assert!(!too_much && the_rest);
    let Verdict::Refused(readings) = more else {
        panic!("the month is spent");
    };
    assert_eq!(readings[0].used, 250);
    assert_eq!(
        readings[0].admits_at,
        Some("2026-12-01T00:00:00Z".parse().unwrap())
    );
}

#[tokio::test]
async fn callers_on_both_sides_of_a_months_edge_do_not_throw_each_others_block_away() {
    let (tables, server) = (start_tables().await, RedisServer::start().await);
    let subject = fresh_subject();
    let checks = [month(10_000)];
    let engine = timeless_valkey_engine(server.address(), &tables.endpoint()).await;
    let at = async |now: &str| {
        let asked = ask(&subject, &checks, now.parse().unwrap());
        engine.decide(&asked).await.unwrap()
    };

    for _ in 0..20 {
        at("2026-12-01T00:00:00.020Z").await;
        at("2026-11-30T23:59:59.980Z").await;
    }

    let elsewhere = dynamodb_engine_at(&tables.endpoint());
    let december = "2026-12-01T00:00:01Z".parse().unwrap();
    let readings = elsewhere.look(&subject, &checks, december).await.unwrap();
    assert_eq!(readings[0].used, 100);
}
