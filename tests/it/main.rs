//! Turnpike as its users meet it. Files mirror URLs: `POST /api/v1/auth/password/reset/confirm` is
//! tested in `auth/password/reset_confirm.rs`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "in a test, what is not as expected is to stop it"
)]

mod admin;
mod analytics;
mod architecture;
mod audit;
mod auth;
mod authorizer;
mod behavior;
mod cache;
mod caching;
mod configuration;
mod content;
mod conventions;
mod denials;
mod deployed;
mod history;
mod idempotency;
mod keys;
mod lambda;
mod limits;
mod limits_check;
mod limits_on_the_wire;
mod local;
mod openapi;
mod outage;
mod preferences;
mod proxy;
mod query;
mod quota_reset;
mod readme;
mod recording;
mod support;
mod system;
mod upstreams;
mod usage_rollup;
mod users;
mod well_known;
