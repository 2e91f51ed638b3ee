//! Text to [`Gate`]: a hand-written recursive descent, bounded in depth.

use super::{Comparison, Condition, Gate, GateError, Number, Operator};

/// Deeper parentheses than anyone writes.
const MAX_DEPTH: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Token<'a> {
    Number(f64),
    Name(&'a str),
    Symbol(&'a str),
    End,
}

impl Gate {
    /// Reads a condition.
    pub fn parse(text: &str) -> Result<Self, GateError> {
        let mut parser = Parser { tokens: tokens(text)?, next: 0, depth: 0 };
        let condition = parser.any_of()?;
        match parser.peek() {
            (Token::End, _) => Ok(Self { text: text.to_owned(), condition }),
            (_, offset) => Err(error(offset, "expected `and`, `or` or the end here")),
        }
    }
}

fn error(offset: usize, message: impl Into<String>) -> GateError {
    GateError { message: message.into(), offset }
}

fn tokens(text: &str) -> Result<Vec<(Token<'_>, usize)>, GateError> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        let length = if first.is_whitespace() {
            first.len_utf8()
        } else if first.is_ascii_digit() || first == '.' {
            let length = number_length(rest);
            let number = rest[..length].parse().map_err(|_| error(at, format!("{} is no number", &rest[..length])))?;
            tokens.push((Token::Number(number), at));
            length
        } else if first.is_ascii_alphabetic() || first == '_' {
            let length = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "_.@".contains(c))).unwrap_or(rest.len());
            tokens.push((Token::Name(&rest[..length]), at));
            length
        } else {
            const SYMBOLS: [&str; 14] = ["<=", ">=", "==", "!=", "<>", "<", ">", "=", "+", "-", "*", "/", "(", ")"];
            let Some(symbol) = SYMBOLS.into_iter().find(|symbol| rest.starts_with(symbol)) else {
                return Err(error(at, format!("{first:?} means nothing in a gate")));
            };
            tokens.push((Token::Symbol(symbol), at));
            symbol.len()
        };
        at += length;
    }
    tokens.push((Token::End, text.len()));
    Ok(tokens)
}

/// Digits, a point, and an exponent with its sign.
fn number_length(text: &str) -> usize {
    let mut before = ' ';
    text.find(|c: char| {
        let part = c.is_ascii_alphanumeric() || c == '.' || ("+-".contains(c) && matches!(before, 'e' | 'E'));
        before = c;
        !part
    })
    .unwrap_or(text.len())
}

