//! The stack's mailer: follows the identity table's stream to the outbox, makes each mail and puts
//! it where everybody on this machine can read it.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use dynoxide::Database;
use dynoxide::actions::describe_stream::DescribeStreamRequest;
use dynoxide::actions::get_records::{GetRecordsRequest, Record};
use dynoxide::actions::get_shard_iterator::GetShardIteratorRequest;
use dynoxide::actions::list_streams::ListStreamsRequest;
use tokio::sync::Mutex;
use turnpike_shared::clock::Clock;
use turnpike_shared::errors::chain;
use turnpike_shared::ids::EventId;
use turnpike_shared::mail::{self, Mail};
use turnpike_shared::stores::{AccountStore, PreparedMail, StoreError, event_of_outbox_key};

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
    file: Option<PathBuf>,
    stream: Mutex<Stream>,
    mails: std::sync::Mutex<Vec<Mail>>,
}

/// Why mails could not be made just now.
#[derive(Debug, thiserror::Error)]
pub enum MailboxError {
    #[error("the stream of the identity table cannot be read: {0}")]
    Stream(String),
    #[error("a mail could not be made")]
    Store(#[from] StoreError),
    #[error("the file of mails cannot be used")]
    File(#[from] std::io::Error),
}

impl Mailbox {
    /// A mailbox for the outbox of `identity_table`; with `data` it keeps its mails in that folder.
    pub(crate) fn open(
        accounts: AccountStore,
        database: Database,
        identity_table: String,
        app_url: String,
        clock: Clock,
        data: Option<&Path>,
    ) -> Result<Self, MailboxError> {
        let stream = Stream {
            database,
            table: identity_table,
            iterators: HashMap::new(),
        };
        let file = data.map(|folder| folder.join("mails.jsonl"));
        let mails = file.as_deref().map(carried_before).transpose()?;
        Ok(Self(Arc::new(Inner {
            accounts,
            app_url,
            clock,
            file,
            stream: Mutex::new(stream),
            mails: std::sync::Mutex::new(mails.unwrap_or_default()),
        })))
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
        let mails = self.0.mails.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(mails.iter().rev().filter(is_wanted).cloned().collect())
    }

    /// Delivers for ever, as the outbox fills.
    pub(crate) async fn run(self) {
        let mut ticks = tokio::time::interval(POLL);
        loop {
            ticks.tick().await;
            if let Err(error) = self.deliver().await {
                tracing::warn!(
                    cause = chain(&error),
                    "mails were not delivered; they are tried again"
                );
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
                match self.deliver_event(event).await {
                    // One event that can never be carried out must not hold up the others.
                    Err(MailboxError::Store(error)) if !error.is_transient() => {
                        tracing::error!(%event, cause = chain(&error), "a mail was given up");
                    }
                    outcome => outcome?,
                }
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
            ..
        } = &*self.0;
        let Some(event) = accounts.mail_event(id, clock.now()).await? else {
            return Ok(());
        };
        if let Some(prepared) = accounts.prepare_mail(&event, clock.now()).await? {
            let PreparedMail { to, purpose, token } = prepared;
            let mail = mail::compose(purpose, to, &token, app_url, clock.now());
            self.put(mail)?;
        }
        accounts.mail_sent(id).await?;
        Ok(())
    }

    /// Puts a mail into the box, and into its file if there is one.
    fn put(&self, mail: Mail) -> Result<(), MailboxError> {
        let mut mails = self.0.mails.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = &self.0.file {
            let line = serde_json::to_string(&mail).map_err(std::io::Error::other)?;
            let mut file = private_file(file)?;
            file.write_all(format!("{line}\n").as_bytes())?;
        }
        if mails.len() == MAX_MAILS {
            mails.remove(0);
        }
        mails.push(mail);
        Ok(())
    }
}

/// Opens a file to append to, for its owner's eyes only.
fn private_file(path: &Path) -> std::io::Result<File> {
    let mut options = File::options();
    options.create(true).append(true).mode(0o600).open(path)
}

/// The mails that were carried before. A line that a crash cut off was not acknowledged: its event
/// is still in the outbox.
fn carried_before(file: &Path) -> Result<Vec<Mail>, MailboxError> {
    let text = match std::fs::read_to_string(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        text => text?,
    };
    let mails: Vec<Mail> = text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let oldest = mails.len().saturating_sub(MAX_MAILS);
    Ok(mails[oldest..].to_vec())
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
