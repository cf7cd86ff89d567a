//! The audit log: what is in it, that each entry is in it once, and that nobody can change it
//! unseen.

mod chain;
mod entries;
mod failed_sign_ins;
mod faults;
mod tampering;

use std::collections::HashMap;
use std::fmt::Display;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, DeleteRequest, PutRequest, WriteRequest};
use futures_util::future::join_all;
use serde_json::Value;
use turnpike_shared::audit::{
    Action, Actor, AuditEntry, ChainKey, Head, Link, Verdict, Verification,
};
use turnpike_shared::auth::StageSecret;
use turnpike_shared::clock::Timestamp;
use turnpike_shared::stores::{AuditLog, AuditOutboxKey, AuditWriter, UserStore};

use crate::limits::engines::{accounts_at, client_at, start_tables};
use crate::support::{OwnEngine, TestStack, dynamodb_at};

type Item = HashMap<String, AttributeValue>;

pub(crate) const SECRET: &str = "0123456789abcdef0123456789abcdef";
const T: Timestamp = Timestamp::from_millis(1_795_207_396_042);
const EVERYTHING: usize = 1_000_000;

fn key() -> ChainKey {
    ChainKey::new(&StageSecret::new(&SECRET.into()).unwrap())
}

fn log_at(endpoint: &str) -> AuditLog {
    AuditLog::new(&dynamodb_at(endpoint), "AuditTable".to_owned(), key())
}

fn writer_at(endpoint: &str) -> AuditWriter {
    AuditWriter::new(log_at(endpoint), "IdentityTable".to_owned())
}

async fn verify(log: &AuditLog) -> Verdict {
    let mut verification = Verification::default();
    log.verify(&mut verification).await.unwrap()
}

/// Every entry of a log, oldest first.
async fn logged(log: &AuditLog) -> Vec<AuditEntry> {
    let page = log.page(None, EVERYTHING).await.unwrap();
    page.entries
        .into_iter()
        .rev()
        .map(|logged| logged.entry)
        .collect()
}

/// The tables of an engine of the test's own, and who writes and reads the log in them.
pub(crate) struct OwnLog {
    pub(crate) engine: OwnEngine,
    users: UserStore,
    writer: AuditWriter,
    log: AuditLog,
}

impl OwnLog {
    async fn start() -> Self {
        let engine = start_tables().await;
        let endpoint = engine.endpoint();
        Self {
            users: accounts_at(&endpoint).users().clone(),
            writer: writer_at(&endpoint),
            log: log_at(&endpoint),
            engine,
        }
    }

    fn client(&self) -> Client {
        client_at(&self.engine.endpoint())
    }

    /// Leaves `count` entries in the outbox, a second after each other.
    async fn leave(&self, count: u64) -> Vec<AuditEntry> {
        let entries = entries(count);
        for some in entries.chunks(25) {
            let left = some.iter().map(|entry| self.users.leave_entry(entry));
            for left in join_all(left).await {
                left.unwrap();
            }
        }
        entries
    }

    /// A log of `count` entries, written past the writer by who has its key.
    pub(crate) async fn written(count: u64) -> (Self, Vec<AuditEntry>) {
        let own = Self::start().await;
        let (key, entries, mut head) = (key(), entries(count), Head::START);
        let mut items = vec![];
        for entry in &entries {
            let link = key.append(&head, serde_json::to_string(entry).unwrap());
            head = link.as_head();
            items.push(item_of(link));
        }
        let seal = key.seal(&head);
        items.push(Item::from([
            ("pk".to_owned(), text("HEAD")),
            ("sk".to_owned(), text("HEAD")),
            (
                "count".to_owned(),
                AttributeValue::N(head.count.to_string()),
            ),
            ("hash".to_owned(), text(head.hash)),
            ("seal".to_owned(), text(seal)),
        ]));
        own.put_all(items).await;
        (own, entries)
    }

