//! What only the local stack has.

mod invoke;
mod mailbox;
mod process;
mod sample;
