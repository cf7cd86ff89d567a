//! The stack's mailer: follows the identity table's stream to the outbox, makes each mail and puts
//! it where everybody on this machine can read it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use dynoxide::Database;
use dynoxide::actions::describe_stream::DescribeStreamRequest;
use dynoxide::actions::get_records::{GetRecordsRequest, Record};
use dynoxide::actions::get_shard_iterator::GetShardIteratorRequest;
use dynoxide::actions::list_streams::ListStreamsRequest;
use tokio::sync::Mutex;
use turnpike_shared::clock::Clock;
use turnpike_shared::ids::EventId;
use turnpike_shared::mail::{self, Mail};
use turnpike_shared::stores::{AccountStore, StoreError, event_of_outbox_key};

const POLL: Duration = Duration::from_millis(500);
/// Mails are for looking at; the oldest go.
const MAX_MAILS: usize = 1_000;

/// A shared mailbox.
#[derive(Clone)]
pub(crate) struct Mailbox(Arc<Inner>);

struct Inner {
    accounts: AccountStore,
    app_url: String,
    clock: Clock,
    stream: Mutex<Stream>,
    mails: std::sync::Mutex<Vec<Mail>>,
}

/// Why mails could not be made just now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MailboxError {
    #[error("the stream of the identity table cannot be read: {0}")]
    Stream(String),
    #[error("a mail could not be made")]
    Store(#[from] StoreError),
}

impl Mailbox {
    pub(crate) fn new(
        accounts: AccountStore,
        database: Database,
        identity_table: String,
        app_url: String,
        clock: Clock,
    ) -> Self {
        let stream = Mutex::new(Stream {
            database,
            table: identity_table,
            iterators: HashMap::new(),
        });
        let mails = std::sync::Mutex::default();
        Self(Arc::new(Inner {
            accounts,
            app_url,
            clock,
            stream,
            mails,
        }))
    }

    /// Delivers what the outbox holds now, and answers with the mails to `to`, newest first.
    pub(crate) async fn mails(&self, to: Option<&str>) -> Result<Vec<Mail>, MailboxError> {
        self.deliver().await?;
        let wanted = to.map(str::to_lowercase);
        let is_wanted = |mail: &&Mail| {
            wanted
                .as_ref()
                .is_none_or(|to| mail.to.as_str().to_lowercase() == *to)
        };
        let mails = self
            .0
            .mails
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        Ok(mails.iter().rev().filter(is_wanted).cloned().collect())
    }

    /// Delivers for ever, as the outbox fills.
    pub(crate) async fn run(self) {
        let mut ticks = tokio::time::interval(POLL);
        loop {
            ticks.tick().await;
            if let Err(error) = self.deliver().await {
                tracing::warn!(cause = %error, "mails were not delivered; they are tried again");
            }
        }
    }

    async fn deliver(&self) -> Result<(), MailboxError> {
        let mut stream = self.0.stream.lock().await;
        stream.open_new_shards()?;
        let shards: Vec<String> = stream.iterators.keys().cloned().collect();
        for shard in shards {
            let (records, next) = stream.read(&shard)?;
            for event in records.iter().filter_map(inserted_event) {
                self.deliver_event(event).await?;
            }
            // Only now: a failure on the way leaves the records to be read again.
            stream.iterators.insert(shard, next);
        }
        Ok(())
    }

    /// An event whose item is gone has been delivered.
    async fn deliver_event(&self, id: EventId) -> Result<(), MailboxError> {
        let Inner {
            accounts,
            app_url,
            clock,
            mails,
            ..
        } = &*self.0;
        let Some(event) = accounts.mail_event(id).await? else {
            return Ok(());
        };
        if let Some(prepared) = accounts.prepare_mail(&event, clock.now()).await? {
            let mail = mail::compose(
                prepared.purpose,
                prepared.to,
                &prepared.token,
                app_url,
                clock.now(),
            );
            let mut mails = mails
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            if mails.len() == MAX_MAILS {
                mails.remove(0);
            }
            mails.push(mail);
        }
        accounts.mail_sent(id).await?;
        Ok(())
    }
}

fn inserted_event(record: &Record) -> Option<EventId> {
    if record.event_name != "INSERT" {
        return None;
    }
    let keys = serde_json::to_value(&record.dynamodb.keys).ok()?;
    event_of_outbox_key(keys["pk"]["S"].as_str()?)
}

/// The stream of a table, read to its end again and again.
struct Stream {
    database: Database,
    table: String,
    /// Where each shard goes on.
    iterators: HashMap<String, String>,
}

impl Stream {
    fn open_new_shards(&mut self) -> Result<(), MailboxError> {
        let failed = |error: dynoxide::DynoxideError| MailboxError::Stream(error.to_string());
        let of_table = ListStreamsRequest {
            table_name: Some(self.table.clone()),
            ..Default::default()
        };
        for stream in self
            .database
            .list_streams(of_table)
            .map_err(failed)?
            .streams
        {
            let stream_arn = stream.stream_arn;
            let described = self
                .database
                .describe_stream(DescribeStreamRequest {
                    stream_arn: stream_arn.clone(),
                    ..Default::default()
                })
                .map_err(failed)?;
            for shard in described.stream_description.shards {
                if self.iterators.contains_key(&shard.shard_id) {
                    continue;
                }
                let from_the_start = GetShardIteratorRequest {
                    stream_arn: stream_arn.clone(),
                    shard_id: shard.shard_id.clone(),
                    shard_iterator_type: "TRIM_HORIZON".to_owned(),
                    ..Default::default()
                };
                let iterator = self
                    .database
                    .get_shard_iterator(from_the_start)
                    .map_err(failed)?;
                self.iterators
                    .extend(iterator.shard_iterator.map(|it| (shard.shard_id, it)));
            }
        }
        Ok(())
    }

    /// The next records of a shard, and where it goes on behind them.
    fn read(&self, shard: &str) -> Result<(Vec<Record>, String), MailboxError> {
        let here = self.iterators.get(shard).cloned().unwrap_or_default();
        let mut records = Vec::new();
        let mut next = here;
        loop {
            let request = GetRecordsRequest {
                shard_iterator: next.clone(),
                ..Default::default()
            };
            let answer = self.database.get_records(request);
            let answer = answer.map_err(|error| MailboxError::Stream(error.to_string()))?;
            let is_end = answer.records.is_empty();
            records.extend(answer.records);
            match answer.next_shard_iterator {
                Some(iterator) => next = iterator,
                None => return Ok((records, next)),
            }
            if is_end {
                return Ok((records, next));
            }
        }
    }
}