    async fn put_all(&self, items: Vec<Item>) {
        let put = |item| {
            let put = PutRequest::builder().set_item(Some(item)).build().unwrap();
            WriteRequest::builder().put_request(put).build()
        };
        self.write_all(items.into_iter().map(put).collect()).await;
    }

    async fn delete_all(&self, keys: Vec<Item>) {
        let delete = |key| {
            let delete = DeleteRequest::builder().set_key(Some(key)).build().unwrap();
            WriteRequest::builder().delete_request(delete).build()
        };
        self.write_all(keys.into_iter().map(delete).collect()).await;
    }

    async fn write_all(&self, writes: Vec<WriteRequest>) {
        let client = self.client();
        for some in writes.chunks(25) {
            let write = client.batch_write_item();
            let write = write
                .request_items("AuditTable", some.to_vec())
                .send()
                .await;
            assert!(
                write
                    .unwrap()
                    .unprocessed_items
                    .is_none_or(|left| left.is_empty())
            );
        }
    }

    /// A log with `count` entries.
    async fn with(count: u64) -> (Self, Vec<AuditEntry>) {
        let log = Self::start().await;
        let entries = log.leave(count).await;
        log.writer
            .sweep(T.plus(Duration::from_secs(count)))
            .await
            .unwrap();
        assert_eq!(logged(&log.log).await, entries);
        (log, entries)
    }

    /// How many entries are left in the outbox.
    async fn left(&self) -> usize {
        outbox(&self.client()).await.len()
    }
}

fn entries(count: u64) -> Vec<AuditEntry> {
    let entry = |second| {
        let at = T.plus(Duration::from_secs(second));
        let entry = AuditEntry::new(at, Actor::System, Action::QuotaReset, second);
        entry.with("number", second)
    };
    (0..count).map(entry).collect()
}

/// An entry as it lies in the table.
fn item_of(link: Link) -> Item {
    let Link {
        sequence,
        text: entry,
        previous,
        hash,
    } = link;
    Item::from([
        (
            "pk".to_owned(),
            text(format!("LOG#{}", (sequence - 1) / 1_000)),
        ),
        ("sk".to_owned(), text(format!("{sequence:020}"))),
        ("entry".to_owned(), text(entry)),
        ("previous_hash".to_owned(), text(previous)),
        ("hash".to_owned(), text(hash)),
    ])
}

/// Where an entry was left.
fn place(entry: &AuditEntry) -> AuditOutboxKey {
    let hour = entry.at.seconds() / 3_600;
    AuditOutboxKey::of(&format!("AUDIT#{hour}"), &entry.id.to_string()).unwrap()
}

/// What is in the outbox.
async fn outbox(client: &Client) -> Vec<AttributeValue> {
    let all = client
        .scan()
        .table_name("IdentityTable")
        .send()
        .await
        .unwrap();
    let is_left = |item: &&Item| item["pk"].as_s().unwrap().starts_with("AUDIT#");
    let left = all.items().iter().filter(is_left);
    left.map(|item| item["entry"].clone()).collect()
}

pub(crate) fn text(text: impl Display) -> AttributeValue {
    AttributeValue::S(format!("{text}"))
}

/// A stack whose log can be read with this module's key.
async fn stack() -> TestStack {
    TestStack::start_with(|env| env.with("TURNPIKE_AUDIT_SECRET", SECRET)).await
}

/// What the log of a stack says once everything that was left has joined it, oldest first; it is
/// sound.
async fn log_of(stack: &TestStack) -> Vec<Value> {
    let entries = settled_log(stack).await;
    let log = log_at(stack.engine_endpoint().await);
    assert_eq!(verify(&log).await.broken, None);
    entries
}

/// As [`log_of`], whatever the stack's secret is.
pub(crate) async fn settled_log(stack: &TestStack) -> Vec<Value> {
    stack.stack.settle().await.unwrap();
    let entries = logged(&log_at(stack.engine_endpoint().await)).await;
    let value = |entry| serde_json::to_value(entry).unwrap();
    entries.iter().map(value).collect()
}
