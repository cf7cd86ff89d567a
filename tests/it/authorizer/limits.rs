//! Limits are those of Turnpike's own routes, counted in the same windows.

use serde_json::json;
use turnpike_local::Options;

use super::{authorize, http_event, let_in, refused, verdict, with_token};
use crate::support::TestStack;

const ME: &str = "/api/v1/auth/me";

/// A stack with these limits by the hour, and more of a policy, and its authorizer in `class`.
async fn stack_with(
    anonymous: u32,
    free: u32,
    more: &str,
    class: &str,
) -> (TestStack, tempfile::TempDir) {
    let policy = format!(
        "version = 1\n[tiers.anonymous]\nhour = {anonymous}\n[tiers.free]\nhour = {free}\n[tiers.enterprise]\n{more}\n"
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policy.toml");
    std::fs::write(&file, policy).unwrap();
    let stack = TestStack::start_as(|options| Options {
        policy: Some(file),
        env: options.env.with("TURNPIKE_AUTHORIZER_CLASS", class),
        ..options
    });
    (stack.await, folder)
}

#[tokio::test]
async fn a_window_is_shared_with_turnpikes_own_routes() {
    let (stack, _policy) = stack_with(1_000, 5, "", "default").await;
    let ada = stack.register("ada@example.com").await;
    let me = async || stack.get(ME).bearer(&ada.access_token).send().await.status;

    for _ in 0..2 {
        assert_eq!(me().await, 200);
    }
    for _ in 0..3 {
        assert_eq!(
            verdict(&stack, &with_token(&ada.access_token)).await,
            let_in()
        );
    }
    let denied = authorize(&stack, &with_token(&ada.access_token)).await;

    assert_eq!(denied["isAuthorized"], false);
    let context = &denied["context"];
    assert_eq!(context["code"], "quota-exceeded");
    assert_eq!(
        (&context["limit"], &context["remaining"]),
        (&json!(5), &json!(0))
    );
    assert!((1..=3_660).contains(&context["retry_after"].as_u64().unwrap()));
    assert_eq!(me().await, 429);
}

#[tokio::test]
async fn the_class_that_the_owner_chose_is_counted_too() {
    let class = "[classes.orders]
limits = [{ rate = \"2/minute\", per = \"user\" }]";
    let (stack, _policy) = stack_with(1_000, 100, class, "orders").await;
    let ada = stack.register("ada@example.com").await;
    let event = with_token(&ada.access_token);

    let verdicts = [
        verdict(&stack, &event).await,
        verdict(&stack, &event).await,
        verdict(&stack, &event).await,
    ];

    assert_eq!(verdicts, [let_in(), let_in(), refused("quota-exceeded")]);
    assert_eq!(stack.me_status(&ada.access_token).await, 200);
}

#[tokio::test]
async fn whoever_tries_credentials_that_are_none_is_limited_by_their_address() {
    let (stack, _policy) = stack_with(2, 100, "", "default").await;
    let junk = http_event(&json!({"x-api-key": "junk"}));

    let verdicts = [
        verdict(&stack, &junk).await,
        verdict(&stack, &junk).await,
        verdict(&stack, &junk).await,
    ];

    let unauthenticated = refused("unauthenticated");
    assert_eq!(
        verdicts,
        [
            unauthenticated.clone(),
            unauthenticated,
            refused("quota-exceeded")
        ]
    );
}
