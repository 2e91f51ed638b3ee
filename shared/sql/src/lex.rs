//! A statement's tokens, in BigQuery's lexis or DuckDB's.
//!
//! The parser has its own; this one keeps every token's bytes, so that a statement can be rewritten without touching what
//! is not rewritten, and its canonical text does not change with the parser's version.
//!
//! Source: <https://cloud.google.com/bigquery/docs/reference/standard-sql/lexical>.

use crate::error::SqlError;

/// Whose rules for quotes and comments apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lexis {
    /// `"text"`, `` `name` ``, backslash escapes, prefixed and triple-quoted literals, `#` comments.
    BigQuery,
    /// `'text'` with doubled quotes, `"name"`.
    DuckDb,
}

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A keyword or an unquoted identifier.
    Word,
    /// A quoted identifier, with its quotes.
    QuotedName,
    /// A text or bytes literal, with its quotes and prefix.
    Literal,
    /// A number.
    Number,
    /// Everything else: one operator or punctuation character, or two that belong together.
    Symbol,
}

/// A token and where it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    /// What it is.
    pub(crate) kind: Kind,
    /// Its bytes.
    pub(crate) text: &'a str,
    /// Its byte offset.
    pub(crate) offset: usize,
}

impl Token<'_> {
    /// Whether it is this keyword, in any case.
    pub(crate) fn is_word(&self, word: &str) -> bool {
        self.kind == Kind::Word && self.text.eq_ignore_ascii_case(word)
    }

    /// Whether it is this symbol.
    pub(crate) fn is_symbol(&self, symbol: &str) -> bool {
        self.kind == Kind::Symbol && self.text == symbol
    }

    /// An identifier's name, without its quotes.
    pub(crate) fn name(&self) -> Option<&str> {
        match self.kind {
            Kind::Word => Some(self.text),
            Kind::QuotedName => self.text.get(1..self.text.len() - 1),
            _ => None,
        }
    }
}

/// Splits a statement into tokens, leaving out space and comments.
pub(crate) fn tokens(text: &str, lexis: Lexis) -> Result<Vec<Token<'_>>, SqlError> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if let Some(length) = skipped(rest, lexis, at)? {
            at += length;
            continue;
        }
        let (kind, length) = token(rest, lexis, at)?;
        found.push(Token { kind, text: &rest[..length], offset: at });
        at += length;
    }
    Ok(found)
}

/// The length of space or a comment at the start of `rest`.
fn skipped(rest: &str, lexis: Lexis, offset: usize) -> Result<Option<usize>, SqlError> {
    let space = rest.len() - rest.trim_start().len();
    if space > 0 {
        return Ok(Some(space));
    }
    if rest.starts_with("--") || (lexis == Lexis::BigQuery && rest.starts_with('#')) {
        return Ok(Some(rest.find('\n').unwrap_or(rest.len())));
    }
    if rest.starts_with("/*") {
        let end = rest.find("*/").ok_or_else(|| SqlError::at(offset, "this comment is not closed"))?;
        return Ok(Some(end + 2));
    }
    Ok(None)
}

fn token(rest: &str, lexis: Lexis, offset: usize) -> Result<(Kind, usize), SqlError> {
    let first = rest.chars().next().unwrap_or_default();
    if let Some(length) = literal(rest, lexis, offset)? {
        return Ok((Kind::Literal, length));
    }
    let name_quote = if lexis == Lexis::BigQuery { '`' } else { '"' };
    if first == name_quote {
        let end = rest[1..].find(name_quote).ok_or_else(|| SqlError::at(offset, "this quoted name is not closed"))?;
        return Ok((Kind::QuotedName, end + 2));
    }
    if first.is_alphabetic() || first == '_' || first == '@' {
        let length = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '@')).unwrap_or(rest.len());
        return Ok((Kind::Word, length));
    }
    let digit_after_point = first == '.' && rest[1..].starts_with(|c: char| c.is_ascii_digit());
    if first.is_ascii_digit() || digit_after_point {
        return Ok((Kind::Number, number(rest)));
    }
    let pair =
        ["<=", ">=", "<>", "!=", "||", "<<", ">>", "=>", "->", "::", "|>"].iter().find(|pair| rest.starts_with(**pair));
    Ok((Kind::Symbol, pair.map_or(first.len_utf8(), |pair| pair.len())))
}

