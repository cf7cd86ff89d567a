//! What happens when a store is away: a clear answer within the budget, no identity unchecked, and
//! everything as before once the store is back.

mod database;
mod dynamodb;
mod start;
mod valkey;

use std::time::Duration;

use turnpike_local::{Engine, Options};
use turnpike_shared::admission::Budgets;

use crate::support::{self, Answer, TestStack};

/// What a request may take beyond the budgets of the engines, on a busy machine.
const SLACK: Duration = Duration::from_secs(2);

/// A stack with the budgets that are deployed.
async fn stack_with_budgets(engine: String, adjust: impl FnOnce(Options) -> Options) -> TestStack {
    TestStack::start_as(|options| {
        adjust(Options {
            engine: Engine::At(engine),
            budgets: Budgets::default(),
            ..options
        })
    })
    .await
}

async fn me(stack: &TestStack, token: &str) -> Answer {
    stack.get("/api/v1/auth/me").bearer(token).send().await
}

/// Asks until the answer is as it should be, and fails if it never is.
async fn until(
    what: &str,
    mut ask: impl AsyncFnMut() -> Answer,
    is_so: impl Fn(&Answer) -> bool,
) -> Answer {
    support::until(async || {
        let answer = ask().await;
        if is_so(&answer) {
            Ok(answer)
        } else {
            Err(format!("{what}: {}", answer.text))
        }
    })
    .await
}
