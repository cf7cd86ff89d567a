//! Whoever may write the table but has no key is found out, and where.

use aws_sdk_dynamodb::types::AttributeValue;
use turnpike_shared::audit::{Broken, ChainKey, Head, Verdict};
use turnpike_shared::auth::StageSecret;
use turnpike_shared::ids::AuditId;
use turnpike_shared::stores::ChainError;

use super::{Item, OwnLog, item_of, log_at, logged, place, text, verify, writer_at};

/// A log that somebody is at.
struct Tampered {
    own: OwnLog,
    ids: Vec<AuditId>,
}

impl Tampered {
    /// With the entries 1 to `count`.
    async fn start(count: u64) -> Self {
        let (own, entries) = OwnLog::written(count).await;
        let ids = entries.iter().map(|entry| entry.id).collect();
        Self { own, ids }
    }

    fn id(&self, number: u64) -> AuditId {
        self.ids[usize::try_from(number).unwrap() - 1]
    }

    async fn get(&self, pk: &str, sk: &str) -> Item {
        let get = self.own.client().get_item().table_name("AuditTable");
        let get = get.key("pk", text(pk)).key("sk", text(sk));
        get.send().await.unwrap().item.unwrap()
    }

    async fn entry(&self, number: u64) -> Item {
        self.get(&pk(number), &sk(number)).await
    }

    async fn head(&self) -> Item {
        self.get("HEAD", "HEAD").await
    }

    async fn put(&self, item: Item) {
        let put = self.own.client().put_item().table_name("AuditTable");
        put.set_item(Some(item)).send().await.unwrap();
    }

    async fn delete(&self, pk: &str, sk: &str) {
        let delete = self.own.client().delete_item().table_name("AuditTable");
        let delete = delete.key("pk", text(pk)).key("sk", text(sk));
        delete.send().await.unwrap();
    }

    async fn cut(&self, numbers: std::ops::RangeInclusive<u64>) {
        let key = |number| {
            let place = [("pk", text(pk(number))), ("sk", text(sk(number)))];
            place.map(|(name, value)| (name.to_owned(), value)).into()
        };
        self.own.delete_all(numbers.map(key).collect()).await;
    }

    /// As [`Self::cut`], with what was there.
    async fn cut_out(&self, numbers: std::ops::RangeInclusive<u64>) -> Vec<Item> {
        let mut items = vec![];
        for number in numbers.clone() {
            items.push(self.entry(number).await);
        }
        self.cut(numbers).await;
        items
    }

    /// Puts what another entry consists of in the place of this one.
    async fn replace(&self, number: u64, by: &Item) {
        let mut item = by.clone();
        item.insert("pk".into(), text(pk(number)));
        item.insert("sk".into(), text(sk(number)));
        self.put(item).await;
    }

    async fn assert_broken(&self, sound: u64, at: Option<AuditId>) {
        let verdict = verify(&self.own.log).await;
        let broken = Some(Broken { at });
        assert_eq!(
            verdict,
            Verdict {
                entries: sound,
                broken
            }
        );
    }
}

fn pk(number: u64) -> String {
    format!("LOG#{}", (number - 1) / 1_000)
}

fn sk(number: u64) -> String {
    format!("{number:020}")
}

fn with(item: &Item, name: &str, value: AttributeValue) -> Item {
    let mut item = item.clone();
    item.insert(name.to_owned(), value);
    item
}

#[tokio::test]
async fn an_altered_entry_is_named_whatever_of_it_was_altered() {
    let log = Tampered::start(5).await;
    let (own, other) = (log.entry(3).await, log.entry(4).await);
    let entry = own["entry"].as_s().unwrap().clone();
    let alterations = [
        ("entry", text(entry.replace("quota-reset", "key-revoked"))),
        ("entry", text(format!("{entry} "))),
        ("previous_hash", other["previous_hash"].clone()),
        ("hash", other["hash"].clone()),
    ];

    for (name, value) in alterations {
        log.put(with(&own, name, value)).await;
        log.assert_broken(2, Some(log.id(3))).await;
    }

    log.put(own).await;
    assert_eq!(verify(&log.own.log).await.broken, None);
}

#[tokio::test]
async fn what_is_no_entry_any_more_is_told_by_the_one_before_it() {
    let log = Tampered::start(5).await;
    let own = log.entry(3).await;
    let mut without = own.clone();
    without.remove("hash");
    let ruins = [
        with(&own, "entry", AttributeValue::N("3".into())),
        with(&own, "hash", text("none")),
        with(&own, "entry", text("{}")),
        without,
    ];

    for ruin in ruins {
        log.put(ruin).await;
        log.assert_broken(2, Some(log.id(2))).await;
    }
    assert_eq!(
        logged(&log.own.log).await.len(),
        4,
        "the others are still listed"
    );
}

#[tokio::test]
async fn behind_a_missing_entry_the_next_is_named() {
    let log = Tampered::start(5).await;

    log.cut(3..=3).await;

    log.assert_broken(2, Some(log.id(4))).await;
}

