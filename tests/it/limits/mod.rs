//! Limits: the three engines give the same decision for the same history, under concurrency, on
//! clusters and across outages, and let nobody in whose credential has ended.

mod cluster;
mod concurrency;
mod contract;
mod dynamodb;
pub(crate) mod engines;
mod history;
mod model;
mod month;
mod standing;
