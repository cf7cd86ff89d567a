//! The function `audit-writer`: chains the entries that changes have left in the outbox.
//!
//! It alone writes the audit log. What is worth an entry, and what an entry says, is decided where
//! the change is made.

mod event;

use serde::Serialize;
use turnpike_shared::audit::ChainKey;
use turnpike_shared::auth::StageSecret;
use turnpike_shared::auth::secret::SecretTooShort;
use turnpike_shared::clock::Clock;
use turnpike_shared::config::{self, ConfigError, Environment, StageConfig};
use turnpike_shared::runtime::{EventFunction, Invocation};
use turnpike_shared::stores::{
    AuditLog, AuditOutboxKey, AuditWriter, ChainError, Chained, DynamoDb, SecretError, read_secret,
};

pub use event::{StreamRecord, WriterEvent};

/// Why the function cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("the secret of the audit log cannot be had")]
    Secret(#[from] SecretError),
    #[error("TURNPIKE_AUDIT_SECRET or the secret behind its ARN cannot be used")]
    AuditSecret(#[from] SecretTooShort),
}

/// The state of the function.
pub struct App {
    writer: AuditWriter,
    clock: Clock,
}

impl App {
    pub async fn from_environment(env: Environment) -> Result<Self, StartError> {
        let dynamodb = DynamoDb::from_environment(&env)?;
        Self::new(&env, &dynamodb, Clock::system()).await
    }

    pub async fn new(
        env: &Environment,
        dynamodb: &DynamoDb,
        clock: Clock,
    ) -> Result<Self, StartError> {
        let secret = config::audit_secret(env, StageConfig::read(env)?.stage)?;
        let key = ChainKey::new(&StageSecret::new(&read_secret(env, &secret).await?)?);
        let log = AuditLog::new(dynamodb, config::audit_table(env)?, key);
        let writer = AuditWriter::new(log, config::identity_table(env)?);
        Ok(Self { writer, clock })
    }
}

/// What an event led to.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Entries that joined the log. Those of the event that are not among them had joined before.
    pub chained: usize,
    /// Entries that cannot be read. They stay in the outbox.
    pub unreadable: usize,
}

impl EventFunction for App {
    type Event = WriterEvent;
    type Report = Report;
    type Failure = ChainError;

    /// After a failure the event may be handed over again, whole: what was done of it does no harm.
    async fn handle(&self, event: WriterEvent, _: Invocation) -> Result<Report, ChainError> {
        let Chained {
            entries,
            unreadable,
        } = match event {
            WriterEvent::Stream { records } => {
                let left: Vec<AuditOutboxKey> =
                    records.iter().filter_map(StreamRecord::entry).collect();
                self.writer.chain(&left).await?
            }
            WriterEvent::Sweep { .. } => self.writer.sweep(self.clock.now()).await?,
        };
        Ok(Report {
            chained: entries,
            unreadable,
        })
    }
}
