//! `/api/v1/proxy/{upstream}/{path}`: what passes, in both directions; what the cache keeps, gives and
//! asks about anew, by RFC 9111; and what happens when an upstream does not do its part.

mod admission;
mod concurrency;
mod conditions;
mod faults;
mod freshness;
mod invalidation;
mod owners;
mod passing;
mod storing;
mod variants;

use reqwest::Method;
use tempfile::NamedTempFile;
use turnpike_local::Options;
use turnpike_shared::config::Environment;

use crate::support::{Account, Answer, Call, Reply, TestStack, TestUpstream, until};

/// Fields of an upstream that `/proxy` reaches.
const PROXIED: &str = "proxy = true\n";

/// A stack with one upstream, `library`, which `/proxy` reaches, and a user.
struct Proxied {
    stack: TestStack,
    upstream: TestUpstream,
    user: Account,
    _policy: NamedTempFile,
}

impl Proxied {
    async fn answering(reply: Reply) -> Self {
        Self::start(reply, "").await
    }

    /// One that the policy declares with further `fields`.
    async fn start(reply: Reply, fields: &str) -> Self {
        let upstream = TestUpstream::answering(reply).await;
        let policy = upstream.policy("library", &format!("{PROXIED}{fields}"));
        Self::with_policy(upstream, &policy).await
    }

    async fn with_policy(upstream: TestUpstream, text: &str) -> Self {
        Self::with_env(upstream, text, &|env| env).await
    }

    async fn with_env(
        upstream: TestUpstream,
        text: &str,
        adjust: &dyn Fn(Environment) -> Environment,
    ) -> Self {
        let policy = NamedTempFile::new().unwrap();
        std::fs::write(policy.path(), text).unwrap();
        let stack = TestStack::start_as(|options| Options {
            policy: Some(policy.path().to_owned()),
            env: adjust(options.env),
            ..options
        })
        .await;
        Self {
            user: stack.register("ada@example.com").await,
            stack,
            upstream,
            _policy: policy,
        }
    }

    fn get(&self, path: &str) -> Call {
        self.call(Method::GET, path)
    }

    /// A request of the user's for a path below the upstream's base.
    fn call(&self, method: Method, path: &str) -> Call {
        self.call_by(&self.user, method, path)
    }

    fn call_by(&self, account: &Account, method: Method, path: &str) -> Call {
        let path = format!("/api/v1/proxy/library{path}");
        self.stack.call(method, &path).bearer(&account.access_token)
    }

    fn calls(&self) -> usize {
        self.upstream.calls()
    }

    async fn until_called(&self, times: usize) {
        until(async || {
            let calls = self.calls();
            if calls == times {
                Ok(())
            } else {
                Err(format!("called {calls} times"))
            }
        })
        .await;
    }
}

/// A text that its upstream says this of, in `Cache-Control`.
fn said(cache_control: &str) -> Reply {
    Reply::text("content").with_header("cache-control", cache_control)
}

/// What the cache says of its part in an answer, without the caches behind it. Tests count in tens of
/// seconds: what passes by itself within one is made up for.
#[track_caller]
fn cache_status(answer: &Answer) -> String {
    let header = answer.header("cache-status");
    let own = header.rsplit(", ").next().unwrap();
    let own = own.strip_prefix("turnpike;");
    let own = own.unwrap_or_else(|| panic!("{header:?}: {}", answer.text));
    let whole = |parameter: &str| match parameter.strip_prefix("ttl=") {
        Some(ttl) => format!(
            "ttl={}",
            -(-ttl.parse::<i64>().unwrap()).div_euclid(10) * 10
        ),
        None => parameter.to_owned(),
    };
    let parameters: Vec<String> = own.split(';').map(str::trim).map(whole).collect();
    parameters.join(";")
}

/// How old an answer says that it is, in whole tens of seconds.
#[track_caller]
fn age(answer: &Answer) -> u64 {
    answer.header("age").parse::<u64>().unwrap() / 10 * 10
}

#[track_caller]
fn is_hit(answer: &Answer) -> bool {
    cache_status(answer).starts_with("hit")
}
