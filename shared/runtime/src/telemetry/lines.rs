//! Log lines for machines: one JSON object a line, with the fields of the event and of the spans around it side by side.
//!
//! Two forms differ in the names of what every line has. [`Form::Google`] is Cloud Logging's: it takes `severity`, `time`
//! and the trace out of the object, so that a request's lines stand under it in the console
//! (<https://cloud.google.com/logging/docs/structured-logging>); `serviceContext` is Error Reporting's.

use std::fmt;

use serde_json::{Map, Value, json};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields, FormattedFields,
        format::{JsonFields, Writer},
        time::{FormatTime, SystemTime},
    },
    registry::LookupSpan,
};

use super::Process;
use crate::trace_context::TraceContext;

/// How what every line has is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// `timestamp`, `level`, `target`, `trace_id`, `span_id`.
    Plain,
    /// Cloud Logging's names.
    Google,
}

/// Writes events as lines.
#[derive(Debug, Clone)]
pub(super) struct Lines {
    pub(super) form: Form,
    pub(super) process: Process,
}

impl<S> FormatEvent<S, JsonFields> for Lines
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = Map::new();
        let mut trace = None;
        for span in context.event_scope().into_iter().flat_map(|scope| scope.from_root()) {
            let extensions = span.extensions();
            if let Some(fields) = extensions.get::<FormattedFields<JsonFields>>() {
                add(&mut line, fields);
            }
            trace = extensions.get::<TraceContext>().copied().or(trace);
        }
        let mut fields = String::new();
        JsonFields::new().format_fields(Writer::new(&mut fields), event)?;
        add(&mut line, &fields);
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        // Last: a field that happens to have such a name must not hide what every line has.
        self.head(&mut line, event, time);
        if let Some(trace) = trace {
            self.trace(&mut line, trace);
        }
        writeln!(writer, "{}", Value::Object(line))
    }
}

impl Lines {
    fn head(&self, line: &mut Map<String, Value>, event: &Event<'_>, time: String) {
        let (level, target) = (*event.metadata().level(), event.metadata().target());
        match self.form {
            Form::Plain => {
                line.insert("timestamp".to_owned(), time.into());
                line.insert("level".to_owned(), level.as_str().into());
                line.insert("target".to_owned(), target.into());
            }
            Form::Google => {
                line.insert("time".to_owned(), time.into());
                line.insert("severity".to_owned(), severity(level).into());
                line.insert("logger".to_owned(), target.into());
                let service = json!({"service": self.process.service, "version": self.process.version});
                line.insert("serviceContext".to_owned(), service);
            }
        }
    }

    fn trace(&self, line: &mut Map<String, Value>, trace: TraceContext) {
        let (trace_id, span_id) = (format!("{:032x}", trace.trace_id), format!("{:016x}", trace.span_id));
        match self.form {
            Form::Plain => {
                line.insert("trace_id".to_owned(), trace_id.into());
                line.insert("span_id".to_owned(), span_id.into());
            }
            Form::Google => {
                let name = match &self.process.project {
                    Some(project) => format!("projects/{project}/traces/{trace_id}"),
                    None => trace_id,
                };
                line.insert("logging.googleapis.com/trace".to_owned(), name.into());
                line.insert("logging.googleapis.com/spanId".to_owned(), span_id.into());
                line.insert("logging.googleapis.com/trace_sampled".to_owned(), trace.is_sampled.into());
            }
        }
    }
}

/// Adds fields that were formatted as one JSON object; the innermost of a name wins.
fn add(line: &mut Map<String, Value>, fields: &str) {
    if let Ok(Value::Object(fields)) = serde_json::from_str(fields) {
        line.extend(fields);
    }
}

fn severity(level: Level) -> &'static str {
    match level {
        Level::ERROR => "ERROR",
        Level::WARN => "WARNING",
        Level::INFO => "INFO",
        Level::DEBUG | Level::TRACE => "DEBUG",
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{self, Write},
        sync::{Arc, Mutex},
    };

    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The lines that `tell` logs, each read back.
    fn lines(form: Form, tell: impl FnOnce()) -> Vec<Value> {
        let process = Process {
            service: "load-table".to_owned(),
            version: "load-table-00007".to_owned(),
            project: Some("shop".to_owned()),
            traces_to: None,
        };
        let written = Written::default();
        let out = written.clone();
        let layer = tracing_subscriber::fmt::layer()
            .with_writer(move || out.clone())
            .fmt_fields(JsonFields::new())
            .event_format(Lines { form, process });
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), tell);
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn in_a_delivery() {
        let span = tracing::error_span!("delivery", function = "load-table", run = "date=2026-11-24", attempt = 2);
        let context: TraceContext = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().unwrap();
        context.keep_with(&span);
        let _entered = span.entered();
        tracing::warn!(reason = "two\nlines", time = "noon", "delivery will be retried");
    }

    #[test]
    fn a_line_for_cloud_logging_carries_its_severity_its_trace_and_its_deliverys_fields() {
        let lines = lines(Form::Google, in_a_delivery);
        assert_eq!(lines.len(), 1);
        let mut line = lines[0].clone();
        let time = line.as_object_mut().unwrap().remove("time").unwrap();
        assert!(chrono::DateTime::parse_from_rfc3339(time.as_str().unwrap()).is_ok(), "{time}");
        let expected = json!({
            "severity": "WARNING", "message": "delivery will be retried", "reason": "two\nlines",
            "function": "load-table", "run": "date=2026-11-24", "attempt": 2,
            "logger": "millstream_runtime::telemetry::lines::tests",
            "serviceContext": {"service": "load-table", "version": "load-table-00007"},
            "logging.googleapis.com/trace": "projects/shop/traces/4bf92f3577b34da6a3ce929d0e0e4736",
            "logging.googleapis.com/spanId": "00f067aa0ba902b7",
            "logging.googleapis.com/trace_sampled": true,
        });
        assert_eq!(line, expected);
    }

    #[test]
    fn a_plain_line_has_the_usual_names() {
        let lines = lines(Form::Plain, in_a_delivery);
        let line = &lines[0];
        assert_eq!((&line["level"], &line["function"]), (&json!("WARN"), &json!("load-table")));
        assert_eq!(line["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
        assert!(line.get("severity").is_none());
    }

    #[test]
    fn a_line_outside_any_delivery_has_no_trace() {
        let lines = lines(Form::Google, || tracing::info!("started"));
        assert_eq!(lines[0]["message"], "started");
        assert!(lines[0].get("logging.googleapis.com/trace").is_none());
    }
}
