//! Runs a condition over a block's columns with Arrow's kernels.

use std::sync::Arc;

use arrow::{
    array::{
        Array, ArrayRef, AsArray, BooleanArray, BooleanBuilder, Datum, Float64Array, Int64Array, Scalar, StringArray,
    },
    compute::{
        CastOptions, and_kleene, cast_with_options, is_not_null, is_null,
        kernels::{cmp, comparison, numeric},
        not, or_kleene,
    },
    datatypes::{DataType, Decimal128Type, Decimal256Type, Float64Type, Int64Type},
    error::ArrowError,
};

use super::{
    Operator, Row,
    compile::{Function, Node},
};

/// A condition's results for some rows.
#[derive(Debug)]
pub(crate) struct Verdict {
    /// True, false or NULL for each row.
    pub(crate) holds: BooleanArray,
    /// The rows, ascending, whose condition has no result: a number overflowed or was divided by zero.
    pub(crate) errors: Vec<usize>,
}

enum Value {
    Array(ArrayRef),
    Scalar(Scalar<ArrayRef>),
}

impl Datum for Value {
    fn get(&self) -> (&dyn Array, bool) {
        match self {
            Self::Array(array) => (array.as_ref(), false),
            Self::Scalar(scalar) => scalar.get(),
        }
    }
}

impl Value {
    fn map(self, function: impl FnOnce(&ArrayRef) -> Result<ArrayRef, ArrowError>) -> Result<Self, ArrowError> {
        Ok(match self {
            Self::Array(array) => Self::Array(function(&array)?),
            Self::Scalar(scalar) => Self::Scalar(Scalar::new(function(&scalar.into_inner())?)),
        })
    }

    /// The result of a kernel on two values: a scalar when both were.
    fn of_both(left: &Self, right: &Self, result: ArrayRef) -> Self {
        match (left, right) {
            (Self::Scalar(_), Self::Scalar(_)) => Self::Scalar(Scalar::new(result)),
            _ => Self::Array(result),
        }
    }

    fn data_type(&self) -> DataType {
        self.get().0.data_type().clone()
    }

    fn cast(self, to: &DataType) -> Result<Self, ArrowError> {
        if self.data_type() == *to {
            return Ok(self);
        }
        // An overflow is an error of the row, not a NULL.
        self.map(|array| cast_with_options(array, to, &CastOptions { safe: false, ..CastOptions::default() }))
    }

    /// The values as one boolean a row.
    fn into_booleans(self, rows: usize) -> BooleanArray {
        match self {
            Self::Array(array) => array.as_boolean().clone(),
            Self::Scalar(scalar) => {
                let scalar = scalar.into_inner();
                let scalar = scalar.as_boolean();
                let value = scalar.is_valid(0).then(|| scalar.value(0));
                std::iter::repeat_n(value, rows).collect()
            }
        }
    }
}

impl Row {
    /// The condition's result for every row of the table's columns.
    pub(crate) fn evaluate(&self, arrays: &[ArrayRef], rows: usize) -> Verdict {
        let (mut holds, mut errors) = (BooleanBuilder::with_capacity(rows), Vec::new());
        self.evaluate_range(arrays, 0, rows, &mut holds, &mut errors);
        Verdict { holds: holds.finish(), errors }
    }

    /// A kernel fails as a whole when one row overflows: halving the rows finds which.
    fn evaluate_range(
        &self,
        arrays: &[ArrayRef],
        start: usize,
        rows: usize,
        holds: &mut BooleanBuilder,
        errors: &mut Vec<usize>,
    ) {
        if rows == 0 {
            return;
        }
        let sliced: Vec<_> = arrays
            .iter()
            .enumerate()
            .map(
                |(index, array)| {
                    if self.columns.contains(&index) { array.slice(start, rows) } else { ArrayRef::clone(array) }
                },
            )
            .collect();
        match evaluate(&self.node, &sliced, rows) {
            Ok(value) => holds.append_array(&value.into_booleans(rows)),
            Err(_) if rows == 1 => {
                holds.append_null();
                errors.push(start);
            }
            Err(_) => {
                let half = rows / 2;
                self.evaluate_range(arrays, start, half, holds, errors);
                self.evaluate_range(arrays, start + half, rows - half, holds, errors);
            }
        }
    }
}

