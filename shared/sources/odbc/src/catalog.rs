//! What is there, by ODBC's catalogue functions.

use millstream_events::extract::Selection;
use millstream_ports::{PortError, PortResult, Shape, SourceColumn, TableSummary};
use odbc_api::{Nullability, ResultSetMetadata};

use crate::{
    errors::failed,
    names::TableName,
    odbc_type::{OdbcType, Order},
    session::Session,
};

/// The longest name or remark that is read, in UTF-16 units.
const UNITS: usize = 2_048;

/// Any name, where a pattern is asked for.
const ANY: &str = "%";

/// What of a catalogue are tables that have rows of their own or show others'.
const TABLES: [&str; 7] =
    ["TABLE", "BASE TABLE", "ALIAS", "NICKNAME", "FOREIGN TABLE", "PARTITIONED TABLE", "MATERIALIZED QUERY TABLE"];

/// And what are views.
const VIEWS: [&str; 3] = ["VIEW", "MATVIEW", "MATERIALIZED VIEW"];

/// What a table or query looks like, and what only this adapter asks.
#[derive(Debug)]
pub(crate) struct Described {
    pub(crate) columns: Vec<(SourceColumn, OdbcType)>,
    pub(crate) key: Vec<String>,
    /// As the FROM of a statement.
    pub(crate) from: String,
}

impl Described {
    /// As the port has it.
    pub(crate) fn shape(self) -> Shape {
        let cursors = cursors(&self.columns, &self.key);
        let columns = self.columns.into_iter().map(|(column, _)| column).collect();
        Shape { columns, key: self.key, cursors, rows: None, bytes: None }
    }

    /// A column by its name.
    ///
    /// # Errors
    /// `Invalid`, with the columns there are.
    pub(crate) fn column(&self, name: &str, what: &str) -> PortResult<&(SourceColumn, OdbcType)> {
        self.columns.iter().find(|(column, _)| column.name == name).ok_or_else(|| {
            let names: Vec<&str> = self.columns.iter().map(|(column, _)| column.name.as_str()).collect();
            PortError::invalid(format!("{what} {name} is not there; the columns are {}", names.join(", ")))
        })
    }
}

/// The tables and views, by name.
pub(crate) fn tables(session: &Session) -> PortResult<Vec<TableSummary>> {
    const DOING: &str = "listing the tables";
    let refused = |error| failed(DOING, &session.target, &error);
    let mut statement = session.connection.preallocate().map_err(refused)?;
    let cursor = statement.tables_cursor("", ANY, ANY, "").map_err(refused)?;
    let listed = session.read_texts(DOING, cursor, UNITS)?;
    let mut tables: Vec<TableSummary> = listed
        .into_iter()
        .filter_map(|row| {
            let [_, schema, table, kind, ..] =
                <[Option<String>; 5]>::try_from(row.into_iter().take(5).collect::<Vec<_>>()).ok()?;
            let (schema, kind) = (schema.filter(|schema| !schema.is_empty()), kind?);
            let is_view = VIEWS.contains(&kind.as_str());
            let is_system = schema.as_deref().is_some_and(|schema| is_system(schema, session.is_db2));
            let name = TableName { schema, table: table? };
            (!is_system && (is_view || TABLES.contains(&kind.as_str()))).then(|| TableSummary {
                name: name.to_string(),
                rows: None,
                bytes: None,
                is_view,
            })
        })
        .collect();
    tables.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(tables)
}

fn is_system(schema: &str, is_db2: bool) -> bool {
    let schema = schema.trim();
    is_db2 && schema.starts_with("SYS") || matches!(schema, "pg_catalog" | "information_schema" | "INFORMATION_SCHEMA")
}

/// What a table, view or query looks like.
pub(crate) fn describe(session: &Session, select: &Selection) -> PortResult<Described> {
    match select {
        Selection::Table(name) => describe_table(session, &TableName::read(name)?),
        Selection::Query(query) => describe_query(session, query),
        Selection::Sheet(_) => Err(PortError::invalid("a database has no sheets: name a table or give a query")),
    }
}

