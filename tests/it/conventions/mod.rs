//! What API.md says of every route.

mod bodies;
mod cors;
mod credentials;
mod headers;
mod paths;
