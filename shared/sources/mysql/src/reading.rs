//! Which rows and columns a reading is of, and the SQL that gives them.

use millstream_events::extract::Changes;
use millstream_ports::{KeyRange, PortError, PortResult, Read, SourceColumn, Ties};
use mysql_async::Value;

use crate::{
    catalog::{Described, Description, describe},
    kind::{Kind, Scale},
    names::{Relation, quoted},
    point::Point,
    session::{Flavor, Session},
};

/// What rows must fulfil, and the values of its places.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Condition {
    clauses: Vec<String>,
    values: Vec<Value>,
}

impl Condition {
    /// Whether every row fulfils it.
    pub(crate) fn is_empty(&self) -> bool {
        self.clauses.is_empty()
    }

    /// Both this and that.
    pub(crate) fn and(mut self, other: &Self) -> Self {
        self.clauses.extend_from_slice(&other.clauses);
        self.values.extend_from_slice(&other.values);
        self
    }

    /// A condition without values.
    pub(crate) fn plain(clause: String) -> Self {
        Self { clauses: vec![clause], values: Vec::new() }
    }

    /// A comparison of a column with a value.
    pub(crate) fn compare(column: &str, operator: &str, point: &Point) -> Self {
        let mut values = Vec::new();
        let clause = format!("{} {operator} {}", quoted(column), point.sql(&mut values));
        Self { clauses: vec![clause], values }
    }

    /// The same, or no value.
    fn or_null(mut self, column: &str) -> Self {
        for clause in &mut self.clauses {
            *clause = format!("({clause} OR {} IS NULL)", quoted(column));
        }
        self
    }

    /// With its `WHERE`; nothing where every row fulfils it.
    pub(crate) fn sql(&self) -> String {
        match self.is_empty() {
            true => String::new(),
            false => format!(" WHERE {}", self.clauses.join(" AND ")),
        }
    }

    /// The values of its places, in order.
    pub(crate) fn values(&self) -> Vec<Value> {
        self.values.clone()
    }
}

/// The column that tells what changed.
#[derive(Debug, Clone)]
pub(crate) struct CursorColumn {
    /// Its name.
    pub(crate) name: String,
    /// How its values are ordered.
    pub(crate) scale: Scale,
    /// Whether no value is there twice.
    unique: bool,
}

/// What is read, as the catalog knows it.
#[derive(Debug)]
pub(crate) struct Reading {
    /// The table or query.
    pub(crate) relation: Relation,
    /// What it looks like.
    pub(crate) description: Description,
    /// The cursor; `None` where everything is read.
    pub(crate) cursor: Option<CursorColumn>,
    flavor: Flavor,
}

impl Reading {
    /// Looks it up.
    ///
    /// # Errors
    /// As the port's `plan`.
    pub(crate) async fn of(session: &mut Session, read: &Read) -> PortResult<Self> {
        let relation = Relation::of(&read.select, session.target().database())?;
        if matches!(read.changes, Changes::Log(_)) {
            return Err(PortError::invalid(
                "MySQL's log is not read: find what changed by a cursor, or read everything",
            ));
        }
        let description = describe(session, &relation).await?;
        let cursor = match &read.changes {
            Changes::Cursor(cursor) => Some(cursor_column(&relation, &description, &cursor.column)?),
            Changes::Everything | Changes::Log(_) => None,
        };
        Ok(Self { relation, description, cursor, flavor: session.flavor() })
    }

    /// The columns of these names; all of them where there are none.
    ///
    /// # Errors
    /// `Invalid` names the first that is not there, or that can become nothing.
    pub(crate) fn columns(&self, only: &[String]) -> PortResult<Vec<&Described>> {
        let found: Vec<&Described> = match only {
            [] => self.description.columns.iter().collect(),
            _ => only.iter().map(|name| self.column(name)).collect::<PortResult<_>>()?,
        };
        match found.iter().find_map(|column| Some((column, column.kind.column_type().err()?))) {
            Some((column, reason)) => Err(PortError::invalid(format!(
                "the column {} of {} cannot be read: {reason}",
                column.name, self.relation
            ))),
            None => Ok(found),
        }
    }

    /// The columns of a plan, as they are now.
    ///
    /// # Errors
    /// `Invalid` names the first that is gone or has become another type.
    pub(crate) fn planned(&self, plan: &[SourceColumn]) -> PortResult<Vec<&Described>> {
        let column = |planned: &SourceColumn| {
            let now = self.column(&planned.name)?;
            match now.kind.column_type() == planned.kind {
                true => Ok(now),
                false => Err(PortError::invalid(format!(
                    "the column {} of {} was {} when the reading was planned and is not any more: plan it again",
                    planned.name, self.relation, planned.source_type
                ))),
            }
        };
        plan.iter().map(column).collect()
    }

