//! The cache in its two stores: what lies in DynamoDB ([`CacheTable`]) and in Valkey.
//!
//! What an entry is good for is [`crate::cache`]'s business. Here bytes are put and got.

mod leases;
mod statistics;
mod table;
mod valkey;

pub(crate) use leases::Claim;
pub(crate) use statistics::Counted;
pub(crate) use table::{CacheTable, MAX_ITEM, Reading};
pub(crate) use valkey::{LeaseEnd, MAX_VALKEY, ValkeyCache};