fn number(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    if rest.len() > 2 && (rest.starts_with("0x") || rest.starts_with("0X")) {
        return 2 + bytes[2..].iter().take_while(|b| b.is_ascii_hexdigit()).count();
    }
    let mut at = 0;
    while at < bytes.len() {
        let is_exponent_sign = matches!(bytes[at], b'+' | b'-') && at > 0 && matches!(bytes[at - 1], b'e' | b'E');
        if !(bytes[at].is_ascii_digit() || matches!(bytes[at], b'.' | b'e' | b'E') || is_exponent_sign) {
            break;
        }
        at += 1;
    }
    at
}

/// The length of a text or bytes literal at the start of `rest`, when there is one.
fn literal(rest: &str, lexis: Lexis, offset: usize) -> Result<Option<usize>, SqlError> {
    if lexis == Lexis::DuckDb {
        return match rest.strip_prefix('\'') {
            None => Ok(None),
            Some(_) => doubled_quotes(rest).map(Some).ok_or_else(|| SqlError::at(offset, "this text is not closed")),
        };
    }
    let prefix = rest.find(['\'', '"']).filter(|at| *at <= 2).unwrap_or(usize::MAX);
    let Some((head, quoted)) = rest.split_at_checked(prefix) else { return Ok(None) };
    if !matches!(head.to_ascii_lowercase().as_str(), "" | "r" | "b" | "rb" | "br") {
        return Ok(None);
    }
    let quote = if quoted.starts_with("'''") || quoted.starts_with("\"\"\"") { &quoted[..3] } else { &quoted[..1] };
    let mut at = quote.len();
    while let Some(body) = quoted.get(at..).filter(|body| !body.is_empty()) {
        if body.starts_with(quote) {
            return Ok(Some(prefix + at + quote.len()));
        }
        let first = body.chars().next().map_or(1, char::len_utf8);
        // A backslash keeps the next character from closing the literal, in raw ones too.
        let second = body.strip_prefix('\\').and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
        at += first + second;
    }
    Err(SqlError::at(offset, "this text is not closed"))
}

fn doubled_quotes(rest: &str) -> Option<usize> {
    let bytes = rest.as_bytes();
    let mut at = 1;
    loop {
        at += rest.get(at..)?.find('\'')?;
        if bytes.get(at + 1) != Some(&b'\'') {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// The tokens with one space between them: what two spellings of one statement have in common.
pub(crate) fn canonical(tokens: &[Token<'_>]) -> String {
    let mut text = String::new();
    for token in tokens {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(token.text);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str, lexis: Lexis) -> Vec<&str> {
        tokens(text, lexis).unwrap().into_iter().map(|token| token.text).collect()
    }

    #[test]
    fn comments_and_space_are_left_out_and_literals_are_kept_whole() {
        assert_eq!(
            texts("SELECT r'\\d--x', \"it's\" # note\n, '''a'b''' -- end\n/* x */ FROM `p.d.t`", Lexis::BigQuery),
            ["SELECT", "r'\\d--x'", ",", "\"it's\"", ",", "'''a'b'''", "FROM", "`p.d.t`"]
        );
        assert_eq!(texts("'it''s', \"n\"", Lexis::DuckDb), ["'it''s'", ",", "\"n\""]);
        assert_eq!(texts("x>=1.5e-3", Lexis::BigQuery), ["x", ">=", "1.5e-3"]);
    }

    #[test]
    fn what_is_not_closed_is_an_error_at_its_start() {
        for (text, at) in [("SELECT 'abc", 7), ("SELECT `abc", 7), ("a /* b", 2)] {
            assert_eq!(tokens(text, Lexis::BigQuery).unwrap_err().offset, Some(at), "{text}");
        }
    }
}
