//! What is there, from the server's own catalogue.

use std::collections::BTreeMap;

use millstream_events::extract::Selection;
use millstream_ports::{PortError, PortResult, Shape, SourceColumn, TableSummary};
use tiberius::{ColumnType as WireType, error::Error};

use crate::{
    errors::{NO_SUCH_OBJECT, NO_SUCH_PROCEDURE, failed, too_slow},
    names::TableName,
    session::{Session, as_parameters, integer, text},
    sql_type::{Order, SqlType},
};

/// Bytes of a page.
const PAGE: u64 = 8_192;

/// What a table or query looks like, and what only this adapter asks.
#[derive(Debug)]
pub(crate) struct Described {
    pub(crate) shape: Shape,
    /// Columns in which no value comes twice.
    pub(crate) unique: Vec<String>,
    /// As the FROM of a statement.
    pub(crate) from: String,
}

/// The tables and views of the database, by name.
pub(crate) async fn tables(session: &mut Session) -> PortResult<Vec<TableSummary>> {
    let sql = "SELECT s.name AS schema_name, o.name AS table_name, o.type AS kind, o.object_id AS object_id \
               FROM sys.objects AS o JOIN sys.schemas AS s ON s.schema_id = o.schema_id \
               WHERE o.type IN ('U', 'V') AND o.is_ms_shipped = 0";
    let listed = session.rows("listing the tables", sql, &[]).await?;
    let sizes = sizes(session, None).await?;
    let mut tables: Vec<TableSummary> = listed
        .iter()
        .filter_map(|row| {
            let name = TableName { schema: Some(text(row, 0)?.to_owned()), table: text(row, 1)?.to_owned() };
            let is_view = text(row, 2).is_some_and(|kind| kind.trim() == "V");
            let size = integer(row, 3).and_then(|id| sizes.get(&id)).filter(|_| !is_view);
            Some(TableSummary {
                name: name.to_string(),
                rows: size.map(|(rows, _)| *rows),
                bytes: size.map(|(_, bytes)| *bytes),
                is_view,
            })
        })
        .collect();
    tables.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(tables)
}

/// What a table, view or query looks like.
pub(crate) async fn describe(session: &mut Session, select: &Selection) -> PortResult<Described> {
    match select {
        Selection::Table(name) => describe_table(session, &TableName::read(name)?).await,
        Selection::Query(query) => describe_query(session, query).await,
        Selection::Sheet(_) => Err(PortError::invalid("SQL Server has no sheets: name a table or give a query")),
    }
}

async fn describe_table(session: &mut Session, name: &TableName) -> PortResult<Described> {
    let doing = format!("describing the table {name}");
    let quoted = name.quoted();
    let parameters = [quoted.clone()];
    let found = session.rows(&doing, "SELECT OBJECT_ID(@P1) AS object_id", &parameters).await?;
    let Some(id) = found.first().and_then(|row| integer(row, 0)) else {
        return Err(PortError::not_found(format!(
            "{} has no table or view {name} that {} may see: check its name and GRANT SELECT on it",
            session.target,
            session.target.user()
        )));
    };
    let columns = table_columns(session, &doing, id).await?;
    if columns.is_empty() {
        // A synonym: what it stands for has the columns.
        let described = describe_query(session, &format!("SELECT * FROM {quoted}")).await?;
        return Ok(Described { from: quoted, ..described });
    }
    let (key, mut unique) = keys(session, &doing, id).await?;
    let row_versions = columns.iter().filter(|column| SqlType::read(&column.source_type).is_row_version());
    unique.extend(row_versions.map(|column| column.name.clone()));
    let size = sizes(session, Some(id)).await?.get(&id).copied();
    let shape = Shape {
        cursors: cursors(&columns, &key),
        columns,
        key,
        rows: size.map(|(rows, _)| rows),
        bytes: size.map(|(_, bytes)| bytes),
    };
    Ok(Described { shape, unique, from: quoted })
}

async fn table_columns(session: &mut Session, doing: &str, id: i64) -> PortResult<Vec<SourceColumn>> {
    // A type that was made of another one has that one's name; one of the CLR has its own.
    let sql = "SELECT c.name AS name, COALESCE(b.name, u.name) AS type_name, c.max_length AS max_length, \
               c.precision AS digits, c.scale AS scale, c.is_nullable AS is_nullable, \
               CAST(p.value AS nvarchar(4000)) AS description \
               FROM sys.columns AS c JOIN sys.types AS u ON u.user_type_id = c.user_type_id \
               LEFT JOIN sys.types AS b ON b.user_type_id = c.system_type_id \
               LEFT JOIN sys.extended_properties AS p ON p.class = 1 AND p.major_id = c.object_id \
               AND p.minor_id = c.column_id AND p.name = N'MS_Description' \
               WHERE c.object_id = CAST(@P1 AS int) ORDER BY c.column_id";
    let rows = session.rows(doing, sql, &[id.to_string()]).await?;
    Ok(rows
        .iter()
        .filter_map(|row| {
            let numbers = (integer(row, 2)?, integer(row, 3)?, integer(row, 4)?);
            let kind = SqlType::of_column(text(row, 1)?, numbers.0, numbers.1, numbers.2);
            Some(column(text(row, 0)?, &kind, integer(row, 5) == Some(0), text(row, 6)))
        })
        .collect())
}

