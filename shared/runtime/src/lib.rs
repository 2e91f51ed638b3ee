//! What every function runs in: decoding, acknowledgement, HTTP, telemetry and settings.

pub mod delivery;
pub mod dispatch;
pub mod function;
pub mod handler;
pub mod metrics;
pub mod step_handler;
pub mod ticker;

pub use dispatch::{Backoff, DispatchSettings, Dispatcher};
pub use function::{Failure, Function, Progress};
pub use handler::{Ack, Handler};
pub use metrics::Metrics;
pub use step_handler::StepHandler;
