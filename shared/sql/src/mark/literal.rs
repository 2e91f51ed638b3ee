//! Text literals in one form: `'..'` with only `\\` and `\'` escaped.
//!
//! Source: <https://cloud.google.com/bigquery/docs/reference/standard-sql/lexical#escape_sequences>.

use crate::{error::SqlError, lex::Token};

/// A literal in the plain form; a bytes literal stays as it is.
pub(super) fn plain(token: &Token<'_>) -> Result<String, SqlError> {
    let start = token.text.find(['\'', '"']).unwrap_or_default();
    let (prefix, quoted) = token.text.split_at(start);
    if prefix.contains(['b', 'B']) {
        return Ok(token.text.to_owned());
    }
    let quotes = if quoted.len() >= 6 && (quoted.starts_with("'''") || quoted.starts_with("\"\"\"")) { 3 } else { 1 };
    let body = &quoted[quotes..quoted.len() - quotes];
    let value = if prefix.is_empty() { unescaped(body, token.offset)? } else { body.to_owned() };
    Ok(format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'")))
}

fn unescaped(body: &str, offset: usize) -> Result<String, SqlError> {
    let mut value = String::with_capacity(body.len());
    let mut rest = body;
    while let Some(at) = rest.find('\\') {
        value.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let escape = rest.chars().next().unwrap_or_default();
        let (digits, radix, skip) = match escape {
            'u' => (4, 16, 1),
            'U' => (8, 16, 1),
            'x' | 'X' => (2, 16, 1),
            '0'..='7' => (3, 8, 0),
            _ => (0, 10, escape.len_utf8()),
        };
        let character = match escape {
            'a' => Some('\u{7}'),
            'b' => Some('\u{8}'),
            'f' => Some('\u{c}'),
            'n' => Some('\n'),
            'r' => Some('\r'),
            't' => Some('\t'),
            'v' => Some('\u{b}'),
            '\\' | '?' | '"' | '\'' | '`' => Some(escape),
            _ if digits > 0 => rest
                .get(skip..skip + digits)
                .and_then(|digits| u32::from_str_radix(digits, radix).ok())
                .and_then(char::from_u32),
            _ => None,
        };
        value.push(character.ok_or_else(|| SqlError::at(offset, format!("\\{escape} is no escape sequence")))?);
        rest = &rest[skip + digits..];
    }
    value.push_str(rest);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lex::{Lexis, tokens};

    #[test]
    fn every_spelling_of_a_text_becomes_the_same() {
        for spelling in [r#""it's""#, r"'it\'s'", r#"r"it's""#, r#"'''it's'''"#, r"'it\x27s'", r"'it\u0027s'"] {
            let token = tokens(spelling, Lexis::BigQuery).unwrap()[0];
            assert_eq!(plain(&token).unwrap(), r"'it\'s'", "{spelling}");
        }
        assert!(plain(&tokens(r"'\q'", Lexis::BigQuery).unwrap()[0]).is_err());
    }
}
