//! What is recorded of requests, and that nobody ever waits for it.

mod batches;
mod cost;
mod killed;
mod outage;
mod records;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use turnpike_shared::usage::{Batch, UsageRecord};

/// The batches in the usage table, each with its records.
async fn batches(client: &Client) -> Vec<Vec<UsageRecord>> {
    let scan = client
        .scan()
        .table_name("UsageTable")
        .filter_expression("begins_with(pk, :batches)")
        .expression_attribute_values(":batches", AttributeValue::S("BATCHES#".into()));
    let items = scan.into_paginator().items().send();
    let items: Vec<_> = items.try_collect().await.unwrap();
    let batch = |item: &std::collections::HashMap<String, AttributeValue>| {
        let packed = item["r"].as_b().unwrap().as_ref();
        let batch: Batch = postcard::from_bytes(packed).unwrap();
        batch.records().to_vec()
    };
    items.iter().map(batch).collect()
}

/// Every record in the usage table, in the order of their times.
pub(crate) async fn records(client: &Client) -> Vec<UsageRecord> {
    let mut records = batches(client).await.concat();
    records.sort_by_key(|record| record.at);
    records
}

/// Limits that nobody reaches, so that everything is counted, in the month too, and nothing refused.
const POLICY: &str = r#"
version = 1
[tiers.anonymous]
hour = 1000000
[tiers.free]
hour = 1000000
day = 1000000
month = 1000000
[tiers.enterprise]
[classes.register]
limits = [{ rate = "1000000/hour", per = "ip" }]
[classes.auth]
limits = [{ rate = "1000000/minute", per = "ip" }]
[classes.token]
limits = [{ rate = "1000000/minute", per = "ip" }]
"#;

fn policy_file() -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file, POLICY.as_bytes()).unwrap();
    file
}
