//! The cache below HTTP: several processes' worth of it on the same real stores.

mod concurrency;
mod ground;
mod histories;
mod invalidation;
mod memory;
mod outage;
mod rejected;
mod stale;
mod statistics;
mod tiers;
