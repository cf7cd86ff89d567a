//! The rules of an HTTP cache (RFC 9111) for what `/proxy` fetches: what may be kept, when it may be
//! used again and by whom, how it is asked about anew, and what an answer says of all that
//! (RFC 9211).
//!
//! Freshness, heuristics and the matching of `Vary` are `http-cache-semantics`'; what is here gives
//! it messages that it reads as the RFC wants them read, and decides the rest. No I/O: where entries
//! lie, and who fetches, is not known here.

mod conditions;
mod directives;
mod entry;
mod rules;
mod status;
mod variants;

pub(crate) use conditions::{as_not_modified, is_not_modified};
pub(crate) use directives::{Directives, for_one_client};
pub(crate) use entry::Entry;
pub(crate) use rules::{Asked, Terms, Use};
pub(crate) use status::{CacheStatus, Forwarded, Why};
pub(crate) use variants::Selection;
