//! A stack of one's own for every test, and a client that reads like the requests it sends.

mod account;
mod answer;
mod engine;
mod faults;
mod keys;
mod program;
mod redis;
mod stack;
mod until;
mod upstream;

pub(crate) use account::{Account, PASSWORD};
pub(crate) use answer::{Answer, Call};
pub(crate) use engine::{CountingProxy, OwnEngine, dynamodb_at};
pub(crate) use faults::{Fault, FaultProxy, LastCall};
pub(crate) use keys::{KEYS, Key};
pub(crate) use program::command;
pub(crate) use redis::{OldData, RedisCluster, RedisServer};
pub(crate) use stack::{PATIENT, TestStack, client_at, signing_keys};
pub(crate) use until::until;
pub(crate) use upstream::{Received, Reply, TestUpstream, policy_with};

/// The repository's root.
pub(crate) fn root() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ is in it")
        .to_owned()
}
