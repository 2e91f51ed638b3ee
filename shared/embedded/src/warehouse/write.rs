//! Rows into a table: replaced, appended or merged, within the caller's transaction.

use duckdb::Connection;
use millstream_events::{
    contract::Column,
    extract::DELETED_COLUMN,
    names::TableName,
    work::{TableLayout, WriteMode},
};
use millstream_ports::{PortError, PortResult, TableWrite};

use super::{
    catalog::{self, Entry},
    errors::Mapped,
    expectations,
    types::{self, identifier, literal},
};

/// Rows on their way into a table.
pub(super) struct Incoming<'a> {
    /// Where they go.
    pub(super) table: &'a TableName,
    /// Their columns.
    pub(super) columns: Vec<Column>,
    /// A DuckDB SELECT that gives them, with exactly these columns.
    pub(super) select: String,
    /// How they get in.
    pub(super) mode: &'a WriteMode,
    /// Whether the rows of a merge have one column more, [`DELETED_COLUMN`]: those where it is true are taken out.
    pub(super) deletes: bool,
    /// The table's layout.
    pub(super) layout: &'a TableLayout,
    /// What every row must meet.
    pub(super) expect: &'a [String],
    /// The number that orders replaces; `None` keeps the table's.
    pub(super) sequence: Option<u64>,
}

/// The rows while they are checked. A transaction's own: two jobs never see each other's.
const STAGE: &str = "temp.main.millstream_stage";

/// Writes the rows and notes the write in the catalog.
pub(super) fn write(connection: &Connection, incoming: &Incoming<'_>) -> PortResult<TableWrite> {
    catalog::check_name(connection, incoming.table)?;
    let known = catalog::entry(connection, incoming.table)?;
    let path = catalog::path(incoming.table);
    connection
        .execute_batch(&format!("CREATE SCHEMA IF NOT EXISTS {}", identifier(incoming.table.dataset())))
        .mapped("create the dataset")?;
    let rows;
    let columns;
    match (incoming.mode, &known) {
        (WriteMode::Replace, Some(known)) if incoming.sequence.is_some_and(|sequence| sequence < known.sequence) => {
            let total_rows = catalog::count(connection, &path)?;
            return Ok(TableWrite { rows: 0, total_rows, version: known.version, superseded: true });
        }
        (WriteMode::Replace, _) => {
            rows = replace(connection, incoming, &path)?;
            columns = incoming.columns.clone();
        }
        (WriteMode::Append | WriteMode::Merge { .. }, known) => {
            (rows, columns) = add(connection, incoming, known.as_ref(), &path)?;
        }
    }
    let replaced = matches!(incoming.mode, WriteMode::Replace);
    let kept = known.as_ref().map_or(0, |known| known.sequence);
    let sequence = if replaced { incoming.sequence.unwrap_or(kept) } else { kept };
    if replaced || known.is_none() {
        describe(connection, incoming, &path)?;
    }
    let version = catalog::note_write(connection, incoming.table, &columns, sequence)?;
    Ok(TableWrite { rows, total_rows: catalog::count(connection, &path)?, version, superseded: false })
}

/// Makes the new table beside the old one, so that a SELECT may read what it replaces, and puts it in its place.
fn replace(connection: &Connection, incoming: &Incoming<'_>, path: &str) -> PortResult<u64> {
    let new = format!("{}.{}", identifier(incoming.table.dataset()), identifier("_millstream_new"));
    create(connection, &new, &incoming.columns)?;
    let order: Vec<String> = incoming
        .layout
        .partition_by
        .iter()
        .chain(&incoming.layout.cluster_by)
        .map(|column| identifier(column))
        .collect();
    let order = if order.is_empty() { String::new() } else { format!(" ORDER BY {}", order.join(", ")) };
    let rows = insert(connection, &new, &incoming.columns, &format!("FROM ({}){order}", incoming.select))?;
    expectations::check(connection, &new, incoming.expect)?;
    connection
        .execute_batch(&format!(
            "DROP TABLE IF EXISTS {path}; ALTER TABLE {new} RENAME TO {}",
            identifier(incoming.table.table())
        ))
        .mapped(&format!("replace {}", incoming.table))?;
    Ok(rows)
}

fn create(connection: &Connection, path: &str, columns: &[Column]) -> PortResult<()> {
    let definitions = types::definitions(columns).map_err(PortError::invalid)?;
    connection.execute_batch(&format!("CREATE OR REPLACE TABLE {path} ({definitions})")).mapped("create the table")
}

fn names(columns: &[Column]) -> String {
    columns.iter().map(|column| identifier(&column.name)).collect::<Vec<_>>().join(", ")
}

fn insert(connection: &Connection, path: &str, columns: &[Column], source: &str) -> PortResult<u64> {
    let names = names(columns);
    let rows = connection.execute(&format!("INSERT INTO {path} ({names}) SELECT {names} {source}"), []);
    Ok(rows.mapped("write the rows")? as u64)
}

