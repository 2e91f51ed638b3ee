//! Names of tables and columns.

use std::fmt;

use millstream_ports::{PortError, PortResult};

/// The longest name, in UTF-16 units.
const LONGEST: usize = 128;

/// A name as SQL: `[a]]b]`.
pub(crate) fn quoted(name: &str) -> String {
    format!("[{}]", name.replace(']', "]]"))
}

/// A table or view, within its schema or the user's default one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TableName {
    pub(crate) schema: Option<String>,
    pub(crate) table: String,
}

impl TableName {
    /// Reads `table`, `schema.table`, `[my.schema].[my table]`.
    ///
    /// # Errors
    /// `Invalid` for anything else, also for a table of another database.
    pub(crate) fn read(text: &str) -> PortResult<Self> {
        let wrong = || {
            PortError::invalid(format!(
                "{text:?} is no name of a table: it is table, schema.table or [schema].[table]; another database is another URL"
            ))
        };
        let mut parts = parts(text).ok_or_else(wrong)?;
        let good = |part: &String| !part.is_empty() && !part.contains('\0') && part.encode_utf16().count() <= LONGEST;
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
        let written = |part: &str| if part.contains(['.', '[', ']']) { quoted(part) } else { part.to_owned() };
        if let Some(schema) = &self.schema {
            write!(f, "{}.", written(schema))?;
        }
        f.write_str(&written(&self.table))
    }
}

/// Splits at the dots outside of brackets.
fn parts(text: &str) -> Option<Vec<String>> {
    let mut parts = vec![String::new()];
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let part = parts.last_mut()?;
        match letter {
            '.' => parts.push(String::new()),
            '[' if part.is_empty() => loop {
                match (letters.next()?, letters.peek()) {
                    (']', Some(']')) => part.extend(letters.next()),
                    (']', None | Some('.')) => break,
                    (']', Some(_)) => return None,
                    (letter, _) => part.push(letter),
                }
            },
            letter => part.push(letter),
        }
    }
    Some(parts)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_read_and_quoted() {
        let sql = |text: &str| TableName::read(text).map(|name| name.quoted()).ok();
        assert_eq!(sql("items").as_deref(), Some("[items]"));
        assert_eq!(sql("dbo.order lines").as_deref(), Some("[dbo].[order lines]"));
        assert_eq!(sql("[my.schema].[a]]b]").as_deref(), Some("[my.schema].[a]]b]"));
        assert_eq!(sql("x]; DROP TABLE y --").as_deref(), Some("[x]]; DROP TABLE y --]"));
        for wrong in ["", "a.b.c", ".a", "a.", "[a", "[a]b", "a\0", &"x".repeat(129)] {
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