fn evaluate(node: &Node, arrays: &[ArrayRef], rows: usize) -> Result<Value, ArrowError> {
    match node {
        Node::Column(index) => Ok(Value::Array(ArrayRef::clone(&arrays[*index]))),
        Node::Scalar(scalar) => Ok(Value::Scalar(scalar.clone())),
        Node::Not(inner) => evaluate(inner, arrays, rows)?.map(|array| Ok(Arc::new(not(array.as_boolean())?))),
        Node::Negate(inner) => evaluate(inner, arrays, rows)?.map(|array| numeric::neg(array)),
        Node::IsNull(inner, negated) => evaluate(inner, arrays, rows)?
            .map(|array| Ok(Arc::new(if *negated { is_not_null(array)? } else { is_null(array)? }))),
        Node::Matches(text, regex) => evaluate(text, arrays, rows)?.map(|array| {
            let matches = array.as_string::<i32>().iter().map(|text| text.map(|text| regex.is_match(text)));
            Ok(Arc::new(matches.collect::<BooleanArray>()))
        }),
        Node::Binary(operator @ (Operator::And | Operator::Or), left, right) => {
            let left = evaluate(left, arrays, rows)?.into_booleans(rows);
            let right = evaluate(right, arrays, rows)?.into_booleans(rows);
            let kernel = if *operator == Operator::And { and_kleene } else { or_kleene };
            Ok(Value::Array(Arc::new(kernel(&left, &right)?)))
        }
        Node::Binary(operator, left, right) => {
            let (left, right) = align(*operator, evaluate(left, arrays, rows)?, evaluate(right, arrays, rows)?)?;
            let result = binary(*operator, &left, &right)?;
            Ok(Value::of_both(&left, &right, result))
        }
        Node::Call(function, arguments) => call(*function, arguments, arrays, rows),
    }
}

/// Both sides in one type.
fn align(operator: Operator, left: Value, right: Value) -> Result<(Value, Value), ArrowError> {
    let (left_kind, right_kind) = (left.data_type(), right.data_type());
    let common = if operator == Operator::Divide || left_kind.is_floating() || right_kind.is_floating() {
        DataType::Float64
    } else if left_kind == DataType::Null {
        right_kind
    } else if right_kind == DataType::Null || left_kind == right_kind && !matches!(operator, Operator::Multiply) {
        left_kind
    } else if left_kind == DataType::Int64 && right_kind == DataType::Int64 {
        DataType::Int64
    } else if operator == Operator::Multiply {
        // The product's scale is the sum of the two, which must stay within a Decimal256.
        return Ok((decimal_operand(left, &left_kind)?, decimal_operand(right, &right_kind)?));
    } else {
        DataType::Decimal256(76, scale(&left_kind).max(scale(&right_kind)))
    };
    Ok((left.cast(&common)?, right.cast(&common)?))
}

fn decimal_operand(value: Value, kind: &DataType) -> Result<Value, ArrowError> {
    value.cast(&DataType::Decimal256(38, scale(kind)))
}

fn scale(kind: &DataType) -> i8 {
    match kind {
        DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) => *scale,
        _ => 0,
    }
}

fn binary(operator: Operator, left: &Value, right: &Value) -> Result<ArrayRef, ArrowError> {
    if left.data_type() == DataType::Float64 {
        match operator {
            Operator::Divide => refuse_zero_divisor(left, right)?,
            Operator::Add | Operator::Subtract | Operator::Multiply => {}
            _ => return Ok(Arc::new(compare_floats(operator, left, right))),
        }
    }
    Ok(match operator {
        Operator::Add => numeric::add(left, right)?,
        Operator::Subtract => numeric::sub(left, right)?,
        Operator::Multiply => numeric::mul(left, right)?,
        Operator::Divide => numeric::div(left, right)?,
        Operator::Equal => Arc::new(cmp::eq(left, right)?),
        Operator::NotEqual => Arc::new(cmp::neq(left, right)?),
        Operator::Less => Arc::new(cmp::lt(left, right)?),
        Operator::LessOrEqual => Arc::new(cmp::lt_eq(left, right)?),
        Operator::Greater => Arc::new(cmp::gt(left, right)?),
        Operator::GreaterOrEqual => Arc::new(cmp::gt_eq(left, right)?),
        Operator::And | Operator::Or => return Err(ArrowError::ComputeError("not an operator on values".into())),
    })
}

