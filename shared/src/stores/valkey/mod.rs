//! Valkey, as ElastiCache Serverless offers it: how one signs in to it.

pub mod iam;
