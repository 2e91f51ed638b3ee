//! A SQL model into its table.

use duckdb::Connection;
use millstream_events::{contract::Column, work::TransformTable};
use millstream_ports::{PortError, PortResult, TableWrite};
use millstream_sql::Select;

use super::{
    catalog,
    errors::{self, Mapped},
    types::{self, identifier},
    write::{self, Incoming},
};

/// A SELECT that is ready to run.
pub(super) struct Prepared {
    /// In DuckDB's SQL.
    pub(super) statement: String,
    /// The columns it gives.
    pub(super) columns: Vec<Column>,
}

/// Reads a BigQuery SELECT, checks that its tables are there and translates it.
pub(super) fn prepare(connection: &Connection, text: &str) -> PortResult<Prepared> {
    let select = Select::parse(text).map_err(|error| errors::sql(&error))?;
    catalog::check_inputs(connection, &select.inputs)?;
    let statement = millstream_sql::to_duckdb(text).map_err(|error| errors::sql(&error))?;
    let columns = columns(connection, &statement)?;
    Ok(Prepared { statement, columns })
}

fn columns(connection: &Connection, statement: &str) -> PortResult<Vec<Column>> {
    let doing = "run this SELECT";
    let mut describe = connection.prepare(&format!("DESCRIBE {statement}")).mapped(doing)?;
    let described: Vec<(String, String)> =
        describe.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).and_then(Iterator::collect).mapped(doing)?;
    described
        .into_iter()
        .map(|(name, kind)| {
            let kind = types::from_duckdb(&kind)
                .map_err(|problem| PortError::invalid(format!("column {name}: {problem}; CAST it to a type it has")))?;
            Ok(Column { name, kind, required: false, description: None })
        })
        .collect()
}

/// See `Warehouse::ensure_transform`.
pub(super) fn run(connection: &Connection, transform: &TransformTable) -> PortResult<TableWrite> {
    let prepared = prepare(connection, &transform.sql)?;
    let mut values = Vec::new();
    for (index, column) in prepared.columns.iter().enumerate() {
        let kind = types::to_duckdb(&column.kind)
            .map_err(|problem| PortError::invalid(format!("column {}: {problem}", column.name)))?;
        let name = identifier(&column.name);
        if prepared.columns[..index].iter().any(|other| other.name.eq_ignore_ascii_case(&column.name)) {
            return Err(PortError::invalid(format!(
                "two columns are named {}; give one another name with AS",
                column.name
            )));
        }
        values.push(format!("CAST({name} AS {kind}) AS {name}"));
    }
    let incoming = Incoming {
        table: &transform.table,
        select: format!("SELECT {} FROM ({})", values.join(", "), prepared.statement),
        columns: prepared.columns,
        mode: &transform.write,
        deletes: false,
        layout: &transform.layout,
        expect: &transform.expect,
        sequence: None,
    };
    write::write(connection, &incoming)
}
