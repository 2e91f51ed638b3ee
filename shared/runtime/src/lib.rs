//! What every function runs in: decoding, acknowledgement, HTTP, telemetry and settings.

pub mod function;
pub mod handler;

pub use function::{Failure, Function, Progress};
pub use handler::{Ack, Handler};