fn column(name: &str, kind: &SqlType, required: bool, description: Option<&str>) -> SourceColumn {
    SourceColumn {
        name: name.to_owned(),
        source_type: kind.as_str().to_owned(),
        kind: kind.kind(),
        required,
        description: description.filter(|text| !text.is_empty()).map(str::to_owned),
    }
}

/// The primary key, and the columns that have a unique index of their own.
async fn keys(session: &mut Session, doing: &str, id: i64) -> PortResult<(Vec<String>, Vec<String>)> {
    let sql = "SELECT i.index_id AS index_id, i.is_primary_key AS is_primary_key, c.name AS name \
               FROM sys.indexes AS i \
               JOIN sys.index_columns AS k ON k.object_id = i.object_id AND k.index_id = i.index_id \
               JOIN sys.columns AS c ON c.object_id = k.object_id AND c.column_id = k.column_id \
               WHERE i.object_id = CAST(@P1 AS int) AND i.is_unique = 1 AND i.has_filter = 0 AND i.is_disabled = 0 \
               AND k.key_ordinal > 0 ORDER BY i.index_id, k.key_ordinal";
    let (mut key, mut indexes) = (Vec::new(), BTreeMap::<i64, Vec<String>>::new());
    for row in session.rows(doing, sql, &[id.to_string()]).await? {
        if let (Some(index), Some(name)) = (integer(&row, 0), text(&row, 2)) {
            indexes.entry(index).or_default().push(name.to_owned());
            if integer(&row, 1) == Some(1) {
                key.push(name.to_owned());
            }
        }
    }
    let unique = indexes.into_values().filter(|columns| columns.len() == 1).flatten().collect();
    Ok((key, unique))
}

/// Rows and bytes of one table or of all, by its id; none where the server does not tell.
async fn sizes(session: &mut Session, id: Option<i64>) -> PortResult<BTreeMap<i64, (u64, u64)>> {
    let which = if id.is_some() { "AND p.object_id = CAST(@P1 AS int) " } else { "" };
    let parameters: Vec<String> = id.iter().map(ToString::to_string).collect();
    let rows = format!(
        "SELECT p.object_id AS object_id, SUM(p.rows) AS n FROM sys.partitions AS p \
         WHERE p.index_id IN (0, 1) {which}GROUP BY p.object_id"
    );
    let pages = format!(
        "SELECT p.object_id AS object_id, SUM(a.total_pages) AS n FROM sys.partitions AS p \
         JOIN sys.allocation_units AS a ON a.container_id = p.partition_id \
         WHERE p.index_id IN (0, 1) {which}GROUP BY p.object_id"
    );
    let mut sizes = BTreeMap::<i64, (u64, u64)>::new();
    let count = |row: &tiberius::Row| Some((integer(row, 0)?, u64::try_from(integer(row, 1)?).ok()?));
    let doing = "estimating sizes";
    for (sql, is_rows) in [(rows, true), (pages, false)] {
        let found = match session.try_rows(doing, &sql, &parameters).await? {
            Ok(found) => found,
            Err(error) if error.code() == Some(NO_SUCH_OBJECT) => return Ok(sizes),
            Err(error) => return Err(failed(doing, &session.target, error)),
        };
        for (id, number) in found.iter().filter_map(count) {
            let size = sizes.entry(id).or_default();
            if is_rows { size.0 = number } else { size.1 = number * PAGE }
        }
    }
    Ok(sizes)
}

async fn describe_query(session: &mut Session, query: &str) -> PortResult<Described> {
    let from = query_as_table(query)?;
    let columns = query_columns(session, &format!("SELECT * FROM {from}")).await?;
    let shape = Shape { cursors: cursors(&columns, &[]), columns, key: Vec::new(), rows: None, bytes: None };
    Ok(Described { shape, unique: Vec::new(), from })
}

/// A query as a part of another one.
fn query_as_table(query: &str) -> PortResult<String> {
    let query = query.trim().trim_end_matches(';').trim_end();
    let first = query.split(|letter: char| !letter.is_ascii_alphabetic()).next().unwrap_or_default();
    if first.eq_ignore_ascii_case("with") {
        return Err(PortError::invalid(
            "a query that begins with WITH cannot be a part of another one in SQL Server, as reading it in ranges takes: make it \
             a view, or write what is in the WITH as derived tables",
        ));
    }
    // The line ends a comment that the query may end with.
    Ok(format!("({query}\n) AS [source]"))
}