fn floats(value: &Value) -> (&Float64Array, bool) {
    let (array, is_scalar) = value.get();
    (array.as_primitive::<Float64Type>(), is_scalar)
}

/// Arrow orders NaN above every number; SQL, like IEEE 754, has every comparison with it false (and `!=` true).
fn compare_floats(operator: Operator, left: &Value, right: &Value) -> BooleanArray {
    let ((left, left_scalar), (right, right_scalar)) = (floats(left), floats(right));
    let rows = if left_scalar { right.len() } else { left.len() };
    let at = |array: &Float64Array, scalar: bool, row: usize| {
        let row = if scalar { 0 } else { row };
        array.is_valid(row).then(|| array.value(row))
    };
    let compare = |left: f64, right: f64| match operator {
        Operator::Equal => left == right,
        Operator::NotEqual => left != right,
        Operator::Less => left < right,
        Operator::LessOrEqual => left <= right,
        Operator::Greater => left > right,
        _ => left >= right,
    };
    (0..rows).map(|row| Some(compare(at(left, left_scalar, row)?, at(right, right_scalar, row)?))).collect()
}

fn refuse_zero_divisor(left: &Value, right: &Value) -> Result<(), ArrowError> {
    let ((left, left_scalar), (right, right_scalar)) = (floats(left), floats(right));
    let rows = if left_scalar { right.len() } else { left.len() };
    let valid = |array: &Float64Array, scalar: bool, row: usize| array.is_valid(if scalar { 0 } else { row });
    let zero = |row: usize| right.value(if right_scalar { 0 } else { row }) == 0.0;
    if (0..rows).any(|row| valid(left, left_scalar, row) && valid(right, right_scalar, row) && zero(row)) {
        return Err(ArrowError::DivideByZero);
    }
    Ok(())
}

fn call(function: Function, arguments: &[Node], arrays: &[ArrayRef], rows: usize) -> Result<Value, ArrowError> {
    let mut values =
        arguments.iter().map(|argument| evaluate(argument, arrays, rows)).collect::<Result<Vec<_>, _>>()?;
    let right = if values.len() > 1 { values.pop() } else { None };
    let Some(left) = values.pop() else {
        return Err(ArrowError::ComputeError("a function without arguments".into()));
    };
    if let Some(right) = right {
        let result: ArrayRef = Arc::new(match function {
            Function::StartsWith => comparison::starts_with(&left, &right)?,
            Function::EndsWith => comparison::ends_with(&left, &right)?,
            _ => comparison::like(&left, &right)?,
        });
        return Ok(Value::of_both(&left, &right, result));
    }
    left.map(|array| match function {
        Function::Abs => absolute(array),
        Function::Length => {
            let lengths = array.as_string::<i32>().iter().map(|text| text.map(|text| text.chars().count() as i64));
            Ok(Arc::new(lengths.collect::<Int64Array>()))
        }
        Function::Lower => Ok(map_text(array, str::to_lowercase)),
        Function::Upper => Ok(map_text(array, str::to_uppercase)),
        _ => Ok(map_text(array, |text| text.trim().to_owned())),
    })
}

fn map_text(array: &ArrayRef, function: impl Fn(&str) -> String) -> ArrayRef {
    Arc::new(array.as_string::<i32>().iter().map(|text| text.map(&function)).collect::<StringArray>())
}

fn absolute(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let overflow = || ArrowError::ArithmeticOverflow("ABS".into());
    Ok(match array.data_type() {
        DataType::Int64 => Arc::new(
            array.as_primitive::<Int64Type>().try_unary::<_, Int64Type, _>(|v| v.checked_abs().ok_or_else(overflow))?,
        ),
        DataType::Decimal128(precision, scale) => Arc::new(
            array
                .as_primitive::<Decimal128Type>()
                .unary::<_, Decimal128Type>(i128::abs)
                .with_precision_and_scale(*precision, *scale)?,
        ),
        DataType::Decimal256(precision, scale) => Arc::new(
            array
                .as_primitive::<Decimal256Type>()
                .unary::<_, Decimal256Type>(arrow::datatypes::i256::wrapping_abs)
                .with_precision_and_scale(*precision, *scale)?,
        ),
        _ => Arc::new(array.as_primitive::<Float64Type>().unary::<_, Float64Type>(f64::abs)),
    })
}
