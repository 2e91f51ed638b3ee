//! Gates: conditions on a model version's metrics that decide whether it is promoted.
//!
//! `auc_pr >= 0.75`, `auc_pr >= champion.auc_pr - 0.002`, `rmse < 3 and not bias > 0.1`. A name is one of the new version's
//! metrics, `champion.name` the serving version's, re-scored on the same rows. In goes the text, out comes a [`Gate`]; with two
//! sets of metrics it gives a [`GateCheck`] that says why.

mod eval;
mod parse;

use std::collections::BTreeMap;

/// A parsed condition.
#[derive(Debug, Clone, PartialEq)]
pub struct Gate {
    text: String,
    condition: Condition,
}

/// A model version's metrics by name.
pub type Metrics = BTreeMap<String, f64>;

/// What a gate said of one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateCheck {
    /// The condition as written.
    pub expression: String,
    /// Whether it lets the version pass.
    pub passed: bool,
    /// Why, with the numbers.
    pub because: String,
}

/// A text that is not a gate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct GateError {
    /// What is wrong and what was expected.
    pub message: String,
    /// Where in the text, in bytes.
    pub offset: usize,
}

#[derive(Debug, Clone, PartialEq)]
enum Condition {
    Compare(Number, Comparison, Number),
    And(Box<Condition>, Box<Condition>),
    Or(Box<Condition>, Box<Condition>),
    Not(Box<Condition>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Less,
    AtMost,
    Greater,
    AtLeast,
    Equal,
    Unequal,
}

#[derive(Debug, Clone, PartialEq)]
enum Number {
    Literal(f64),
    Metric(String),
    Champion(String),
    Negate(Box<Number>),
    Arithmetic(Box<Number>, Operator, Box<Number>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
}

impl Gate {
    /// The condition as written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it compares with the serving version.
    #[must_use]
    pub fn mentions_champion(&self) -> bool {
        self.condition.numbers().iter().any(|number| matches!(number, Number::Champion(_)))
    }
}

impl Condition {
    /// The metrics of the condition, in order.
    fn numbers(&self) -> Vec<&Number> {
        match self {
            Self::Compare(left, _, right) => [left.leaves(), right.leaves()].concat(),
            Self::And(left, right) | Self::Or(left, right) => [left.numbers(), right.numbers()].concat(),
            Self::Not(inner) => inner.numbers(),
        }
    }
}

impl Number {
    fn leaves(&self) -> Vec<&Number> {
        match self {
            Self::Literal(_) => Vec::new(),
            Self::Metric(_) | Self::Champion(_) => vec![self],
            Self::Negate(inner) => inner.leaves(),
            Self::Arithmetic(left, _, right) => [left.leaves(), right.leaves()].concat(),
        }
    }
}
