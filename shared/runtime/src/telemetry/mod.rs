//! What a process tells of itself while it works: log lines on standard error, for people or for machines, and (feature
//! `otel`) a trace of its deliveries.
//!
//! In: the settings and what the process is. Out: a [`Telemetry`] to end the process with.

mod lines;
#[cfg(feature = "otel")]
mod traces;

use std::io::{IsTerminal, stderr};

use tracing::Subscriber;
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::ParseError,
    fmt::format::JsonFields,
    layer::SubscriberExt,
    registry::LookupSpan,
    util::{SubscriberInitExt, TryInitError},
};

use self::lines::{Form, Lines};
use crate::settings::{Log, LogFormat};
#[cfg(feature = "otel")]
pub(crate) use traces::begin;

/// Telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The level is not a filter.
    #[error("log.level is not a level or a filter: {0}")]
    Level(#[from] ParseError),
    /// Something else logs in this process already.
    #[error("logging is set up already: {0}")]
    Already(#[from] TryInitError),
    /// Traces cannot be exported.
    #[cfg(feature = "otel")]
    #[error("traces cannot be exported to OTEL_EXPORTER_OTLP_ENDPOINT: {0}")]
    Exporter(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What the process is, for the readers of its telemetry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Process {
    /// The service: `load-table`.
    pub service: String,
    /// Which build or revision of it.
    pub version: String,
    /// The Google Cloud project that its traces are in.
    pub project: Option<String>,
    /// Where traces go by OTLP over HTTP: a base URL. Without one they are not exported.
    pub traces_to: Option<String>,
}

impl Process {
    /// A service on Cloud Run, which names its revision in `K_REVISION`; traces go to `OTEL_EXPORTER_OTLP_ENDPOINT`.
    #[expect(clippy::disallowed_methods, reason = "the process's own variables are read at its start, here")]
    #[must_use]
    pub fn of_service(service: &str, project: &str) -> Self {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            service: service.to_owned(),
            version: variable("K_REVISION").unwrap_or_else(|| env!("CARGO_PKG_VERSION").to_owned()),
            project: Some(project.to_owned()),
            traces_to: variable("OTEL_EXPORTER_OTLP_ENDPOINT"),
        }
    }
}

/// The process's telemetry; ended before the process, so that nothing is left unsent.
#[derive(Debug)]
#[must_use = "what is not sent yet is lost unless `shutdown` is awaited"]
pub struct Telemetry {
    #[cfg(feature = "otel")]
    traces: Option<traces::Traces>,
}

impl Telemetry {
    /// Sends what is left.
    pub async fn shutdown(self) {
        #[cfg(feature = "otel")]
        if let Some(traces) = self.traces {
            traces.shutdown().await;
        }
    }
}

/// Begins to log on standard error, as [`init_process`], for a process that exports nothing.
///
/// # Errors
/// When the level cannot be read, or when logging was set up before.
pub fn init(log: &Log) -> Result<(), TelemetryError> {
    let filter = EnvFilter::try_new(&log.level)?;
    tracing_subscriber::registry().with(lines(log.format, &Process::default())).with(filter).try_init()?;
    Ok(())
}

/// Begins to log on standard error, which leaves standard output to a command's answer, and to export traces where the
/// process says to which place. Every line carries the fields of its delivery's span. Colour is for terminals, and not
/// where `NO_COLOR` asks for none (<https://no-color.org>).
///
/// Called within the Tokio runtime that the traces are to be sent from.
///
/// # Errors
/// When the level cannot be read, when logging was set up before, or when traces cannot be exported.
pub fn init_process(log: &Log, process: &Process) -> Result<Telemetry, TelemetryError> {
    let filter = EnvFilter::try_new(&log.level)?;
    let registry = tracing_subscriber::registry().with(lines(log.format, process));
    #[cfg(feature = "otel")]
    {
        let traces = traces::Traces::export(process).map_err(TelemetryError::Exporter)?;
        registry.with(traces.as_ref().map(traces::Traces::layer)).with(filter).try_init()?;
        Ok(Telemetry { traces })
    }
    #[cfg(not(feature = "otel"))]
    {
        registry.with(filter).try_init()?;
        Ok(Telemetry {})
    }
}

fn lines<S>(format: LogFormat, process: &Process) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let layer = tracing_subscriber::fmt::layer().with_writer(stderr);
    let machine = |form| Lines { form, process: process.clone() };
    match format {
        LogFormat::Pretty => {
            let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
            layer.with_ansi(stderr().is_terminal() && !unwanted).with_target(false).boxed()
        }
        LogFormat::Json => layer.fmt_fields(JsonFields::new()).event_format(machine(Form::Plain)).boxed(),
        LogFormat::Google => layer.fmt_fields(JsonFields::new()).event_format(machine(Form::Google)).boxed(),
    }
}
