//! What every function runs in: decoding, acknowledgement, HTTP, telemetry and settings.
//!
//! A [`Function`] ensures one kind of step. [`StepHandler`] makes it a [`Handler`] of commands; the [`Dispatcher`] (in one
//! process) or the [host](mod@host) (over HTTP) deliver events to handlers.

pub mod cloudevent;
pub mod delivery;
pub mod dispatch;
pub mod function;
pub mod handler;
pub mod host;
pub mod metrics;
pub mod settings;
pub mod step_handler;
pub mod telemetry;
pub mod ticker;

pub use dispatch::{Backoff, DispatchSettings, Dispatcher};
pub use function::{Failure, Function, Progress};
pub use handler::{Ack, Handler};
pub use metrics::Metrics;
pub use settings::Settings;
pub use step_handler::StepHandler;
