//! Last step of the translation: marked calls replaced by what they become.

use crate::{
    error::SqlError,
    functions,
    lex::{self, Kind, Lexis, Token},
    mark::MARK,
};

/// Replaces every marked call in a DuckDB statement.
pub(crate) fn expanded(statement: &str) -> Result<String, SqlError> {
    let tokens = lex::tokens(statement, Lexis::DuckDb)?;
    Expansion { statement, tokens: &tokens }.range(0, tokens.len())
}

struct Expansion<'a> {
    statement: &'a str,
    tokens: &'a [Token<'a>],
}

impl Expansion<'_> {
    /// The text of the tokens `from..to` with the space between them.
    fn range(&self, from: usize, to: usize) -> Result<String, SqlError> {
        let mut text = String::new();
        let mut at = from;
        while at < to {
            let token = self.tokens[at];
            if at > from {
                let before = self.tokens[at - 1];
                text.push_str(&self.statement[before.offset + before.text.len()..token.offset]);
            }
            match self.marked_name(at) {
                None => {
                    text.push_str(token.text);
                    text.push_str(self.number_suffix(at));
                    at += 1;
                }
                Some(name) => {
                    let (arguments, close) = self.arguments(at + 1);
                    let arguments =
                        arguments.into_iter().map(|(from, to)| self.range(from, to)).collect::<Result<Vec<_>, _>>()?;
                    let call = call(&name, &arguments)?;
                    if self.tokens.get(close + 1).is_some_and(|next| next.is_word("OVER")) && call.ends_with(']') {
                        return Err(SqlError::new(format!("{name} with LIMIT cannot be a window function")));
                    }
                    text.push_str(&call);
                    at = close + 1;
                }
            }
        }
        Ok(text)
    }

    /// What gives a number literal BigQuery's type.
    fn number_suffix(&self, at: usize) -> &'static str {
        let is_integer = |at: usize| {
            self.tokens
                .get(at)
                .is_some_and(|token| token.kind == Kind::Number && token.text.bytes().all(|byte| byte.is_ascii_digit()))
        };
        let token = self.tokens[at];
        let has_point = token.kind == Kind::Number && token.text.contains('.') && !token.text.contains(['e', 'E']);
        let operator = self.tokens.get(at + 1).is_some_and(|next| matches!(next.text, "+" | "-" | "*"));
        if has_point {
            // A number with a point is a FLOAT64; DuckDB takes only one with an exponent for that.
            "e0"
        } else if operator && is_integer(at) && is_integer(at + 2) {
            // Two integers are combined in 64 bits; DuckDB combines small literals in 32.
            "::BIGINT"
        } else {
            ""
        }
    }

    fn marked_name(&self, at: usize) -> Option<String> {
        let token = self.tokens[at];
        let is_call = token.kind == Kind::Word && self.tokens.get(at + 1).is_some_and(|next| next.is_symbol("("));
        token.text.to_ascii_uppercase().strip_prefix(MARK).filter(|_| is_call).map(str::to_owned)
    }

    /// The arguments of the call whose parenthesis is at `open`, and where it closes.
    fn arguments(&self, open: usize) -> (Vec<(usize, usize)>, usize) {
        let (mut found, mut depth, mut start) = (Vec::new(), 0_i32, open + 1);
        for at in open..self.tokens.len() {
            match self.tokens[at].text {
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" => depth -= 1,
                "," if depth == 1 => {
                    found.push((start, at));
                    start = at + 1;
                }
                _ => {}
            }
            if depth == 0 {
                if start < at {
                    found.push((start, at));
                }
                return (found, at);
            }
        }
        (found, self.tokens.len() - 1)
    }
}

fn call(name: &str, arguments: &[String]) -> Result<String, SqlError> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let becomes = match (name, arguments.as_slice()) {
        ("SAFE", [inner]) => Ok(format!("TRY({inner})")),
        (_, [value]) if name.starts_with("EXTRACT_") => functions::extract(&name["EXTRACT_".len()..], value),
        _ => match functions::marked_rule(name) {
            Some(rule) => functions::apply(name, rule, &arguments),
            None => Err("has no translation".to_owned()),
        },
    };
    becomes.map_err(|problem| SqlError::new(format!("{name} {problem}")))
}
