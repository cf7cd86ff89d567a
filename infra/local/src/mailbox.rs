//! The stack's mailer: follows the identity table's stream to the outbox, makes each mail and puts
//! it where everybody on this machine can read it.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use dynoxide::Database;
use dynoxide::actions::get_records::Record;
use tokio::sync::Mutex;
use turnpike_shared::clock::Clock;
use turnpike_shared::errors::chain;
use turnpike_shared::ids::EventId;
use turnpike_shared::mail::{self, Mail};
use turnpike_shared::stores::{AccountStore, PreparedMail, StoreError, mail_of_outbox_key};

use crate::events::{StreamError, TableStream};

const POLL: Duration = Duration::from_millis(500);
/// How many records of the stream are taken at a time.
const BATCH: usize = 100;
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
    stream: Mutex<TableStream>,
    mails: std::sync::Mutex<Vec<Mail>>,
}

/// Why mails could not be made just now.
#[derive(Debug, thiserror::Error)]
pub enum MailboxError {
    #[error(transparent)]
    Stream(#[from] StreamError),
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
        let stream = TableStream::of_table(database, identity_table);
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

    /// Delivers what the outbox holds now, and says whether its table's stream held anything.
    pub(crate) async fn deliver(&self) -> Result<bool, MailboxError> {
        let mut stream = self.0.stream.lock().await;
        let mut was_idle = true;
        for shard in stream.shards()? {
            loop {
                let batch = stream.read(&shard, BATCH)?;
                if batch.records.is_empty() {
                    break;
                }
                was_idle = false;
                self.deliver_all(&batch.records).await?;
                // Only now: a failure on the way leaves the records to be read again.
                stream.advance(&shard, batch);
            }
        }
        Ok(!was_idle)
    }

    async fn deliver_all(&self, records: &[Record]) -> Result<(), MailboxError> {
        for event in records.iter().filter_map(inserted_event) {
            match self.deliver_event(event).await {
                // One event that can never be carried out must not hold up the others.
                Err(MailboxError::Store(error)) if !error.is_transient() => {
                    tracing::error!(%event, cause = chain(&error), "a mail was given up");
                }
                outcome => outcome?,
            }
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
    mail_of_outbox_key(keys["pk"]["S"].as_str()?, keys["sk"]["S"].as_str()?)
}
