//! Names of tables and columns.

use std::fmt;

use millstream_ports::{PortError, PortResult};

/// A table or view, within a schema or in whichever has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TableName {
    pub(crate) schema: Option<String>,
    pub(crate) table: String,
}

impl TableName {
    /// Reads `table`, `schema.table`, `"my.schema"."my table"`, in the case that the catalogue has.
    ///
    /// # Errors
    /// `Invalid` for anything else.
    pub(crate) fn read(text: &str) -> PortResult<Self> {
        let wrong = || {
            PortError::invalid(format!(
                "{text:?} is no name of a table: it is TABLE, SCHEMA.TABLE or \"schema\".\"table\", in the case that the catalogue has"
            ))
        };
        let mut parts = parts(text).ok_or_else(wrong)?;
        if parts.len() > 2 || parts.iter().any(|part| part.is_empty() || part.contains('\0')) {
            return Err(wrong());
        }
        let table = parts.pop().ok_or_else(wrong)?;
        Ok(Self { schema: parts.pop(), table })
    }
}

/// As [`TableName::read`] takes it.
impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let written = |part: &str| match part.contains(['.', '"']) {
            true => format!("\"{}\"", part.replace('"', "\"\"")),
            false => part.to_owned(),
        };
        if let Some(schema) = &self.schema {
            write!(f, "{}.", written(schema))?;
        }
        f.write_str(&written(&self.table))
    }
}

/// Splits at the dots outside of quotes.
fn parts(text: &str) -> Option<Vec<String>> {
    let mut parts = vec![String::new()];
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let part = parts.last_mut()?;
        match letter {
            '.' => parts.push(String::new()),
            '"' if part.is_empty() => loop {
                match (letters.next()?, letters.peek()) {
                    ('"', Some('"')) => part.extend(letters.next()),
                    ('"', None | Some('.')) => break,
                    ('"', Some(_)) => return None,
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
    fn other_texts_are_no_names() {
        for wrong in ["", "a.b.c", ".a", "a.", "\"a", "\"a\"b", "a\0"] {
            assert!(TableName::read(wrong).is_err(), "{wrong:?}");
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
