//! The form of a log line: time, level, message, then the span's fields and the event's own.
//!
//! Every request leaves a line, so a line is written from left to right, without a tree in between.
//! A span's fields are kept as they stand in a line, each behind a comma.

use std::fmt;
use std::io;

use serde::Serialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use tracing::field::{Field, FieldSet, Visit};
use tracing::span::Record;
use tracing::{Event, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormattedFields};
use tracing_subscriber::registry::{LookupSpan, Scope};

use super::{CIRCUIT_TARGET, REQUEST_TARGET};
use crate::clock::{Clock, Timestamp};

/// The name of what an event says in words.
const MESSAGE: &str = "message";
/// The name of what an event function reports, as JSON.
const REPORT: &str = "report";

pub(super) struct JsonLines;

impl<S> FormatEvent<S, SpanFields> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, SpanFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let now = Clock::system().now();
        let metadata = event.metadata();
        let mut line = Members::default();
        line.add("timestamp", &now);
        line.add("level", metadata.level().as_str());
        let mut message = Message(None);
        event.record(&mut message);
        line.add(MESSAGE, &message.0);
        let mut earlier = vec![];
        for span in context.event_scope().into_iter().flat_map(Scope::from_root) {
            let extensions = span.extensions();
            if let Some(fields) = extensions.get::<FormattedFields<SpanFields>>() {
                line.0.push_str(&fields.fields);
                earlier.push(span.metadata().fields());
            }
        }
        event.record(&mut Fields {
            members: &mut line,
            earlier: Earlier::Of(&earlier),
        });
        match metadata.target() {
            REQUEST_TARGET => line.0.push_str(&embedded_metrics(
                now,
                r#""function","status_class""#,
                r#"{"Name":"requests","Unit":"Count"},{"Name":"duration_ms","Unit":"Milliseconds"}"#,
            )),
            CIRCUIT_TARGET => line.0.push_str(&embedded_metrics(
                now,
                r#""state""#,
                r#"{"Name":"circuit_transitions","Unit":"Count"}"#,
            )),
            target => line.add("target", target),
        }
        // The first member has no comma before it.
        writeln!(writer, "{{{}}}", line.0.trim_start_matches(','))
    }
}

/// Writes a span's fields as they stand in a line.
pub(super) struct SpanFields;

impl<'writer> FormatFields<'writer> for SpanFields {
    fn format_fields<R: RecordFields>(
        &self,
        mut writer: Writer<'writer>,
        fields: R,
    ) -> fmt::Result {
        let mut members = Members::default();
        fields.record(&mut Fields {
            members: &mut members,
            earlier: Earlier::Of(&[]),
        });
        writer.write_str(&members.0)
    }

    fn add_fields(
        &self,
        current: &'writer mut FormattedFields<Self>,
        fields: &Record<'_>,
    ) -> fmt::Result {
        let mut members = Members(std::mem::take(&mut current.fields));
        fields.record(&mut Fields {
            members: &mut members,
            earlier: Earlier::Any,
        });
        current.fields = members.0;
        Ok(())
    }
}

/// Says which members of the line are metrics (Amazon CloudWatch User Guide, "Specification:
/// Embedded metric format").
fn embedded_metrics(now: Timestamp, dimensions: &str, metrics: &str) -> String {
    format!(
        concat!(
            r#","_aws":{{"Timestamp":{},"CloudWatchMetrics":[{{"Namespace":"Turnpike","#,
            r#""Dimensions":[[{}]],"Metrics":[{}]}}]}}"#
        ),
        now.millis(),
        dimensions,
        metrics
    )
}

/// Members of an object, each behind a comma.
#[derive(Default)]
struct Members(String);

impl Members {
    /// Writes a member that is not there yet.
    fn add(&mut self, name: &str, value: &(impl Serialize + ?Sized)) {
        self.0.push_str(",\"");
        self.0.push_str(name);
        self.0.push_str("\":");
        let begun = self.0.len();
        // Texts, numbers and flags can always be written.
        if serde_json::to_writer(Text(&mut self.0), value).is_err() {
            self.0.truncate(begun);
            self.0.push_str("null");
        }
    }

    /// Writes a member in place of an older one.
    fn replace(&mut self, name: &str, value: &(impl Serialize + ?Sized)) {
        // A quotation mark within a text is escaped, so this is a member's beginning.
        let beginning = format!(",\"{name}\":");
        if let Some(at) = self.0.find(&beginning) {
            let rest = &self.0[at + beginning.len()..];
            let mut values = serde_json::Deserializer::from_str(rest).into_iter::<IgnoredAny>();
            let _ = values.next();
            let end = at + beginning.len() + values.byte_offset();
            self.0.replace_range(at..end, "");
        }
        self.add(name, value);
    }
}

/// Text that is written to as bytes.
struct Text<'a>(&'a mut String);

impl io::Write for Text<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = std::str::from_utf8(bytes).map_err(io::Error::other)?;
        self.0.push_str(text);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Puts fields into a line.
struct Fields<'a> {
    members: &'a mut Members,
    earlier: Earlier<'a>,
}

/// Which names may be in the line already.
enum Earlier<'a> {
    Any,
    Of(&'a [&'static FieldSet]),
}

impl Earlier<'_> {
    fn may_have(&self, name: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Of(sets) => sets.iter().any(|fields| fields.field(name).is_some()),
        }
    }
}

