//! What Turnpike's functions have in common.
//!
//! Dependencies point inwards: a function's handlers call [`auth`] and [`mail`] (the domain),
//! the domain knows nothing of AWS or HTTP, and [`stores`] and [`web`] stand around it.
//! What only one function needs lives with that function, because every binary pays at its
//! cold start for what it links.

pub mod admission;
pub mod afterwards;
pub mod audit;
pub mod auth;
pub mod behavior;
pub mod cache;
pub mod clock;
pub mod config;
pub mod content;
pub mod errors;
pub mod failed_sign_ins;
pub mod history;
pub mod idempotency;
pub mod ids;
pub mod jobs;
pub mod limits;
pub mod mail;
pub mod policy_source;
pub mod preferences;
pub mod queries;
pub mod runtime;
pub mod stores;
pub mod telemetry;
pub mod token_verifier;
pub mod upstreams;
pub mod usage;
pub mod usage_recorder;
pub mod web;

/// The release that this code belongs to, as `/`, `/health` and the OpenAPI document show it.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