#[tokio::test]
async fn a_gap_is_seen_at_the_ends_of_partitions_and_over_a_whole_one() {
    let log = Tampered::start(2_010).await;
    let gaps = [1_000..=1_000, 1_001..=1_001, 990..=1_010, 1_001..=2_000];

    for gap in gaps {
        let (before, behind) = (gap.start() - 1, gap.end() + 1);
        let items = log.cut_out(gap).await;
        log.assert_broken(before, Some(log.id(behind))).await;
        log.own.put_all(items).await;
    }
    assert_eq!(verify(&log.own.log).await.broken, None);
}

#[tokio::test]
async fn of_two_swapped_entries_the_one_that_now_comes_first_is_named() {
    let log = Tampered::start(5).await;
    let (second, fourth) = (log.entry(2).await, log.entry(4).await);

    log.replace(2, &fourth).await;
    log.replace(4, &second).await;

    log.assert_broken(1, Some(log.id(4))).await;
}

#[tokio::test]
async fn an_entry_forged_without_the_key_is_named_wherever_it_is_put() {
    let log = Tampered::start(3).await;
    let other_secret = StageSecret::new(&"another secret of 32 characters!".into()).unwrap();
    let forger = ChainKey::new(&other_secret);
    let last = log.entry(3).await;
    let forged_id = AuditId::new(super::T);
    let forge = |count: u64, hash: &AttributeValue| {
        let hash = hash.as_s().unwrap().parse().unwrap();
        item_of(forger.append(&Head { count, hash }, format!(r#"{{"id":"{forged_id}"}}"#)))
    };

    log.put(forge(3, &last["hash"])).await;
    log.assert_broken(3, Some(forged_id)).await;
    log.cut(4..=4).await;
    log.put(forge(2, &last["previous_hash"])).await;
    log.assert_broken(2, Some(forged_id)).await;
}

#[tokio::test]
async fn a_cut_off_end_is_told_by_the_last_entry_that_is_left() {
    let log = Tampered::start(5).await;

    log.cut(5..=5).await;
    log.assert_broken(4, Some(log.id(4))).await;
    log.cut(2..=4).await;
    log.assert_broken(1, Some(log.id(1))).await;
    log.cut(1..=1).await;
    log.assert_broken(0, None).await;
}

#[tokio::test]
async fn a_cut_off_end_is_seen_without_the_head_too() {
    let log = Tampered::start(5).await;

    log.cut(4..=5).await;
    log.delete("HEAD", "HEAD").await;

    log.assert_broken(3, Some(log.id(3))).await;
}

#[tokio::test]
async fn a_cut_off_end_is_seen_at_the_end_of_a_partition() {
    let log = Tampered::start(1_005).await;

    log.cut(1_001..=1_005).await;

    log.assert_broken(1_000, Some(log.id(1_000))).await;
}

#[tokio::test]
async fn a_head_that_was_made_up_vouches_for_nothing_and_nothing_is_written_behind_it() {
    let log = Tampered::start(5).await;
    let (head, fourth) = (log.head().await, log.entry(4).await);
    let made_up = with(&head, "count", AttributeValue::N("4".into()));
    let made_up = with(&made_up, "hash", fourth["hash"].clone());

    log.cut(5..=5).await;
    log.put(made_up).await;

    log.assert_broken(4, Some(log.id(4))).await;
    let more = log.own.leave(1).await;
    let refused = log.own.writer.chain(&[place(&more[0])]).await;
    assert!(matches!(refused, Err(ChainError::HeadForged)));
    assert_eq!(log.own.left().await, 1, "the entry waits in the outbox");
}

#[tokio::test]
async fn an_older_head_beside_younger_entries_names_the_first_of_them() {
    let log = Tampered::start(3).await;
    let old = log.head().await;
    let more = log.own.leave(2).await;
    let places = more.iter().map(place).collect::<Vec<_>>();
    log.own.writer.chain(&places).await.unwrap();

    log.put(old).await;

    log.assert_broken(5, Some(more[0].id)).await;
    let next = log.own.leave(1).await;
    let refused = log.own.writer.chain(&[place(&next[0])]).await;
    assert!(matches!(refused, Err(ChainError::Occupied(4))));
}

#[tokio::test]
async fn with_another_key_nothing_verifies() {
    let log = Tampered::start(2).await;
    let endpoint = log.own.engine.endpoint();
    let other = StageSecret::new(&"another secret of 32 characters!".into()).unwrap();
    let other = turnpike_shared::stores::AuditLog::new(
        &crate::support::dynamodb_at(&endpoint),
        "AuditTable".to_owned(),
        ChainKey::new(&other),
    );

    let verdict = verify(&other).await;

    assert_eq!(
        (verdict.entries, verdict.broken),
        (
            0,
            Some(Broken {
                at: Some(log.id(1))
            })
        )
    );
}

/// What only the lines of the writer's log can show; here so that nobody promises more.
#[tokio::test]
async fn an_end_cut_off_together_with_its_head_is_not_seen_from_the_table_alone() {
    let log = Tampered::start(3).await;
    let old = log.head().await;
    let more = log.own.leave(2).await;
    let places = more.iter().map(place).collect::<Vec<_>>();
    writer_at(&log.own.engine.endpoint())
        .chain(&places)
        .await
        .unwrap();

    log.cut(4..=5).await;
    log.put(old).await;

    let verdict = verify(&log_at(&log.own.engine.endpoint())).await;
    assert_eq!(
        verdict,
        Verdict {
            entries: 3,
            broken: None
        }
    );
}
