//! The records of one slice that are stored together, in their packed form.
//!
//! Users, tiers and routes stand once in front, and a record names them by their places: a record of
//! its own would cost a write, twenty-five that are packed cost one.

use std::collections::HashMap;
use std::hash::Hash;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Slice, UsageCaller, UsageRecord};
use crate::auth::Tier;
use crate::clock::Timestamp;
use crate::ids::UserId;

/// Records of many users, all of one slice.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Batch(Vec<UsageRecord>);

impl Batch {
    /// Cuts records into batches of one slice each; none holds more than `most`.
    pub fn cut(records: &[UsageRecord], most: usize) -> Vec<(Slice, Self)> {
        let mut slices: Vec<(Slice, Vec<UsageRecord>)> = vec![];
        for record in records {
            let slice = Slice::of(record.at);
            let open = |(of, held): &&mut (Slice, Vec<_>)| *of == slice && held.len() < most;
            match slices.iter_mut().find(open) {
                Some((_, held)) => held.push(record.clone()),
                None => slices.push((slice, vec![record.clone()])),
            }
        }
        let batch = |(slice, records)| (slice, Self(records));
        slices.into_iter().map(batch).collect()
    }

    pub fn records(&self) -> &[UsageRecord] {
        &self.0
    }
}

#[derive(Serialize, Deserialize)]
struct Packed {
    /// Of the slice, in milliseconds.
    start: i64,
    tiers: Vec<Tier>,
    callers: Vec<PackedCaller>,
    /// Methods and paths.
    routes: Vec<(String, String)>,
    records: Vec<PackedRecord>,
}

#[derive(Serialize, Deserialize)]
struct PackedCaller {
    user: [u8; 16],
    tier: usize,
}

#[derive(Serialize, Deserialize)]
struct PackedRecord {
    /// Milliseconds from the start of the slice.
    at: u32,
    caller: Option<usize>,
    route: usize,
    status: u16,
    duration_ms: u32,
    charged: u32,
}

/// Gives each thing the place at which it stands once.
struct Dictionary<T>(HashMap<T, usize>);

impl<T: Eq + Hash> Dictionary<T> {
    fn place_of(&mut self, thing: T) -> usize {
        let next = self.0.len();
        *self.0.entry(thing).or_insert(next)
    }

    fn in_order(self) -> Vec<T> {
        let mut things: Vec<(T, usize)> = self.0.into_iter().collect();
        things.sort_by_key(|(_, place)| *place);
        things.into_iter().map(|(thing, _)| thing).collect()
    }
}

impl<T> Default for Dictionary<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl Serialize for Batch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let slice = self.0.first().map(|record| Slice::of(record.at));
        let start = slice.map_or(0, |slice| slice.start().millis());
        let mut tiers = Dictionary::default();
        let mut callers = Dictionary::default();
        let mut routes = Dictionary::default();
        let pack = |record: &UsageRecord| PackedRecord {
            at: u32::try_from(record.at.millis() - start).unwrap_or_default(),
            caller: record.caller.as_ref().map(|caller| {
                let tier = tiers.place_of(caller.tier.clone());
                callers.place_of((caller.user.bytes(), tier))
            }),
            route: routes.place_of((record.method.clone(), record.path.clone())),
            status: record.status,
            duration_ms: record.duration_ms,
            charged: record.charged,
        };
        let records = self.0.iter().map(pack).collect();
        let caller = |(user, tier)| PackedCaller { user, tier };
        let packed = Packed {
            start,
            tiers: tiers.in_order(),
            callers: callers.in_order().into_iter().map(caller).collect(),
            routes: routes.in_order(),
            records,
        };
        packed.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Batch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Packed {
            start,
            tiers,
            callers,
            routes,
            records,
        } = Packed::deserialize(deserializer)?;
        let caller = |place: usize| {
            let caller = callers.get(place)?;
            Some(UsageCaller {
                user: UserId::from_bytes(caller.user),
                tier: tiers.get(caller.tier)?.clone(),
            })
        };
        let unpack = |record: PackedRecord| {
            let (method, path) = routes.get(record.route)?.clone();
            Some(UsageRecord {
                at: Timestamp::from_millis(start.saturating_add(record.at.into())),
                caller: match record.caller {
                    Some(place) => Some(caller(place)?),
                    None => None,
                },
                method,
                path,
                status: record.status,
                duration_ms: record.duration_ms,
                charged: record.charged,
            })
        };
        let records: Option<Vec<_>> = records.into_iter().map(unpack).collect();
        let missing = || serde::de::Error::custom("a record names what is not in its batch");
        records.map(Self).ok_or_else(missing)
    }
}
