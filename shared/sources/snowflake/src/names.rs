//! Names of tables and columns.

use std::fmt;

use millstream_ports::{PortError, PortResult};

/// The longest name, in characters.
const LONGEST: usize = 255;

/// A name as SQL: `"a""b"`.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A table or view of a schema, as the service stores their names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TableName {
    pub(crate) schema: Option<String>,
    pub(crate) table: String,
}

impl TableName {
    /// Reads `table`, `schema.table`, `"my schema"."my table"`. As in SQL, what is not quoted is in upper case.
    ///
    /// # Errors
    /// `Invalid` for anything else, also for a table of another database.
    pub(crate) fn read(text: &str) -> PortResult<Self> {
        let wrong = || {
            PortError::invalid(format!(
                "{text:?} is no name of a table: it is table, schema.table or \"schema\".\"table\"; another database is another URL"
            ))
        };
        let mut parts = parts(text).ok_or_else(wrong)?;
        let good = |part: &String| !part.is_empty() && !part.contains('\0') && part.chars().count() <= LONGEST;
        if parts.len() > 2 || !parts.iter().all(good) {
            return Err(wrong());
        }
        let table = parts.pop().ok_or_else(wrong)?;
        Ok(Self { schema: parts.pop(), table })
    }

    /// As SQL.
    pub(crate) fn quoted(&self) -> String {
        let table = quoted(&self.table);
        self.schema.as_deref().map_or(table.clone(), |schema| format!("{}.{table}", quoted(schema)))
    }
}

/// As [`TableName::read`] takes it.
impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let written = |part: &str| if is_plain(part) { part.to_owned() } else { quoted(part) };
        if let Some(schema) = &self.schema {
            write!(f, "{}.", written(schema))?;
        }
        f.write_str(&written(&self.table))
    }
}

/// Whether a stored name is what it is also without quotes.
fn is_plain(name: &str) -> bool {
    let good = |letter: char| letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == '_' || letter == '$';
    name.chars().all(good) && name.starts_with(|letter: char| letter.is_ascii_uppercase() || letter == '_')
}

/// Splits at the dots outside of quotes.
fn parts(text: &str) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    let mut rest = text;
    loop {
        let (part, after) = if let Some(inner) = rest.strip_prefix('"') {
            let mut name = String::new();
            let mut letters = inner.char_indices().peekable();
            let end = loop {
                match letters.next()? {
                    (_, '"') if letters.peek().is_some_and(|(_, next)| *next == '"') => {
                        letters.next();
                        name.push('"');
                    }
                    (at, '"') => break at + 1,
                    (_, letter) => name.push(letter),
                }
            };
            (name, &inner[end..])
        } else {
            let end = rest.find('.').unwrap_or(rest.len());
            let name = &rest[..end];
            if name.contains('"') {
                return None;
            }
            (name.to_uppercase(), &rest[end..])
        };
        parts.push(part);
        match after.strip_prefix('.') {
            Some(next) => rest = next,
            None if after.is_empty() => return Some(parts),
            None => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_read_and_quoted() {
        let sql = |text: &str| TableName::read(text).map(|name| name.quoted()).ok();
        assert_eq!(sql("items").as_deref(), Some("\"ITEMS\""));
        assert_eq!(sql("public.\"order lines\"").as_deref(), Some("\"PUBLIC\".\"order lines\""));
        assert_eq!(sql("\"my.schema\".\"a\"\"b\"").as_deref(), Some("\"my.schema\".\"a\"\"b\""));
        assert_eq!(sql("x\"; drop table y --"), None);
        for wrong in ["", "a.b.c", ".a", "a.", "\"a", "\"a\"b", "a\0", &"x".repeat(256)] {
            assert_eq!(sql(wrong), None, "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn a_name_that_is_listed_is_the_name_that_is_read(schema in "[^\0]{1,20}", table in "[^\0]{1,20}") {
            let name = TableName { schema: Some(schema), table };
            prop_assert_eq!(TableName::read(&name.to_string()).unwrap(), name);
        }
    }
}
