//! What is there: tables, and what they and queries look like.

use millstream_events::extract::Selection;
use millstream_ports::{ErrorKind, PortError, PortResult, Shape, SourceColumn, TableSummary};

use crate::{
    answer::RowType,
    client::{Session, Statement},
    names::TableName,
    results::texts,
    sql_type::SqlType,
};

/// What is read, and what of it is known.
#[derive(Debug)]
pub(crate) struct Described {
    pub(crate) shape: Shape,
    /// What stands after FROM.
    pub(crate) from: String,
    /// Whether it is a table or view, which has a past.
    pub(crate) is_table: bool,
}

impl Described {
    /// A column by its name, also written in other letters than it is stored in where only one is meant.
    ///
    /// # Errors
    /// `Invalid`, with the columns there are.
    pub(crate) fn column(&self, name: &str, what: &str) -> PortResult<&SourceColumn> {
        let columns = &self.shape.columns;
        let exact = columns.iter().find(|column| column.name == name);
        let mut alike = columns.iter().filter(|column| column.name.eq_ignore_ascii_case(name));
        let found = exact.or_else(|| alike.next().filter(|_| alike.next().is_none()));
        found.ok_or_else(|| {
            let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
            PortError::invalid(format!("{what} {name} is not there; the columns are {}", names.join(", ")))
        })
    }
}

async fn ask(session: &Session, doing: &str, sql: &str, parameters: &[&str]) -> PortResult<Vec<Vec<Option<String>>>> {
    let parameters = parameters.iter().map(|text| (*text).to_owned()).collect();
    let outcome = session.run(doing, &Statement { parameters, ..Statement::plain(sql) }).await?;
    Ok(texts(doing, session, outcome).await?.1)
}

/// The tables and views of the database.
pub(crate) async fn tables(session: &Session) -> PortResult<Vec<TableSummary>> {
    let sql = "SELECT table_schema, table_name, table_type, row_count, bytes FROM information_schema.tables \
               WHERE table_schema <> 'INFORMATION_SCHEMA'";
    let rows = ask(session, "listing tables", sql, &[]).await?;
    let mut tables: Vec<TableSummary> = rows
        .into_iter()
        .filter_map(|row| {
            let [schema, table, kind, rows, bytes] = <[_; 5]>::try_from(row).ok()?;
            Some(TableSummary {
                name: TableName { schema, table: table? }.to_string(),
                rows: count(rows.as_deref()),
                bytes: count(bytes.as_deref()),
                is_view: kind.is_some_and(|kind| kind.contains("VIEW")),
            })
        })
        .collect();
    tables.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(tables)
}

fn count(text: Option<&str>) -> Option<u64> {
    text?.parse().ok()
}

/// What a table or query looks like.
pub(crate) async fn describe(session: &Session, select: &Selection) -> PortResult<Described> {
    match select {
        Selection::Table(name) => describe_table(session, &TableName::read(name)?).await,
        Selection::Query(query) => {
            let from = query_as_table(query);
            let columns = columns_of(session, "describing the query", &from).await?;
            let shape = Shape { cursors: cursors(&columns), columns, key: Vec::new(), rows: None, bytes: None };
            Ok(Described { shape, from, is_table: false })
        }
        Selection::Sheet(_) => Err(PortError::invalid("Snowflake has no sheets: name a `table` or a `query`")),
    }
}

/// A query as a part of another one. The line ends a comment that it may end with.
fn query_as_table(query: &str) -> String {
    format!("({}\n) AS source", query.trim().trim_end_matches(';').trim_end())
}

async fn describe_table(session: &Session, name: &TableName) -> PortResult<Described> {
    let doing = format!("describing {name}");
    let from = name.quoted();
    let mut columns = columns_of(session, &doing, &from).await?;
    let (schema, parameters) = match &name.schema {
        Some(schema) => ("?", vec![schema.as_str(), &name.table]),
        None => ("CURRENT_SCHEMA()", vec![name.table.as_str()]),
    };
    let sql = format!(
        "SELECT column_name, is_nullable, comment FROM information_schema.columns WHERE table_schema = {schema} AND table_name = ?"
    );
    for row in ask(session, &doing, &sql, &parameters).await? {
        let Ok([Some(name), nullable, comment]) = <[_; 3]>::try_from(row) else { continue };
        if let Some(column) = columns.iter_mut().find(|column| column.name == name) {
            column.required = nullable.as_deref() == Some("NO");
            column.description = comment.filter(|text| !text.is_empty());
        }
    }
    let sql = format!(
        "SELECT row_count, bytes FROM information_schema.tables WHERE table_schema = {schema} AND table_name = ?"
    );
    let sizes = ask(session, &doing, &sql, &parameters).await?.into_iter().next().unwrap_or_default();
    let size = |at: usize| count(sizes.get(at).and_then(Option::as_deref));
    let key = primary_key(session, &doing, &from).await?;
    let shape = Shape { cursors: cursors(&columns), columns, key, rows: size(0), bytes: size(1) };
    Ok(Described { shape, from, is_table: true })
}

/// The columns of the declared primary key, in order. The service does not enforce it.
async fn primary_key(session: &Session, doing: &str, from: &str) -> PortResult<Vec<String>> {
    let statement = Statement::plain(format!("SHOW PRIMARY KEYS IN TABLE {from}"));
    let outcome = match session.run(doing, &statement).await {
        Ok(outcome) => outcome,
        // A view has none.
        Err(error) if matches!(error.kind(), ErrorKind::Invalid | ErrorKind::NotFound) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let (names, rows) = texts(doing, session, outcome).await?;
    let at = |wanted: &str| names.iter().position(|name| name.eq_ignore_ascii_case(wanted));
    let (Some(name), Some(sequence)) = (at("column_name"), at("key_sequence")) else { return Ok(Vec::new()) };
    let mut key: Vec<(u64, String)> =
        rows.into_iter().filter_map(|row| Some((count(row[sequence].as_deref())?, row[name].clone()?))).collect();
    key.sort();
    Ok(key.into_iter().map(|(_, name)| name).collect())
}

/// The columns of a result, without its being made.
async fn columns_of(session: &Session, doing: &str, from: &str) -> PortResult<Vec<SourceColumn>> {
    let statement = Statement { describe_only: true, ..Statement::plain(format!("SELECT * FROM {from}")) };
    let outcome = session.run(doing, &statement).await?;
    Ok(outcome.rowtype.iter().map(column).collect())
}

fn column(found: &RowType) -> SourceColumn {
    let kind = SqlType::of(found);
    SourceColumn {
        name: found.name.clone(),
        source_type: kind.to_string(),
        kind: kind.kind(),
        required: false,
        description: None,
    }
}

/// Columns whose names say that they are raised with every change, best first.
fn cursors(columns: &[SourceColumn]) -> Vec<String> {
    const NAMES: [&str; 10] = [
        "UPDATED_AT",
        "MODIFIED_AT",
        "LAST_MODIFIED",
        "LAST_UPDATED",
        "UPDATED",
        "MODIFIED",
        "CHANGED_AT",
        "CHANGED",
        "_LOADED_AT",
        "LOADED_AT",
    ];
    let mut found: Vec<(usize, &str)> = columns
        .iter()
        .filter(|column| SqlType::read(&column.source_type).is_ordered())
        .filter_map(|column| {
            let rank = NAMES.iter().position(|name| column.name.eq_ignore_ascii_case(name))?;
            Some((rank, column.name.as_str()))
        })
        .collect();
    found.sort_unstable();
    found.into_iter().map(|(_, name)| name.to_owned()).collect()
}
