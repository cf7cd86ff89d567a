//! The real bootstraps under AWS's Lambda runtime emulator, with API Gateway's events.

mod authorizer;
mod emulator;
mod events;
mod flow;
mod gateway_samples;
mod keys;
mod limits;
mod recording;
mod runtime_api;
mod secrets;
mod valkey;

use emulator::{Emulator, Invocation};
