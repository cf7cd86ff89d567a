//! The function `usage-rollup`: whatever happens to batches and events, the sums are those of the
//! records.

mod crashes;
mod histories;
mod model;
mod races;

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use turnpike_shared::auth::Tier;
use turnpike_shared::clock::{Clock, Timestamp};
use turnpike_shared::config::Environment;
use turnpike_shared::ids::{BatchId, UserId};
use turnpike_shared::runtime::{EventFunction as _, Invocation};
use turnpike_shared::stores::{UsageStore, client_of_engine};
use turnpike_shared::usage::{Bucket, Granularity, UsageCaller, UsageRecord};
use turnpike_usage_rollup::{App, Report, RollupError};

use crate::support::{OwnEngine, dynamodb_at};

const TABLE: &str = "UsageTable";
/// How long one call may take, which is not repeated: some are held up on purpose, and the machine has
/// other work.
const PATIENCE: Duration = Duration::from_mins(1);

type Item = BTreeMap<String, AttributeValue>;

/// The usage table on an engine of its own.
struct Table {
    engine: OwnEngine,
    client: Client,
    usage: UsageStore,
}

impl Table {
    async fn start() -> Self {
        let engine = OwnEngine::start().await;
        engine.create_table(TABLE).await;
        Self {
            client: client_of_engine(&dynamodb_at(&engine.endpoint())),
            usage: UsageStore::new(&dynamodb_at(&engine.endpoint()), TABLE.to_owned()),
            engine,
        }
    }

    fn rollup(&self) -> App {
        rollup_at(&self.engine.endpoint(), Clock::system())
    }

    /// Writes records down, and gives back what the stream tells of that.
    async fn append(&self, records: &[UsageRecord]) -> Vec<Value> {
        let id = BatchId::new(Clock::system().now());
        self.append_as(id, records).await
    }

    async fn append_as(&self, id: BatchId, records: &[UsageRecord]) -> Vec<Value> {
        self.usage.append(id, records).await.unwrap();
        let is_of_batch = |item: &&Item| {
            let sk = item["sk"].as_s().unwrap();
            sk.starts_with(&id.to_string())
        };
        let items = self.items().await;
        items
            .iter()
            .filter(is_of_batch)
            .map(stream_record)
            .collect()
    }

    /// Everything in the table, by key.
    async fn items(&self) -> Vec<Item> {
        let scan = self.client.scan().table_name(TABLE).into_paginator();
        let found: Vec<_> = scan.items().send().try_collect().await.unwrap();
        let mut items: Vec<Item> = found.into_iter().map(|i| i.into_iter().collect()).collect();
        items.sort_by_key(|item| format!("{:?} {:?}", item["pk"], item["sk"]));
        items
    }

    /// Every sum in the table, by key.
    async fn sums(&self) -> Vec<Item> {
        let mut items = self.items().await;
        items.retain(|item| !item["pk"].as_s().unwrap().starts_with("BATCHES#"));
        items
    }
}

fn rollup_at(endpoint: &str, clock: Clock) -> App {
    let env = Environment::default().with("TURNPIKE_USAGE_TABLE", TABLE);
    let dynamodb = dynamodb_at(endpoint).within(PATIENCE);
    App::new(&env, &dynamodb, clock).unwrap()
}

/// The insertion of an item, as Lambda hands it over.
fn stream_record(item: &Item) -> Value {
    let value = |value: &AttributeValue| match value {
        AttributeValue::S(text) => json!({"S": text}),
        AttributeValue::N(number) => json!({"N": number}),
        AttributeValue::B(bytes) => json!({"B": STANDARD.encode(bytes)}),
        other => panic!("no batch has a {other:?}"),
    };
    let image: serde_json::Map<_, _> = item
        .iter()
        .map(|(name, attribute)| (name.clone(), value(attribute)))
        .collect();
    let keys = json!({"pk": image["pk"], "sk": image["sk"]});
    json!({"eventName": "INSERT", "dynamodb": {"Keys": keys, "NewImage": image}})
}

async fn deliver(app: &App, records: &[Value]) -> Result<Report, RollupError> {
    let event = serde_json::from_value(json!({"Records": records})).unwrap();
    let invocation = Invocation {
        request_id: "test".to_owned(),
        deadline: Timestamp::from_millis(i64::MAX),
    };
    app.handle(event, invocation).await
}

/// An hour before the last midnight: long enough ago to be over, and near the end of a day.
fn yesterday_at_23() -> Timestamp {
    let today = Bucket::of(Clock::system().now(), Granularity::Day);
    today.start().minus(Granularity::Hour.length())
}

fn record(user: UserId, at: Timestamp) -> UsageRecord {
    UsageRecord {
        at,
        caller: Some(UsageCaller {
            user,
            tier: Tier::free(),
        }),
        method: "GET".to_owned(),
        path: "/api/v1/users/me".to_owned(),
        status: 200,
        duration_ms: 12,
        charged: 1,
    }
}
