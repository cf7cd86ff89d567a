//! What lies in a store in another form than it should is a miss, counted, and overwritten.

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use turnpike_shared::cache::{CacheKey, CacheStatus, CacheTier};

use super::ground::{Ground, TABLE, Work, key, user};
use crate::support::client_at;

type Change = fn(&[u8]) -> Vec<u8>;

const DAMAGES: [(&str, Change); 5] = [
    ("it is empty", |_| vec![]),
    ("it is cut off", |bytes| bytes[..bytes.len() / 2].to_vec()),
    ("a bit of it is turned", |bytes| {
        let mut bytes = bytes.to_vec();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        bytes
    }),
    ("it is of another version", |bytes| {
        [&[200], &bytes[1..]].concat()
    }),
    ("it is something else, and large", |_| vec![7; 200_000]),
];

/// The one entry in the table, as it lies there.
async fn entry_in_table(ground: &Ground) -> (AttributeValue, Vec<u8>) {
    let table = client_at(&ground.engine.endpoint());
    let scan = table.scan().table_name(TABLE).send().await.unwrap();
    let items = scan.items.unwrap();
    let item = items
        .iter()
        .find(|item| item["sk"].as_s().unwrap() == "ENTRY")
        .expect("it was filled");
    (
        item["pk"].clone(),
        item["entry"].as_b().unwrap().clone().into_inner(),
    )
}

async fn put_in_table(ground: &Ground, pk: AttributeValue, value: AttributeValue) {
    let table = client_at(&ground.engine.endpoint());
    let update = table
        .update_item()
        .table_name(TABLE)
        .key("pk", pk)
        .key("sk", AttributeValue::S("ENTRY".into()))
        .update_expression("SET #entry = :value")
        .expression_attribute_names("#entry", "entry")
        .expression_attribute_values(":value", value);
    update.send().await.unwrap();
}

async fn key_in_valkey(ground: &Ground) -> String {
    let mut connection = ground.redis.as_ref().unwrap().connection().await;
    let mut keys = redis::cmd("KEYS");
    let keys: Vec<String> = keys
        .arg("tp:*:entry:*")
        .query_async(&mut connection)
        .await
        .unwrap();
    keys.into_iter().next().expect("it was filled")
}

/// What a fresh instance answers, and after it the next.
async fn answers(ground: &Ground, key: &CacheKey, work: &Work) -> [CacheStatus; 2] {
    let first = ground.instance().await;
    let first_status = first.get(key, work).await.status;
    first.cache.flush().await;
    [
        first_status,
        ground.instance().await.get(key, work).await.status,
    ]
}

async fn rejected(ground: &Ground, tier: CacheTier) -> u64 {
    let stats = ground.instance().await.cache.stats_of_all().await.unwrap();
    let of_tier = stats.tiers.iter().find(|found| found.tier == tier).unwrap();
    of_tier.counts.rejected
}

#[tokio::test]
async fn what_cannot_be_read_in_the_warm_tier_is_a_miss_and_is_overwritten() {
    let ground = Ground::plain().await;
    let (key, work) = (
        key(user(1), 1),
        Work::new("a value that can be compressed".repeat(50)),
    );
    ground.instance().await.get(&key, &work).await;

    for (count, (what, damage)) in (1..).zip(DAMAGES) {
        let (pk, bytes) = entry_in_table(&ground).await;
        put_in_table(&ground, pk, AttributeValue::B(Blob::new(damage(&bytes)))).await;

        let answered = answers(&ground, &key, &work).await;

        assert_eq!(answered, [CacheStatus::Miss, CacheStatus::Hit], "{what}");
        // At the lookup and at the lease.
        assert_eq!(
            rejected(&ground, CacheTier::DynamoDb).await,
            2 * count,
            "{what}"
        );
    }
    let (pk, _) = entry_in_table(&ground).await;
    put_in_table(&ground, pk, AttributeValue::S("no bytes at all".into())).await;
    let answered = answers(&ground, &key, &work).await;
    assert_eq!(answered, [CacheStatus::Miss, CacheStatus::Hit]);
}

