//! Periods that are closed: by whom the month was rolled over, and when, makes no difference.

use turnpike_shared::auth::{Allowance, QuotaOverride, Tier, User};
use turnpike_shared::ids::BatchId;
use turnpike_shared::stores::{UsageStore, Whose};
use turnpike_shared::usage::{Slice, Sum as _, UsageCaller, UsageRecord, UserUsage};

use super::ground::{Ground, MONTH, Member, override_until};
use crate::support::dynamodb_at;

#[tokio::test]
async fn what_was_charged_in_a_month_is_written_down_when_it_has_ended() {
    let ground = Ground::at("2026-11-20T00:00:00Z").await;
    let (ada, bob) = (ground.user(1).await, ground.user(2).await);
    ada.uses(7).await;
    ada.uses(5).await;
    let app = ground.app().await;

    let too_early = ground.reset(&app).await.unwrap();
    ground.be_at("2026-12-01T00:05:01Z");
    let in_time = ground.reset(&app).await.unwrap();
    let again = ground.reset(&app).await.unwrap();

    assert_eq!((too_early.users, too_early.periods_closed), (2, 0));
    assert_eq!((in_time.users, in_time.periods_closed), (2, 1));
    assert_eq!(
        (in_time.charged, in_time.recorded, in_time.unrecorded),
        (12, 0, 12)
    );
    assert_eq!(
        (again.users, again.periods_closed, again.charged),
        (2, 0, 0)
    );
    let period = ground.period(ada.id, "2026-11").await.unwrap();
    assert_eq!(period["charged"].as_n().unwrap(), "12");
    assert_eq!(period["limit"].as_n().unwrap(), &MONTH.to_string());
    assert_eq!(period["tier"].as_s().unwrap(), "free");
    let expires_at = "2028-01-05T00:00:00Z"
        .parse::<turnpike_shared::clock::Timestamp>()
        .unwrap();
    assert_eq!(
        period["ttl"].as_n().unwrap(),
        &expires_at.seconds().to_string()
    );
    assert!(
        ground.period(bob.id, "2026-11").await.is_none(),
        "he did nothing"
    );
    assert_eq!(ada.counted().await, 0, "the next month has begun");
}

#[tokio::test]
async fn a_request_that_rolls_the_month_over_first_takes_nothing_from_it() {
    let ground = Ground::at("2026-11-20T00:00:00Z").await;
    let ada = ground.user(1).await;
    ada.uses(12).await;
    ground.be_at("2026-12-01T00:00:00Z");
    ada.uses(3).await;

    ground.be_at("2026-12-01T00:10:00Z");
    ground.reset(&ground.app().await).await.unwrap();

    assert_eq!(ground.charged(ada.id, "2026-11").await, Some(12));
    assert_eq!(ada.counted().await, 3);
    ground.be_at("2027-01-01T00:10:00Z");
    ground.reset(&ground.app().await).await.unwrap();
    assert_eq!(ground.charged(ada.id, "2026-12").await, Some(3));
}

#[tokio::test]
async fn a_schedule_that_is_up_to_three_months_late_loses_no_month() {
    let ground = Ground::at("2026-08-20T00:00:00Z").await;
    let ada = ground.user(1).await;
    let months = ["2026-08", "2026-09", "2026-10", "2026-11", "2026-12"];
    for (used, month) in (1..).zip(months) {
        ground.be_at(&format!("{month}-20T00:00:00Z"));
        ada.uses(used).await;
        if month == "2026-09" {
            // The last time for long.
            ground.reset(&ground.app().await).await.unwrap();
        }
    }

    let late = ground.reset(&ground.app().await).await.unwrap();

    assert_eq!(late.periods_closed, 3);
    for (used, month) in (1..).zip(&months[..4]) {
        assert_eq!(ground.charged(ada.id, month).await, Some(used), "{month}");
    }
    assert_eq!(ground.charged(ada.id, "2026-12").await, None);
    assert_eq!(ada.counted().await, 5);
}

#[tokio::test]
async fn a_reset_at_the_turn_of_the_month_in_which_one_with_an_older_reset_is_forgotten() {
    let ground = Ground::at("2026-07-20T00:00:00Z").await;
    let ada = ground.user(1).await;
    ada.uses(4).await;
    ada.is_reset().await;
    let months = ["2026-07", "2026-08", "2026-09", "2026-10"];
    for (used, month) in (1..).zip(months) {
        ground.be_at(&format!("{month}-25T00:00:00Z"));
        ada.uses(used).await;
    }

    ground.be_at("2026-11-01T00:00:00Z");
    ada.is_reset().await;

    assert_eq!(ada.counted().await, 0);
    ground.be_at("2026-11-01T00:10:00Z");
    ground.reset(&ground.app().await).await.unwrap();
    assert_eq!(ground.charged(ada.id, "2026-07").await, None, "too late");
    for (used, month) in (1..).zip(months).skip(1) {
        assert_eq!(ground.charged(ada.id, month).await, Some(used), "{month}");
    }
}

