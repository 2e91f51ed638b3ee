//! Log lines on standard error, for people or for machines.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::{EnvFilter, filter::ParseError, util::TryInitError};

use crate::settings::{Log, LogFormat};

/// Logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The level is not a filter.
    #[error("log.level is not a level or a filter: {0}")]
    Level(#[from] ParseError),
    /// Something else logs in this process already.
    #[error("logging is set up already: {0}")]
    Already(#[from] TryInitError),
}

/// Begins to log on standard error, which leaves standard output to a command's answer. Every line carries the fields of
/// its delivery's span. Colour is for terminals, and not where `NO_COLOR` asks for none (<https://no-color.org>).
///
/// # Errors
/// When the level cannot be read, or when logging was set up before.
pub fn init(log: &Log) -> Result<(), TelemetryError> {
    use tracing_subscriber::util::SubscriberInitExt;

    let lines = tracing_subscriber::fmt().with_env_filter(EnvFilter::try_new(&log.level)?).with_writer(stderr);
    match log.format {
        LogFormat::Pretty => {
            let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
            lines.with_ansi(stderr().is_terminal() && !unwanted).with_target(false).finish().try_init()?;
        }
        LogFormat::Json => lines.json().flatten_event(true).with_span_list(false).finish().try_init()?,
    }
    Ok(())
}
