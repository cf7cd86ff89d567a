//! What has to be true of the work table at any time, whoever raced or died.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use turnpike_shared::clock::Timestamp;
use turnpike_shared::content::Content;

type Item = HashMap<String, AttributeValue>;

/// What there is.
pub(super) struct Found {
    /// Locations, expired ones included.
    pub(super) locations: usize,
    /// Pieces of content.
    pub(super) contents: usize,
    /// Locations that are named in the partition of who put them.
    pub(super) named: usize,
}

async fn all(client: &Client) -> Vec<Item> {
    let (mut items, mut start) = (vec![], None);
    loop {
        let page = client
            .scan()
            .table_name("WorkTable")
            .set_exclusive_start_key(start);
        let page = page.consistent_read(true).send().await.unwrap();
        items.extend(page.items.unwrap_or_default());
        start = page.last_evaluated_key;
        if start.is_none() {
            return items;
        }
    }
}

fn text<'a>(item: &'a Item, name: &str) -> &'a str {
    item[name].as_s().unwrap()
}

fn number(item: &Item, name: &str) -> Option<i64> {
    let value = item.get(name)?;
    Some(value.as_n().unwrap().parse().unwrap())
}

/// Whether DynamoDB may remove an item.
fn has_expired(item: &Item, now: Timestamp) -> bool {
    number(item, "ttl").is_some_and(|ttl| ttl <= now.seconds())
}

/// Holds the table against what has to be true, while nobody writes.
pub(super) async fn check(client: &Client, now: Timestamp) -> Found {
    let items = all(client).await;
    let of = |prefix: &str| {
        let is_of = |item: &&Item| text(item, "pk").starts_with(prefix);
        items.iter().filter(is_of).collect::<Vec<&Item>>()
    };
    let (locations, contents) = (of("LOCATION#"), of("CONTENT#"));
    let mut referring: BTreeMap<&str, Vec<&Item>> = BTreeMap::new();
    for location in locations.iter().filter(|item| !has_expired(item, now)) {
        referring
            .entry(text(location, "content_hash"))
            .or_default()
            .push(location);
    }
    let hashes: BTreeSet<&str> = contents
        .iter()
        .map(|item| &text(item, "pk")["CONTENT#".len()..])
        .collect();
    for hash in referring.keys() {
        assert!(
            hashes.contains(hash),
            "content vanished under {:?}",
            referring[hash]
        );
    }
    for item in &contents {
        let hash = &text(item, "pk")["CONTENT#".len()..];
        let content: Content = serde_json::from_str(text(item, "content")).unwrap();
        assert_eq!(content.hash().as_str(), hash);
        let live = referring.get(hash).cloned().unwrap_or_default();
        let lasting = live.iter().filter(|one| !one.contains_key("ttl")).count();
        let counted = number(item, "references").unwrap();
        assert!(counted >= i64::try_from(live.len()).unwrap(), "{item:?}");
        assert_eq!(
            number(item, "unlimited"),
            i64::try_from(lasting).ok(),
            "{item:?}"
        );
        let last = live.iter().filter_map(|one| number(one, "ttl")).max();
        match number(item, "ttl") {
            None => assert!(lasting > 0, "nothing will ever remove {item:?}"),
            Some(ttl) => assert!(lasting == 0 && Some(ttl) > last, "{item:?}"),
        }
    }
    let named: BTreeSet<(String, String)> = of("USER#")
        .iter()
        .filter(|item| text(item, "sk").starts_with("LOCATION#"))
        .map(|item| {
            (
                text(item, "pk").to_owned(),
                text(item, "location_id").to_owned(),
            )
        })
        .collect();
    let put_by: BTreeSet<(String, String)> = locations
        .iter()
        .map(|item| {
            (
                format!("USER#{}", text(item, "put_by")),
                text(item, "id").to_owned(),
            )
        })
        .collect();
    assert_eq!(
        named, put_by,
        "who put it is found from the location, and the location from them"
    );
    Found {
        locations: locations.len(),
        contents: contents.len(),
        named: named.len(),
    }
}

/// Removes what has expired, as DynamoDB does in its own time.
pub(super) async fn sweep(client: &Client, now: Timestamp) {
    sweep_only(client, now, "").await;
}

/// Removes what has expired of the items under keys that begin with `prefix`.
pub(super) async fn sweep_only(client: &Client, now: Timestamp, prefix: &str) {
    for item in all(client).await {
        if has_expired(&item, now) && text(&item, "pk").starts_with(prefix) {
            let delete = client.delete_item().table_name("WorkTable");
            let delete = delete.key("pk", item["pk"].clone());
            delete.key("sk", item["sk"].clone()).send().await.unwrap();
        }
    }
}