/// The columns of a statement, without running it.
async fn query_columns(session: &mut Session, sql: &str) -> PortResult<Vec<SourceColumn>> {
    let doing = "describing the query";
    let parameters = [sql.to_owned()];
    match session.try_rows(doing, "EXEC sp_describe_first_result_set @tsql = @P1", &parameters).await? {
        Ok(rows) => Ok(rows
            .iter()
            .filter(|row| row.try_get::<bool, _>("is_hidden").ok().flatten() != Some(true))
            .filter_map(|row| {
                let get = |name| row.try_get::<&str, _>(name).ok().flatten();
                // Only types of the CLR have a name of the user's and none of the system's.
                let kind = SqlType::read(get("system_type_name").or_else(|| get("user_type_name"))?);
                let required = row.try_get::<bool, _>("is_nullable").ok().flatten() == Some(false);
                Some(column(get("name")?, &kind, required, None))
            })
            .collect()),
        Err(error) if error.code() == Some(NO_SUCH_PROCEDURE) => columns_of_no_rows(session, doing, sql).await,
        Err(error) => Err(failed(doing, &session.target, error)),
    }
}

/// The columns as they come with an answer of no rows, for servers that have no such procedure: types without their sizes.
async fn columns_of_no_rows(session: &mut Session, doing: &str, sql: &str) -> PortResult<Vec<SourceColumn>> {
    let target = std::sync::Arc::clone(&session.target);
    let sql = sql.replacen("SELECT", "SELECT TOP 0", 1);
    let answer = async {
        let parameters = as_parameters(&[]);
        let mut answer = session.client.query(sql, &parameters).await?;
        let columns = answer.columns().await?.unwrap_or_default().to_vec();
        answer.into_results().await?;
        Ok::<_, Error>(columns)
    };
    let columns = tokio::time::timeout(session.limit, answer)
        .await
        .map_err(|_| too_slow(doing, &target, session.limit))?
        .map_err(|error| failed(doing, &target, error))?;
    Ok(columns
        .iter()
        .map(|found| {
            let name = match found.column_type() {
                WireType::Bit | WireType::Bitn => "bit",
                WireType::Int1 => "tinyint",
                WireType::Int2 => "smallint",
                WireType::Int4 | WireType::Intn => "int",
                WireType::Int8 => "bigint",
                WireType::Float4 => "real",
                WireType::Float8 | WireType::Floatn => "float",
                WireType::Datetime | WireType::Datetimen => "datetime",
                WireType::Datetime4 => "smalldatetime",
                WireType::Daten => "date",
                WireType::Guid => "uniqueidentifier",
                WireType::BigVarBin | WireType::BigBinary | WireType::Image => "varbinary(max)",
                WireType::BigVarChar | WireType::BigChar | WireType::Text => "varchar(max)",
                WireType::NVarchar | WireType::NChar | WireType::NText => "nvarchar(max)",
                WireType::Xml => "xml",
                _ => "type whose size this server does not tell",
            };
            column(found.name(), &SqlType::read(name), false, None)
        })
        .collect())
}

/// Columns that could be a cursor, best first: what the server raises itself, then names that say so.
fn cursors(columns: &[SourceColumn], key: &[String]) -> Vec<String> {
    const NAMES: [&str; 12] = [
        "updated_at",
        "modified_at",
        "updated",
        "modified",
        "modifieddate",
        "updateddate",
        "lastmodified",
        "last_modified",
        "changed_at",
        "changed",
        "lastupdated",
        "last_updated",
    ];
    let mut found: Vec<(usize, &str)> = columns
        .iter()
        .filter_map(|column| {
            let kind = SqlType::read(&column.source_type);
            let name = column.name.to_ascii_lowercase();
            let named = NAMES.iter().position(|known| *known == name);
            let rank = match (kind.order()?, named) {
                (Order::RowVersion, _) => 0,
                (Order::Time | Order::Date | Order::Integer { .. }, Some(named)) => 1 + named,
                // A number that only grows finds new rows, though not those that changed.
                (Order::Integer { .. }, None) if key == std::slice::from_ref(&column.name) => 100,
                _ => return None,
            };
            Some((rank, column.name.as_str()))
        })
        .collect();
    found.sort_by_key(|(rank, _)| *rank);
    found.into_iter().map(|(_, name)| name.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_becomes_a_table_unless_it_cannot() {
        assert_eq!(query_as_table("SELECT 1 AS a -- one;\n").unwrap(), "(SELECT 1 AS a -- one\n) AS [source]");
        assert!(query_as_table(" with a AS (SELECT 1) SELECT * FROM a").unwrap_err().to_string().contains("view"));
    }

    #[test]
    fn cursors_are_those_the_server_raises_first() {
        let columns = ["id int", "ModifiedDate datetime", "version timestamp", "name nvarchar(50)"].map(|text| {
            let (name, kind) = text.split_once(' ').unwrap();
            column(name, &SqlType::read(kind), true, None)
        });
        assert_eq!(cursors(&columns, &["id".into()]), ["version", "ModifiedDate", "id"]);
        assert_eq!(cursors(&columns, &[]), ["version", "ModifiedDate"]);
    }
}
