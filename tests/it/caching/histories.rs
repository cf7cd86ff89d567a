//! Random histories over several instances against a plain model: what is served was computed after
//! every invalidation that goes for it, and is not older than it may be.

use std::collections::HashMap;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::runtime::Runtime;
use turnpike_shared::cache::{
    CacheKey, CacheName, CacheOwner, CacheStatus, CacheTag, Invalidation,
};

use super::ground::{Ground, Work, key, user};

const INSTANCES: usize = 2;
const KEYS: usize = 4;

#[derive(Clone, Debug)]
enum Step {
    Get {
        by: usize,
        key: usize,
    },
    Invalidate {
        by: usize,
        owner: usize,
        what: usize,
    },
    Pass {
        seconds: u64,
    },
    /// An instance ends and another begins.
    Restart {
        which: usize,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let get = (0..INSTANCES, 0..KEYS).prop_map(|(by, key)| Step::Get { by, key });
    let invalidate = (0..INSTANCES, 0..2_usize, 0..4_usize)
        .prop_map(|(by, owner, what)| Step::Invalidate { by, owner, what });
    // Far from the end of what is fresh, whatever time the test itself takes.
    let pass = (1..10_u64).prop_map(|times| Step::Pass {
        seconds: times * 40,
    });
    let restart = (0..INSTANCES).prop_map(|which| Step::Restart { which });
    proptest::collection::vec(
        prop_oneof![6 => get, 2 => invalidate, 2 => pass, 1 => restart],
        1..40,
    )
}

fn owners() -> [CacheOwner; 2] {
    [user(1), CacheOwner::Shared]
}

/// Of each owner two keys, with different names and tags.
fn keys() -> Vec<CacheKey> {
    let of_owner = |owner| {
        ["books", "films"].map(|name| CacheKey {
            name: CacheName::of(&format!("query/{name}")),
            tags: vec![CacheTag::of_upstream(name)],
            ..key(owner, 1)
        })
    };
    owners().into_iter().flat_map(of_owner).collect()
}

fn invalidations() -> [(Invalidation, [bool; 2]); 4] {
    let of_tag = |name| Invalidation {
        tags: vec![CacheTag::of_upstream(name)],
        prefix: None,
    };
    let under = |prefix| Invalidation {
        tags: vec![],
        prefix: Some(CacheName::of(prefix)),
    };
    [
        (Invalidation::everything(), [true, true]),
        (of_tag("books"), [true, false]),
        (under("query/films"), [false, true]),
        (under("query"), [true, true]),
    ]
}

/// What is known of a key by the plainest of caches: one value, and when it was computed.
#[derive(Default)]
struct Model {
    now: u64,
    values: HashMap<usize, (u64, u64)>,
}

const FRESH: u64 = 300;

impl Model {
    /// The value that is served; `None` if it is computed anew.
    fn served(&self, key: usize) -> Option<u64> {
        let (value, at) = self.values.get(&key)?;
        (self.now < at + FRESH).then_some(*value)
    }
}

async fn hold(ground: &Ground, history: u64, steps: &[Step]) -> Result<(), TestCaseError> {
    let mut instances = vec![];
    for _ in 0..INSTANCES {
        instances.push(ground.instance().await);
    }
    let (mut keys, mut model) = (keys(), Model::default());
    for key in &mut keys {
        key.digest[..8].copy_from_slice(&history.to_be_bytes());
    }
    for (value, step) in (0_u64..).zip(steps) {
        let work = Work {
            fresh_for: Duration::from_secs(FRESH),
            ..Work::new(value.to_be_bytes())
        };
        match step {
            Step::Get { by, key } => {
                let answer = instances[*by].get(&keys[*key], &work).await;
                let expected = model.served(*key);
                let served = u64::from_be_bytes(answer.value.as_ref().try_into().unwrap());
                prop_assert_eq!(served, expected.unwrap_or(value));
                let is_hit = answer.status == CacheStatus::Hit;
                prop_assert_eq!(is_hit, expected.is_some());
                if expected.is_none() {
                    model.values.insert(*key, (value, model.now));
                }
            }
            Step::Invalidate { by, owner, what } => {
                let (what, goes_for) = &invalidations()[*what];
                instances[*by]
                    .cache
                    .invalidate(&owners()[*owner], what)
                    .await
                    .unwrap();
                for (index, goes) in goes_for.iter().enumerate() {
                    if *goes {
                        model.values.remove(&(owner * 2 + index));
                    }
                }
            }
            Step::Pass { seconds } => {
                ground.pass(Duration::from_secs(*seconds));
                model.now += seconds;
            }
            Step::Restart { which } => instances[*which] = ground.instance().await,
        }
    }
    Ok(())
}

fn hold_on(ground: impl AsyncFn() -> Ground, cases: u32) {
    let runtime = Runtime::new().unwrap();
    let ground = runtime.block_on(ground());
    let histories = std::cell::Cell::new(0);
    let mut runner = TestRunner::new(Config::with_cases(cases));
    let held = runner.run(&steps(), |steps| {
        histories.set(histories.get() + 1);
        runtime.block_on(hold(&ground, histories.get(), &steps))
    });
    held.unwrap_or_else(|failed| panic!("{failed}"));
}

#[test]
fn any_history_is_served_as_the_model_serves_it() {
    hold_on(Ground::plain, 60);
}

#[test]
fn any_history_is_served_with_valkey_as_the_model_serves_it() {
    hold_on(Ground::with_valkey, 60);
}
