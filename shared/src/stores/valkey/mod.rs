//! Valkey, as ElastiCache Serverless offers it: where a cache is and how one signs in to it.

pub mod endpoint;
pub mod iam;
