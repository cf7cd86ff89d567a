//! The DynamoDB engine behind the stack: embedded, at an address, or AWS's own.

use std::collections::BTreeSet;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType, StreamSpecification, StreamViewType,
    TimeToLiveSpecification,
};
use dynoxide::Database;
use tokio::task::JoinHandle;
use turnpike_shared::errors::chain;
use turnpike_shared::stores::{DynamoDb, client_of_engine};

use crate::StartError;
use crate::template::{KeyKind, Table, Template};

/// DynamoDB itself takes days over it; nobody has to wait that long to see an item go.
const TTL_SWEEP: Duration = Duration::from_secs(30);

/// Which DynamoDB the stack works on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Engine {
    /// In this process.
    Embedded,
    /// One of one's own, such as DynamoDB Local, at this address.
    At(String),
    /// The tables of a deployed stage, with the developer's own AWS credentials.
    Aws,
}

impl FromStr for Engine {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "embedded" => Ok(Self::Embedded),
            "aws" => Ok(Self::Aws),
            url if url.starts_with("http://") || url.starts_with("https://") => {
                Ok(Self::At(url.trim_end_matches('/').to_owned()))
            }
            _ => Err("it is embedded, aws or an http address".to_owned()),
        }
    }
}

/// The embedded engine and the timer that removes what has expired.
pub(crate) struct Embedded {
    pub(crate) database: Database,
    sweeper: JoinHandle<()>,
}

impl Embedded {
    /// Opens the engine, in memory or on the folder `data`.
    pub(crate) fn open(data: Option<&Path>) -> Result<Self, StartError> {
        let database = match data {
            None => Database::memory(),
            Some(folder) => {
                let file = folder.join("dynamodb.sqlite");
                Database::new(&file.to_string_lossy())
            }
        };
        let database = database.map_err(|error| StartError::Engine(error.to_string()))?;
        Ok(Self {
            sweeper: tokio::spawn(sweep(database.clone())),
            database,
        })
    }

    /// Stops the timer; the database closes with its last user.
    pub(crate) fn close(self) {
        self.sweeper.abort();
    }
}

async fn sweep(database: Database) {
    let mut ticks = tokio::time::interval(TTL_SWEEP);
    loop {
        ticks.tick().await;
        let database = database.clone();
        match tokio::task::spawn_blocking(move || database.sweep_ttl()).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::warn!(cause = %error, "expired items were not removed"),
            Err(error) => tracing::warn!(cause = %error, "the sweep for expired items was lost"),
        }
    }
}

/// Makes the template's tables at an engine of one's own, those that are not there yet.
pub async fn create_tables(dynamodb: &DynamoDb, template: &Template) -> Result<(), StartError> {
    let client = client_of_engine(dynamodb);
    let listed = client.list_tables().send().await;
    let listed = listed.map_err(|error| StartError::Engine(chain(&error)))?;
    let is_missing = |table: &&Table| !listed.table_names().contains(&table.id);
    for table in template.tables.iter().filter(is_missing) {
        create_table(&client, table).await?;
    }
    Ok(())
}

fn schema(keys: &[(String, KeyKind)]) -> Result<Vec<KeySchemaElement>, BuildError> {
    let element = |(name, kind): &(String, KeyKind)| {
        let kind = match kind {
            KeyKind::Hash => KeyType::Hash,
            KeyKind::Range => KeyType::Range,
        };
        KeySchemaElement::builder()
            .attribute_name(name)
            .key_type(kind)
            .build()
    };
    keys.iter().map(element).collect()
}

async fn create_table(client: &Client, table: &Table) -> Result<(), StartError> {
    let mut request = client
        .create_table()
        .table_name(&table.id)
        .billing_mode(BillingMode::PayPerRequest);
    let of_indexes = table.indexes.iter().flat_map(|index| &index.keys);
    let attributes: BTreeSet<&String> = table.keys.iter().chain(of_indexes).map(|k| &k.0).collect();
    for name in attributes {
        let attribute = AttributeDefinition::builder()
            .attribute_name(name)
            .attribute_type(ScalarAttributeType::S)
            .build()?;
        request = request.attribute_definitions(attribute);
    }
    request = request.set_key_schema(Some(schema(&table.keys)?));
    for index in &table.indexes {
        let keys_alone = Projection::builder()
            .projection_type(ProjectionType::KeysOnly)
            .build();
        let index = GlobalSecondaryIndex::builder()
            .index_name(&index.name)
            .set_key_schema(Some(schema(&index.keys)?))
            .projection(keys_alone)
            .build()?;
        request = request.global_secondary_indexes(index);
    }
    if let Some(view) = &table.stream_view {
        let stream = StreamSpecification::builder()
            .stream_enabled(true)
            .stream_view_type(StreamViewType::from(view.as_str()))
            .build();
        request = request.set_stream_specification(stream.ok());
    }
    let created = request.send().await;
    created.map_err(|error| StartError::Engine(chain(&error)))?;
    if let Some(attribute) = &table.ttl_attribute {
        let ttl = TimeToLiveSpecification::builder()
            .attribute_name(attribute)
            .enabled(true)
            .build();
        let update = client.update_time_to_live().table_name(&table.id);
        let update = update.set_time_to_live_specification(ttl.ok()).send().await;
        update.map_err(|error| StartError::Engine(chain(&error)))?;
    }
    Ok(())
}
