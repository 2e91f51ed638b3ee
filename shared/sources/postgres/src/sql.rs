//! Pieces of SQL: names and values that come from a person's file are only ever written through these.

use millstream_ports::{PortError, PortResult};

/// A name as SQL writes it, always quoted.
pub(crate) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A value as SQL writes it, to be cast to its type. Sessions have `standard_conforming_strings` on: a backslash is itself.
pub(crate) fn literal(value: &str) -> PortResult<String> {
    if value.contains('\0') {
        return Err(PortError::invalid(format!("{value:?} has a NUL, which no value of PostgreSQL has")));
    }
    Ok(format!("'{}'", value.replace('\'', "''")))
}

/// A table's name: its schema, if it is said, and its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TableName {
    /// The schema; the search path's where it is absent.
    pub(crate) schema: Option<String>,
    /// The table, exactly as the catalog has it.
    pub(crate) name: String,
}

impl TableName {
    /// Reads `table`, `schema.table`, and names in quotes where there is a point or a quote in them. Letters keep their case.
    pub(crate) fn read(text: &str) -> PortResult<Self> {
        let wrong = || {
            PortError::invalid(format!(
                "{text:?} is no table's name: write schema.table, and a name with a point in it in double quotes"
            ))
        };
        let mut parts = Vec::new();
        let mut rest = text;
        loop {
            let (part, left) = if let Some(quoted) = rest.strip_prefix('"') {
                quoted_name(quoted).ok_or_else(wrong)?
            } else {
                let end = rest.find('.').unwrap_or(rest.len());
                (rest[..end].to_owned(), &rest[end..])
            };
            if part.is_empty() || part.contains('\0') {
                return Err(wrong());
            }
            parts.push(part);
            match left.strip_prefix('.') {
                Some(left) => rest = left,
                None if left.is_empty() => break,
                None => return Err(wrong()),
            }
        }
        match <[String; 2]>::try_from(parts) {
            Ok([schema, name]) => Ok(Self { schema: Some(schema), name }),
            Err(mut parts) => match (parts.pop(), parts.is_empty()) {
                (Some(name), true) => Ok(Self { schema: None, name }),
                _ => Err(wrong()),
            },
        }
    }

    /// The name as [`read`](Self::read) takes it.
    pub(crate) fn written(schema: &str, name: &str) -> String {
        let part = |part: &str| if part.contains(['.', '"']) { identifier(part) } else { part.to_owned() };
        format!("{}.{}", part(schema), part(name))
    }
}

/// The name up to the closing quote, and what comes after that.
fn quoted_name(text: &str) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut rest = text;
    loop {
        let (before, after) = rest.split_once('"')?;
        name.push_str(before);
        match after.strip_prefix('"') {
            Some(after) => {
                name.push('"');
                rest = after;
            }
            None => return Some((name, after)),
        }
    }
}

/// The query, ready to stand in parentheses: one SELECT, WITH, VALUES or TABLE, whose own parentheses match. That it is good
/// SQL, and only reads, is for the server to say.
pub(crate) fn subquery(text: &str) -> PortResult<&str> {
    let refused = |why: &str| {
        Err(PortError::invalid(format!(
            "the query {why}: write one SELECT (or WITH, VALUES, TABLE) without a semicolon"
        )))
    };
    let query = text.trim().trim_end_matches(';').trim_end();
    let mut first = None;
    let mut depth = 0_i64;
    let mut rest = query;
    while let Some(next) = rest.chars().next() {
        let Some(end) = token_end(rest) else {
            return refused("has a text or comment that does not end");
        };
        match next {
            '(' => depth += 1,
            ')' => depth -= 1,
            ';' => return refused("has more than one statement"),
            _ if next.is_alphabetic() => first = first.or(Some(&rest[..end])),
            _ => {}
        }
        if depth < 0 {
            return refused("has a ) too many");
        }
        rest = &rest[end..];
    }
    if depth > 0 {
        return refused("has a ( too many");
    }
    match first {
        Some(word) if ["SELECT", "WITH", "VALUES", "TABLE"].iter().any(|known| known.eq_ignore_ascii_case(word)) => {
            Ok(query)
        }
        Some(word) => refused(&format!("begins with {word}")),
        None => refused("is empty"),
    }
}

