//! What invokes event functions in a deployed stage: streams of tables, schedules, and people by
//! Lambda's invoke path.
//!
//! What a function does with an event is its own business, and which events it is handed is the
//! template's.

mod filter;
mod follower;
mod functions;
mod invoke;
mod running;
mod schedule;
mod stream;

pub use filter::Filter;
pub(crate) use filter::UnknownPattern;
pub use follower::FollowError;
pub(crate) use follower::Follower;
pub(crate) use functions::EventFunctions;
pub(crate) use invoke::invoke_route;
pub(crate) use running::Events;
pub(crate) use schedule::{parse_rate, run_schedule};
pub use stream::StreamError;
pub(crate) use stream::TableStream;
