//! What every function runs in: decoding, acknowledgement, HTTP, telemetry and settings.
//!
//! A [`Function`] ensures one kind of step. [`StepHandler`] makes it a [`Handler`] of commands; the [`Dispatcher`] (in one
//! process) or the [host](mod@host) (over HTTP) deliver events to handlers.

pub mod auth;
pub mod cloudevent;
pub mod declaration;
pub mod delivery;
pub mod dispatch;
pub mod function;
pub mod handler;
pub mod host;
pub mod metrics;
pub mod patient;
pub mod secrets;
pub mod settings;
pub mod step_handler;
pub mod telemetry;
pub mod ticker;
#[cfg(feature = "tls")]
pub mod tls;
pub mod trace_context;

pub use declaration::Declaration;
pub use dispatch::{Backoff, DispatchSettings, Dispatcher};
pub use function::{Failure, Function, Progress};
pub use handler::{Ack, Handler};
pub use metrics::Metrics;
pub use patient::Patient;
pub use settings::Settings;
pub use step_handler::StepHandler;
