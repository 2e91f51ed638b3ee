//! Names as CQL writes them.

use millstream_ports::{PortError, PortResult};

/// A table or view of a keyspace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TableName {
    pub(crate) keyspace: String,
    pub(crate) table: String,
}

impl TableName {
    /// Reads `keyspace.table`, or `table` of the URL's keyspace. Both names are taken as they are, case included.
    pub(crate) fn read(text: &str, keyspace: Option<&str>) -> PortResult<Self> {
        let (keyspace, table) = match (text.split_once('.'), keyspace) {
            (Some((keyspace, table)), _) => (keyspace, table),
            (None, Some(keyspace)) => (keyspace, text),
            (None, None) => {
                return Err(PortError::invalid(format!(
                    "{text:?} names no keyspace: write keyspace.table, or put the keyspace into the secret's URL"
                )));
            }
        };
        // Cassandra takes no other names of these, quoted or not.
        let is_name =
            |name: &str| !name.is_empty() && name.chars().all(|next| next.is_ascii_alphanumeric() || next == '_');
        if !is_name(keyspace) || !is_name(table) {
            return Err(PortError::invalid(format!(
                "{text:?} is no table of Cassandra: names of keyspaces and tables have letters, digits and underscores"
            )));
        }
        Ok(Self { keyspace: keyspace.to_owned(), table: table.to_owned() })
    }

    /// As a statement writes it.
    pub(crate) fn quoted(&self) -> String {
        format!("{}.{}", quoted(&self.keyspace), quoted(&self.table))
    }
}

impl std::fmt::Display for TableName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.keyspace, self.table)
    }
}

/// A column as a statement writes it: any text is a name between quotes.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Several, with commas.
pub(crate) fn list<'a>(names: impl IntoIterator<Item = &'a String>) -> String {
    names.into_iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ")
}

/// A query that only reads: one SELECT.
pub(crate) fn check_query(text: &str) -> PortResult<&str> {
    let text = text.trim();
    let text = text.strip_suffix(';').unwrap_or(text).trim_end();
    let starts = text.split_whitespace().next().is_some_and(|word| word.eq_ignore_ascii_case("select"));
    if !starts {
        return Err(PortError::invalid("the query is no SELECT: a source is only read"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_of_a_keyspace() {
        let name = TableName::read("shop.Items", None).unwrap();
        assert_eq!(name.quoted(), r#""shop"."Items""#);
        assert_eq!(TableName::read("items", Some("shop")).unwrap().to_string(), "shop.items");
        for wrong in ["items", "", ".", "a.b.c", "a.b; DROP TABLE x", "a.\"b\"", "a b.c"] {
            assert!(TableName::read(wrong, None).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_column_is_quoted_whatever_it_is_called() {
        assert_eq!(list(&["a".to_owned(), "b\"; --".to_owned()]), r#""a", "b""; --""#);
    }

    #[test]
    fn a_query_is_one_select() {
        assert_eq!(check_query("  SELECT * FROM a ;\n").unwrap(), "SELECT * FROM a");
        for wrong in ["", "this is no query", "DELETE FROM a", "selectx", "INSERT INTO a (b) VALUES (1)"] {
            assert!(check_query(wrong).is_err(), "{wrong:?}");
        }
    }
}
