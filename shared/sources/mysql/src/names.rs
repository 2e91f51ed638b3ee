//! Names as the database writes them.

use std::fmt;

use millstream_events::extract::Selection;
use millstream_ports::{PortError, PortResult};

/// The longest name that MySQL takes, in characters.
const LONGEST: usize = 64;

/// A name in the quotes that hold it whatever it is.
pub(crate) fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// What is read: a table or view, or a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Relation {
    /// A table or view.
    Table {
        /// Its database.
        database: String,
        /// Its name.
        table: String,
    },
    /// A query, without a semicolon at its end.
    Query(String),
}

impl Relation {
    /// Reads the selection's name or query; a name without a database is of `database`.
    ///
    /// # Errors
    /// `Invalid` for a name that is none, one without a database, an empty query, and a sheet.
    pub(crate) fn of(select: &Selection, database: Option<&str>) -> PortResult<Self> {
        match select {
            Selection::Table(name) => {
                let wrong = || {
                    PortError::invalid(format!(
                        "{name:?} names no table: write TABLE or DATABASE.TABLE, in `backticks` what has a dot in it"
                    ))
                };
                let mut parts = parts(name).ok_or_else(wrong)?.into_iter();
                match (parts.next(), parts.next(), parts.next()) {
                    (Some(database), Some(table), None) => Ok(Self::Table { database, table }),
                    (Some(table), None, _) => match database {
                        Some(database) => Ok(Self::Table { database: database.to_owned(), table }),
                        None => Err(PortError::invalid(format!(
                            "the table {table} is of no database: write DATABASE.{table}, or name the database in the \
                             secret's URL"
                        ))),
                    },
                    _ => Err(wrong()),
                }
            }
            Selection::Query(query) => match query.trim().trim_end_matches([';', ' ', '\t', '\r', '\n']) {
                "" => Err(PortError::invalid("the query is empty: write a SELECT")),
                query => Ok(Self::Query(query.to_owned())),
            },
            Selection::Sheet(_) => Err(PortError::invalid("a sheet is of a workbook: read it with `from: excel`")),
        }
    }

    /// What `FROM` is followed by.
    pub(crate) fn sql(&self) -> String {
        match self {
            Self::Table { database, table } => format!("{}.{}", quoted(database), quoted(table)),
            // A query may end in a comment, which ends with its line.
            Self::Query(query) => format!("(\n{query}\n) AS `millstream`"),
        }
    }
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Table { database, table } => write!(f, "{database}.{table}"),
            Self::Query(_) => f.write_str("the query"),
        }
    }
}

/// A table's name as [`Relation::of`] takes it: without the database where that is the URL's.
pub(crate) fn written(database: &str, table: &str, of_url: Option<&str>) -> String {
    let plain = |name: &str| match name.contains(['.', '`']) {
        true => quoted(name),
        false => name.to_owned(),
    };
    match of_url == Some(database) {
        true => plain(table),
        false => format!("{}.{}", plain(database), plain(table)),
    }
}

/// The names that dots outside of backticks separate.
fn parts(text: &str) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    let mut rest = text;
    loop {
        let name;
        (name, rest) = match rest.strip_prefix('`') {
            Some(inner) => in_backticks(inner)?,
            None => {
                let end = rest.find('.').unwrap_or(rest.len());
                (rest[..end].to_owned(), &rest[end..])
            }
        };
        if name.is_empty() || name.contains('\0') || name.chars().count() > LONGEST {
            return None;
        }
        parts.push(name);
        match rest.strip_prefix('.') {
            Some(next) => rest = next,
            None if rest.is_empty() => return Some(parts),
            None => return None,
        }
    }
}

/// The name up to the closing backtick, and what follows that.
fn in_backticks(text: &str) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut rest = text;
    loop {
        let end = rest.find('`')?;
        name.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('`') {
            Some(next) => {
                name.push('`');
                rest = next;
            }
            None => return Some((name, rest)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str) -> PortResult<Relation> {
        Relation::of(&Selection::Table(name.into()), Some("shop"))
    }

    #[test]
    fn a_name_is_read_quoted_and_written_again() {
        for (name, database, sql, again) in [
            ("items", "shop", "`shop`.`items`", "items"),
            ("other.items", "other", "`other`.`items`", "other.items"),
            ("`a.b`", "shop", "`shop`.`a.b`", "`a.b`"),
            ("my.`a``; DROP`", "my", "`my`.`a``; DROP`", "my.`a``; DROP`"),
            ("Bücher und mehr", "shop", "`shop`.`Bücher und mehr`", "Bücher und mehr"),
        ] {
            let relation = table(name).unwrap();
            assert_eq!(relation.sql(), sql);
            let Relation::Table { database: read, table } = relation else { unreachable!() };
            assert_eq!(read, database);
            assert_eq!(written(&read, &table, Some("shop")), again);
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for name in ["", ".", "a.", ".a", "a.b.c", "`a", "`a`b", "``", "a\0b", &"x".repeat(65)] {
            assert!(table(name).is_err(), "{name:?}");
        }
        let without = Relation::of(&Selection::Table("items".into()), None).unwrap_err();
        assert!(without.to_string().contains("DATABASE.items"), "{without}");
    }

    #[test]
    fn a_query_is_taken_without_its_end() {
        let query = Relation::of(&Selection::Query(" SELECT 1 -- one ; \n".into()), None).unwrap();
        assert_eq!(query.sql(), "(\nSELECT 1 -- one\n) AS `millstream`");
        assert!(Relation::of(&Selection::Query(" ;\n".into()), None).is_err());
    }
}