/// Appends or merges; gives the rows written and the table's columns afterwards.
fn add(
    connection: &Connection,
    incoming: &Incoming<'_>,
    known: Option<&Entry>,
    path: &str,
) -> PortResult<(u64, Vec<Column>)> {
    let columns = match known {
        None => {
            create(connection, path, &incoming.columns)?;
            incoming.columns.clone()
        }
        Some(known) => grow(connection, incoming, known, path)?,
    };
    let key = match incoming.mode {
        WriteMode::Merge { key } => key.as_slice(),
        _ => &[],
    };
    if key.is_empty() && incoming.expect.is_empty() {
        return Ok((insert(connection, path, &incoming.columns, &format!("FROM ({})", incoming.select))?, columns));
    }
    connection
        .execute_batch(&format!("CREATE OR REPLACE TEMP TABLE millstream_stage AS {}", incoming.select))
        .mapped("read the rows")?;
    expectations::check(connection, STAGE, incoming.expect)?;
    let rows = if key.is_empty() {
        insert(connection, path, &incoming.columns, &format!("FROM {STAGE}"))?
    } else {
        merge(connection, incoming, key, path)?
    };
    connection.execute_batch(&format!("DROP TABLE {STAGE}")).mapped("drop the staged rows")?;
    Ok((rows, columns))
}

/// Adds the columns that are new to a table, which are NULL in its older rows; a column of another type is refused.
fn grow(connection: &Connection, incoming: &Incoming<'_>, known: &Entry, path: &str) -> PortResult<Vec<Column>> {
    let mut columns = known.columns.clone();
    for column in &incoming.columns {
        let old = columns.iter_mut().find(|old| old.name.eq_ignore_ascii_case(&column.name));
        let change = match old {
            Some(old) if !types::fits(&column.kind, &old.kind) => {
                return Err(PortError::invalid(format!(
                    "column {} of {} is {} and the new rows have {}; write another column, or replace the table",
                    old.name, incoming.table, old.kind, column.kind
                )));
            }
            Some(old) if old.required && !column.required => {
                old.required = false;
                format!("ALTER COLUMN {} DROP NOT NULL", identifier(&column.name))
            }
            Some(_) => continue,
            None => {
                let kind = types::to_duckdb(&column.kind)
                    .map_err(|problem| PortError::invalid(format!("column {}: {problem}", column.name)))?;
                // Older rows have no value, so the column cannot be required of all.
                columns.push(Column { required: false, ..column.clone() });
                format!("ADD COLUMN {} {kind}", identifier(&column.name))
            }
        };
        connection.execute_batch(&format!("ALTER TABLE {path} {change}")).mapped("change the table's columns")?;
    }
    Ok(columns)
}

/// Merges the staged rows, of which no two have the same key.
fn merge(connection: &Connection, incoming: &Incoming<'_>, key: &[String], path: &str) -> PortResult<u64> {
    for column in key {
        if !incoming.columns.iter().any(|incoming| incoming.name.eq_ignore_ascii_case(column)) {
            return Err(PortError::invalid(format!("the merge key {column} is no column of the new rows")));
        }
    }
    let key_names = key.iter().map(|column| identifier(column)).collect::<Vec<_>>();
    let doubled: bool = connection
        .query_row(
            &format!(
                "SELECT count(*) > 0 FROM (SELECT 1 FROM {STAGE} GROUP BY {} HAVING count(*) > 1)",
                key_names.join(", ")
            ),
            [],
            |row| row.get(0),
        )
        .mapped("look for doubled keys")?;
    if doubled {
        return Err(PortError::invalid(format!(
            "several new rows of {} have the same key ({}); make them one, such as with QUALIFY ROW_NUMBER() .. = 1",
            incoming.table,
            key.join(", ")
        )));
    }
    let on: Vec<String> =
        key_names.iter().map(|name| format!("known.{name} IS NOT DISTINCT FROM new.{name}")).collect();
    let values: Vec<String> = incoming.columns.iter().map(|column| identifier(&column.name)).collect();
    let set: Vec<String> = values.iter().map(|name| format!("{name} = new.{name}")).collect();
    let new: Vec<String> = values.iter().map(|name| format!("new.{name}")).collect();
    let (take_out, there) = if incoming.deletes {
        let deleted = format!("new.{}", identifier(DELETED_COLUMN));
        (format!("WHEN MATCHED AND {deleted} THEN DELETE"), format!(" AND NOT {deleted}"))
    } else {
        (String::new(), String::new())
    };
    let rows = connection.execute(
        &format!(
            "MERGE INTO {path} AS known USING {STAGE} AS new ON {} {take_out}
             WHEN MATCHED THEN UPDATE SET {} WHEN NOT MATCHED{there} THEN INSERT ({}) VALUES ({})",
            on.join(" AND "),
            set.join(", "),
            values.join(", "),
            new.join(", ")
        ),
        [],
    );
    Ok(rows.mapped("merge the rows")? as u64)
}

/// Keeps the descriptions in the file too, for whoever opens it with DuckDB.
fn describe(connection: &Connection, incoming: &Incoming<'_>, path: &str) -> PortResult<()> {
    let table = incoming.layout.description.iter().map(|text| format!("TABLE {path} IS {}", literal(text)));
    let columns = incoming.columns.iter().filter_map(|column| {
        let text = column.description.as_ref()?;
        Some(format!("COLUMN {path}.{} IS {}", identifier(&column.name), literal(text)))
    });
    for comment in table.chain(columns) {
        connection.execute_batch(&format!("COMMENT ON {comment}")).mapped("describe the table")?;
    }
    Ok(())
}
