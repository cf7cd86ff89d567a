//! What is kept, on DynamoDB. AWS types stay inside this module.
//!
//! Every write that guards something is a condition or a transaction, so that of racing callers
//! one wins and a crash leaves either all of it or nothing. Reads that decide are consistent, and
//! ignore what has expired although DynamoDB's TTL has not removed it yet.

mod accounts;
mod administration;
mod admins;
mod admission;
mod api_keys;
mod audit_log;
mod audit_outbox;
mod audit_writer;
mod batch_get;
mod behavior;
mod breakers;
pub(crate) mod cache;
mod client;
mod condition;
mod content;
mod error;
mod history;
mod idempotency;
mod jobs;
mod key_set;
mod mailing;
mod one_time_tokens;
mod passwords;
mod periods;
mod policy;
mod preferences;
mod probe;
mod records;
mod secrets;
mod sessions;
mod standing;
pub mod tables;
mod transaction;
mod usage;
mod user_lists;
pub mod valkey;
mod work;

use std::fmt::Display;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use accounts::{Account, NewAccount, Registration, StoredPassword, Verification};
pub use administration::Administered;
pub use admission::{CountedMonths, DynamoDbEngine, EngineError, Lease, ValkeyEngine, ValkeyError};
pub use api_keys::{KeyPage, KeysShown};
pub use audit_log::{AuditLog, AuditPage, LoggedEntry};
pub use audit_writer::{AuditOutboxKey, AuditWriter, ChainError, Chained};
use batch_get::{batch_get, batch_get_of};
pub use behavior::{BehaviorStore, ListedEvent};
pub use breakers::{BreakerStore, Changed, StoredBreaker};
use client::AMAZON_ROOTS;
pub use client::{DynamoDb, client_of_engine, https_client};
use condition::if_condition_held;
pub use content::{ContentPut, ContentRemoved, ContentStore, ContentWish};
pub use error::StoreError;
pub use history::HistoryStore;
pub use jobs::JobStore;
pub use mailing::{MailQueued, PreparedMail, mail_of_outbox_key};
pub use one_time_tokens::Redeemed;
pub use passwords::PasswordChanged;
pub use periods::{ClosedPeriod, Metered, Notice, PeriodStore, UsersPage};
pub use policy::{PolicyStore, policy_item_document};
pub use preferences::PreferenceStore;
pub use probe::Probe;
pub use secrets::{SecretError, read_secret};
pub use sessions::{Refreshed, SignedIn};
pub use standing::Standing;
pub use usage::{UsageStore, Whose, Written};
pub use user_lists::{UserPage, UsersListed};
pub use valkey::{LinkState, PingError, ValkeyAddress, ValkeyLink};
pub use work::NewestFirst;

use crate::config::{Tables, UserTables};
use tables::{PK, SK};

/// Users, their keys and their standing: what every function that admits requests knows.
#[derive(Clone)]
pub struct UserStore {
    client: Client,
    identity: String,
    admission: String,
}

impl UserStore {
    pub fn new(dynamodb: &DynamoDb, tables: UserTables) -> Self {
        Self {
            client: dynamodb.client(),
            identity: tables.identity,
            admission: tables.admission,
        }
    }

    /// Reads one item, consistently.
    async fn get<T: DeserializeOwned>(
        &self,
        table: &str,
        pk: String,
        sk: impl Into<String>,
    ) -> Result<Option<T>, StoreError> {
        let item = self.get_item(table, pk, sk).await?;
        item.map(from_item).transpose()
    }

    /// Reads one item as it lies there, consistently.
    async fn get_item(
        &self,
        table: &str,
        pk: String,
        sk: impl Into<String>,
    ) -> Result<Option<Item>, StoreError> {
        let answer = self
            .client
            .get_item()
            .table_name(table)
            .key(PK, AttributeValue::S(pk))
            .key(SK, AttributeValue::S(sk.into()))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| StoreError::from_sdk("GetItem", error))?;
        Ok(answer.item)
    }
}

/// Users' passwords, sessions and one-time tokens, and the mails that they are owed: what `auth`
/// alone may know.
#[derive(Clone)]
pub struct AccountStore {
    users: UserStore,
    credentials: String,
}

impl AccountStore {
    pub fn new(dynamodb: &DynamoDb, tables: Tables) -> Self {
        Self {
            users: UserStore::new(dynamodb, tables.users),
            credentials: tables.credentials,
        }
    }

    /// What others may know too.
    pub fn users(&self) -> &UserStore {
        &self.users
    }
}

type Item = std::collections::HashMap<String, AttributeValue>;

fn to_item(value: impl Serialize) -> Result<Item, StoreError> {
    serde_dynamo::to_item(value).map_err(StoreError::Damaged)
}

fn to_attribute(value: impl Serialize) -> Result<AttributeValue, StoreError> {
    serde_dynamo::to_attribute_value(value).map_err(StoreError::Damaged)
}

fn from_item<T: DeserializeOwned>(item: Item) -> Result<T, StoreError> {
    serde_dynamo::from_item(item).map_err(StoreError::Damaged)
}

fn number(value: impl Display) -> AttributeValue {
    AttributeValue::N(format!("{value}"))
}

fn text(value: impl Display) -> AttributeValue {
    AttributeValue::S(format!("{value}"))
}
