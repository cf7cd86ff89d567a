//! When records are written.

use futures_util::future::join_all;
use turnpike_local::Engine;

use super::{batches, records};
use crate::support::{OwnEngine, TestStack, client_at, until};

const ME: &str = "/api/v1/auth/me";

/// Waits until nothing waits to be written.
async fn all_is_written(stack: &TestStack) {
    until(async || match stack.stack.recorder.unwritten() {
        0 => Ok(()),
        waiting => Err(format!("{waiting} records still wait")),
    })
    .await;
}

#[tokio::test]
async fn twenty_five_records_are_written_together() {
    let stack = TestStack::start().await;
    let ada = stack.register("ada@example.com").await;
    stack.stack.recorder.flush().await;

    let ask = || stack.get(ME).bearer(&ada.access_token).send();
    join_all((0..100).map(|_| ask())).await;

    all_is_written(&stack).await;
    let client = stack.dynamodb().await;
    let sizes: Vec<usize> = batches(&client).await.iter().map(Vec::len).collect();
    assert_eq!(sizes.iter().sum::<usize>(), 101);
    assert!(sizes.len() <= 6, "{sizes:?}");
}

#[tokio::test]
async fn a_record_that_no_other_follows_is_written_by_itself() {
    let stack = TestStack::start().await;
    stack.register("ada@example.com").await;

    all_is_written(&stack).await;

    assert_eq!(records(&stack.dynamodb().await).await.len(), 1);
}

#[tokio::test]
async fn what_waits_is_written_when_the_stack_stops() {
    let engine = OwnEngine::start().await;
    let stack = TestStack::start_on(Engine::At(engine.endpoint()), |env| env).await;
    let ada = stack.register("ada@example.com").await;
    stack.get(ME).bearer(&ada.access_token).send().await;

    stack.stack.stop().await;

    assert_eq!(records(&client_at(&engine.endpoint())).await.len(), 2);
}
