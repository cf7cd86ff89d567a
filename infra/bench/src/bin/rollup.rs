//! Sums a slice of usage up, and prints how long that took and what memory it had at most, as JSON.
//!
//! Three processes, so that the memory is that of the rollup alone: `rollup serve ADDRESS` is an embedded
//! engine with the usage table, `rollup fill URL BATCHES USERS` writes batches of one slice there and
//! prints which, and `rollup sum-up URL SLICE` is what is measured.

use std::net::SocketAddr;
use std::time::Instant;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use dynoxide::Database;
use serde_json::json;
use tokio::net::TcpListener;
use turnpike_shared::auth::Tier;
use turnpike_shared::clock::{Clock, Timestamp};
use turnpike_shared::config::Environment;
use turnpike_shared::ids::{BatchId, UserId};
use turnpike_shared::runtime::{EventFunction as _, Invocation};
use turnpike_shared::stores::{DynamoDb, UsageStore, client_of_engine};
use turnpike_shared::usage::{Slice, UsageCaller, UsageRecord};
use turnpike_usage_rollup::App;

type Failure = Box<dyn std::error::Error + Send + Sync>;

const TABLE: &str = "UsageTable";
/// As the recorder fills them.
const RECORDS_IN_A_BATCH: usize = 25;
const PATHS: [&str; 5] = [
    "/api/v1/auth/me",
    "/api/v1/users/me",
    "/api/v1/users/quota",
    "/api/v1/users/api-keys",
    "/api/v1/users/limits/explain",
];

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let found = match arguments.as_slice() {
        ["serve", addr] => return serve(addr.parse()?).await,
        ["fill", url, batches, users] => fill(url, batches.parse()?, users.parse()?).await?,
        ["sum-up", url, slice] => sum_up(url, slice).await?,
        _ => return Err("usage: rollup serve|fill|sum-up ...".into()),
    };
    #[expect(clippy::print_stdout, reason = "this is what the program is for")]
    {
        println!("{found}");
    }
    Ok(())
}

async fn serve(addr: SocketAddr) -> Result<(), Failure> {
    let database = Database::memory().map_err(|error| error.to_string())?;
    let listener = TcpListener::bind(addr).await?;
    dynoxide::server::serve_on(listener, database).await;
    Ok(())
}

fn environment(url: &str) -> Environment {
    Environment::default()
        .with("AWS_REGION", "us-east-1")
        .with("AWS_ACCESS_KEY_ID", "bench")
        .with("AWS_SECRET_ACCESS_KEY", "bench")
        .with("AWS_ENDPOINT_URL_DYNAMODB", url)
        .with("TURNPIKE_USAGE_TABLE", TABLE)
}

async fn fill(url: &str, batches: usize, users: usize) -> Result<serde_json::Value, Failure> {
    let dynamodb = DynamoDb::from_environment(&environment(url))?;
    create_table(&dynamodb).await?;
    let usage = UsageStore::new(&dynamodb, TABLE.to_owned());
    let now = Clock::system().now();
    let users: Vec<UserId> = (0..users).map(|_| UserId::new(now)).collect();
    let record = |number: usize| UsageRecord {
        at: Slice::of(now).start(),
        caller: users.get(number % users.len()).map(|user| UsageCaller {
            user: *user,
            tier: Tier::free(),
        }),
        method: "GET".to_owned(),
        path: PATHS[number % PATHS.len()].to_owned(),
        status: if number.is_multiple_of(50) { 500 } else { 200 },
        duration_ms: u32::try_from(number * 37 % 997).unwrap_or_default(),
        charged: 1,
    };
    for batch in 0..batches {
        let first = batch * RECORDS_IN_A_BATCH;
        let records: Vec<UsageRecord> = (first..first + RECORDS_IN_A_BATCH).map(record).collect();
        usage.append(BatchId::new(now), &records).await?;
    }
    let start = Slice::of(now).start().to_string();
    Ok(json!({"slice": start.get(..16)}))
}

async fn create_table(dynamodb: &DynamoDb) -> Result<(), Failure> {
    let mut request = client_of_engine(dynamodb)
        .create_table()
        .table_name(TABLE)
        .billing_mode(BillingMode::PayPerRequest);
    for (name, kind) in [("pk", KeyType::Hash), ("sk", KeyType::Range)] {
        let attribute = AttributeDefinition::builder()
            .attribute_name(name)
            .attribute_type(ScalarAttributeType::S);
        let key = KeySchemaElement::builder()
            .attribute_name(name)
            .key_type(kind);
        request = request
            .attribute_definitions(attribute.build()?)
            .key_schema(key.build()?);
    }
    request.send().await?;
    Ok(())
}

async fn sum_up(url: &str, slice: &str) -> Result<serde_json::Value, Failure> {
    let env = environment(url);
    let dynamodb = DynamoDb::from_environment(&env)?;
    let app = App::new(&env, &dynamodb, Clock::system())?;
    let keys = json!({"pk": {"S": format!("BATCHES#{slice}")}});
    let event = json!({"Records": [{"eventName": "INSERT", "dynamodb": {"Keys": keys}}]});
    let event = serde_json::from_value(event)?;
    let invocation = Invocation {
        request_id: "bench".to_owned(),
        deadline: Timestamp::from_millis(i64::MAX),
    };
    let before = memory("VmRSS:")?;
    let begun = Instant::now();
    let report = app.handle(event, invocation).await?;
    Ok(json!({
        "records": report.records,
        "users": report.users,
        "seconds": begun.elapsed().as_secs_f64(),
        "kibibytes_before": before,
        "kibibytes_at_most": memory("VmHWM:")?,
    }))
}

/// What this process has of memory (proc(5)).
fn memory(what: &str) -> Result<u32, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(what));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.ok_or_else(|| format!("/proc/self/status has no {what}").into())
}
