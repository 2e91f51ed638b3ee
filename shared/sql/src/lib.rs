//! A model's SQL: BigQuery's, read and translated.
//!
//! In comes the text of one SELECT; out come the tables it reads, its canonical text, and its translation for DuckDB.
//! Pure: nothing is read, nothing is run. See the README beside this crate for what is translated and what is refused.

mod duckdb;
mod error;
mod expand;
mod functions;
mod inputs;
mod lex;
mod mark;
mod select;

pub use duckdb::{expression_to_duckdb, to_duckdb};
pub use error::SqlError;
pub use select::Select;
