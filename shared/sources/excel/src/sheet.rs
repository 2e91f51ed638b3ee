//! What a sheet looks like, by all its cells.

use millstream_events::{contract::ColumnType, extract::Sheet, names::ObjectPath};
use millstream_ports::{PortError, PortResult, SourceColumn};
use millstream_tabular::{
    IngestError, Limits, RejectionKind,
    workbook::{Workbook, column_types},
};

use crate::object::Copy;

/// A sheet's columns, and how many rows there are.
#[derive(Debug)]
pub(crate) struct Described {
    pub(crate) columns: Vec<SourceColumn>,
    pub(crate) rows: u64,
}

/// Reads all of a sheet.
pub(crate) async fn describe(copy: Copy, sheet: Sheet) -> PortResult<Described> {
    let task = tokio::task::spawn_blocking(move || {
        let told = |error| refused(&sheet.object, error);
        let mut book = Workbook::open(copy.file()?, &Limits::default()).map_err(told)?;
        let mut table = book.table(&sheet.cells, None).map_err(told)?;
        let (kinds, rows) = column_types(&mut table).map_err(told)?;
        let columns = table.names().iter().zip(kinds).map(|(name, kind)| SourceColumn {
            name: name.clone(),
            source_type: cell_type(&kind).into(),
            kind: Ok(kind),
            required: false,
            description: None,
        });
        Ok(Described { columns: columns.collect(), rows })
    });
    task.await.map_err(|error| PortError::internal("a workbook's reader ended").caused_by(error))?
}

/// What a spreadsheet calls it.
fn cell_type(kind: &ColumnType) -> &'static str {
    match kind {
        ColumnType::Bool => "logical",
        ColumnType::Int64 | ColumnType::Float64 | ColumnType::Numeric { .. } => "number",
        ColumnType::Date => "date",
        ColumnType::Datetime => "date and time",
        ColumnType::Time => "time",
        _ => "text",
    }
}

/// A workbook that cannot be read is a person's to mend; a disk that cannot is not.
pub(crate) fn refused(object: &ObjectPath, error: IngestError) -> PortError {
    match error {
        IngestError::Rejected(rejection) => {
            let message = format!("{object}: {rejection}");
            match rejection.kind {
                RejectionKind::MissingSheet => PortError::not_found(message),
                _ => PortError::invalid(message),
            }
        }
        IngestError::Io(error) => {
            PortError::unavailable(format!("the copy of {object} cannot be read")).caused_by(error)
        }
    }
}
