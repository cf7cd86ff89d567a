//! The event functions of the stack, by the names that they are invoked with.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use turnpike_shared::clock::Clock;
use turnpike_shared::ids;
use turnpike_shared::runtime::{EventFunction, EventService, Invocation, InvocationError};

/// What Lambda gives a function that asks for nothing else.
const USUAL_TIMEOUT: Duration = Duration::from_secs(3);

/// What becomes of an invocation.
pub(crate) type Outcome = Result<Value, InvocationError>;

type Invoke =
    dyn Fn(Value, Invocation) -> Pin<Box<dyn Future<Output = Outcome> + Send>> + Send + Sync;

/// Functions that take events, ready to be invoked.
pub(crate) struct EventFunctions {
    by_name: BTreeMap<&'static str, Box<Invoke>>,
    timeouts: BTreeMap<String, Duration>,
    clock: Clock,
}

impl EventFunctions {
    /// With the time that each function, by its name, is given for an event.
    pub(crate) fn new(clock: Clock, timeouts: BTreeMap<String, Duration>) -> Self {
        Self {
            by_name: BTreeMap::new(),
            timeouts,
            clock,
        }
    }

    /// Adds a function.
    pub(crate) fn add<F: EventFunction + 'static>(&mut self, name: &'static str, function: F) {
        let service = Arc::new(EventService::new(name, function));
        let invoke = move |event, invocation| {
            let service = Arc::clone(&service);
            let invoked = async move { service.invoke(event, invocation).await };
            Box::pin(invoked) as Pin<Box<dyn Future<Output = Outcome> + Send>>
        };
        self.by_name.insert(name, Box::new(invoke));
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// Invokes a function; `None` if there is none of this name. As under Lambda, it goes on when
    /// nobody waits for it any more, and a panic is its failure.
    pub(crate) async fn invoke(&self, name: &str, event: Value) -> Option<Outcome> {
        let invoke = self.by_name.get(name)?;
        let timeout = self.timeouts.get(name).copied().unwrap_or(USUAL_TIMEOUT);
        let now = self.clock.now();
        let invocation = Invocation {
            request_id: ids::unprefixed(now),
            deadline: now.plus(timeout),
        };
        let outcome = tokio::spawn(invoke(event, invocation)).await;
        Some(outcome.unwrap_or_else(|lost| {
            Err(InvocationError {
                error_type: "Panic".to_owned(),
                error_message: lost.to_string(),
            })
        }))
    }
}
