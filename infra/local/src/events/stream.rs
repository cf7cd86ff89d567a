//! The stream of a table of the embedded engine, read from its beginning to its end again and
//! again. What is made of the records is the reader's business.

use std::collections::BTreeMap;

use dynoxide::Database;
use dynoxide::actions::describe_stream::DescribeStreamRequest;
use dynoxide::actions::get_records::{GetRecordsRequest, Record};
use dynoxide::actions::get_shard_iterator::GetShardIteratorRequest;
use dynoxide::actions::list_streams::ListStreamsRequest;

/// The stream cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the stream of {table} cannot be read: {cause}")]
pub struct StreamError {
    table: String,
    cause: String,
}

/// A table's stream, and how far it has been read.
pub(crate) struct TableStream {
    database: Database,
    table: String,
    shards: BTreeMap<String, Shard>,
}

struct Shard {
    stream_arn: String,
    /// Where reading goes on.
    iterator: String,
}

/// What a shard held next.
pub(crate) struct Batch {
    pub(crate) records: Vec<Record>,
    pub(crate) stream_arn: String,
    /// Where the shard goes on behind them.
    next: String,
}

impl TableStream {
    pub(crate) fn of_table(database: Database, table: String) -> Self {
        Self {
            database,
            table,
            shards: BTreeMap::new(),
        }
    }

    /// The stream's shards, those that came to be since included.
    pub(crate) fn shards(&mut self) -> Result<Vec<String>, StreamError> {
        self.open_new_shards()?;
        Ok(self.shards.keys().cloned().collect())
    }

    /// The next records of a shard, at most `limit`; none at its end. They are handed out again
    /// until [`Self::advance`] says that they are done with.
    pub(crate) fn read(&self, shard: &str, limit: usize) -> Result<Batch, StreamError> {
        let Some(Shard {
            stream_arn,
            iterator,
        }) = self.shards.get(shard)
        else {
            return Err(self.failed(&"it has no such shard"));
        };
        let request = GetRecordsRequest {
            shard_iterator: iterator.clone(),
            limit: Some(limit),
        };
        let answer = self.database.get_records(request);
        let answer = answer.map_err(|error| self.failed(&error))?;
        Ok(Batch {
            records: answer.records,
            stream_arn: stream_arn.clone(),
            next: answer
                .next_shard_iterator
                .unwrap_or_else(|| iterator.clone()),
        })
    }

    /// Goes on behind `batch`.
    pub(crate) fn advance(&mut self, shard: &str, batch: Batch) {
        if let Some(shard) = self.shards.get_mut(shard) {
            shard.iterator = batch.next;
        }
    }

    fn open_new_shards(&mut self) -> Result<(), StreamError> {
        let of_table = ListStreamsRequest {
            table_name: Some(self.table.clone()),
            ..Default::default()
        };
        let listed = self.database.list_streams(of_table);
        let listed = listed.map_err(|error| self.failed(&error))?;
        for stream in listed.streams {
            let stream_arn = stream.stream_arn;
            let described = self.database.describe_stream(DescribeStreamRequest {
                stream_arn: stream_arn.clone(),
                ..Default::default()
            });
            let described = described.map_err(|error| self.failed(&error))?;
            for shard in described.stream_description.shards {
                if self.shards.contains_key(&shard.shard_id) {
                    continue;
                }
                let from_the_start = GetShardIteratorRequest {
                    stream_arn: stream_arn.clone(),
                    shard_id: shard.shard_id.clone(),
                    shard_iterator_type: "TRIM_HORIZON".to_owned(),
                    ..Default::default()
                };
                let found = self.database.get_shard_iterator(from_the_start);
                let found = found.map_err(|error| self.failed(&error))?;
                if let Some(iterator) = found.shard_iterator {
                    let stream_arn = stream_arn.clone();
                    let opened = Shard {
                        stream_arn,
                        iterator,
                    };
                    self.shards.insert(shard.shard_id, opened);
                }
            }
        }
        Ok(())
    }

    fn failed(&self, cause: &impl ToString) -> StreamError {
        StreamError {
            table: self.table.clone(),
            cause: cause.to_string(),
        }
    }
}
