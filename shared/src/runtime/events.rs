//! Event functions: what Lambda invokes with something else than an HTTP request, and the one log
//! line that an invocation leaves.
//!
//! What an event means is the function's business. Whether a failure is retried, how often and
//! what becomes of the event then, is the template's.

use std::any::type_name;
use std::error::Error;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use lambda_runtime::{Context, Diagnostic};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tracing::Instrument as _;

use crate::clock::Timestamp;
use crate::errors::chain;
use crate::usage_recorder::UsageRecorder;

/// A function for one kind of event; it is handed one at a time.
pub trait EventFunction: Send + Sync {
    /// What Lambda hands over.
    type Event: DeserializeOwned + Send;
    /// What was done: the answer of the invocation, which is also logged, so nothing secret.
    type Report: Serialize + Send;
    /// Why the event must be handed over again.
    type Failure: Error + Send + 'static;

    fn handle(
        &self,
        event: Self::Event,
        invocation: Invocation,
    ) -> impl Future<Output = Result<Self::Report, Self::Failure>> + Send;

    /// What records the requests that the function lets in, if it lets any in.
    fn recorder(&self) -> Option<UsageRecorder> {
        None
    }
}

/// What a function knows of an invocation besides its event.
#[derive(Clone, Debug)]
pub struct Invocation {
    pub request_id: String,
    /// When the function is ended, whether it is done or not.
    pub deadline: Timestamp,
}

impl Invocation {
    pub(super) fn from_lambda(context: &Context) -> Self {
        Self {
            request_id: context.request_id.clone(),
            deadline: Timestamp::from_millis(i64::try_from(context.deadline).unwrap_or(i64::MAX)),
        }
    }
}

/// A failed invocation, as Lambda tells of it (AWS Lambda Developer Guide, "Using the Lambda
/// runtime API"): it goes to whoever invoked and to where failures are kept, so it says no more
/// than its own level. The chain of causes is in the log.
#[derive(Clone, PartialEq, Eq, Serialize, Debug, thiserror::Error)]
#[serde(rename_all = "camelCase")]
#[error("{error_message}")]
pub struct InvocationError {
    pub error_type: String,
    pub error_message: String,
}

impl InvocationError {
    fn of<E: Error>(error: &E) -> Self {
        Self {
            error_type: type_name::<E>().to_owned(),
            error_message: error.to_string(),
        }
    }
}

impl From<InvocationError> for Diagnostic {
    fn from(error: InvocationError) -> Self {
        Self {
            error_type: error.error_type,
            error_message: error.error_message,
        }
    }
}

/// An event function with what surrounds each of its invocations.
pub struct EventService<F> {
    name: &'static str,
    function: F,
    is_cold: AtomicBool,
}

/// The event or the report is not what the function says it is.
#[derive(Debug, thiserror::Error)]
enum Malformed {
    #[error("the event is none that this function takes")]
    Event(#[source] serde_json::Error),
    #[error("the report cannot be written")]
    Report(#[source] serde_json::Error),
}

impl<F: EventFunction> EventService<F> {
    pub fn new(name: &'static str, function: F) -> Self {
        Self {
            name,
            function,
            is_cold: AtomicBool::new(true),
        }
    }

    /// Hands an event to the function and logs what became of it.
    pub async fn invoke(
        &self,
        event: Value,
        invocation: Invocation,
    ) -> Result<Value, InvocationError> {
        let started = Instant::now();
        let cold_start = self.is_cold.swap(false, Ordering::Relaxed);
        // Of the highest level, so that a failure has its id whatever the log leaves out.
        let span = tracing::error_span!(
            "invocation",
            request_id = invocation.request_id,
            function = self.name
        );

        let handled = self.handle(event, invocation).instrument(span.clone());
        let outcome = handled.await;

        let _entered = span.entered();
        let duration_ms = started.elapsed().as_secs_f64() * 1000.0;
        match outcome {
            Ok(report) => {
                let told = report.to_string();
                tracing::info!(report = told, duration_ms, cold_start, "invocation");
                Ok(report)
            }
            Err((error, cause)) => {
                tracing::error!(cause, duration_ms, cold_start, "invocation failed");
                Err(error)
            }
        }
    }

    /// The report, or the error with its chain of causes.
    async fn handle(
        &self,
        event: Value,
        invocation: Invocation,
    ) -> Result<Value, (InvocationError, String)> {
        fn failed<E: Error + 'static>(error: E) -> (InvocationError, String) {
            (InvocationError::of(&error), chain(&error))
        }
        let event = serde_json::from_value(event).map_err(|e| failed(Malformed::Event(e)))?;
        let report = Box::pin(self.function.handle(event, invocation)).await;
        let report = report.map_err(failed)?;
        serde_json::to_value(report).map_err(|e| failed(Malformed::Report(e)))
    }
}
