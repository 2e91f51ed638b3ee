//! The rows of databases as Arrow batches.
//!
//! An adapter reads values off its wire and hands each to the [`Columns`] of its plan, cell by cell; what comes out are
//! [`Rows`](millstream_ports::Rows) of the Arrow types that `millstream_tabular::schema` lists. What a column of the warehouse
//! cannot hold becomes a fault beside the batch, never an error: its row goes to quarantine and the others go on.

mod batch;
mod cell;
mod decimal;
mod store;
mod temporal;

pub use arrow::datatypes::i256;

pub use crate::{
    batch::{Columns, batch_schema},
    cell::Cell,
    decimal::numeric_type,
    temporal::{Civil, days_of, micros_of},
};
