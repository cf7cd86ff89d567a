//! The local stack: what `template.yaml` deploys, in one process, with no install beyond Rust.
//!
//! Tables and routes are read from the template, so the stack cannot drift from what is deployed.
//! The functions are the same routers that the Lambda binaries serve; DynamoDB is an embedded
//! engine that the same SDK client talks to, without a port.

mod admin;
mod connector;
mod engine;
mod environment;
mod events;
mod gateway;
mod keys;
mod local_routes;
mod mailbox;
pub mod openapi;
mod sample;
mod stack;
pub mod template;

pub use admin::FirstAdmin;
pub use engine::{Engine, create_tables};
pub use events::{Filter, FollowError, StreamError};
pub use keys::signing_keys_document;
pub use stack::{Options, SettleError, Stack, StartError};
