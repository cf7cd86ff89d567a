//! What Lambda must know of so that records are written after the answers: an internal extension.
//!
//! An instance is frozen once its function has answered, unless an extension is still at work. This
//! one waits for the answer to have gone, writes what is due, and only then lets the instance be
//! frozen; the client has its answer meanwhile, and the next request is sent to another instance.
//! That there is an extension also makes Lambda say when it ends the instance (AWS Lambda Developer
//! Guide, "Understanding the Lambda execution environment lifecycle").
//!
//! A frozen instance writes nothing: one that gets no more requests holds its last records until
//! its end.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use lambda_extension::{Extension, service_fn};
use lambda_runtime::tower::Service;
use lambda_runtime::tower::util::MapResultLayer;
use lambda_runtime::{Error, LambdaInvocation, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

use crate::afterwards::Afterwards;
use crate::failed_sign_ins::FailedSignIns;
use crate::usage_recorder::UsageRecorder;

const EXTENSION_NAME: &str = "turnpike-usage";
/// What may be written at the end: Lambda kills the process 500 ms after it said so.
const LAST_FLUSH: Duration = Duration::from_millis(400);

/// What is written after the answers.
pub(super) struct Recorders {
    pub(super) usage: UsageRecorder,
    pub(super) failed_sign_ins: Option<FailedSignIns>,
    pub(super) afterwards: Afterwards,
}

impl Recorders {
    pub(super) fn of_usage(usage: UsageRecorder) -> Self {
        Self {
            usage,
            failed_sign_ins: None,
            afterwards: Afterwards::default(),
        }
    }

    async fn flush_if_due(&self) {
        self.afterwards.done().await;
        let failed_sign_ins = async {
            if let Some(failed) = &self.failed_sign_ins {
                failed.flush_if_due().await;
            }
        };
        tokio::join!(self.usage.flush_if_due(), failed_sign_ins);
    }

    async fn flush(&self) {
        let failed_sign_ins = async {
            if let Some(failed) = &self.failed_sign_ins {
                failed.flush().await;
            }
        };
        tokio::join!(self.afterwards.done(), self.usage.flush(), failed_sign_ins);
    }
}

/// Serves events until Lambda ends the process, and writes the records after the answers.
pub(super) async fn run<S>(runtime: Runtime<S>, recorders: Recorders) -> Result<(), Error>
where
    S: Service<LambdaInvocation, Response = (), Error = Error>,
{
    let mut end = signal(SignalKind::terminate())?;
    let answered = Arc::new(Notify::new());
    let after_each_answer = service_fn(|_| async {
        answered.notified().await;
        recorders.flush_if_due().await;
        Ok::<_, Infallible>(())
    });
    let extension = Extension::new()
        .with_extension_name(EXTENSION_NAME)
        .with_events(&["INVOKE"])
        .with_events_processor(after_each_answer);
    // Lambda takes no extension once the function has asked for its first event.
    let extension = extension.register().await?;
    let told = Arc::clone(&answered);
    let runtime = runtime.layer(MapResultLayer::new(move |outcome| {
        told.notify_one();
        outcome
    }));
    tokio::select! {
        ended = runtime.run() => ended,
        ended = extension.run() => ended,
        _ = end.recv() => {
            let in_time = tokio::time::timeout(LAST_FLUSH, recorders.flush()).await.is_ok();
            let lost = recorders.usage.unwritten();
            if !in_time || lost > 0 {
                tracing::warn!(lost, "usage records could not be written at the end");
            }
            Ok(())
        }
    }
}