impl Fields<'_> {
    fn put(&mut self, field: &Field, value: &(impl Serialize + ?Sized)) {
        let name = field.name();
        let name = name.strip_prefix("r#").unwrap_or(name);
        if self.earlier.may_have(name) {
            self.members.replace(name, value);
        } else if name != MESSAGE {
            self.members.add(name, value);
        }
    }
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        // An invocation's report is JSON already, and its members are to be looked for.
        match (field.name() == REPORT).then(|| serde_json::from_str::<Value>(value)) {
            Some(Ok(report)) => self.put(field, &report),
            _ => self.put(field, value),
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, &value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, &value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, &value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, &value);
    }
}

/// What an event says in words.
struct Message(Option<String>);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == MESSAGE {
            self.0 = Some(format!("{value:?}"));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == MESSAGE {
            self.0 = Some(value.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use serde_json::{Value, json};
    use tracing::field::Empty;
    use tracing_subscriber::fmt::MakeWriter;

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Written {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    /// The lines that `work` leaves in the log.
    fn logged(work: impl FnOnce()) -> Vec<String> {
        let written = Written::default();
        let subscriber = tracing_subscriber::fmt()
            .fmt_fields(SpanFields)
            .event_format(JsonLines)
            .with_writer(written.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, work);
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    fn names(line: &str) -> Vec<String> {
        let object: serde_json::Map<String, Value> = serde_json::from_str(line).unwrap();
        object.keys().cloned().collect()
    }

    #[test]
    fn a_line_has_the_spans_fields_and_then_the_events_own() {
        let lines = logged(|| {
            let span = tracing::error_span!("request", request_id = "req_1", user_id = Empty);
            span.record("user_id", "usr_1");
            let _entered = span.entered();
            tracing::info!(target: REQUEST_TARGET, status = 200, duration_ms = 0.5, code = None::<&str>, "request");
            tracing::warn!(is_late = true, by = -3, cause = ?"why", "late");
        });

        assert_eq!(
            names(&lines[0]),
            [
                "timestamp",
                "level",
                "message",
                "request_id",
                "user_id",
                "status",
                "duration_ms",
                "_aws"
            ]
        );
        let line: Value = serde_json::from_str(&lines[0]).unwrap();
        assert_eq!(
            (&line["message"], &line["level"]),
            (&json!("request"), &json!("INFO"))
        );
        assert_eq!(
            (&line["status"], &line["duration_ms"]),
            (&json!(200), &json!(0.5))
        );
        assert_eq!(
            line["_aws"]["CloudWatchMetrics"][0]["Namespace"],
            "Turnpike"
        );
        assert_eq!(
            line["_aws"]["CloudWatchMetrics"][0]["Metrics"],
            json!([{"Name": "requests", "Unit": "Count"}, {"Name": "duration_ms", "Unit": "Milliseconds"}])
        );
        let line: Value = serde_json::from_str(&lines[1]).unwrap();
        assert_eq!((&line["is_late"], &line["by"]), (&json!(true), &json!(-3)));
        assert_eq!(
            (&line["cause"], &line["user_id"]),
            (&json!("\"why\""), &json!("usr_1"))
        );
        assert_eq!(line["target"], module_path!());
    }

    #[test]
    fn the_line_of_a_circuit_breaker_is_its_metric() {
        let lines = logged(|| {
            tracing::warn!(target: CIRCUIT_TARGET, state = "open", circuit_transitions = 1, "circuit breaker");
        });

        let line: Value = serde_json::from_str(&lines[0]).unwrap();
        assert_eq!(line["circuit_transitions"], 1);
        assert_eq!(
            line["_aws"]["CloudWatchMetrics"],
            json!([{
                "Namespace": "Turnpike",
                "Dimensions": [["state"]],
                "Metrics": [{"Name": "circuit_transitions", "Unit": "Count"}],
            }])
        );
    }

    #[test]
    fn of_two_values_of_one_name_the_later_counts_and_is_there_once() {
        let lines = logged(|| {
            let span =
                tracing::error_span!("request", first = "{\"a\": \",\\\"first\\\":1\"}", last = 1);
            span.record("first", "anew");
            let _entered = span.entered();
            tracing::info!(last = 2, "request");
        });

        assert_eq!(names(&lines[0]).len(), 6, "{}", lines[0]);
        assert_eq!(lines[0].matches("\"first\":").count(), 1, "{}", lines[0]);
        assert_eq!(lines[0].matches("\"last\":").count(), 1, "{}", lines[0]);
        let line: Value = serde_json::from_str(&lines[0]).unwrap();
        assert_eq!((&line["first"], &line["last"]), (&json!("anew"), &json!(2)));
    }

    #[test]
    fn whatever_is_logged_stays_on_its_line_and_in_its_text() {
        let text = "\",\"level\":\"FORGED\"}\n{\u{1b}[31m\u{2028}";

        let lines = logged(|| {
            let _entered = tracing::error_span!("request", text).entered();
            tracing::info!(other = text, "{text}");
        });

        assert_eq!(lines.len(), 1);
        let line: Value = serde_json::from_str(&lines[0]).unwrap();
        assert_eq!(line["level"], "INFO");
        for name in ["text", "other", "message"] {
            assert_eq!(line[name], text, "{name}");
        }
    }

    #[test]
    fn a_report_is_an_object_in_its_line_and_no_other_text_is() {
        let json = r#"{"users":3,"positions":["a"]}"#;

        let lines = logged(|| tracing::info!(report = json, other = json, "invocation"));

        let line: Value = serde_json::from_str(&lines[0]).unwrap();
        assert_eq!(line["report"], json!({"users": 3, "positions": ["a"]}));
        assert_eq!(line["other"], json);
    }
}
