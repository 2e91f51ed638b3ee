//! What the server's catalog says of tables, views and queries.

use millstream_ports::{PortError, PortResult, Shape, SourceColumn, TableSummary};
use mysql_async::{Column, Row, consts::ColumnFlags, prelude::FromValue};

use crate::{
    kind::{Kind, type_of_result},
    names::{Relation, quoted, written},
    session::Session,
};

const TABLES: &str = "
    SELECT table_schema, table_name, table_type, table_rows, data_length FROM information_schema.tables
    WHERE table_schema NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys')
        AND table_type IN ('BASE TABLE', 'VIEW', 'SYSTEM VERSIONED')";

const TABLE: &str = "
    SELECT table_type, table_rows, data_length FROM information_schema.tables
    WHERE table_schema = ? AND table_name = ?";

const COLUMNS: &str = "
    SELECT column_name, data_type, column_type, numeric_precision, numeric_scale, is_nullable, extra, column_comment
    FROM information_schema.columns WHERE table_schema = ? AND table_name = ? ORDER BY ordinal_position";

/// An index that only a part of a value is in splits nothing; that one is told by `sub_part`.
const INDEXES: &str = "
    SELECT index_name, column_name, non_unique, sub_part, index_type
    FROM information_schema.statistics WHERE table_schema = ? AND table_name = ?";

const INDEXES_ORDER: &str = " ORDER BY index_name <> 'PRIMARY', index_name, seq_in_index";

/// MariaDB's JSON is a text with a check.
const CHECKS: &str = "
    SELECT check_clause FROM information_schema.check_constraints WHERE constraint_schema = ? AND table_name = ?";

/// The name of the index that is the primary key.
const PRIMARY: &str = "PRIMARY";

/// What a table, view or query looks like.
#[derive(Debug)]
pub(crate) struct Description {
    /// The columns, in order.
    pub(crate) columns: Vec<Described>,
    /// The columns of the primary key, in order.
    pub(crate) key: Vec<String>,
    /// What is in order already: the primary key first.
    pub(crate) indexes: Vec<Index>,
    /// Rows, as the server estimates them.
    pub(crate) rows: Option<u64>,
    /// Bytes, as the server estimates them.
    bytes: Option<u64>,
}

/// A column.
#[derive(Debug, Clone)]
pub(crate) struct Described {
    /// Its name.
    pub(crate) name: String,
    /// How its values are read.
    pub(crate) kind: Kind,
    source_type: String,
    required: bool,
    description: Option<String>,
    /// The server sets it with every change, or counts it up with every row.
    raised: Option<Raised>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Raised {
    ByChange,
    ByRow,
}

/// An index whose first column is wholly in it.
#[derive(Debug)]
pub(crate) struct Index {
    /// Its name.
    pub(crate) name: String,
    /// Its first column.
    pub(crate) column: String,
    /// Whether no value of that column is there twice.
    pub(crate) unique: bool,
}

impl Description {
    /// The column of this name, as MySQL compares names of columns: in any case of letters.
    pub(crate) fn column(&self, name: &str) -> Option<&Described> {
        let same = |column: &&Described| column.name.to_lowercase() == name.to_lowercase();
        self.columns.iter().find(|column| column.name == name).or_else(|| self.columns.iter().find(same))
    }

    /// The first index that begins with the column.
    pub(crate) fn index_of(&self, column: &str) -> Option<&Index> {
        self.indexes.iter().find(|index| index.column == column)
    }

    /// Whether no value of the column is there twice.
    pub(crate) fn is_unique(&self, column: &str) -> bool {
        self.indexes.iter().any(|index| index.unique && index.column == column)
    }