/// Where the first token of the text ends: a comment, a text, a quoted name, a word, or one character. `None` where it does not.
fn token_end(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let after = |marker: &str, from: usize| text[from..].find(marker).map(|at| from + at + marker.len());
    if text.starts_with("--") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    if text.starts_with("/*") {
        return comment_end(text);
    }
    match bytes[0] {
        b'"' => after("\"", 1),
        b'\'' => after("'", 1),
        b'$' => {
            let tag = text[1..].find('$').map(|at| &text[..at + 2]);
            match tag {
                Some(tag) if is_dollar_tag(&tag[1..tag.len() - 1]) => after(tag, tag.len()),
                // $1, a parameter, which the server refuses.
                _ => Some(1),
            }
        }
        b'E' | b'e' if bytes.get(1) == Some(&b'\'') => escaped_end(bytes),
        _ => {
            let part = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
            let first = text.chars().next().map_or(1, char::len_utf8);
            if text.starts_with(|c: char| c.is_alphabetic() || c == '_') {
                Some(text.find(|c| !part(c)).unwrap_or(text.len()))
            } else {
                Some(first)
            }
        }
    }
}

fn is_dollar_tag(tag: &str) -> bool {
    !tag.starts_with(|c: char| c.is_ascii_digit()) && tag.chars().all(|c| c.is_alphanumeric() || c == '_')
}

/// Comments of PostgreSQL nest.
fn comment_end(text: &str) -> Option<usize> {
    let (mut at, mut depth) = (0, 0_usize);
    loop {
        let next = at + text[at..].find(['*', '/'])?;
        let (step, pair) = match text.get(next..next + 2) {
            Some("/*") => (2, 1),
            Some("*/") => (2, -1),
            _ => (1, 0),
        };
        at = next + step;
        depth = depth.checked_add_signed(pair)?;
        if depth == 0 {
            return Some(at);
        }
    }
}

/// The end of `E'...'`, where a backslash hides the quote after it.
fn escaped_end(bytes: &[u8]) -> Option<usize> {
    let mut at = 2;
    loop {
        match bytes.get(at)? {
            b'\\' => at += 2,
            b'\'' => return Some(at + 1),
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> (Option<String>, String) {
        let TableName { schema, name } = TableName::read(text).unwrap();
        (schema, name)
    }

    #[test]
    fn names_keep_their_case_and_their_points() {
        assert_eq!(name("orders"), (None, "orders".into()));
        assert_eq!(name("shop.Orders"), (Some("shop".into()), "Orders".into()));
        assert_eq!(name("\"my.shop\".\"the \"\"best\"\"\""), (Some("my.shop".into()), "the \"best\"".into()));
        assert_eq!(TableName::written("my.shop", "a\"b"), "\"my.shop\".\"a\"\"b\"");
        assert_eq!(name(&TableName::written("my.shop", "a\"b")), (Some("my.shop".into()), "a\"b".into()));
        for wrong in ["", "a.", ".a", "a.b.c", "\"a", "\"a\"b", "a\0"] {
            assert!(TableName::read(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn names_and_values_cannot_end_early() {
        assert_eq!(identifier("a\"; DROP TABLE b; --"), "\"a\"\"; DROP TABLE b; --\"");
        assert_eq!(literal("it's \\' so").unwrap(), "'it''s \\'' so'");
        assert!(literal("\0").is_err());
    }

    #[test]
    fn one_query_is_taken_and_nothing_else() {
        for good in [
            "SELECT 1",
            " with a as (select ')') select * from a; ",
            "VALUES (1), (2)",
            "table shop.orders",
            "(SELECT 1) UNION (SELECT 2)",
            "-- a ( comment\nSELECT ';' || $tag$ ); $tag$ || \"a;b\" || E'\\';' /* ) /* ; */ */ FROM t",
            "SELECT 'it''s'",
        ] {
            assert!(subquery(good).is_ok(), "{good}: {:?}", subquery(good));
        }
        for bad in [
            "",
            "DELETE FROM a",
            "SELECT 1; SELECT 2",
            "SELECT 1) AS q; DROP TABLE a; --",
            "SELECT 1) AS q, (SELECT 2",
            "SELECT (1",
            "SELECT 'a",
            "SELECT /* a",
            "COPY a TO '/tmp/a'",
            "SELECT E'\\",
        ] {
            assert!(subquery(bad).is_err(), "{bad}");
        }
    }
}
