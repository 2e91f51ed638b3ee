//! What the server's catalog says of tables.

use millstream_ports::{PortError, PortResult, TableSummary};
use serde::Deserialize;
use tokio_postgres::types::{FromSql, Type};

use crate::{described::Column, session::Session, sql::TableName, types::Types};

/// A table, view, materialised view or foreign table.
#[derive(Debug, Clone)]
pub(crate) struct Relation {
    /// Its number.
    pub(crate) oid: u32,
    /// Its schema.
    pub(crate) schema: String,
    /// Its name.
    pub(crate) name: String,
    /// Whether its pages can be sampled: not those of views and foreign tables.
    pub(crate) is_sampled: bool,
    /// The columns of the primary key, in order.
    pub(crate) key: Vec<String>,
    /// Columns that have no value twice.
    pub(crate) unique: Vec<String>,
    /// Its rows, as the server estimates them.
    pub(crate) rows: Option<u64>,
    /// Its bytes.
    pub(crate) bytes: Option<u64>,
}

/// Rows and bytes of a table, with its partitions. Before it was first analysed the rows are -1, or 0 with no pages.
const SIZES: &str = "
    CROSS JOIN LATERAL (
        SELECT sum(part.reltuples) FILTER (WHERE part.reltuples > 0 OR part.relpages > 0)::float8 AS rows,
               sum(pg_catalog.pg_table_size(part.oid))::float8 AS bytes
        FROM (SELECT leaf.relid AS oid FROM pg_catalog.pg_partition_tree(c.oid) AS leaf WHERE leaf.isleaf
              UNION SELECT c.oid) AS leaf
        JOIN pg_catalog.pg_class part ON part.oid = leaf.oid AND part.relkind IN ('r', 'm', 'f')
    ) AS size";

/// The tables that the user may read.
pub(crate) async fn tables(session: &Session) -> PortResult<Vec<TableSummary>> {
    let sql = format!(
        "SELECT n.nspname::text, c.relname::text, c.relkind IN ('v', 'm'), size.rows, size.bytes, c.relkind::text
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace {SIZES}
        WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
          AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
          AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')
          AND (pg_catalog.has_table_privilege(c.oid, 'SELECT') OR pg_catalog.has_any_column_privilege(c.oid, 'SELECT'))"
    );
    let rows = session.rows(&sql, &[], "listing the tables").await?;
    let summary = |row: &tokio_postgres::Row| TableSummary {
        name: TableName::written(row.get(0), row.get(1)),
        rows: whole(row.get(3)),
        bytes: whole(row.get(4)).filter(|_| !matches!(row.get(5), "v" | "f")),
        is_view: row.get(2),
    };
    let mut tables: Vec<_> = rows.iter().map(summary).collect();
    tables.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(tables)
}

/// Finds a table by its exact name; without a schema, in those of the search path.
pub(crate) async fn find(session: &Session, name: &TableName, written: &str) -> PortResult<Relation> {
    let sql = format!(
        "SELECT c.oid, n.nspname::text, c.relname::text, c.relkind::text, size.rows, size.bytes,
            ARRAY(SELECT a.attname::text FROM pg_catalog.pg_index i
                  CROSS JOIN LATERAL pg_catalog.unnest(i.indkey) WITH ORDINALITY AS k (attnum, place)
                  JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
                  WHERE i.indrelid = c.oid AND i.indisprimary ORDER BY k.place),
            ARRAY(SELECT a.attname::text FROM pg_catalog.pg_index i
                  JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
                  WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indnkeyatts = 1
                    AND i.indpred IS NULL AND i.indexprs IS NULL)
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace {SIZES}
        WHERE c.relname = $1 AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
          AND CASE WHEN $2::text IS NULL THEN pg_catalog.pg_table_is_visible(c.oid) ELSE n.nspname = $2 END"
    );
    let rows = session.rows(&sql, &[&name.name, &name.schema], &format!("looking for the table {written}")).await?;
    let Some(row) = rows.first() else { return Err(not_there(session, name, written).await?) };
    let kind: String = row.get(3);
    Ok(Relation {
        oid: row.get(0),
        schema: row.get(1),
        name: row.get(2),
        is_sampled: matches!(kind.as_str(), "r" | "p" | "m"),
        key: row.get(6),
        unique: row.get(7),
        rows: whole(row.get(4)),
        bytes: whole(row.get(5)).filter(|_| !matches!(kind.as_str(), "v" | "f")),
    })
}

