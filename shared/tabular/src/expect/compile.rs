//! An expression against a table's columns: names resolved, types checked, literals made values of the type they meet.

use std::sync::Arc;

use arrow::{
    array::{
        Array, ArrayRef, BooleanArray, Date32Array, Decimal128Array, Decimal256Array, Float64Array, Int64Array,
        NullArray, Scalar, StringArray, Time64MicrosecondArray, TimestampMicrosecondArray,
    },
    datatypes::{DataType, TimeUnit},
};
use millstream_events::contract::{Column, ColumnType};
use regex::Regex;

use super::{ExpectError, Expectation, Expr, Literal, Name, Operator, Rule};
use crate::{
    layout::nearest,
    parse::{decimal, number, temporal},
    schema::arrow_type,
};

/// An expectation ready to run.
#[derive(Debug)]
pub(crate) enum Compiled {
    Unique(Vec<usize>),
    NotNull(Vec<usize>),
    Row(Row),
}

/// A condition on one row's values.
#[derive(Debug)]
pub(crate) struct Row {
    pub(super) node: Node,
    pub(super) columns: Vec<usize>,
}

impl Row {
    /// The first column that the condition names: the one a bad row is reported under.
    pub(crate) fn column(&self) -> Option<usize> {
        self.columns.first().copied()
    }
}

#[derive(Debug)]
pub(super) enum Node {
    Column(usize),
    Scalar(Scalar<ArrayRef>),
    Not(Box<Node>),
    Negate(Box<Node>),
    Binary(Operator, Box<Node>, Box<Node>),
    IsNull(Box<Node>, bool),
    Matches(Box<Node>, Regex),
    Call(Function, Vec<Node>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Like,
    StartsWith,
    EndsWith,
    Length,
    Lower,
    Upper,
    Trim,
    Abs,
}

const FUNCTIONS: &[&str] = &["LENGTH", "LOWER", "UPPER", "TRIM", "ABS", "STARTS_WITH", "ENDS_WITH", "REGEXP_CONTAINS"];

impl Expectation {
    pub(crate) fn compile(&self, columns: &[Column]) -> Result<Compiled, ExpectError> {
        let mut compiler = Compiler { columns, used: Vec::new() };
        Ok(match &self.0 {
            Rule::Unique(names) => Compiled::Unique(compiler.names(names, true)?),
            Rule::NotNull(names) => Compiled::NotNull(compiler.names(names, false)?),
            Rule::Row(expression) => {
                let (node, kind) = compiler.expression(expression)?;
                if !matches!(kind, DataType::Boolean) {
                    return Err(ExpectError::new(
                        0,
                        format!("an expectation is a condition, not a value of type {}", name_of(&kind)),
                    ));
                }
                if compiler.used.is_empty() {
                    return Err(ExpectError::new(0, "an expectation names a column"));
                }
                Compiled::Row(Row { node, columns: compiler.used })
            }
        })
    }
}

struct Compiler<'a> {
    columns: &'a [Column],
    used: Vec<usize>,
}

type Typed = (Node, DataType);