fn describe_table(session: &Session, name: &TableName) -> PortResult<Described> {
    let doing = format!("describing the table {name}");
    let refused = |error| failed(&doing, &session.target, &error);
    let mut statement = session.connection.preallocate().map_err(refused)?;
    // Both are patterns, in which `_` is any letter: what does not have the very name is left out here.
    let cursor =
        statement.columns_cursor("", name.schema.as_deref().unwrap_or(ANY), &name.table, ANY).map_err(refused)?;
    let mut rows = session.read_texts(&doing, cursor, UNITS)?;
    drop(statement);
    let text = |row: &Vec<Option<String>>, at: usize| row.get(at).cloned().flatten();
    rows.retain(|row| {
        text(row, 2).as_ref() == Some(&name.table)
            && name.schema.as_ref().is_none_or(|schema| text(row, 1).as_ref() == Some(schema))
    });
    let mut schemas: Vec<String> = rows.iter().map(|row| text(row, 1).unwrap_or_default()).collect();
    schemas.sort();
    schemas.dedup();
    let schema = match &schemas[..] {
        [] => {
            return Err(PortError::not_found(format!(
                "{} has no table or view {name} that {} may see: check its name, also the case of its letters, and GRANT SELECT on it",
                session.target,
                session.target.user()
            )));
        }
        [schema] => Some(schema.clone()).filter(|schema| !schema.is_empty()),
        several => {
            return Err(PortError::invalid(format!(
                "{name} is there in several schemas ({}): name it with its schema",
                several.join(", ")
            )));
        }
    };
    let columns = rows
        .iter()
        .filter_map(|row| {
            let number = |at: usize| text(row, at).and_then(|text| text.trim().parse::<i64>().ok());
            let kind = OdbcType {
                code: number(4).and_then(|code| i16::try_from(code).ok())?,
                name: text(row, 5).unwrap_or_default().trim().to_owned(),
                size: number(6).and_then(|size| usize::try_from(size).ok()).unwrap_or(0),
                digits: number(8).and_then(|digits| i16::try_from(digits).ok()).unwrap_or(0),
            };
            Some((column(&text(row, 3)?, &kind, number(10) == Some(0), text(row, 11)), kind))
        })
        .collect();
    let mut statement = session.connection.preallocate().map_err(refused)?;
    let cursor = statement.primary_keys_cursor(None, schema.as_deref(), &name.table).map_err(refused)?;
    let mut parts: Vec<(i64, String)> = session
        .read_texts(&doing, cursor, UNITS)?
        .iter()
        .filter_map(|row| Some((text(row, 4)?.trim().parse().ok()?, text(row, 3)?)))
        .collect();
    parts.sort();
    let mut from = session.quoted(&name.table)?;
    if let Some(schema) = &schema {
        from = format!("{}.{from}", session.quoted(schema.trim_end())?);
    }
    Ok(Described { columns, key: parts.into_iter().map(|(_, name)| name).collect(), from })
}

fn column(name: &str, kind: &OdbcType, required: bool, remarks: Option<String>) -> SourceColumn {
    SourceColumn {
        name: name.to_owned(),
        source_type: kind.to_string(),
        kind: kind.kind(),
        required,
        description: remarks.filter(|remarks| !remarks.trim().is_empty()),
    }
}

fn describe_query(session: &Session, query: &str) -> PortResult<Described> {
    const DOING: &str = "describing the query";
    let refused = |error| failed(DOING, &session.target, &error);
    let query = query.trim().trim_end_matches(';').trim_end();
    // The line ends a comment that the query may end with.
    let from = format!("({query}\n) AS {}", session.quoted("source")?);
    let mut prepared = session.connection.prepare(&format!("SELECT * FROM {from}")).map_err(refused)?;
    let count = u16::try_from(prepared.num_result_cols().map_err(refused)?).unwrap_or(0);
    let mut columns = Vec::with_capacity(count.into());
    for at in 1..=count {
        let found = prepared.col_data_type(at).map_err(refused)?;
        let kind = OdbcType {
            code: found.data_type().0,
            name: String::new(),
            size: found.column_size().map_or(0, std::num::NonZeroUsize::get),
            digits: found.decimal_digits(),
        };
        let required = prepared.col_nullability(at).map_err(refused)? == Nullability::NoNulls;
        let name = prepared.col_name(at).map_err(refused)?;
        columns.push((column(&name, &kind, required, None), kind));
    }
    Ok(Described { columns, key: Vec::new(), from })
}

/// Columns that could be a cursor, best first.
fn cursors(columns: &[(SourceColumn, OdbcType)], key: &[String]) -> Vec<String> {
    const NAMES: [&str; 10] = [
        "updated_at",
        "modified_at",
        "updated",
        "modified",
        "last_modified",
        "last_updated",
        "changed_at",
        "changed",
        "update_ts",
        "modifieddate",
    ];
    let mut found: Vec<(usize, &str)> = columns
        .iter()
        .filter_map(|(column, kind)| {
            let name = column.name.to_ascii_lowercase();
            let rank = match (kind.order()?, NAMES.iter().position(|known| *known == name)) {
                (Order::Time | Order::Date | Order::Integer, Some(named)) => named,
                // A number that only grows finds new rows, though not those that changed.
                (Order::Integer, None) if key == std::slice::from_ref(&column.name) => NAMES.len(),
                _ => return None,
            };
            Some((rank, column.name.as_str()))
        })
        .collect();
    found.sort_by_key(|(rank, _)| *rank);
    found.into_iter().map(|(_, name)| name.to_owned()).collect()
}
