//! Reading many items at once: what there was no throughput for is asked for again.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::KeysAndAttributes;

use super::accounts::{pauses, wait};
use super::{Item, StoreError};

const OPERATION: &str = "BatchGetItem";

/// The items with these keys by table, consistently, at most 100 in all; those that are not there
/// are left out.
pub(super) async fn batch_get(
    client: &Client,
    mut keys: HashMap<String, Vec<Item>>,
) -> Result<HashMap<String, Vec<Item>>, StoreError> {
    let mut found: HashMap<String, Vec<Item>> = HashMap::new();
    for pause in std::iter::once(None).chain(pauses().map(Some)) {
        keys.retain(|_, of_table| !of_table.is_empty());
        if keys.is_empty() {
            return Ok(found);
        }
        wait(pause).await;
        let mut request = client.batch_get_item();
        for (table, of_table) in keys {
            let wanted = KeysAndAttributes::builder().set_keys(Some(of_table));
            let wanted = wanted.consistent_read(true).build();
            #[expect(clippy::expect_used, reason = "the keys are all that it wants")]
            let wanted = wanted.expect("the keys are set");
            request = request.request_items(table, wanted);
        }
        let answer = request.send().await;
        let answer = answer.map_err(|error| StoreError::from_sdk(OPERATION, error))?;
        for (table, items) in answer.responses.unwrap_or_default() {
            found.entry(table).or_default().extend(items);
        }
        let unread = answer.unprocessed_keys.unwrap_or_default().into_iter();
        keys = unread.map(|(table, rest)| (table, rest.keys)).collect();
    }
    Err(StoreError::Contended {
        operation: OPERATION,
    })
}

/// As [`batch_get`], from one table.
pub(super) async fn batch_get_of(
    client: &Client,
    table: &str,
    keys: Vec<Item>,
) -> Result<Vec<Item>, StoreError> {
    let mut found = batch_get(client, HashMap::from([(table.to_owned(), keys)])).await?;
    Ok(found.remove(table).unwrap_or_default())
}