    /// The column of this name.
    ///
    /// # Errors
    /// `Invalid` where it is not there.
    pub(crate) fn column(&self, name: &str) -> PortResult<&Described> {
        self.description.column(name).ok_or_else(|| no_column(&self.relation, name))
    }

    /// Rows after `since`, whatever is newest: where a reading of what changed begins.
    pub(crate) fn after(&self, read: &Read) -> PortResult<Condition> {
        let (Some(cursor), Some(since)) = (&self.cursor, &read.since) else { return Ok(Condition::default()) };
        let since = Point::parse(cursor.scale, since)?;
        let lookback = match &read.changes {
            Changes::Cursor(cursor) => cursor.lookback,
            Changes::Everything | Changes::Log(_) => None,
        };
        Ok(match (read.ties, lookback) {
            (Ties::Once, _) if cursor.unique => Condition::compare(&cursor.name, ">", &since),
            (Ties::Again, Some(lookback)) => {
                Condition::compare(&cursor.name, ">=", &since.back(lookback, cursor.scale)?)
            }
            _ => Condition::compare(&cursor.name, ">=", &since),
        })
    }

    /// Rows after `since` and up to `position`: what a plan covers.
    pub(crate) fn window(&self, read: &Read, position: Option<&str>) -> PortResult<Condition> {
        let Some(cursor) = &self.cursor else { return Ok(Condition::default()) };
        let Some(position) = position else {
            // No row has a value. Those without one are there again the next time.
            return Ok(match read.ties {
                Ties::Again => Condition::plain(format!("{} IS NULL", quoted(&cursor.name))),
                Ties::Once => Condition::plain("FALSE".into()),
            });
        };
        let operator = if read.ties == Ties::Once && !cursor.unique { "<" } else { "<=" };
        let until = Condition::compare(&cursor.name, operator, &Point::parse(cursor.scale, position)?);
        Ok(match read.since {
            Some(_) => self.after(read)?.and(&until),
            None => until.or_null(&cursor.name),
        })
    }

    /// Rows of a range of `column`.
    pub(crate) fn range(&self, column: Option<&str>, range: &KeyRange) -> PortResult<Condition> {
        let Some(name) = column else { return Ok(Condition::default()) };
        let column = self.column(name)?;
        let scale = column
            .kind
            .scale()
            .ok_or_else(|| PortError::invalid(format!("the column {name} of {} has no ranges", self.relation)))?;
        let from = range.from.as_deref().map(|from| Point::parse(scale, from)).transpose()?;
        let until = range.until.as_deref().map(|until| Point::parse(scale, until)).transpose()?;
        let until = until.map(|until| Condition::compare(name, "<", &until));
        Ok(match (from, until) {
            (Some(from), until) => Condition::compare(name, ">=", &from).and(&until.unwrap_or_default()),
            (None, Some(until)) => until.or_null(name),
            (None, None) => Condition::default(),
        })
    }

    /// The query of these columns of the rows that fulfil a condition.
    pub(crate) fn select(&self, columns: &[&Described], condition: &Condition) -> String {
        let all = columns.len() == self.description.columns.len()
            && columns.iter().zip(&self.description.columns).all(|(one, other)| one.name == other.name);
        let as_it_is = all && condition.is_empty() && columns.iter().all(|column| column.kind != Kind::Geometry);
        match &self.relation {
            Relation::Query(query) if as_it_is => query.clone(),
            relation => {
                let columns: Vec<String> = columns.iter().map(|column| self.selected(column)).collect();
                format!("SELECT {} FROM {}{}", columns.join(", "), relation.sql(), condition.sql())
            }
        }
    }

    fn selected(&self, column: &Described) -> String {
        let name = quoted(&column.name);
        match column.kind {
            Kind::Geometry if self.flavor.minds_axis_order() => {
                format!("ST_AsText({name}, 'axis-order=long-lat') AS {name}")
            }
            Kind::Geometry => format!("ST_AsText({name}) AS {name}"),
            _ => name,
        }
    }
}

fn cursor_column(relation: &Relation, description: &Description, name: &str) -> PortResult<CursorColumn> {
    let column = description.column(name).ok_or_else(|| no_column(relation, name))?;
    let scale = column.kind.scale().ok_or_else(|| {
        PortError::invalid(format!(
            "the column {name} of {relation} cannot be a cursor: take one that is a number, a time, a text or bytes"
        ))
    })?;
    Ok(CursorColumn { name: column.name.clone(), scale, unique: description.is_unique(&column.name) })
}

fn no_column(relation: &Relation, name: &str) -> PortError {
    PortError::invalid(format!(
        "{relation} has no column {name} that may be read: name columns as the source writes them"
    ))
}