#[tokio::test]
async fn a_late_clock_counts_in_the_new_month_once_the_old_one_is_closed() {
    let ground = Ground::at("2026-11-20T00:00:00Z").await;
    let ada = ground.user(1).await;
    ada.uses(12).await;
    ground.be_at("2026-12-01T00:10:00Z");
    ground.reset(&ground.app().await).await.unwrap();

    ground.be_at("2026-11-30T23:59:59Z");
    ada.uses(1).await;

    ground.be_at("2027-01-01T00:10:00Z");
    ground.reset(&ground.app().await).await.unwrap();
    assert_eq!(ground.charged(ada.id, "2026-11").await, Some(12));
    assert_eq!(ground.charged(ada.id, "2026-12").await, Some(1));
}

impl Member<'_> {
    /// Has requests recorded and summed up, now.
    async fn has_on_record(&self, requests: usize) {
        let (ground, whose) = (self.ground, Whose::User(self.id));
        let usage = UsageStore::new(&dynamodb_at(&ground.engine.endpoint()), "UsageTable".into());
        let record = UsageRecord {
            at: ground.now(),
            caller: Some(UsageCaller {
                user: self.id,
                tier: Tier::free(),
            }),
            method: "GET".into(),
            path: "/".into(),
            status: 200,
            duration_ms: 1,
            charged: 1,
        };
        let mut sum = UserUsage::default();
        (0..requests).for_each(|_| sum.add(&record));
        let slice = Slice::of(ground.now());
        let batch = BatchId::new(ground.now());
        usage.append(batch, &[record]).await.unwrap();
        usage.put_slice(whose, slice, sum).await.unwrap();
        let day = slice.hour().day();
        usage.sum_up_day::<UserUsage>(whose, day).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_recorded_stands_beside_what_was_charged() {
    let ground = Ground::at("2026-11-20T00:00:00Z").await;
    let ada = ground.user(1).await;
    let eve = ground
        .user_as(2, |user| User {
            tier: Tier::enterprise(),
            is_active: false,
            ..user
        })
        .await;
    ada.uses(12).await;
    ada.has_on_record(9).await;
    eve.has_on_record(4).await;

    ground.be_at("2026-12-01T00:10:00Z");
    let report = ground.reset(&ground.app().await).await.unwrap();

    assert_eq!(
        (report.periods_closed, report.charged, report.recorded),
        (2, 12, 13)
    );
    assert_eq!(report.unrecorded, 3);
    let period = ground.period(ada.id, "2026-11").await.unwrap();
    assert_eq!(period["recorded"].as_n().unwrap(), "9");
    let unlimited = ground.period(eve.id, "2026-11").await.unwrap();
    assert_eq!(unlimited["recorded"].as_n().unwrap(), "4");
    assert!(!unlimited.contains_key("charged") && !unlimited.contains_key("limit"));
}

#[tokio::test]
async fn a_period_that_was_unlimited_for_a_part_says_so() {
    let ground = Ground::at("2026-11-20T00:00:00Z").await;
    let lifted = QuotaOverride {
        month: Some(Allowance(None)),
        ..override_until("2026-11-25T00:00:00Z")
    };
    let at_first = ground
        .user_as(1, |user| User {
            quota_override: Some(lifted),
            ..user
        })
        .await;
    let at_last = ground
        .user_as(2, |user| User {
            tier: Tier::enterprise(),
            ..user
        })
        .await;
    let never = ground.user(3).await;
    for (member, counted, recorded) in [(&at_first, 5, 12), (&at_last, 5, 12), (&never, 5, 4)] {
        member.uses(counted).await;
        member.has_on_record(recorded).await;
    }

    ground.be_at("2026-12-01T00:10:00Z");
    let report = ground.reset(&ground.app().await).await.unwrap();

    assert_eq!((report.periods_closed, report.partial), (3, 2));
    assert_eq!(report.unrecorded, 1, "of whom it can be said");
    for (member, is_partial) in [(&at_first, true), (&at_last, true), (&never, false)] {
        let period = ground.period(member.id, "2026-11").await.unwrap();
        assert_eq!(period["charged"].as_n().unwrap(), "5");
        assert_eq!(period.contains_key("partial"), is_partial);
    }
}

#[tokio::test]
async fn the_limit_of_a_period_is_the_one_that_held_at_its_end() {
    let ground = Ground::at("2026-11-20T00:00:00Z").await;
    let limits = [
        ("2026-11-25T00:00:00Z", MONTH),
        ("2026-12-01T00:02:00Z", 100),
    ];
    let mut members = vec![];
    for (number, (expires_at, _)) in (1..).zip(limits) {
        let lifted = Some(override_until(expires_at));
        let as_lifted = |user| User {
            quota_override: lifted,
            ..user
        };
        let member = ground.user_as(number, as_lifted).await;
        member.uses(1).await;
        members.push(member);
    }

    ground.be_at("2026-12-01T00:10:00Z");
    ground.reset(&ground.app().await).await.unwrap();

    for (member, (expires_at, limit)) in members.iter().zip(limits) {
        let period = ground.period(member.id, "2026-11").await.unwrap();
        assert_eq!(
            period["limit"].as_n().unwrap(),
            &limit.to_string(),
            "{expires_at}"
        );
    }
}
