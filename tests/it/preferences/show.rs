//! `GET /api/v1/preferences`.

use super::{create, show, wish};
use crate::support::TestStack;

#[tokio::test]
async fn nobody_sees_anothers_preferences() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let bob = stack.register("bob@example.com").await;
    create(&stack, &ada, &wish()).await;

    show(&stack, &bob).await.assert_problem(404, "not-found");

    let mine = show(&stack, &ada).await;
    assert_eq!(mine.header("cache-control"), "no-store");
}
