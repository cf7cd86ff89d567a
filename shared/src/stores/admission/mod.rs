//! The engines that keep windows where all instances see them, and the standing beside them.

mod dynamodb;
mod expression;
mod months;
mod pending;
mod reset;
mod valkey;
mod windows;

use super::StoreError;

pub use dynamodb::{DynamoDbEngine, Lease};
pub(super) use expression::Expression;
pub use months::CountedMonths;
pub(super) use months::month_of;
pub(super) use reset::reset;
pub use valkey::{ValkeyEngine, ValkeyError};

/// Why an engine gave no verdict.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// It does not answer, or not as it should.
    #[error("the engine is away")]
    Away(#[from] StoreError),
    /// The subject's own item is throttled or contended: the subject is to slow down.
    #[error("too many requests for one subject at once")]
    Throttled,
}
