//! `DELETE /api/v1/preferences`.

use super::{create, delete, show, wish};
use crate::support::TestStack;

#[tokio::test]
async fn removed_preferences_are_gone_and_can_be_set_anew() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    let bob = stack.register("bob@example.com").await;
    create(&stack, &ada, &wish()).await;
    create(&stack, &bob, &wish()).await;

    let removed = delete(&stack, &ada).await;
    let again = delete(&stack, &ada).await;

    assert_eq!((removed.status, removed.text.as_str()), (204, ""));
    again.assert_problem(404, "not-found");
    show(&stack, &ada).await.assert_problem(404, "not-found");
    assert_eq!(show(&stack, &bob).await.status, 200);
    assert_eq!(create(&stack, &ada, &wish()).await.status, 201);
}
