//! Whether a table's changes are told at all, and by what its rows are known in the log.

use millstream_ports::{PortError, PortResult};

use crate::{
    catalog::Relation,
    described::Described,
    session::Session,
    sql::identifier,
    types::{Ask, Mapping, Types},
};

/// A table whose changes are read.
#[derive(Debug, Clone)]
pub(crate) struct LoggedTable {
    /// Its OID, which the log's messages have.
    pub(crate) oid: u32,
    /// Its name as SQL writes it, schema first, quoted.
    pub(crate) quoted: String,
    /// The columns of its primary key, in order; none where the whole row is the replica identity and there is no key.
    pub(crate) key: Vec<String>,
    /// Its columns.
    pub(crate) attributes: Vec<Attribute>,
}

/// A column of a [`LoggedTable`].
#[derive(Debug, Clone)]
pub(crate) struct Attribute {
    /// Its name.
    pub(crate) name: String,
    /// Its type's OID.
    pub(crate) kind: u32,
    /// The type's modifier, -1 for none.
    pub(crate) modifier: i32,
    /// The type as SQL writes it, without the modifier.
    pub(crate) sql_type: String,
    /// Whether the log has its values in the form that they are read in. Otherwise they are read from the table itself:
    /// columns that the server computes are not in the log, and some types are asked for as text or JSON.
    pub(crate) is_told: bool,
    /// What it becomes.
    pub(crate) mapping: Result<Mapping, String>,
}

/// What the catalog says of a table.
const TABLE: &str = "
SELECT c.relkind::text, c.relreplident::text,
  ARRAY(SELECT a.attname::text FROM pg_catalog.pg_index i
        JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey)
        WHERE i.indrelid = c.oid AND i.indisreplident)
FROM pg_catalog.pg_class c WHERE c.oid = $1";

/// What the catalog says of a table's columns.
const ATTRIBUTES: &str = "
SELECT a.attname::text, a.atttypid, a.atttypmod, pg_catalog.format_type(a.atttypid, NULL), a.attgenerated <> ''
FROM pg_catalog.pg_attribute a WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum";

/// What a publication tells, and whether of this table. Servers before 15 have neither row filters nor column lists.
const PUBLICATION: &str = "
SELECT p.pubinsert AND p.pubupdate AND p.pubdelete AND p.pubtruncate, t.tablename IS NOT NULL,
  to_jsonb(t) ->> 'rowfilter',
  ARRAY(SELECT jsonb_array_elements_text(to_jsonb(t) -> 'attnames'))
FROM pg_catalog.pg_publication p
LEFT JOIN pg_catalog.pg_publication_tables t ON t.pubname = p.pubname AND t.schemaname = $2 AND t.tablename = $3
WHERE p.pubname = $1";

