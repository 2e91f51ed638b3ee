//! Files to validated Parquet under a column contract.
//!
//! In: the bytes of an uploaded CSV, JSON Lines or Parquet file or of a workbook, and a
//! [`Contract`](millstream_events::contract::Contract). Out: a Parquet batch of the rows that keep the contract, a quarantine
//! of those that break it (JSON Lines, one [`BadRow`] each), and a [`Report`]; or a [`Rejection`] of the whole file.
//!
//! [`ingest`] is the operation, [`ingest_rows`] the same for rows that a database has, [`expect`] the language of row expectations, which a pipeline's checker uses too.

mod cells;
mod check;
mod column;
mod csv;
mod decode;
mod encode;
mod engine;
mod error;
pub mod expect;
mod fault;
mod format;
mod ingest;
mod input;
mod job;
mod json;
mod layout;
mod limits;
mod parquet;
mod parse;
mod quarantine;
mod report;
mod rows;
pub mod schema;
mod typed;
mod unique;
#[cfg(feature = "workbooks")]
pub mod workbook;

pub use crate::{
    error::{IngestError, Rejection, RejectionKind},
    format::format_of,
    ingest::{IngestRequest, ingest},
    input::Input,
    limits::Limits,
    report::{BadRow, ReasonCount, Report},
    rows::{RowBatch, RowFault, RowFaultKind, RowsRequest, ingest_rows},
};