    /// As the port tells it.
    pub(crate) fn shape(self) -> Shape {
        let mut cursors: Vec<(u8, &Described)> =
            self.columns.iter().filter_map(|column| Some((cursor_rank(column)?, column))).collect();
        cursors.sort_by_key(|(rank, _)| *rank);
        let cursors = cursors.into_iter().map(|(_, column)| column.name.clone()).collect();
        let columns = self.columns.iter().map(Described::to_port).collect();
        Shape { columns, key: self.key, cursors, rows: self.rows, bytes: self.bytes }
    }
}

impl Described {
    /// As the port tells it.
    pub(crate) fn to_port(&self) -> SourceColumn {
        SourceColumn {
            name: self.name.clone(),
            source_type: self.source_type.clone(),
            kind: self.kind.column_type(),
            required: self.required,
            description: self.description.clone(),
        }
    }
}

/// How good a cursor the column may be, 0 for the best; `None` for none at all.
fn cursor_rank(column: &Described) -> Option<u8> {
    let is_time = matches!(column.kind, Kind::Timestamp | Kind::Datetime | Kind::Date);
    let name = column.name.to_lowercase();
    let named = |words: &[&str]| words.iter().any(|word| name.contains(word));
    match column.raised {
        Some(Raised::ByChange) => Some(0),
        _ if is_time && named(&["updat", "modif", "chang"]) => Some(1),
        _ if matches!(column.kind, Kind::Integer | Kind::BigUnsigned) && named(&["version", "revision"]) => Some(2),
        _ if is_time && named(&["creat", "insert", "added"]) => Some(3),
        Some(Raised::ByRow) => Some(4),
        None => None,
    }
}

/// The tables and views that this user may read, by name.
pub(crate) async fn tables(session: &mut Session) -> PortResult<Vec<TableSummary>> {
    let of_url = session.target().database().map(str::to_owned);
    let rows = session.rows(TABLES, (), "listing the tables").await?;
    let summary = |row: &Row| {
        let (database, table): (String, String) = (value(row, 0)?, value(row, 1)?);
        let is_view = value::<String>(row, 2)? == "VIEW";
        let name = written(&database, &table, of_url.as_deref());
        Some(TableSummary { name, rows: value(row, 3), bytes: value(row, 4), is_view })
    };
    let mut tables: Vec<TableSummary> = rows.iter().filter_map(summary).collect();
    tables.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(tables)
}

/// What a relation looks like.
pub(crate) async fn describe(session: &mut Session, relation: &Relation) -> PortResult<Description> {
    match relation {
        Relation::Table { database, table } => match describe_table(session, database, table).await? {
            Some(description) => Ok(description),
            None => Err(PortError::not_found(format!(
                "{relation} is not there, or {} may not read it: name a table as it is written, and GRANT SELECT on it",
                session.target().user()
            ))),
        },
        Relation::Query(query) => describe_query(session, relation, query).await,
    }
}

async fn describe_table(session: &mut Session, database: &str, table: &str) -> PortResult<Option<Description>> {
    let doing = format!("describing {database}.{table}");
    let named = || (database, table);
    let found = session.rows(TABLE, named(), &doing).await?;
    let Some(about) = found.first() else { return Ok(None) };
    let tinyint1_is_bool = session.target().options().tinyint1_is_bool;
    let rows = session.rows(COLUMNS, named(), &doing).await?;
    let mut columns: Vec<Described> = rows.iter().filter_map(|row| described(row, tinyint1_is_bool)).collect();
    if session.flavor().mariadb {
        let checks = session.rows(CHECKS, named(), &doing).await?;
        let checks: Vec<String> = checks.iter().filter_map(|row| value(row, 0)).collect();
        for column in columns.iter_mut().filter(|column| column.kind == Kind::Text) {
            if checks.contains(&format!("json_valid({})", quoted(&column.name))) {
                (column.kind, column.source_type) = (Kind::Json, "json".into());
            }
        }
    }
    let indexes_sql = format!("{INDEXES}{}{INDEXES_ORDER}", session.flavor().usable_indexes());
    let rows = session.rows(&indexes_sql, named(), &doing).await?;
    let parts: Vec<IndexPart> = rows.iter().filter_map(IndexPart::of).collect();
    let key = parts.iter().filter(|part| part.index == PRIMARY).filter_map(|part| part.column.clone()).collect();
    Ok(Some(Description { columns, key, indexes: indexes(&parts), rows: value(about, 1), bytes: value(about, 2) }))
}

fn described(row: &Row, tinyint1_is_bool: bool) -> Option<Described> {
    let data_type = value::<String>(row, 1)?.to_ascii_lowercase();
    let source_type = value::<String>(row, 2)?;
    let extra = value::<String>(row, 6).unwrap_or_default().to_ascii_lowercase();
    let raised = match () {
        () if extra.contains("on update") => Some(Raised::ByChange),
        () if extra.contains("auto_increment") => Some(Raised::ByRow),
        () => None,
    };
    let lower = source_type.to_ascii_lowercase();
    Some(Described {
        name: value(row, 0)?,
        kind: Kind::of_catalog(&data_type, &lower, value(row, 3), value(row, 4), tinyint1_is_bool),
        source_type,
        required: value::<String>(row, 5)? == "NO",
        description: value::<String>(row, 7).filter(|comment| !comment.is_empty()),
        raised,
    })
}

struct IndexPart {
    index: String,
    /// `None` for an expression.
    column: Option<String>,
    unique: bool,
    /// Whether whole values are in it, in order.
    whole: bool,
}

impl IndexPart {
    fn of(row: &Row) -> Option<Self> {
        let whole = value::<u64>(row, 3).is_none() && value::<String>(row, 4)? == "BTREE";
        Some(Self { index: value(row, 0)?, column: value(row, 1), unique: value::<u64>(row, 2)? == 0, whole })
    }
}

fn indexes(parts: &[IndexPart]) -> Vec<Index> {
    let of_one_index = parts.chunk_by(|one, other| one.index == other.index);
    let index = |parts: &[IndexPart]| {
        let first = parts.first().filter(|first| first.whole)?;
        let column = first.column.clone()?;
        Some(Index { name: first.index.clone(), column, unique: first.unique && parts.len() == 1 })
    };
    of_one_index.filter_map(index).collect()
}

async fn describe_query(session: &mut Session, relation: &Relation, query: &str) -> PortResult<Description> {
    let doing = "describing the query";
    // Only a SELECT can be selected from, and only where its columns have a name each.
    session.prepare(&format!("SELECT * FROM {}", relation.sql()), doing).await?;
    let statement = session.prepare(query, doing).await?;
    let tinyint1_is_bool = session.target().options().tinyint1_is_bool;
    let results = statement.columns();
    let mut columns: Vec<Described> = results.iter().map(|column| of_result(column, tinyint1_is_bool)).collect();
    // What MariaDB writes as a text or as bytes may be more than that in its table.
    let mut known: Vec<((String, String), Option<Description>)> = Vec::new();
    for (column, result) in columns.iter_mut().zip(results.iter()) {
        let of = (result.schema_str().into_owned(), result.org_table_str().into_owned());
        if !matches!(column.kind, Kind::Text | Kind::Bytes) || of.1.is_empty() {
            continue;
        }
        let at = match known.iter().position(|(table, _)| *table == of) {
            Some(at) => at,
            None => {
                let description = describe_table(session, &of.0, &of.1).await?;
                known.push((of, description));
                known.len() - 1
            }
        };
        let described = known[at].1.as_ref().and_then(|table| table.column(&result.org_name_str()));
        if let Some(described) = described {
            (column.kind, column.source_type) = (described.kind, described.source_type.clone());
        }
    }
    Ok(Description { columns, key: Vec::new(), indexes: Vec::new(), rows: None, bytes: None })
}

fn of_result(column: &Column, tinyint1_is_bool: bool) -> Described {
    Described {
        name: column.name_str().into_owned(),
        kind: Kind::of_result(column, tinyint1_is_bool),
        source_type: type_of_result(column),
        required: column.flags().contains(ColumnFlags::NOT_NULL_FLAG),
        description: None,
        raised: None,
    }
}

/// A row's value; `None` for NULL and for one of another type.
pub(crate) fn value<T: FromValue>(row: &Row, index: usize) -> Option<T> {
    row.get_opt::<Option<T>, _>(index)?.ok()?
}
