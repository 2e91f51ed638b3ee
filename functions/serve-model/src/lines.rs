//! Log lines as Cloud Logging takes them: one JSON object a line, an event's fields beside `severity` and `time`.

use std::fmt;

use serde_json::{Map, Value};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::{JsonFields, Writer},
        time::{FormatTime, SystemTime},
    },
    registry::LookupSpan,
};

/// Writes events as lines.
#[derive(Debug, Clone, Copy, Default)]
pub struct Lines;

impl<S> FormatEvent<S, JsonFields> for Lines
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let (mut fields, mut time) = (String::new(), String::new());
        JsonFields::new().format_fields(Writer::new(&mut fields), event)?;
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let mut line: Map<String, Value> = serde_json::from_str(&fields).unwrap_or_default();
        line.insert("severity".to_owned(), severity(*event.metadata().level()).into());
        line.insert("time".to_owned(), time.into());
        writeln!(writer, "{}", Value::Object(line))
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
