//! The function `authorizer`: lets requests to the owner's other APIs in, or not, as an API Gateway
//! REQUEST authorizer.
//!
//! It admits as every route of Turnpike's own does: the same credentials, the same limits, counted
//! in the same windows. It answers no request, so how a refusal looks is API Gateway's business.
//! What it cannot do, and what to use instead, stands in docs/authorizer.md.

mod answer;
mod app;
mod event;

pub use answer::Answer;
pub use app::{App, AuthorizerError, StartError};
pub use event::RequestEvent;
