//! The real bootstraps under AWS's Lambda runtime emulator, with API Gateway's events.

mod emulator;
mod events;
mod flow;
mod gateway_samples;
mod secrets;

use emulator::{Emulator, Invocation};
