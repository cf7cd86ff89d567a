//! `/api/v1/history/queries`.

mod delete;
mod list;

use turnpike_shared::clock::Timestamp;
use turnpike_shared::history::QueryRecord;
use turnpike_shared::ids::QueryId;
use turnpike_shared::stores::HistoryStore;

use crate::support::{Account, TestStack, dynamodb_at};

const QUERIES: &str = "/api/v1/history/queries";

/// The history, as who answers queries writes it.
async fn history(stack: &TestStack) -> HistoryStore {
    HistoryStore::new(
        &dynamodb_at(stack.engine_endpoint().await),
        "WorkTable".to_owned(),
    )
}

/// A query that `account` asked at `at`.
fn query_of(account: &Account, query: &str, at: Timestamp) -> QueryRecord {
    QueryRecord {
        id: QueryId::new(at),
        user: account.id.parse().unwrap(),
        upstream: "library".to_owned(),
        query: query.to_owned(),
        status: 200,
        cache_tier: None,
        execution_time_ms: 41,
        created_at: at,
    }
}

/// Writes down that `account` asked `texts`, one a second, the last one now.
async fn ask(stack: &TestStack, account: &Account, texts: &[&str]) -> Vec<QueryRecord> {
    let history = history(stack).await;
    let mut asked = vec![];
    for (age, text) in (0..texts.len()).rev().zip(texts) {
        let at = stack
            .now()
            .minus(std::time::Duration::from_secs(age as u64));
        let record = query_of(account, text, at);
        history.record(&record).await.unwrap();
        asked.push(record);
    }
    asked
}
