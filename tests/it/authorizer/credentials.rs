//! Which credentials are taken: those of Turnpike's own routes, presented as there.

use serde_json::{Value, json};

use super::{http_event, let_in, refused, rest_event, verdict, with_key, with_token};
use crate::support::TestStack;

#[tokio::test]
async fn exactly_one_good_credential_counts_however_its_header_is_written() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let key = stack.make_key(&ada, json!({})).await;
    let (token, key) = (ada.access_token.as_str(), key.secret.as_str());
    let bearer = format!("Bearer {token}");
    let bearer = bearer.as_str();
    let cases: [(Value, (bool, String)); 17] = [
        (json!({"authorization": bearer}), let_in()),
        (json!({"Authorization": bearer}), let_in()),
        (
            json!({"AUTHORIZATION": format!("bearer   {token}")}),
            let_in(),
        ),
        (json!({"authorization": format!("Bearer {key}")}), let_in()),
        (json!({"x-api-key": key}), let_in()),
        (json!({"X-API-Key": key}), let_in()),
        (json!({}), refused("unauthenticated")),
        (Value::Null, refused("unauthenticated")),
        (json!({"authorization": ""}), refused("unauthenticated")),
        (json!({"authorization": token}), refused("unauthenticated")),
        (
            json!({"authorization": "Basic YTpi"}),
            refused("unauthenticated"),
        ),
        (
            json!({"authorization": "Bearer ä\u{0}"}),
            refused("unauthenticated"),
        ),
        (json!({"x-api-key": token}), refused("unauthenticated")),
        // Format 2.0 joins what was sent twice.
        (
            json!({"x-api-key": format!("{key},{key}")}),
            refused("unauthenticated"),
        ),
        (
            json!({"authorization": bearer, "x-api-key": key}),
            refused("ambiguous-credentials"),
        ),
        (
            json!({"authorization": bearer, "Authorization": bearer}),
            refused("ambiguous-credentials"),
        ),
        (
            json!({"x-api-key": key, "X-API-KEY": "junk"}),
            refused("ambiguous-credentials"),
        ),
    ];

    for (headers, expected) in cases {
        let event = http_event(&headers);
        assert_eq!(verdict(&stack, &event).await, expected, "{headers}");
    }
    let twice = rest_event(&[("X-API-Key", &["junk", key])]);
    let once = rest_event(&[("X-Api-Key", &[key])]);
    assert_eq!(
        verdict(&stack, &twice).await,
        refused("ambiguous-credentials")
    );
    assert_eq!(verdict(&stack, &once).await, let_in());
}

#[tokio::test]
async fn a_revoked_key_an_ended_session_and_a_deactivated_user_are_refused_at_once() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let (kept, revoked) = (
        stack.make_key(&ada, json!({})).await,
        stack.make_key(&ada, json!({})).await,
    );
    let ended = stack.login("ada@example.com").await;
    let events = [with_key(&revoked.secret), with_token(&ended.access_token)];
    for event in &events {
        assert_eq!(verdict(&stack, event).await, let_in());
    }

    stack.revoke_key(&ada, &revoked).await;
    let logout = stack
        .post("/api/v1/auth/logout")
        .bearer(&ended.access_token);
    assert_eq!(logout.send().await.status, 204);

    for event in &events {
        assert_eq!(verdict(&stack, event).await, refused("unauthenticated"));
    }
    assert_eq!(verdict(&stack, &with_key(&kept.secret)).await, let_in());
    stack.deactivate(&ada.id).await;
    assert_eq!(
        verdict(&stack, &with_key(&kept.secret)).await,
        refused("unauthenticated")
    );
}

#[tokio::test]
async fn a_key_for_a_network_is_taken_from_there_alone_whatever_the_client_writes() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let networks = json!({"allowed_cidrs": ["198.51.100.0/24", "2001:db8::/32"]});
    let key = stack.make_key(&ada, networks).await;
    let from = |ip: &str| {
        let spoofed = json!({"x-api-key": key.secret, "x-forwarded-for": "198.51.100.9"});
        let mut event = http_event(&spoofed);
        event["requestContext"]["http"]["sourceIp"] = json!(ip);
        event
    };

    for (ip, expected) in [
        ("198.51.100.9", let_in()),
        ("2001:db8::9", let_in()),
        ("203.0.113.7", refused("ip-not-allowed")),
        ("2001:db9::9", refused("ip-not-allowed")),
        ("", refused("ip-not-allowed")),
    ] {
        assert_eq!(verdict(&stack, &from(ip)).await, expected, "{ip:?}");
    }
}
