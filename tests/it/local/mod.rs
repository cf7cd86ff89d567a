//! What only the local stack has.

mod mailbox;
mod process;
