//! Errors as the client meets them: the catalogue of problem codes and the problem itself.
//!
//! What a client reads (code, title, detail) and what the operator reads (the cause, in the log)
//! are separate texts. How a problem becomes an HTTP answer is [`crate::web`]'s business.

mod catalogue;
mod chain;
mod problem;

pub use catalogue::ProblemCode;
pub use chain::chain;
pub use problem::{FieldError, Problem};
