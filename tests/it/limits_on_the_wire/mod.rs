//! Limits as a client meets them: in headers, in refusals and in their order, at sign-in, across
//! instances, and in what they cost.

mod calls;
pub(crate) mod epoch;
mod order;
mod sign_in;
mod wire;

use std::path::PathBuf;

use sfv::{BareItem, ListEntry, Parser};
use tempfile::TempDir;
use turnpike_local::Options;

use crate::support::{Answer, RedisServer, TestStack};

const ME: &str = "/api/v1/auth/me";
const LOGIN: &str = "/api/v1/auth/login";
const REGISTER: &str = "/api/v1/auth/register";
const REFRESH: &str = "/api/v1/auth/refresh";
const CHANGE: &str = "/api/v1/auth/password/change";
const SESSIONS: &str = "/api/v1/auth/sessions";

const WRONG: &str = "wrong-violin-harbour-7";

/// What every limited answer carries.
const HEADERS: [&str; 5] = [
    "ratelimit-policy",
    "ratelimit",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
];

/// Classes that are in nobody's way, for policies that are about something else.
const OPEN_ROUTES: &str = r#"
[classes.register]
limits = [{ rate = "1000000/hour", per = "ip" }]

[classes.auth]
limits = [{ rate = "1000000/minute", per = "ip" }]

[classes.token]
limits = [{ rate = "1000000/minute", per = "ip" }]
"#;

/// What decides limits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Decider {
    DynamoDb,
    Valkey,
}

pub(crate) const DECIDERS: [Decider; 2] = [Decider::DynamoDb, Decider::Valkey];

impl Decider {
    /// The server that it needs.
    pub(crate) async fn server(self) -> Option<RedisServer> {
        match self {
            Self::DynamoDb => None,
            Self::Valkey => Some(RedisServer::start().await),
        }
    }
}

pub(crate) fn url_of(server: Option<&RedisServer>) -> Option<String> {
    server.map(|server| server.address().url)
}

/// A policy of the test's own, in a file.
pub(crate) struct PolicyFile(TempDir);

impl PolicyFile {
    pub(crate) fn new(text: &str) -> Self {
        let file = Self(tempfile::tempdir().unwrap());
        file.write(text);
        file
    }

    fn write(&self, text: &str) {
        std::fs::write(self.path(), format!("version = 1\n{text}")).unwrap();
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("policy.toml")
    }
}

/// A stack whose limits are the ones to be tested.
struct Limited {
    stack: TestStack,
    policy: Option<PolicyFile>,
    _server: Option<RedisServer>,
}

impl Limited {
    /// With the policy that is compiled in.
    async fn built_in(decider: Decider) -> Self {
        Self::start(decider, None, |options| options).await
    }

    async fn with_policy(decider: Decider, text: &str) -> Self {
        Self::start(decider, Some(PolicyFile::new(text)), |options| options).await
    }

    async fn start(
        decider: Decider,
        policy: Option<PolicyFile>,
        adjust: impl FnOnce(Options) -> Options,
    ) -> Self {
        let server = decider.server().await;
        let stack = TestStack::start_as(|options| {
            adjust(Options {
                valkey: url_of(server.as_ref()),
                policy: policy.as_ref().map(PolicyFile::path),
                ..options
            })
        });
        Self {
            stack: stack.await,
            policy,
            _server: server,
        }
    }
}

/// One limit, as an answer shows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Shown {
    pub(crate) name: String,
    pub(crate) limit: i64,
    pub(crate) window: Option<i64>,
    pub(crate) remaining: i64,
    pub(crate) reset: Option<i64>,
}

/// The limits of an answer, read by RFC 9651 as a client would.
#[track_caller]
pub(crate) fn limits_of(answer: &Answer) -> Vec<Shown> {
    let policies = members(answer.header("ratelimit-policy"));
    let states = members(answer.header("ratelimit"));
    let names = |members: &[Member]| -> Vec<String> {
        members.iter().map(|member| member.name.clone()).collect()
    };
    assert_eq!(names(&policies), names(&states));
    let shown = policies.iter().zip(&states);
    shown
        .map(|(policy, state)| Shown {
            name: policy.name.clone(),
            limit: policy.parameter("q").expect("every policy has a quota"),
            window: policy.parameter("w"),
            remaining: state.parameter("r").expect("every limit has a remainder"),
            reset: state.parameter("t"),
        })
        .collect()
}

#[track_caller]
pub(crate) fn limit_of(answer: &Answer, name: &str) -> Shown {
    let mut limits = limits_of(answer).into_iter();
    let shown = limits.find(|limit| limit.name == name);
    shown.unwrap_or_else(|| panic!("{name} is not in {:?}", answer.headers))
}

#[track_caller]
pub(crate) fn remaining(answer: &Answer, name: &str) -> i64 {
    limit_of(answer, name).remaining
}

/// An item of a list: a string and its parameters.
struct Member {
    name: String,
    parameters: Vec<(String, i64)>,
}

impl Member {
    fn parameter(&self, name: &str) -> Option<i64> {
        let mut parameters = self.parameters.iter();
        parameters
            .find(|(key, _)| key == name)
            .map(|(_, value)| *value)
    }
}

#[track_caller]
fn members(field: &str) -> Vec<Member> {
    let list: sfv::List = Parser::new(field).parse().expect("a list");
    let read = |entry: &ListEntry| {
        let ListEntry::Item(item) = entry else {
            panic!("{field:?} has an inner list");
        };
        let BareItem::String(name) = &item.bare_item else {
            panic!("{field:?} has a member that is no string");
        };
        let integer = |value: &BareItem| match value {
            BareItem::Integer(value) => i64::from(*value),
            _ => panic!("{field:?} has a parameter that is no integer"),
        };
        let parameters = item.params.iter();
        Member {
            name: name.as_str().to_owned(),
            parameters: parameters
                .map(|(key, value)| (key.as_str().to_owned(), integer(value)))
                .collect(),
        }
    };
    list.iter().map(read).collect()
}

/// Asserts that an answer says nothing of limits.
#[track_caller]
pub(crate) fn assert_unlimited(answer: &Answer) {
    for name in HEADERS {
        assert!(!answer.headers.contains_key(name), "{:?}", answer.headers);
    }
}

/// Asserts that an answer is the refusal of exactly these limits, in the form that every refusal
/// has, and that it says when to come again.
#[track_caller]
pub(crate) fn assert_refused(answer: &Answer, by: &[&str]) {
    assert_eq!(answer.status, 429, "{}", answer.text);
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert_eq!(
        answer.body["type"],
        "https://iana.org/assignments/http-problem-types#quota-exceeded"
    );
    assert_eq!(answer.code(), "quota-exceeded");
    assert_eq!(answer.body["status"], 429);
    assert_eq!(answer.body["violated-policies"], serde_json::json!(by));
    assert_eq!(answer.body["request_id"], answer.header("x-request-id"));
    assert!(answer.body["title"].is_string() && answer.body["detail"].is_string());
    let longest = by.iter().map(|name| limit_of(answer, name).reset).max();
    let longest = longest.flatten().expect("the limits admit again");
    assert_eq!(answer.header("retry-after"), longest.to_string());
}