#[tokio::test]
async fn what_cannot_be_read_in_valkey_is_looked_up_farther_away_and_is_overwritten() {
    let ground = Ground::with_valkey().await;
    let (key, work) = (
        key(user(1), 1),
        Work::new("a value that can be compressed".repeat(50)),
    );
    ground.instance().await.get(&key, &work).await;
    let mut connection = ground.redis.as_ref().unwrap().connection().await;

    for (count, (what, damage)) in (1..).zip(DAMAGES) {
        let place = key_in_valkey(&ground).await;
        let mut get = redis::cmd("GET");
        let bytes: Vec<u8> = get.arg(&place).query_async(&mut connection).await.unwrap();
        let mut set = redis::cmd("SET");
        set.arg(&place)
            .arg(damage(&bytes))
            .exec_async(&mut connection)
            .await
            .unwrap();

        let instance = ground.instance().await;
        let from_warm = instance.get(&key, &work).await;
        instance.cache.flush().await;
        let mended = ground.instance().await.get(&key, &work).await;

        assert_eq!(from_warm.tier, Some(CacheTier::DynamoDb), "{what}");
        assert_eq!(mended.tier, Some(CacheTier::Valkey), "{what}");
        assert_eq!(rejected(&ground, CacheTier::Valkey).await, count, "{what}");
    }
    assert_eq!(work.calls(), 1);
}

#[tokio::test]
async fn keys_of_another_kind_in_valkey_are_as_good_as_absent() {
    let ground = Ground::with_valkey().await;
    let (key, work) = (key(user(1), 1), Work::new("value"));
    ground.instance().await.get(&key, &work).await;
    let mut connection = ground.redis.as_ref().unwrap().connection().await;
    let entry = key_in_valkey(&ground).await;
    let lease = entry.replace(":entry:", ":lease:");
    let (slot, _) = entry.split_once(":entry:").unwrap();
    let generations = format!("{slot}:generations");
    for (place, command) in [(&entry, "LPUSH"), (&lease, "SADD"), (&generations, "LPUSH")] {
        redis::cmd("DEL")
            .arg(place)
            .exec_async(&mut connection)
            .await
            .unwrap();
        let mut poison = redis::cmd(command);
        poison
            .arg(place)
            .arg("x")
            .exec_async(&mut connection)
            .await
            .unwrap();
    }
    let (pk, _) = entry_in_table(&ground).await;
    put_in_table(&ground, pk, AttributeValue::Bool(true)).await;

    let instance = ground.instance().await;
    let first = instance.get(&key, &work).await;
    let second = ground.instance().await.get(&key, &work).await;

    assert_eq!(first.status, CacheStatus::Miss);
    assert_eq!(second.tier, Some(CacheTier::Valkey));
    assert!(instance.link.unwrap().state() == turnpike_shared::stores::LinkState::Up);
}

#[tokio::test]
async fn an_entry_under_another_entrys_key_is_not_served() {
    let ground = Ground::plain().await;
    let (mine, theirs) = (key(user(1), 1), key(user(2), 1));
    ground
        .instance()
        .await
        .get(&theirs, &Work::new("theirs"))
        .await;
    let (_, bytes_of_theirs) = entry_in_table(&ground).await;
    let ground = Ground::plain().await;
    ground.instance().await.get(&mine, &Work::new("mine")).await;
    let (pk, _) = entry_in_table(&ground).await;
    put_in_table(&ground, pk, AttributeValue::B(Blob::new(bytes_of_theirs))).await;

    let answer = ground
        .instance()
        .await
        .get(&mine, &Work::new("mine again"))
        .await;

    assert_eq!(&*answer.value, b"mine again");
}

#[tokio::test]
async fn what_is_too_large_for_a_store_is_kept_as_far_as_it_fits() {
    let ground = Ground::with_valkey().await;
    let mut random = std::iter::successors(Some(1_u64), |x| {
        Some(x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1))
    });
    let mut noise = |bytes: usize| -> Vec<u8> {
        random
            .by_ref()
            .take(bytes)
            .map(|x| (x >> 56) as u8)
            .collect()
    };
    let cases = [
        (400_000, Some(CacheTier::Valkey)),
        (2_000_000, None),
        (6_000_000, None),
    ];

    for (number, (bytes, elsewhere)) in (0..).zip(cases) {
        let (key, work) = (key(user(1), number), Work::new(noise(bytes)));
        let instance = ground.instance().await;
        let computed = instance.get(&key, &work).await;
        let again = instance.get(&key, &work).await;
        let by_another = ground.instance().await.get(&key, &work).await;

        assert_eq!(computed.value.len(), bytes);
        assert_eq!(again.tier.is_some(), bytes < 5_000_000, "{bytes} in memory");
        assert_eq!(by_another.tier, elsewhere, "{bytes}");
    }
}