struct Parser<'a> {
    tokens: Vec<(Token<'a>, usize)>,
    next: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> (Token<'a>, usize) {
        self.tokens.get(self.next).or(self.tokens.last()).copied().unwrap_or((Token::End, 0))
    }

    fn take(&mut self) -> (Token<'a>, usize) {
        let token = self.peek();
        self.next += 1;
        token
    }

    /// Takes the word `and`, `or` or `not`, in any case as SQL has it.
    fn word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek().0, Token::Name(name) if name.eq_ignore_ascii_case(word));
        self.next += usize::from(found);
        found
    }

    fn symbol(&mut self, symbols: &[&str]) -> Option<&'a str> {
        match self.peek().0 {
            Token::Symbol(symbol) if symbols.contains(&symbol) => {
                self.next += 1;
                Some(symbol)
            }
            _ => None,
        }
    }

    fn deeper<T>(&mut self, inner: impl FnOnce(&mut Self) -> Result<T, GateError>) -> Result<T, GateError> {
        if self.depth == MAX_DEPTH {
            return Err(error(self.peek().1, "nested too deep"));
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    fn any_of(&mut self) -> Result<Condition, GateError> {
        let mut condition = self.all_of()?;
        while self.word("or") {
            condition = Condition::Or(Box::new(condition), Box::new(self.all_of()?));
        }
        Ok(condition)
    }

    fn all_of(&mut self) -> Result<Condition, GateError> {
        let mut condition = self.condition()?;
        while self.word("and") {
            condition = Condition::And(Box::new(condition), Box::new(self.condition()?));
        }
        Ok(condition)
    }

    fn condition(&mut self) -> Result<Condition, GateError> {
        if self.word("not") {
            return Ok(Condition::Not(Box::new(self.deeper(Self::condition)?)));
        }
        // A parenthesis opens either a condition or a number: try the first, and keep the error that got further.
        let start = self.next;
        let in_parentheses = if self.symbol(&["("]).is_some() {
            match self.deeper(Self::any_of).and_then(|condition| self.close().map(|()| condition)) {
                Ok(condition) => return Ok(condition),
                Err(error) => Some(error),
            }
        } else {
            None
        };
        self.next = start;
        self.comparison().map_err(|error| match in_parentheses {
            Some(other) if other.offset > error.offset => other,
            _ => error,
        })
    }

    fn comparison(&mut self) -> Result<Condition, GateError> {
        let left = self.sum()?;
        let offset = self.peek().1;
        let comparison = match self.symbol(&["<", "<=", ">", ">=", "=", "==", "!=", "<>"]) {
            Some("<") => Comparison::Less,
            Some("<=") => Comparison::AtMost,
            Some(">") => Comparison::Greater,
            Some(">=") => Comparison::AtLeast,
            Some("=" | "==") => Comparison::Equal,
            Some(_) => Comparison::Unequal,
            None => return Err(error(offset, "expected a comparison here: < <= > >= == or !=")),
        };
        Ok(Condition::Compare(left, comparison, self.sum()?))
    }

    fn sum(&mut self) -> Result<Number, GateError> {
        let mut number = self.product()?;
        while let Some(symbol) = self.symbol(&["+", "-"]) {
            let operator = if symbol == "+" { Operator::Add } else { Operator::Subtract };
            number = Number::Arithmetic(Box::new(number), operator, Box::new(self.product()?));
        }
        Ok(number)
    }

    fn product(&mut self) -> Result<Number, GateError> {
        let mut number = self.factor()?;
        while let Some(symbol) = self.symbol(&["*", "/"]) {
            let operator = if symbol == "*" { Operator::Multiply } else { Operator::Divide };
            number = Number::Arithmetic(Box::new(number), operator, Box::new(self.factor()?));
        }
        Ok(number)
    }

    fn factor(&mut self) -> Result<Number, GateError> {
        match self.take() {
            (Token::Number(number), _) => Ok(Number::Literal(number)),
            (Token::Name(name), offset) => metric(name, offset),
            (Token::Symbol("-"), _) => Ok(Number::Negate(Box::new(self.deeper(Self::factor)?))),
            (Token::Symbol("("), _) => {
                let number = self.deeper(Self::sum)?;
                self.close()?;
                Ok(number)
            }
            (_, offset) => Err(error(offset, "expected a metric or a number here")),
        }
    }

    fn close(&mut self) -> Result<(), GateError> {
        let offset = self.peek().1;
        self.symbol(&[")"]).map(drop).ok_or_else(|| error(offset, "expected a ) here"))
    }
}

fn metric(name: &str, offset: usize) -> Result<Number, GateError> {
    if ["and", "or", "not"].iter().any(|word| name.eq_ignore_ascii_case(word)) {
        return Err(error(offset, "expected a metric or a number here"));
    }
    match name.split_once('.') {
        Some(("champion", metric)) if !metric.is_empty() => Ok(Number::Champion(metric.to_owned())),
        None if name != "champion" => Ok(Number::Metric(name.to_owned())),
        _ => Err(error(
            offset,
            format!("`{name}` is no metric; write `auc_pr`, or `champion.auc_pr` for the serving version's"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_no_gate_is_refused_with_its_place() {
        for (text, offset) in [
            ("", 0),
            ("auc_pr", 6),
            ("auc_pr >=", 9),
            ("auc_pr >= 0.7.5", 10),
            ("auc_pr >= 0.7 auc", 14),
            ("(auc_pr >= 0.7", 14),
            ("auc_pr >= champ.auc", 10),
            ("champion >= 1", 0),
            ("auc_pr ≥ 0.7", 7),
            ("a > 1 and", 9),
            ("a > 1 and or", 10),
        ] {
            assert_eq!(Gate::parse(text).unwrap_err().offset, offset, "{text}");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        assert!(Gate::parse(&format!("{}a > 1{}", "(".repeat(20), ")".repeat(20))).is_ok());
        assert!(Gate::parse(&format!("{}a{} > 1", "-(".repeat(500), ")".repeat(500))).is_err());
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused_within_itself(text in "[a-c0-9.<>=!+*/() -]{0,40}|\\PC{0,40}") {
            if let Err(error) = Gate::parse(&text) {
                assert!(error.offset <= text.len());
            }
        }
    }
}
