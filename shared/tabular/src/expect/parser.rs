//! Tokens to an expression, by precedence.

use super::{
    ExpectError, Expectation, Expr, Literal, Name, Operator, Rule,
    lexer::{Token, tokens},
};

/// Parses an expectation's text.
///
/// # Errors
///
/// What is wrong with it, and where.
pub fn parse(text: &str) -> Result<Expectation, ExpectError> {
    let mut parser = Parser { tokens: tokens(text)?, at: 0, depth: 0 };
    let rule = match parser.table_rule()? {
        Some(rule) => rule,
        None => Rule::Row(parser.expression(0)?),
    };
    match parser.peek() {
        Token::End => Ok(Expectation(rule)),
        other => Err(parser.error(format!("expected the end, found {}", describe(other)))),
    }
}

struct Parser {
    tokens: Vec<(usize, Token)>,
    at: usize,
    depth: usize,
}

/// How deep an expression may nest: parsing and running it recurse.
const MAX_DEPTH: usize = 64;

/// Words that cannot be a column unless in backticks.
const RESERVED: &[&str] = &["AND", "OR", "NOT", "IN", "IS", "BETWEEN", "LIKE", "NULL", "TRUE", "FALSE"];

const COMPARISON: u8 = 4;

impl Parser {
    fn peek(&self) -> &Token {
        self.tokens.get(self.at).map_or(&Token::End, |(_, token)| token)
    }

    fn offset(&self) -> usize {
        self.tokens.get(self.at).or(self.tokens.last()).map_or(0, |(offset, _)| *offset)
    }

    fn error(&self, message: impl Into<String>) -> ExpectError {
        ExpectError::new(self.offset(), message)
    }

    fn next(&mut self) -> Token {
        let token = self.peek().clone();
        self.at += 1;
        token
    }

    fn symbol(&mut self, symbol: &str) -> bool {
        let found = matches!(self.peek(), Token::Symbol(found) if *found == symbol);
        self.at += usize::from(found);
        found
    }

    fn expect_symbol(&mut self, symbol: &str) -> Result<(), ExpectError> {
        if self.symbol(symbol) {
            return Ok(());
        }
        Err(self.error(format!("expected {symbol:?}, found {}", describe(self.peek()))))
    }

    fn is_word(&self, ahead: usize, word: &str) -> bool {
        matches!(self.tokens.get(self.at + ahead), Some((_, Token::Word { text, quoted: false })) if text.eq_ignore_ascii_case(word))
    }

    fn word(&mut self, word: &str) -> bool {
        let found = self.is_word(0, word);
        self.at += usize::from(found);
        found
    }

    fn expect_word(&mut self, word: &str) -> Result<(), ExpectError> {
        if self.word(word) {
            return Ok(());
        }
        Err(self.error(format!("expected {word}, found {}", describe(self.peek()))))
    }

    /// `unique(...)` or `not_null(...)`, which are about the table and stand alone.
    fn table_rule(&mut self) -> Result<Option<Rule>, ExpectError> {
        let unique = self.is_word(0, "unique");
        if !unique && !self.is_word(0, "not_null")
            || self.tokens.get(self.at + 1).map(|t| &t.1) != Some(&Token::Symbol("("))
        {
            return Ok(None);
        }
        self.at += 2;
        let mut names = Vec::new();
        loop {
            let offset = self.offset();
            match self.next() {
                Token::Word { text, .. } => names.push(Name { text, offset }),
                other => {
                    return Err(ExpectError::new(offset, format!("expected a column, found {}", describe(&other))));
                }
            }
            if !self.symbol(",") {
                break;
            }
        }
        self.expect_symbol(")")?;
        Ok(Some(if unique { Rule::Unique(names) } else { Rule::NotNull(names) }))
    }

