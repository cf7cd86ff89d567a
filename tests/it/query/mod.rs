//! `POST /api/v1/query`: who is let in and at what price, what comes of a query, where it comes
//! from, and what happens when something on the way does not do its part.

mod admission;
mod answers;
mod cost;
mod faults;
mod sharing;

use serde_json::{Value, json};
use tempfile::NamedTempFile;
use turnpike_local::Options;

use crate::support::{Account, Answer, Call, Reply, TestStack, TestUpstream};

const QUERY: &str = "/api/v1/query";

/// A policy of the test's own, in a file.
struct PolicyFile(NamedTempFile);

impl PolicyFile {
    fn new(text: &str) -> Self {
        let file = Self(NamedTempFile::new().unwrap());
        file.write(text);
        file
    }

    fn write(&self, text: &str) {
        std::fs::write(self.0.path(), text).unwrap();
    }
}

/// A stack with one upstream, `library`.
struct Library {
    stack: TestStack,
    upstream: TestUpstream,
    _policy: PolicyFile,
}

impl Library {
    /// One whose answers are all alike, declared with `fields`.
    async fn answering(reply: Reply, fields: &str) -> Self {
        Self::start(reply, fields, |options| options).await
    }

    async fn start(reply: Reply, fields: &str, adjust: impl FnOnce(Options) -> Options) -> Self {
        let upstream = TestUpstream::answering(reply).await;
        let policy = PolicyFile::new(&upstream.policy("library", fields));
        let stack = stack_with(&policy, adjust).await;
        Self {
            stack,
            upstream,
            _policy: policy,
        }
    }

    fn ask(&self, account: &Account, text: &str) -> Call {
        ask(&self.stack, account, text)
    }
}

async fn stack_with(policy: &PolicyFile, adjust: impl FnOnce(Options) -> Options) -> TestStack {
    TestStack::start_as(|options| {
        adjust(Options {
            policy: Some(policy.0.path().to_owned()),
            ..options
        })
    })
    .await
}

/// The upstream `library`, asked this.
fn ask(stack: &TestStack, account: &Account, text: &str) -> Call {
    put(
        stack,
        account,
        &json!({"upstream": "library", "query": text}),
    )
}

fn put(stack: &TestStack, account: &Account, body: &Value) -> Call {
    stack.post(QUERY).bearer(&account.access_token).json(body)
}

/// The cache's part in an answer: its status and the tier.
#[track_caller]
fn cache_of(answer: &Answer) -> (&str, Option<&str>) {
    assert_eq!(answer.status, 200, "{}", answer.text);
    let cache = &answer.body["cache"];
    (cache["status"].as_str().unwrap(), cache["tier"].as_str())
}

#[track_caller]
fn status_of(answer: &Answer) -> &str {
    cache_of(answer).0
}