impl Compiler<'_> {
    fn names(&mut self, names: &[Name], comparable: bool) -> Result<Vec<usize>, ExpectError> {
        names
            .iter()
            .map(|name| {
                let index = self.find(name)?;
                if comparable && is_opaque(&self.columns[index].kind) {
                    return Err(ExpectError::new(
                        name.offset,
                        format!("{} values cannot be compared", self.columns[index].kind),
                    ));
                }
                Ok(index)
            })
            .collect()
    }

    fn find(&mut self, name: &Name) -> Result<usize, ExpectError> {
        let found = self.columns.iter().position(|column| column.name.eq_ignore_ascii_case(&name.text));
        let index = found.ok_or_else(|| {
            let message = format!("there is no column {:?}", name.text);
            let near = nearest(&name.text, self.columns.iter().map(|column| column.name.as_str()));
            ExpectError::new(
                name.offset,
                near.map_or(message.clone(), |near| format!("{message}; did you mean {near:?}?")),
            )
        })?;
        if !self.used.contains(&index) {
            self.used.push(index);
        }
        Ok(index)
    }

    fn expression(&mut self, expression: &Expr) -> Result<Typed, ExpectError> {
        match expression {
            Expr::Column(name) => {
                let index = self.find(name)?;
                let kind = &self.columns[index].kind;
                if is_opaque(kind) {
                    return Err(ExpectError::new(
                        name.offset,
                        format!("{kind} values can only be tested with IS NULL"),
                    ));
                }
                Ok((Node::Column(index), arrow_type(kind)))
            }
            Expr::Literal(literal, offset) => {
                scalar(literal, None).map_err(|message| ExpectError::new(*offset, message))
            }
            Expr::Not(inner, offset) => Ok((Node::Not(Box::new(self.condition(inner, *offset)?)), DataType::Boolean)),
            Expr::Negate(inner, offset) => {
                let (node, kind) = self.expression(inner)?;
                number(&kind, *offset)?;
                Ok((Node::Negate(Box::new(node)), kind))
            }
            Expr::IsNull(inner, negated) => {
                // A test for NULL is right for any type, so the column is not looked up as a value.
                let node = match &**inner {
                    Expr::Column(name) => Node::Column(self.find(name)?),
                    other => self.expression(other)?.0,
                };
                Ok((Node::IsNull(Box::new(node), *negated), DataType::Boolean))
            }
            Expr::Binary(operator @ (Operator::And | Operator::Or), left, right, offset) => {
                let (left, right) = (self.condition(left, *offset)?, self.condition(right, *offset)?);
                Ok((Node::Binary(*operator, Box::new(left), Box::new(right)), DataType::Boolean))
            }
            Expr::Binary(operator, left, right, offset) => self.binary(*operator, left, right, *offset),
            Expr::Like(text, pattern, offset) => {
                let arguments = vec![self.text(text, *offset)?, self.text(pattern, *offset)?];
                Ok((Node::Call(Function::Like, arguments), DataType::Boolean))
            }
            Expr::Call(name, arguments, offset) => self.call(name, arguments, *offset),
        }
    }

    fn binary(&mut self, operator: Operator, left: &Expr, right: &Expr, offset: usize) -> Result<Typed, ExpectError> {
        let (mut left_node, mut left_kind) = self.expression(left)?;
        let (mut right_node, mut right_kind) = self.expression(right)?;
        // A literal takes the type of what it meets, where it can.
        if let Expr::Literal(literal, at) = right {
            (right_node, right_kind) =
                scalar(literal, Some(&left_kind)).map_err(|message| ExpectError::new(*at, message))?;
        } else if let Expr::Literal(literal, at) = left {
            (left_node, left_kind) =
                scalar(literal, Some(&right_kind)).map_err(|message| ExpectError::new(*at, message))?;
        }
        let nodes = (Box::new(left_node), Box::new(right_node));
        if matches!(operator, Operator::Add | Operator::Subtract | Operator::Multiply | Operator::Divide) {
            number(&left_kind, offset)?;
            number(&right_kind, offset)?;
            let kind =
                if operator == Operator::Divide || left_kind == DataType::Float64 || right_kind == DataType::Float64 {
                    DataType::Float64
                } else if left_kind == DataType::Int64 && right_kind == DataType::Int64 {
                    DataType::Int64
                } else {
                    DataType::Decimal256(76, 38)
                };
            return Ok((Node::Binary(operator, nodes.0, nodes.1), kind));
        }
        let comparable = left_kind == right_kind
            || left_kind.is_numeric() && right_kind.is_numeric()
            || left_kind == DataType::Null
            || right_kind == DataType::Null;
        if !comparable {
            let message = format!("{} cannot be compared with {}", name_of(&left_kind), name_of(&right_kind));
            return Err(ExpectError::new(offset, message));
        }
        Ok((Node::Binary(operator, nodes.0, nodes.1), DataType::Boolean))
    }

    fn call(&mut self, name: &str, arguments: &[Expr], offset: usize) -> Result<Typed, ExpectError> {
        let (function, count) = match name {
            "LENGTH" => (Function::Length, 1),
            "LOWER" => (Function::Lower, 1),
            "UPPER" => (Function::Upper, 1),
            "TRIM" => (Function::Trim, 1),
            "ABS" => (Function::Abs, 1),
            "STARTS_WITH" => (Function::StartsWith, 2),
            "ENDS_WITH" => (Function::EndsWith, 2),
            "REGEXP_CONTAINS" => return self.regexp_contains(arguments, offset),
            "UNIQUE" | "NOT_NULL" => {
                return Err(ExpectError::new(
                    offset,
                    format!("{} stands alone, as an expectation of its own", name.to_lowercase()),
                ));
            }
            _ => {
                let near = nearest(name, FUNCTIONS.iter().copied());
                let hint = near.map_or_else(
                    || format!("there are {}", FUNCTIONS.join(", ")),
                    |near| format!("did you mean {near}?"),
                );
                return Err(ExpectError::new(offset, format!("there is no function {name}; {hint}")));
            }
        };
        if arguments.len() != count {
            return Err(ExpectError::new(
                offset,
                format!("{name} takes {count} argument{}", if count == 1 { "" } else { "s" }),
            ));
        }
        if function == Function::Abs {
            let (node, kind) = self.expression(&arguments[0])?;
            number(&kind, offset)?;
            return Ok((Node::Call(function, vec![node]), kind));
        }
        let nodes = arguments.iter().map(|argument| self.text(argument, offset)).collect::<Result<_, _>>()?;
        let kind = match function {
            Function::Length => DataType::Int64,
            Function::Lower | Function::Upper | Function::Trim => DataType::Utf8,
            _ => DataType::Boolean,
        };
        Ok((Node::Call(function, nodes), kind))
    }

    fn regexp_contains(&mut self, arguments: &[Expr], offset: usize) -> Result<Typed, ExpectError> {
        let [text, Expr::Literal(Literal::String(pattern), at)] = arguments else {
            return Err(ExpectError::new(offset, "REGEXP_CONTAINS takes a text and a pattern such as r'^[A-Z]+$'"));
        };
        let text = self.text(text, offset)?;
        let regex =
            Regex::new(pattern).map_err(|error| ExpectError::new(*at, format!("the pattern is wrong: {error}")))?;
        Ok((Node::Matches(Box::new(text), regex), DataType::Boolean))
    }

    fn condition(&mut self, expression: &Expr, offset: usize) -> Result<Node, ExpectError> {
        match self.expression(expression)? {
            (node, DataType::Boolean) => Ok(node),
            (_, DataType::Null) => Ok(Node::Scalar(Scalar::new(Arc::new(BooleanArray::from(vec![None]))))),
            (_, kind) => {
                Err(ExpectError::new(offset, format!("expected a condition, found a value of type {}", name_of(&kind))))
            }
        }
    }

    fn text(&mut self, expression: &Expr, offset: usize) -> Result<Node, ExpectError> {
        match self.expression(expression)? {
            (node, DataType::Utf8) => Ok(node),
            (_, kind) => Err(ExpectError::new(offset, format!("expected a STRING, found {}", name_of(&kind)))),
        }
    }
}

