//! What an event source mapping does: hands the records of a table's stream to a function, at
//! least once and in order, and from the same place again when that failed.
//!
//! Unlike a mapping it never gives a batch up, so a record that can't be handled stays in sight.

use std::sync::Arc;
use std::time::Duration;

use dynoxide::Database;
use dynoxide::actions::get_records::Record;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use turnpike_shared::runtime::InvocationError;

use super::{EventFunctions, Filter, StreamError, TableStream};
use crate::template::StreamMapping;

const POLL: Duration = Duration::from_millis(500);

/// Why a function did not get on with its stream.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    #[error(transparent)]
    Stream(#[from] StreamError),
    #[error("a record cannot be written as an event")]
    Record(#[from] serde_json::Error),
    #[error("{function} failed: {error}")]
    Function {
        function: String,
        error: InvocationError,
    },
}

/// One function on the stream of one table.
pub(crate) struct Follower {
    functions: Arc<EventFunctions>,
    function: String,
    batch_size: usize,
    filters: Vec<Filter>,
    stream: Mutex<TableStream>,
}

impl Follower {
    pub(crate) fn new(
        mapping: StreamMapping,
        functions: Arc<EventFunctions>,
        database: Database,
    ) -> Self {
        Self {
            functions,
            function: mapping.function,
            batch_size: mapping.batch_size,
            filters: mapping.filters,
            stream: Mutex::new(TableStream::of_table(database, mapping.table)),
        }
    }

    /// Follows for ever.
    pub(crate) async fn run(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(POLL);
        loop {
            ticks.tick().await;
            // The function has logged its own failure.
            if let Err(error @ (FollowError::Stream(_) | FollowError::Record(_))) =
                self.advance().await
            {
                tracing::warn!(cause = %error, "a stream is not followed; it is tried again");
            }
        }
    }

    /// Hands over what the stream holds now, and says whether it held anything.
    pub(crate) async fn advance(&self) -> Result<bool, FollowError> {
        let mut stream = self.stream.lock().await;
        let mut was_idle = true;
        for shard in stream.shards()? {
            loop {
                let batch = stream.read(&shard, self.batch_size)?;
                if batch.records.is_empty() {
                    break;
                }
                was_idle = false;
                self.hand_over(&batch.records, &batch.stream_arn).await?;
                stream.advance(&shard, batch);
            }
        }
        Ok(!was_idle)
    }

    async fn hand_over(&self, records: &[Record], stream_arn: &str) -> Result<(), FollowError> {
        let mut wanted = vec![];
        for record in records {
            let mut record = serde_json::to_value(record)?;
            record["eventSourceARN"] = Value::from(stream_arn);
            let filters = &self.filters;
            if filters.is_empty() || filters.iter().any(|filter| filter.lets_through(&record)) {
                wanted.push(record);
            }
        }
        if wanted.is_empty() {
            return Ok(());
        }
        let event = json!({"Records": wanted});
        let outcome = self.functions.invoke(&self.function, event).await;
        match outcome {
            Some(Err(error)) => Err(FollowError::Function {
                function: self.function.clone(),
                error,
            }),
            // That there is such a function was made sure at the start.
            Some(Ok(_)) | None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use dynoxide::actions::create_table::CreateTableRequest;
    use dynoxide::actions::put_item::PutItemRequest;
    use turnpike_shared::clock::Clock;
    use turnpike_shared::runtime::{EventFunction, Invocation};

    use super::*;

    /// Takes every event but those in `failing`, counted from 0.
    #[derive(Default)]
    struct Keeper {
        invocations: AtomicUsize,
        failing: Vec<usize>,
        taken: Taken,
    }

    type Taken = Arc<std::sync::Mutex<Vec<Value>>>;

    #[derive(Debug, thiserror::Error)]
    #[error("not now")]
    struct NotNow;

    impl EventFunction for Keeper {
        type Event = Value;
        type Report = usize;
        type Failure = NotNow;

        async fn handle(&self, event: Value, _: Invocation) -> Result<usize, NotNow> {
            let nth = self.invocations.fetch_add(1, Ordering::Relaxed);
            if self.failing.contains(&nth) {
                return Err(NotNow);
            }
            let records = event["Records"].as_array().cloned().unwrap_or_default();
            let count = records.len();
            self.taken.lock().unwrap().extend(records);
            Ok(count)
        }
    }

    fn database() -> Database {
        let database = Database::memory().unwrap();
        let table = json!({
            "TableName": "Things",
            "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
            "BillingMode": "PAY_PER_REQUEST",
            "StreamSpecification": {"StreamEnabled": true, "StreamViewType": "NEW_IMAGE"},
        });
        let table: CreateTableRequest = serde_json::from_value(table).unwrap();
        database.create_table(table).unwrap();
        database
    }

    fn put(database: &Database, pk: &str) {
        let item = json!({"TableName": "Things", "Item": {"pk": {"S": pk}, "n": {"N": "1"}}});
        let item: PutItemRequest = serde_json::from_value(item).unwrap();
        database.put_item(item).unwrap();
    }

    fn follower(database: &Database, keeper: Keeper, filters: &[&str]) -> Follower {
        let mut functions = EventFunctions::new(Clock::system(), BTreeMap::new());
        functions.add("keeper", keeper);
        let mapping = StreamMapping {
            function: "keeper".into(),
            table: "Things".into(),
            batch_size: 2,
            filters: filters.iter().map(|f| Filter::parse(f).unwrap()).collect(),
        };
        Follower::new(mapping, Arc::new(functions), database.clone())
    }

    fn keys(taken: &Taken) -> Vec<String> {
        let key = |record: &Value| {
            record["dynamodb"]["Keys"]["pk"]["S"]
                .as_str()
                .map(Into::into)
        };
        taken.lock().unwrap().iter().filter_map(key).collect()
    }

    #[tokio::test]
    async fn records_come_in_order_in_batches_and_in_the_form_of_aws() {
        let (database, taken) = (database(), Taken::default());
        let keeper = Keeper {
            taken: Arc::clone(&taken),
            ..Keeper::default()
        };
        let follower = follower(&database, keeper, &[]);
        for pk in ["a", "b", "c"] {
            put(&database, pk);
        }

        let (first, second) = (follower.advance().await, follower.advance().await);

        assert!(first.unwrap() && !second.unwrap());
        assert_eq!(keys(&taken), ["a", "b", "c"]);
        let record = taken.lock().unwrap()[0].clone();
        assert_eq!(record["eventName"], "INSERT");
        assert_eq!(record["dynamodb"]["NewImage"]["n"], json!({"N": "1"}));
        assert!(record["dynamodb"]["SequenceNumber"].is_string());
        let arn = record["eventSourceARN"].as_str().unwrap();
        assert!(arn.starts_with("arn:aws:dynamodb:") && arn.contains("table/Things/stream/"));
    }

    #[tokio::test]
    async fn a_failed_batch_is_handed_over_again_and_nothing_overtakes_it() {
        let (database, taken) = (database(), Taken::default());
        let keeper = Keeper {
            failing: vec![1, 2],
            taken: Arc::clone(&taken),
            ..Keeper::default()
        };
        let follower = follower(&database, keeper, &[]);
        for pk in ["a", "b", "c", "d", "e"] {
            put(&database, pk);
        }

        let failures = [follower.advance().await, follower.advance().await];
        let kept = keys(&taken);
        follower.advance().await.unwrap();

        let is_its_own = |outcome| matches!(outcome, Err(FollowError::Function { .. }));
        assert!(failures.into_iter().all(is_its_own));
        assert_eq!(kept, ["a", "b"]);
        assert_eq!(keys(&taken), ["a", "b", "c", "d", "e"]);
    }

    #[tokio::test]
    async fn what_no_filter_lets_through_is_passed_over() {
        let (database, taken) = (database(), Taken::default());
        let keeper = Keeper {
            taken: Arc::clone(&taken),
            ..Keeper::default()
        };
        let only = r#"{"dynamodb":{"Keys":{"pk":{"S":[{"prefix":"AUDIT#"}]}}}}"#;
        let follower = follower(&database, keeper, &[only]);
        for pk in ["a", "AUDIT#1", "b", "c", "AUDIT#2"] {
            put(&database, pk);
        }

        follower.advance().await.unwrap();

        assert_eq!(keys(&taken), ["AUDIT#1", "AUDIT#2"]);
    }
}
