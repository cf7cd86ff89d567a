//! The form of a log line: time, level, message, then the span's fields and the event's own.

use std::fmt;

use serde_json::{Map, Value, json};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{FormatEvent, JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

use super::REQUEST_TARGET;
use crate::clock::{Clock, Timestamp};

pub(super) struct JsonLines;

impl<S> FormatEvent<S, JsonFields> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let now = Clock::system().now();
        let metadata = event.metadata();
        let mut line = Map::new();
        line.insert("timestamp".into(), now.to_string().into());
        line.insert("level".into(), metadata.level().as_str().into());
        line.insert("message".into(), Value::Null);
        for span in context
            .event_scope()
            .into_iter()
            .flat_map(tracing_subscriber::registry::Scope::from_root)
        {
            let extensions = span.extensions();
            let fields = extensions.get::<FormattedFields<JsonFields>>();
            let fields = fields.and_then(|fields| serde_json::from_str(&fields.fields).ok());
            if let Some(Value::Object(fields)) = fields {
                line.extend(fields);
            }
        }
        event.record(&mut Fields(&mut line));
        if metadata.target() == REQUEST_TARGET {
            line.insert("_aws".into(), embedded_metrics(now));
        } else {
            line.insert("target".into(), metadata.target().into());
        }
        writeln!(writer, "{}", Value::Object(line))
    }
}

/// Says which members of the line are metrics (Amazon CloudWatch User Guide, "Specification:
/// Embedded metric format").
fn embedded_metrics(now: Timestamp) -> Value {
    json!({
        "Timestamp": now.millis(),
        "CloudWatchMetrics": [{
            "Namespace": "Turnpike",
            "Dimensions": [["function", "status_class"]],
            "Metrics": [
                {"Name": "requests", "Unit": "Count"},
                {"Name": "duration_ms", "Unit": "Milliseconds"},
            ],
        }],
    })
}

/// Puts an event's fields into a line.
struct Fields<'a>(&'a mut Map<String, Value>);

impl Fields<'_> {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }
}
