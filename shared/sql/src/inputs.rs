//! The tables a SELECT reads.
//!
//! CTE names, aliases and the arrays of a row (`FROM orders, orders.items`) look like tables and are none, so the walk
//! carries the names that are in scope.

use std::collections::BTreeMap;

use millstream_events::names::TableName;
use polyglot_sql::{
    Expression, ExpressionWalk,
    expressions::{Join, Select, TableRef, With},
};

use crate::error::{SqlError, byte_offset};

/// A table's name with the project it was written with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Inputs {
    /// The tables, and under each the projects named with it.
    pub(crate) tables: BTreeMap<TableName, Vec<String>>,
    /// Paths in FROM that are arrays of a row, such as `orders.items`.
    pub(crate) arrays: Vec<String>,
}

/// Names visible at one place of the statement, in lower case: BigQuery compares aliases without regard to case.
#[derive(Debug, Clone, Default)]
struct Scope {
    ctes: Vec<String>,
    aliases: Vec<String>,
}

impl Scope {
    fn knows(names: &[String], name: &str) -> bool {
        names.iter().any(|known| known.eq_ignore_ascii_case(name))
    }
}

/// Finds the tables `query` reads; `text` is where it was parsed from.
pub(crate) fn of(query: &Expression, text: &str) -> Result<Inputs, SqlError> {
    let mut walk = Walk { text, inputs: Inputs::default() };
    walk.expression(query, &Scope::default())?;
    Ok(walk.inputs)
}

struct Walk<'a> {
    text: &'a str,
    inputs: Inputs,
}

impl Walk<'_> {
    fn expression(&mut self, expression: &Expression, scope: &Scope) -> Result<(), SqlError> {
        match expression {
            Expression::Select(select) => self.select(select, scope),
            Expression::Union(union) => self.set_operation(union.with.as_ref(), expression, scope),
            Expression::Intersect(intersect) => self.set_operation(intersect.with.as_ref(), expression, scope),
            Expression::Except(except) => self.set_operation(except.with.as_ref(), expression, scope),
            Expression::Table(table) => self.table(table, scope),
            _ => expression.children().into_iter().try_for_each(|child| self.expression(child, scope)),
        }
    }

    /// The scope inside a query that starts with `WITH`, once its CTEs have been walked.
    fn with(&mut self, with: Option<&With>, outer: &Scope) -> Result<Scope, SqlError> {
        let mut scope = outer.clone();
        for cte in with.iter().flat_map(|with| &with.ctes) {
            let name = cte.alias.name.clone();
            if with.is_some_and(|with| with.recursive) {
                scope.ctes.push(name.clone());
            }
            self.expression(&cte.this, &scope)?;
            scope.ctes.push(name);
        }
        Ok(scope)
    }

    fn set_operation(&mut self, with: Option<&With>, query: &Expression, outer: &Scope) -> Result<(), SqlError> {
        let scope = self.with(with, outer)?;
        let bodies: Vec<_> = cte_bodies(with).collect();
        query
            .children()
            .into_iter()
            .filter(|child| !bodies.iter().any(|body| std::ptr::eq(*body, *child)))
            .try_for_each(|child| self.expression(child, &scope))
    }

    fn select(&mut self, select: &Select, outer: &Scope) -> Result<(), SqlError> {
        let outside = self.with(select.with.as_ref(), outer)?;
        let mut scope = outside.clone();
        let sources = select.from.iter().flat_map(|from| &from.expressions).chain(select.joins.iter().map(joined));
        for source in sources {
            // A subquery in FROM does not see the items beside it, an array of theirs does.
            let seen = if is_subquery(source) { &outside } else { &scope };
            self.expression(source, seen)?;
            scope.aliases.extend(visible_names(source));
        }
        // The rest of it sees every alias. Only as an expression does a `Select` list its children.
        let whole =
            Expression::Select(Box::new(Select { with: None, from: None, joins: Vec::new(), ..select.clone() }));
        whole.children().into_iter().try_for_each(|child| self.expression(child, &scope))?;
        for on in select.joins.iter().filter_map(|join| join.on.as_ref()) {
            self.expression(on, &scope)?;
        }
        Ok(())
    }

    fn table(&mut self, table: &TableRef, scope: &Scope) -> Result<(), SqlError> {
        let at = table.name.span.map(|span| byte_offset(self.text, span.start));
        let error = |message: String| SqlError { offset: at, ..SqlError::new(message) };
        let written: Vec<&str> = [table.catalog.as_ref(), table.schema.as_ref(), Some(&table.name)]
            .into_iter()
            .flatten()
            .flat_map(|part| part.name.split('.'))
            .collect();
        if written.iter().any(|part| part.eq_ignore_ascii_case("INFORMATION_SCHEMA")) {
            return Err(error("INFORMATION_SCHEMA is not available to a model".into())
                .hint("a model reads tables; look tables up with `millstream tables`"));
        }
        if written.iter().any(|part| part.contains('*')) {
            return Err(error(format!("{} is a wildcard table", written.join(".")))
                .hint("name each table, with UNION ALL between them"));
        }
        match written.as_slice() {
            [name] if Scope::knows(&scope.ctes, name) => Ok(()),
            [first, ..] if written.len() > 1 && Scope::knows(&scope.aliases, first) => {
                self.inputs.arrays.push(written.join("."));
                Ok(())
            }
            [name] => {
                let close = scope.ctes.iter().find(|cte| strsim::damerau_levenshtein(cte, name) <= 2);
                let hint = match close {
                    Some(cte) => format!("did you mean the CTE {cte}? A table is written dataset.table"),
                    None => format!("write dataset.{name}, such as staging.{name}"),
                };
                Err(error(format!("{name} is no CTE of this query and a table needs its dataset")).hint(hint))
            }
            [project @ .., dataset, name] if project.len() <= 1 => {
                let table: TableName =
                    format!("{dataset}.{name}").parse().map_err(|problem| error(format!("{problem}")))?;
                let projects = self.inputs.tables.entry(table).or_default();
                projects.extend(project.iter().map(|project| (*project).to_owned()));
                Ok(())
            }
            _ => Err(error(format!("{} has too many parts for a table", written.join(".")))
                .hint("write dataset.table or project.dataset.table")),
        }
    }
}

fn cte_bodies(with: Option<&With>) -> impl Iterator<Item = &Expression> {
    with.into_iter().flat_map(|with| with.ctes.iter().map(|cte| &cte.this))
}

fn joined(join: &Join) -> &Expression {
    &join.this
}

fn is_subquery(source: &Expression) -> bool {
    match source {
        Expression::Subquery(_) => true,
        Expression::Alias(alias) => is_subquery(&alias.this),
        _ => false,
    }
}

/// The names by which the rest of the query can speak of a FROM item.
fn visible_names(source: &Expression) -> Vec<String> {
    match source {
        Expression::Table(table) => vec![table.alias.as_ref().unwrap_or(&table.name).name.clone()],
        Expression::Alias(alias) => vec![alias.alias.name.clone()],
        Expression::Subquery(query) => query.alias.iter().map(|alias| alias.name.clone()).collect(),
        Expression::Unnest(unnest) => unnest.alias.iter().map(|alias| alias.name.clone()).collect(),
        Expression::JoinedTable(joined) => std::iter::once(&joined.left)
            .chain(joined.joins.iter().map(|join| &join.this))
            .flat_map(visible_names)
            .collect(),
        Expression::Pivot(pivot) => visible_names(&pivot.this),
        Expression::Unpivot(unpivot) => visible_names(&unpivot.this),
        Expression::Paren(paren) => visible_names(&paren.this),
        _ => Vec::new(),
    }
}
