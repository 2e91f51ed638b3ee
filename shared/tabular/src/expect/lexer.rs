//! Text to tokens.

use super::ExpectError;

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Token {
    /// A name or keyword; `quoted` in backticks.
    Word {
        text: String,
        quoted: bool,
    },
    Number(String),
    String(String),
    Symbol(&'static str),
    End,
}

const SYMBOLS: &[&str] = &["<=", ">=", "<>", "!=", "==", "<", ">", "=", "(", ")", ",", "+", "-", "*", "/"];

/// The longest expectation taken.
const MAX_LENGTH: usize = 10_000;

/// Each token with its offset, ended by [`Token::End`].
pub(crate) fn tokens(text: &str) -> Result<Vec<(usize, Token)>, ExpectError> {
    if text.len() > MAX_LENGTH {
        return Err(ExpectError::new(0, format!("an expectation is at most {MAX_LENGTH} bytes long")));
    }
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(character) = text[at..].chars().next() {
        let rest = &text[at..];
        let (token, length) = match character {
            c if c.is_whitespace() => {
                at += c.len_utf8();
                continue;
            }
            'r' | 'R' if rest[1..].starts_with(['\'', '"']) => {
                let (string, length) = string(&rest[1..], true).map_err(|message| ExpectError::new(at, message))?;
                (Token::String(string), length + 1)
            }
            '\'' | '"' => {
                let (string, length) = string(rest, false).map_err(|message| ExpectError::new(at, message))?;
                (Token::String(string), length)
            }
            '`' => {
                let end = rest[1..].find('`').ok_or_else(|| ExpectError::new(at, "the backtick is not closed"))?;
                (Token::Word { text: rest[1..=end].to_owned(), quoted: true }, end + 2)
            }
            c if c.is_ascii_digit() || c == '.' => {
                let length = number_length(rest.as_bytes());
                (Token::Number(rest[..length].to_owned()), length)
            }
            c if c.is_alphabetic() || c == '_' => {
                let length = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
                (Token::Word { text: rest[..length].to_owned(), quoted: false }, length)
            }
            other => {
                let symbol = SYMBOLS
                    .iter()
                    .find(|symbol| rest.starts_with(**symbol))
                    .ok_or_else(|| ExpectError::new(at, format!("{other:?} has no meaning here")))?;
                (Token::Symbol(symbol), symbol.len())
            }
        };
        tokens.push((at, token));
        at += length;
    }
    tokens.push((at, Token::End));
    Ok(tokens)
}

fn number_length(text: &[u8]) -> usize {
    let mut length = 0;
    while let Some(byte) = text.get(length) {
        let exponent_sign = matches!(byte, b'+' | b'-') && matches!(text[length - 1], b'e' | b'E');
        if byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E') || exponent_sign {
            length += 1;
        } else {
            break;
        }
    }
    length
}

/// A quoted text and its length with the quotes. Backslashes escape unless it is raw; a doubled quote is one, as in standard SQL.
fn string(text: &str, raw: bool) -> Result<(String, usize), String> {
    let mut characters = text.char_indices();
    let quote = characters.next().map_or('\'', |(_, quote)| quote);
    let mut value = String::new();
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' if raw => {
                value.push('\\');
                value.extend(characters.next().map(|(_, next)| next));
            }
            '\\' => match characters.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, 't')) => value.push('\t'),
                Some((_, 'r')) => value.push('\r'),
                Some((_, next @ ('\\' | '\'' | '"' | '`' | '?'))) => value.push(next),
                Some((_, '%')) => value.push_str("\\%"),
                Some((_, '_')) => value.push_str("\\_"),
                Some((_, other)) => return Err(format!("\\{other} is no escape; write \\\\ or r'...'")),
                None => break,
            },
            c if c == quote && text[at + c.len_utf8()..].starts_with(quote) => {
                value.push(quote);
                characters.next();
            }
            c if c == quote => return Ok((value, at + 1)),
            other => value.push(other),
        }
    }
    Err("the text is not closed".into())
}