fn is_opaque(kind: &ColumnType) -> bool {
    matches!(kind, ColumnType::Json | ColumnType::Array(_) | ColumnType::Struct(_))
}

fn number(kind: &DataType, offset: usize) -> Result<(), ExpectError> {
    if kind.is_numeric() {
        return Ok(());
    }
    Err(ExpectError::new(offset, format!("expected a number, found {}", name_of(kind))))
}

/// A literal as a value of the type it meets, or of its own.
fn scalar(literal: &Literal, meets: Option<&DataType>) -> Result<Typed, String> {
    let utc = || DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let array: ArrayRef = match literal {
        Literal::Null => Arc::new(NullArray::new(1)),
        Literal::Bool(value) => Arc::new(BooleanArray::from(vec![*value])),
        Literal::Number(text) => number_scalar(text, meets).ok_or_else(|| format!("{text} is not a number"))?,
        Literal::String(text) => match meets {
            Some(DataType::Date32) => return typed("DATE", text),
            Some(DataType::Timestamp(_, None)) => return typed("DATETIME", text),
            Some(kind) if *kind == utc() => return typed("TIMESTAMP", text),
            Some(DataType::Time64(_)) => return typed("TIME", text),
            _ => Arc::new(StringArray::from(vec![text.as_str()])),
        },
        Literal::Typed(keyword, text) => return typed(keyword, text),
    };
    let kind = array.data_type().clone();
    Ok((Node::Scalar(Scalar::new(array)), kind))
}

fn typed(keyword: &str, text: &str) -> Result<Typed, String> {
    let bytes = text.as_bytes();
    let array: Option<ArrayRef> = match keyword {
        "DATE" => temporal::date(bytes).ok().map(|value| Arc::new(Date32Array::from(vec![value])) as _),
        "TIME" => temporal::time(bytes).ok().map(|value| Arc::new(Time64MicrosecondArray::from(vec![value])) as _),
        "DATETIME" => {
            temporal::datetime(bytes).ok().map(|value| Arc::new(TimestampMicrosecondArray::from(vec![value])) as _)
        }
        _ => temporal::timestamp(bytes)
            .ok()
            .map(|value| Arc::new(TimestampMicrosecondArray::from(vec![value]).with_timezone("UTC")) as _),
    };
    let array = array.ok_or_else(|| format!("{text:?} is not a {keyword}"))?;
    let kind = array.data_type().clone();
    Ok((Node::Scalar(Scalar::new(array)), kind))
}

fn number_scalar(text: &str, meets: Option<&DataType>) -> Option<ArrayRef> {
    let bytes = text.as_bytes();
    if meets == Some(&DataType::Float64) {
        return Some(Arc::new(Float64Array::from(vec![number::float64(bytes).ok()?])));
    }
    // Where the literal fits the column's own decimal type, the comparison needs no conversion of the column.
    if let Some(DataType::Decimal128(precision, scale)) = meets
        && let Ok(value) = decimal::decimal128(bytes, *precision, scale.cast_unsigned())
    {
        return Some(Arc::new(Decimal128Array::from(vec![value]).with_precision_and_scale(*precision, *scale).ok()?));
    }
    if let Ok(value) = number::int64(bytes) {
        return Some(Arc::new(Int64Array::from(vec![value])));
    }
    if let Ok(value) = decimal::decimal256(bytes, 76, 38) {
        return Some(Arc::new(Decimal256Array::from(vec![value]).with_precision_and_scale(76, 38).ok()?));
    }
    Some(Arc::new(Float64Array::from(vec![number::float64(bytes).ok()?])))
}

fn name_of(kind: &DataType) -> String {
    match kind {
        DataType::Null => "NULL".into(),
        kind => crate::schema::column_type(kind).map_or_else(|| kind.to_string(), |kind| kind.to_string()),
    }
}
