//! Arrays as FROM items.

use super::{MARK, Marked, Marker};
use crate::{error::SqlError, lex::Kind};

/// Words that can follow a FROM item and are not its alias.
const CLAUSES: &str = "CROSS EXCEPT FULL GROUP HAVING INNER INTERSECT JOIN LEFT LIMIT ON ORDER PIVOT QUALIFY RIGHT TABLESAMPLE \
    UNION UNPIVOT USING WHERE WINDOW WITH";

impl Marker<'_> {
    /// `UNNEST(array)`, as an operand of IN or as a FROM item.
    pub(super) fn unnest(&self, at: usize) -> Marked {
        let close = self.closing(at + 1);
        let array = self.range(at + 2, close)?;
        match self.before(at) {
            Some(before) if before.is_word("IN") => Ok((format!("UNNEST({array})"), close + 1)),
            _ => Ok(self.array_source(at, &array, close + 1)),
        }
    }

    /// `FROM orders, orders.items`: an array of a row by its path alone.
    pub(super) fn row_array(&self, at: usize) -> Result<Option<(String, usize)>, SqlError> {
        let in_from = self
            .before(at)
            .is_some_and(|before| before.is_symbol(",") || before.is_word("JOIN") || before.is_word("FROM"));
        let length = self.inputs.arrays.iter().filter(|_| in_from).find_map(|path| self.path_length(at, path));
        Ok(match length {
            // `SELECT o.items, o.id` reads like a FROM item; there only a FROM before it, not a SELECT, makes it one.
            Some(length) if self.last_clause(at) == Some("FROM") => {
                let array = self.tokens[at..at + length].iter().map(|token| token.text).collect::<String>();
                Some(self.array_source(at, &array, at + length))
            }
            _ => None,
        })
    }

    /// The clause a token of a query is in, of those that hold lists.
    fn last_clause(&self, at: usize) -> Option<&'static str> {
        let mut depth = 0_i32;
        for token in self.tokens[..at].iter().rev() {
            match token.text {
                ")" => depth += 1,
                "(" if depth == 0 => return None,
                "(" => depth -= 1,
                _ => {}
            }
            let clause = ["SELECT", "FROM", "WHERE", "BY", "ON"].into_iter().find(|clause| token.is_word(clause));
            if depth == 0 && clause.is_some() {
                // A join's condition is part of FROM.
                return if clause == Some("ON") { Some("FROM") } else { clause };
            }
        }
        None
    }

    /// An array as a FROM item that started at `at`; what follows it starts at `next`.
    fn array_source(&self, at: usize, array: &str, next: usize) -> (String, usize) {
        let (alias, mut next) = self.alias(next);
        let mut source = format!("UNNEST({array})");
        if self.word(next, "WITH") && self.word(next + 1, "OFFSET") {
            let (position, after) = self.alias(next + 2);
            let (alias, position) = (alias.unwrap_or("`element`"), position.unwrap_or("`offset`"));
            source = format!("(SELECT {MARK}ELEMENT({array}) AS {alias}, {MARK}POSITION({array}) AS {position})");
            next = after;
        } else if let Some(alias) = alias {
            source.push_str(&format!(" AS {alias}"));
        }
        let joined = at.checked_sub(2).filter(|_| self.word(at - 1, "JOIN"));
        let is_left = joined.is_some_and(|join| {
            self.word(join, "LEFT") || (self.word(join, "OUTER") && join > 0 && self.word(join - 1, "LEFT"))
        });
        // BigQuery lets a join with a row's own array go without a condition.
        if is_left && !self.word(next, "ON") && !self.word(next, "USING") {
            source.push_str(" ON TRUE");
        }
        (source, next)
    }

    /// An alias, with or without AS, and where the next token is.
    fn alias(&self, at: usize) -> (Option<&str>, usize) {
        if self.word(at, "AS") {
            return (self.token(at + 1).map(|token| token.text), at + 2);
        }
        let is_clause = |text: &str| CLAUSES.split(' ').any(|clause| text.eq_ignore_ascii_case(clause));
        match self.token(at) {
            Some(token) if token.kind == Kind::QuotedName => (Some(token.text), at + 1),
            Some(token) if token.kind == Kind::Word && !is_clause(token.text) => (Some(token.text), at + 1),
            _ => (None, at),
        }
    }
}
