//! Limits that an admin gave until some day: they end by themselves, and are cleared away.

use turnpike_shared::auth::User;
use turnpike_shared::limits::{Ask, Proof, Verdict};

use super::ground::{Ground, month, override_until, valkey_of};
use crate::limits::engines::dynamodb_engine_at;
use crate::support::RedisServer;

#[tokio::test]
async fn limits_that_have_expired_are_dropped_once_whoever_has_them() {
    let ground = Ground::at("2026-11-20T00:00:00Z").await;
    let lifted = Some(override_until("2026-11-20T01:00:00Z"));
    let ada = ground
        .user_as(1, |user| User {
            quota_override: lifted,
            ..user
        })
        .await;
    let inactive = |user| User {
        quota_override: lifted,
        is_active: false,
        ..user
    };
    let bob = ground.user_as(2, inactive).await;
    let later = Some(override_until("2026-11-21T00:00:00Z"));
    let eve = ground
        .user_as(3, |user| User {
            quota_override: later,
            ..user
        })
        .await;
    let app = ground.app().await;

    let before = ground.reset(&app).await.unwrap();
    ground.be_at("2026-11-20T01:00:00Z");
    let after = ground.reset(&app).await.unwrap();
    let again = ground.reset(&app).await.unwrap();

    let dropped = [before, after, again].map(|report| report.overrides_dropped);
    assert_eq!(dropped, [0, 2, 0]);
    let accounts = ground.accounts();
    for (member, is_lifted, epoch) in [(&ada, false, 2), (&bob, false, 2), (&eve, true, 1)] {
        let user = accounts.users().user(member.id).await.unwrap().unwrap();
        assert_eq!(user.quota_override.is_some(), is_lifted);
        let standing = accounts.users().standing(member.id).await.unwrap().unwrap();
        assert_eq!((user.epoch, standing.epoch), (epoch, epoch));
    }
    let dump = ground.dump().await;
    let is_entry = |key: &&String| key.contains("quota-override-ended");
    let entries = dump.keys().filter(is_entry);
    assert_eq!(entries.count(), 2);
}

#[tokio::test]
async fn whoever_knows_the_user_from_before_is_told_so_by_either_engine() {
    // Later than the link to Valkey was made, by the clock of this machine.
    let ground = Ground::at("2027-11-20T00:00:00Z").await;
    let server = RedisServer::start().await;
    let lifted = Some(override_until("2027-11-20T00:00:30Z"));
    let ada = ground
        .user_as(1, |user| User {
            quota_override: lifted,
            ..user
        })
        .await;
    let valkey = valkey_of(&ground, &server.address()).await;
    let (subject, checks) = (ada.subject(), [month(1)]);
    let ask = |epoch| Ask {
        subject: &subject,
        proof: Some(Proof {
            epoch,
            session: None,
        }),
        checks: &checks,
        now: ground.now(),
    };
    assert!(matches!(
        valkey.decide(&ask(1)).await.unwrap(),
        Verdict::Admitted(_)
    ));

    // Valkey would still believe its copy of the standing.
    ground.be_at("2027-11-20T00:00:30Z");
    ground
        .reset(&ground.app_with(&server.address()).await)
        .await
        .unwrap();

    let dynamodb = dynamodb_engine_at(&ground.engine.endpoint());
    assert_eq!(valkey.decide(&ask(1)).await.unwrap(), Verdict::Outdated);
    assert_eq!(dynamodb.decide(&ask(1)).await.unwrap(), Verdict::Outdated);
    assert!(matches!(
        valkey.decide(&ask(2)).await.unwrap(),
        Verdict::Admitted(_)
    ));
}
