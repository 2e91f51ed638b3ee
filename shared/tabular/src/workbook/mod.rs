//! A sheet of an Excel or OpenDocument workbook.
//!
//! In: a file, and which of its cells are the table. Out: blocks of rows, each cell a typed [`Value`]. An `.xlsx` or `.xlsb`
//! sheet is read as it is decompressed; `.xls` and `.ods` are in memory whole, within a limit.

mod archive;
pub(crate) mod block;
mod cells;
mod compound;
pub(crate) mod decode;
mod digits;
mod infer;
mod open;
mod table;
mod value;

pub use self::{
    block::Block,
    digits::fifteen_digits,
    infer::column_types,
    open::Workbook,
    table::Table,
    value::{Civil, Moment, Value},
};