/// The error for a table that is not there: with those whose name differs in its case or schema alone.
async fn not_there(session: &Session, name: &TableName, written: &str) -> PortResult<PortError> {
    let sql = "
        SELECT n.nspname::text, c.relname::text
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE lower(c.relname) = lower($1::text) AND c.relkind IN ('r', 'p', 'v', 'm', 'f') ORDER BY 1, 2 LIMIT 5";
    let rows = session.rows(sql, &[&name.name], &format!("looking for the table {written}")).await?;
    let alike: Vec<_> = rows.iter().map(|row| TableName::written(row.get(0), row.get(1))).collect();
    let (server, database) = (session.target().name(), session.target().database().to_owned());
    let next = if alike.is_empty() {
        "name one that is there, with its schema".to_owned()
    } else {
        format!("there is {}: names are written exactly, with their schema", alike.join(", "))
    };
    Ok(PortError::not_found(format!("the database {database} of {server} has no table {written}; {next}")))
}

/// The columns of a table, and their types.
pub(crate) async fn columns(session: &Session, relation: &Relation) -> PortResult<(Vec<Column>, Types)> {
    let sql = "
        SELECT a.attname::text, a.atttypid, a.atttypmod, pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull,
               pg_catalog.col_description(a.attrelid, a.attnum),
               pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'SELECT'),
               a.attidentity <> '' OR coalesce(pg_catalog.pg_get_expr(d.adbin, d.adrelid) LIKE 'nextval(%', false)
        FROM pg_catalog.pg_attribute a
        LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum";
    let doing = format!("reading the columns of {}.{}", relation.schema, relation.name);
    let rows = session.rows(sql, &[&relation.oid], &doing).await?;
    let types = Types::load(session, &rows.iter().map(|row| row.get(1)).collect::<Vec<_>>()).await?;
    let column = |row: &tokio_postgres::Row| {
        let of = Column::new(row.get(0), (row.get(1), row.get(2)), row.get(3), &types);
        Column {
            required: of.required || row.get(4),
            description: row.get(5),
            readable: row.get(6),
            raised: row.get(7),
            ..of
        }
    };
    Ok((rows.iter().map(column).collect(), types))
}

/// Types and their modifiers as SQL writes them.
pub(crate) async fn type_names(session: &Session, types: &[(u32, i32)]) -> PortResult<Vec<String>> {
    let (oids, modifiers): (Vec<u32>, Vec<i32>) = types.iter().copied().unzip();
    let sql = "SELECT pg_catalog.format_type(t.oid, t.modifier)
        FROM ROWS FROM (pg_catalog.unnest($1::oid[]), pg_catalog.unnest($2::int4[]))
            WITH ORDINALITY AS t (oid, modifier, place)
        ORDER BY t.place";
    let rows = session.rows(sql, &[&oids, &modifiers], "reading the types of the columns").await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// How many rows the planner expects of a SELECT.
pub(crate) async fn estimated_rows(session: &Session, select: &str, name: &str) -> PortResult<Option<u64>> {
    let sql = format!("EXPLAIN (FORMAT JSON) {select}");
    let row = session.row(&sql, &[], &format!("estimating the rows of {name}")).await?;
    let Explained(plans) = row.get(0);
    Ok(plans.first().and_then(|explained| whole(Some(explained.plan.rows))))
}

/// What EXPLAIN says.
struct Explained(Vec<ExplainedPlan>);

#[derive(Deserialize)]
struct ExplainedPlan {
    #[serde(rename = "Plan")]
    plan: PlanNode,
}

#[derive(Deserialize)]
struct PlanNode {
    #[serde(rename = "Plan Rows")]
    rows: f64,
}

impl<'a> FromSql<'a> for Explained {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(serde_json::from_slice(raw)?))
    }

    fn accepts(of: &Type) -> bool {
        *of == Type::JSON
    }
}

fn whole(estimate: Option<f64>) -> Option<u64> {
    // A float becomes the nearest integer there is.
    estimate.filter(|estimate| *estimate >= 0.0).map(|estimate| estimate as u64)
}
