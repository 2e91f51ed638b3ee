//! What a table or query looks like.

use std::collections::BTreeSet;

use millstream_events::extract::Selection;
use millstream_ports::{PortError, PortResult, Shape, SourceColumn};

use crate::{
    catalog::{self, Relation},
    session::Session,
    sql::{TableName, identifier, subquery},
    types::{Mapping, Types},
};

/// A table or query with everything that planning and reading need of it.
#[derive(Debug)]
pub(crate) struct Described {
    /// What stands after FROM, with the alias [`ALIAS`].
    pub(crate) from: String,
    /// Its name, for people.
    pub(crate) name: String,
    /// The table; `None` for a query.
    pub(crate) relation: Option<Relation>,
    /// Its columns, in order.
    pub(crate) columns: Vec<Column>,
    /// The types of the columns.
    pub(crate) types: Types,
}

/// The alias of what is read.
pub(crate) const ALIAS: &str = "source";

/// A column.
#[derive(Debug)]
pub(crate) struct Column {
    /// Its name.
    pub(crate) name: String,
    /// Its type and the type's modifier, as declared.
    pub(crate) declared: (u32, i32),
    /// The type as SQL writes it.
    pub(crate) source_type: String,
    /// Whether it refuses NULL.
    pub(crate) required: bool,
    /// The comment on it.
    pub(crate) description: Option<String>,
    /// Whether the user may read it.
    pub(crate) readable: bool,
    /// Whether the server fills it, from a sequence.
    pub(crate) raised: bool,
    /// What it becomes, or why nothing.
    pub(crate) mapping: Result<Mapping, String>,
}

impl Column {
    /// A column of a query, of which no more is known than its name and type.
    pub(crate) fn new(name: &str, declared: (u32, i32), source_type: String, types: &Types) -> Self {
        let (oid, modifier) = declared;
        Self {
            name: name.to_owned(),
            declared,
            source_type,
            required: types.get(oid).is_some_and(|of| of.refuses_null),
            description: None,
            readable: true,
            raised: false,
            mapping: types.map(oid, modifier),
        }
    }

    /// As the port has it.
    pub(crate) fn source_column(&self) -> SourceColumn {
        SourceColumn {
            name: self.name.clone(),
            source_type: self.source_type.clone(),
            kind: self.mapping.as_ref().map(|mapping| mapping.kind.clone()).map_err(Clone::clone),
            required: self.required,
            description: self.description.clone(),
        }
    }

    /// Its name as SQL writes it, after the alias.
    pub(crate) fn quoted(&self) -> String {
        format!("{ALIAS}.{}", identifier(&self.name))
    }
}

impl Described {
    /// Looks it up.
    ///
    /// # Errors
    /// `NotFound` for a table that is not there; `Invalid` for a query that is none.
    pub(crate) async fn load(session: &Session, select: &Selection) -> PortResult<Self> {
        match select {
            Selection::Table(name) => table(session, name).await,
            Selection::Query(text) => query(session, text).await,
            Selection::Sheet(_) => Err(PortError::invalid("a database has no sheets: name a table or a query")),
        }
    }

    /// The column of this name.
    ///
    /// # Errors
    /// `Invalid` names those that there are.
    pub(crate) fn column(&self, name: &str) -> PortResult<&Column> {
        self.columns.iter().find(|column| column.name == name).ok_or_else(|| {
            let names: Vec<_> = self.columns.iter().map(|column| column.name.as_str()).collect();
            PortError::invalid(format!("{} has no column {name}; it has {}", self.name, names.join(", ")))
        })
    }

    /// The base type of a column, by schema and name.
    pub(crate) fn base_type(&self, column: &Column) -> Option<(&str, &str)> {
        let (oid, modifier) = column.declared;
        self.types.get(self.types.base(oid, modifier).0).map(|of| (of.schema.as_str(), of.name.as_str()))
    }

    /// As the port has it.
    pub(crate) async fn shape(&self, session: &Session) -> PortResult<Shape> {
        let rows = match &self.relation {
            Some(relation) => relation.rows,
            None => catalog::estimated_rows(session, &format!("SELECT 1 FROM {}", self.from), &self.name).await?,
        };
        Ok(Shape {
            columns: self.columns.iter().map(Column::source_column).collect(),
            key: self.relation.as_ref().map(|relation| relation.key.clone()).unwrap_or_default(),
            cursors: self.cursors(),
            rows,
            bytes: self.relation.as_ref().and_then(|relation| relation.bytes),
        })
    }

    /// Columns of a time whose name says that a change raises it, then those that the server counts up.
    fn cursors(&self) -> Vec<String> {
        let rank = |column: &Column| {
            let is_time = matches!(self.base_type(column), Some(("pg_catalog", "timestamp" | "timestamptz" | "date")));
            let name = column.name.to_lowercase().replace('_', "");
            if is_time
                && ["updatedat", "modifiedat", "changedat", "lastupdated", "lastmodified"].contains(&name.as_str())
            {
                Some(0)
            } else if is_time && ["updat", "modif", "chang"].iter().any(|word| name.contains(word)) {
                Some(1)
            } else if column.raised {
                Some(2)
            } else {
                None
            }
        };
        let mut ranked: Vec<_> = self.columns.iter().filter_map(|column| Some((rank(column)?, &column.name))).collect();
        ranked.sort_by_key(|(rank, _)| *rank);
        ranked.into_iter().map(|(_, name)| name.clone()).collect()
    }
}

async fn table(session: &Session, name: &str) -> PortResult<Described> {
    let relation = catalog::find(session, &TableName::read(name)?, name).await?;
    let (columns, types) = catalog::columns(session, &relation).await?;
    Ok(Described {
        from: format!("{}.{} AS {ALIAS}", identifier(&relation.schema), identifier(&relation.name)),
        name: TableName::written(&relation.schema, &relation.name),
        relation: Some(relation),
        columns,
        types,
    })
}

async fn query(session: &Session, text: &str) -> PortResult<Described> {
    // The line break ends a comment that the query may end with.
    let from = format!("({}\n) AS {ALIAS}", subquery(text)?);
    let doing = "preparing the query";
    let statement = session.prepare(&format!("SELECT {ALIAS}.* FROM {from}"), doing).await?;
    if !statement.params().is_empty() {
        return Err(PortError::invalid("the query has a parameter such as $1: write the value itself"));
    }
    let declared: Vec<(u32, i32)> =
        statement.columns().iter().map(|column| (column.type_().oid(), column.type_modifier())).collect();
    let names = catalog::type_names(session, &declared).await?;
    let types = Types::load(session, &declared.iter().map(|(oid, _)| *oid).collect::<Vec<_>>()).await?;
    let mut seen = BTreeSet::new();
    let mut columns = Vec::new();
    for ((column, declared), source_type) in statement.columns().iter().zip(declared).zip(names) {
        if !seen.insert(column.name()) {
            return Err(PortError::invalid(format!(
                "the query gives two columns {}: give one of them another name (AS)",
                column.name()
            )));
        }
        columns.push(Column::new(column.name(), declared, source_type, &types));
    }
    Ok(Described { from, name: "the query".to_owned(), relation: None, columns, types })
}