    /// An expression whose operators all bind at least as tightly as `least`.
    fn expression(&mut self, least: u8) -> Result<Expr, ExpectError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.error(format!("nested more than {MAX_DEPTH} deep")));
        }
        let mut left = self.prefix()?;
        let mut steps = 0;
        loop {
            steps += 1;
            if steps > MAX_DEPTH * 4 {
                return Err(self.error("too many operators in a row"));
            }
            let offset = self.offset();
            if let Some((operator, binding)) = self.infix().filter(|(_, binding)| *binding >= least) {
                self.at += 1;
                let right = self.expression(binding + 1)?;
                left = Expr::Binary(operator, Box::new(left), Box::new(right), offset);
            } else if COMPARISON >= least
                && let Some(test) = self.test(&left)?
            {
                left = test;
            } else {
                self.depth -= 1;
                return Ok(left);
            }
        }
    }

    fn infix(&self) -> Option<(Operator, u8)> {
        if self.is_word(0, "OR") {
            return Some((Operator::Or, 1));
        }
        if self.is_word(0, "AND") {
            return Some((Operator::And, 2));
        }
        let Token::Symbol(symbol) = self.peek() else { return None };
        Some(match *symbol {
            "=" | "==" => (Operator::Equal, COMPARISON),
            "!=" | "<>" => (Operator::NotEqual, COMPARISON),
            "<" => (Operator::Less, COMPARISON),
            "<=" => (Operator::LessOrEqual, COMPARISON),
            ">" => (Operator::Greater, COMPARISON),
            ">=" => (Operator::GreaterOrEqual, COMPARISON),
            "+" => (Operator::Add, 5),
            "-" => (Operator::Subtract, 5),
            "*" => (Operator::Multiply, 6),
            "/" => (Operator::Divide, 6),
            _ => return None,
        })
    }

    /// `IS`, `IN`, `BETWEEN` or `LIKE` after `left`.
    fn test(&mut self, left: &Expr) -> Result<Option<Expr>, ExpectError> {
        let offset = self.offset();
        let subject = || Box::new(left.clone());
        if self.word("IS") {
            let negated = self.word("NOT");
            self.expect_word("NULL")?;
            return Ok(Some(Expr::IsNull(subject(), negated)));
        }
        let negated = self.is_word(0, "NOT") && ["IN", "BETWEEN", "LIKE"].iter().any(|word| self.is_word(1, word));
        self.at += usize::from(negated);
        let test = if self.word("BETWEEN") {
            let low = self.expression(COMPARISON + 1)?;
            self.expect_word("AND")?;
            let high = self.expression(COMPARISON + 1)?;
            let low = Expr::Binary(Operator::GreaterOrEqual, subject(), Box::new(low), offset);
            let high = Expr::Binary(Operator::LessOrEqual, subject(), Box::new(high), offset);
            Expr::Binary(Operator::And, Box::new(low), Box::new(high), offset)
        } else if self.word("LIKE") {
            Expr::Like(subject(), Box::new(self.expression(COMPARISON + 1)?), offset)
        } else if self.word("IN") {
            self.expect_symbol("(")?;
            let mut equals = Vec::new();
            loop {
                let item = self.expression(0)?;
                equals.push(Expr::Binary(Operator::Equal, subject(), Box::new(item), offset));
                if !self.symbol(",") {
                    break;
                }
            }
            self.expect_symbol(")")?;
            any_of(equals, offset)
        } else {
            return Ok(None);
        };
        Ok(Some(if negated { Expr::Not(Box::new(test), offset) } else { test }))
    }

    fn prefix(&mut self) -> Result<Expr, ExpectError> {
        let offset = self.offset();
        if self.word("NOT") {
            return Ok(Expr::Not(Box::new(self.expression(3)?), offset));
        }
        match self.next() {
            Token::Symbol("-") => Ok(match self.expression(7)? {
                Expr::Literal(Literal::Number(number), _) if !number.starts_with('-') => {
                    Expr::Literal(Literal::Number(format!("-{number}")), offset)
                }
                other => Expr::Negate(Box::new(other), offset),
            }),
            Token::Symbol("(") => {
                let inner = self.expression(0)?;
                self.expect_symbol(")")?;
                Ok(inner)
            }
            Token::Number(number) => Ok(Expr::Literal(Literal::Number(number), offset)),
            Token::String(text) => Ok(Expr::Literal(Literal::String(text), offset)),
            Token::Word { text, quoted: true } => Ok(Expr::Column(Name { text, offset })),
            Token::Word { text, quoted: false } => self.word_expression(text, offset),
            other => Err(ExpectError::new(offset, format!("expected a value, found {}", describe(&other)))),
        }
    }

    fn word_expression(&mut self, text: String, offset: usize) -> Result<Expr, ExpectError> {
        let upper = text.to_ascii_uppercase();
        match upper.as_str() {
            "NULL" => return Ok(Expr::Literal(Literal::Null, offset)),
            "TRUE" | "FALSE" => return Ok(Expr::Literal(Literal::Bool(upper == "TRUE"), offset)),
            word if RESERVED.contains(&word) => {
                return Err(ExpectError::new(
                    offset,
                    format!("expected a value, found {word}; a column of that name needs backticks"),
                ));
            }
            _ => {}
        }
        if let ("DATE" | "DATETIME" | "TIME" | "TIMESTAMP", Token::String(value)) =
            (upper.as_str(), self.peek().clone())
        {
            self.at += 1;
            return Ok(Expr::Literal(Literal::Typed(upper, value), offset));
        }
        if !self.symbol("(") {
            return Ok(Expr::Column(Name { text, offset }));
        }
        let mut arguments = Vec::new();
        if !self.symbol(")") {
            loop {
                arguments.push(self.expression(0)?);
                if !self.symbol(",") {
                    break;
                }
            }
            self.expect_symbol(")")?;
        }
        Ok(Expr::Call(upper, arguments, offset))
    }
}

/// The alternatives joined by OR, halves first, so that a long list is not a deep tree.
fn any_of(mut alternatives: Vec<Expr>, offset: usize) -> Expr {
    if alternatives.len() > 1 {
        let right = alternatives.split_off(alternatives.len() / 2);
        let (left, right) = (any_of(alternatives, offset), any_of(right, offset));
        return Expr::Binary(Operator::Or, Box::new(left), Box::new(right), offset);
    }
    alternatives.pop().unwrap_or(Expr::Literal(Literal::Null, offset))
}

fn describe(token: &Token) -> String {
    match token {
        Token::Word { text, .. } | Token::Number(text) => format!("{text:?}"),
        Token::String(text) => format!("the text {text:?}"),
        Token::Symbol(symbol) => format!("{symbol:?}"),
        Token::End => "the end".into(),
    }
}
