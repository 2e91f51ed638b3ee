//! Apache Cassandra and ScyllaDB as a source.
//!
//! Tables are read page by page in ranges of the ring's tokens, and values go from the driver's frames into Arrow columns. See the
//! README for types, the URL's parameters, and how changes are found.

mod catalog;
mod changes;
mod cursor;
mod errors;
mod names;
mod open;
mod plan;
mod source;
mod tls;
mod types;
mod url;
mod values;

pub use crate::source::CassandraSource;