/// Finds a table and makes sure that the publication tells everything that happens to the columns of it that are read.
///
/// # Errors
/// `NotFound` for a publication that is not there; `Invalid` for whatever else keeps the changes from being told, with the
/// statement that mends it.
pub(crate) async fn find(
    session: &Session,
    described: &Described,
    publication: &str,
    columns: &[&str],
) -> PortResult<LoggedTable> {
    let Some(relation) = &described.relation else {
        return Err(PortError::invalid("the log tells the changes of a table, not of a query: name the table"));
    };
    let Relation { oid, schema, name, key, .. } = relation;
    let quoted = format!("{}.{}", identifier(schema), identifier(name));
    let doing = format!("looking up how the changes of {quoted} are told");
    let row = session.row(TABLE, &[oid], &doing).await?;
    let (kind, identity, index): (String, String, Vec<String>) = (row.get(0), row.get(1), row.get(2));
    if !matches!(kind.as_str(), "r" | "p") {
        return Err(PortError::invalid(format!(
            "{quoted} is no table: the log tells the changes of tables only; name the table, or find changes by a cursor"
        )));
    }
    identified(&quoted, &identity, key, &index)?;
    let rows = session.rows(ATTRIBUTES, &[oid], &doing).await?;
    let kinds: Vec<u32> = rows.iter().map(|row| row.get(1)).collect();
    let types = Types::load(session, &kinds).await?;
    let attribute = |row: &tokio_postgres::Row| {
        let (kind, modifier, generated): (u32, i32, bool) = (row.get(1), row.get(2), row.get(4));
        let mapping = types.map(kind, modifier);
        let is_told = !generated && mapping.as_ref().is_ok_and(|mapping| mapping.ask == Ask::Plain);
        Attribute { name: row.get(0), kind, modifier, sql_type: row.get(3), is_told, mapping }
    };
    let table = LoggedTable { oid: *oid, quoted, key: key.clone(), attributes: rows.iter().map(attribute).collect() };
    let untold = table.attributes.iter().find(|column| !column.is_told && columns.contains(&column.name.as_str()));
    if let Some(column) = untold.filter(|_| table.key.is_empty()) {
        return Err(PortError::invalid(format!(
            "values of {} ({}) are not read from the log but from {} itself, which has no primary key to find them by: add \
             one, or leave the column out of `extract.columns`",
            column.name, column.sql_type, table.quoted
        )));
    }

    let published = session.rows(PUBLICATION, &[&publication, schema, name], &doing).await?;
    let published = published.first().ok_or_else(|| {
        PortError::not_found(format!(
            "there is no publication {publication}: say `CREATE PUBLICATION {} FOR TABLE {}{}`",
            identifier(publication),
            table.quoted,
            if kind == "p" { " WITH (publish_via_partition_root)" } else { "" }
        ))
    })?;
    let listed: Vec<String> = published.get(3);
    let is_listed = |name: &str| listed.is_empty() || listed.iter().any(|listed| listed == name);
    let lacking = columns.iter().any(|name| table.is_told(name) && !is_listed(name));
    let publication = identifier(publication);
    let mend = if !published.get::<_, bool>(0) {
        format!("ALTER PUBLICATION {publication} SET (publish = 'insert, update, delete, truncate')")
    } else if !published.get::<_, bool>(1) && kind == "p" {
        format!(
            "ALTER PUBLICATION {publication} ADD TABLE {}`, and `ALTER PUBLICATION {publication} SET (publish_via_partition_root)",
            table.quoted
        )
    } else if !published.get::<_, bool>(1) {
        format!("ALTER PUBLICATION {publication} ADD TABLE {}", table.quoted)
    } else if published.get::<_, Option<String>>(2).is_some() || lacking {
        // A row that a filter leaves out was read in the first reading and would never be changed after it.
        format!("ALTER PUBLICATION {publication} SET TABLE {}", table.quoted)
    } else {
        return Ok(table);
    };
    Err(PortError::invalid(format!(
        "the publication {publication} does not tell every change of {} that is needed: say `{mend}`",
        table.quoted
    )))
}

impl LoggedTable {
    /// The column of this name.
    pub(crate) fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|column| column.name == name)
    }

    /// Whether the log has the values of a column.
    pub(crate) fn is_told(&self, name: &str) -> bool {
        self.attribute(name).is_some_and(|column| column.is_told)
    }
}

/// Whether the log says which row was updated or deleted.
fn identified(quoted: &str, identity: &str, key: &[String], index: &[String]) -> PortResult<()> {
    let mend = match identity {
        "f" => return Ok(()),
        "d" if !key.is_empty() => return Ok(()),
        "i" if !key.is_empty() && key.iter().all(|name| index.contains(name)) => return Ok(()),
        _ if key.is_empty() => "add a primary key, or say `ALTER TABLE {} REPLICA IDENTITY FULL`",
        _ => "say `ALTER TABLE {} REPLICA IDENTITY DEFAULT`",
    };
    Err(PortError::invalid(format!(
        "the log does not say which row of {quoted} is updated or deleted: {}",
        mend.replace("{}", quoted)
    )))
}
