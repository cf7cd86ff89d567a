//! `GET /api/v1/analytics/usage`

use crate::support::TestStack;

#[tokio::test]
async fn it_answers_as_the_usage_of_users_does() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    for _ in 0..3 {
        stack.me_status(&ada.access_token).await;
    }
    stack.stack.settle().await.unwrap();
    let range = "?from=2020-01-01T00:00:00Z&to=2020-01-02T00:00:00Z";
    let ask = async |path: &str| stack.get(path).bearer(&ada.access_token).send().await;

    let here = ask("/api/v1/analytics/usage?granularity=hour").await;
    let there = ask("/api/v1/users/usage?granularity=hour").await;
    let refused_here = ask(&format!("/api/v1/analytics/usage{range}")).await;

    assert_eq!(here.status, 200, "{}", here.text);
    assert_eq!(here.body["total"], 3);
    assert_eq!(here.body, there.body);
    refused_here.assert_invalid(&[("from", "out-of-range")]);
}
