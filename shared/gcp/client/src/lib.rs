//! What every Google Cloud adapter needs: which project, who calls, and where the services are.
//!
//! In: the process's environment, read once. Out: a [`Connection`] that the adapters are made from.
//!
//! `STORAGE_EMULATOR_HOST`, `PUBSUB_EMULATOR_HOST` and `BIGQUERY_EMULATOR_HOST` point a service at an emulator, as
//! Google's own tools read them; such a service is called without credentials. Everything else is called with the
//! application default credentials.

mod connection;
mod emulators;
mod error;
mod tls;

pub use connection::{Connection, ConnectionError, Service};
pub use emulators::Emulators;
pub use error::kind_of_status;
pub use tls::install_tls;
