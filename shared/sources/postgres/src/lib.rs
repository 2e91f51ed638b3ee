//! PostgreSQL as a source.
//!
//! Rows come by `COPY ... TO STDOUT (FORMAT binary)`, whose values are read straight into the columns of Arrow batches. Ranges of
//! a table are read at once, all of them from one snapshot.

mod catalog;
mod copy;
mod cursor;
mod decode;
mod described;
mod failure;
mod log;
mod open;
mod plan;
mod session;
mod source;
mod split;
mod sql;
mod target;
mod temporal;
mod types;

pub use crate::source::PostgresSource;
