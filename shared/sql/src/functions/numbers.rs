//! Numbers and conditionals.

use super::{Family, Rule};
use Rule::{Built, Refused, Renamed, Same, Template};

pub(super) const FUNCTIONS: Family = &[
    ("ABS", Renamed("abs")),
    ("ACOS", Renamed("acos")),
    ("ACOSH", Renamed("acosh")),
    ("ASIN", Renamed("asin")),
    ("ASINH", Renamed("asinh")),
    ("ATAN", Renamed("atan")),
    ("ATAN2", Renamed("atan2")),
    ("ATANH", Renamed("atanh")),
    ("BIT_COUNT", Renamed("bit_count")),
    ("CBRT", Renamed("cbrt")),
    ("CEIL", Renamed("ceil")),
    ("CEILING", Renamed("ceil")),
    ("COALESCE", Renamed("coalesce")),
    ("COS", Renamed("cos")),
    ("COSH", Renamed("cosh")),
    // DuckDB answers NULL to a division by zero, where BigQuery stops.
    ("DIV", Template(&[(2, "({0} // CASE WHEN {1} = 0 THEN error('division by zero') ELSE {1} END)")])),
    ("EXP", Renamed("exp")),
    ("FLOOR", Renamed("floor")),
    ("GENERATE_UUID", Template(&[(0, "CAST(uuid() AS VARCHAR)")])),
    ("GREATEST", Built(|arguments| Ok(null_if_any_is("greatest", arguments)))),
    ("IEEE_DIVIDE", Template(&[(2, "(CAST({0} AS DOUBLE) / CAST({1} AS DOUBLE))")])),
    ("IF", Template(&[(3, "CASE WHEN {0} THEN {1} ELSE {2} END")])),
    ("IFNULL", Template(&[(2, "coalesce({0}, {1})")])),
    ("IS_INF", Template(&[(1, "isinf(CAST({0} AS DOUBLE))")])),
    ("IS_NAN", Template(&[(1, "isnan(CAST({0} AS DOUBLE))")])),
    ("LEAST", Built(|arguments| Ok(null_if_any_is("least", arguments)))),
    ("LN", Renamed("ln")),
    // BigQuery's base is the second argument and e without one; DuckDB's is the first and 10.
    ("LOG", Template(&[(1, "ln({0})"), (2, "(ln({0}) / ln({1}))")])),
    ("LOG10", Renamed("log10")),
    ("MOD", Template(&[(2, "({0} % CASE WHEN {1} = 0 THEN error('division by zero') ELSE {1} END)")])),
    ("NULLIF", Renamed("nullif")),
    ("NULLIFZERO", Template(&[(1, "nullif({0}, 0)")])),
    ("POW", Renamed("pow")),
    ("POWER", Renamed("pow")),
    ("RAND", Template(&[(0, "random()")])),
    ("RANGE_BUCKET", Template(&[(2, "len(list_filter({1}, lambda boundary: boundary <= {0}))")])),
    ("ROUND", Built(round)),
    ("SAFE_ADD", Template(&[(2, "TRY({0} + {1})")])),
    ("SAFE_DIVIDE", Template(&[(2, "CASE WHEN {1} = 0 THEN NULL ELSE {0} / {1} END")])),
    ("SAFE_MULTIPLY", Template(&[(2, "TRY({0} * {1})")])),
    ("SAFE_NEGATE", Template(&[(1, "TRY(-{0})")])),
    ("SAFE_SUBTRACT", Template(&[(2, "TRY({0} - {1})")])),
    ("SESSION_USER", Refused("a table must not depend on who runs the pipeline")),
    ("SIGN", Renamed("sign")),
    ("SIN", Renamed("sin")),
    ("SINH", Renamed("sinh")),
    ("SQRT", Renamed("sqrt")),
    ("TAN", Renamed("tan")),
    ("TANH", Renamed("tanh")),
    ("TRUNC", Template(&[(1, "trunc({0})"), (2, "(trunc({0} * power(10, {1})) / power(10, {1}))")])),
    ("ZEROIFNULL", Template(&[(1, "coalesce({0}, 0)")])),
    // Type parameters and array positions look like calls.
    ("ORDINAL", Same),
    ("OFFSET", Same),
    ("SAFE_OFFSET", Same),
    ("SAFE_ORDINAL", Same),
];

/// BigQuery's `GREATEST` and `LEAST` are NULL when any argument is; DuckDB's pass NULLs over.
fn null_if_any_is(function: &str, arguments: &[&str]) -> String {
    let nulls: Vec<String> = arguments.iter().map(|argument| format!("({argument}) IS NULL")).collect();
    format!("CASE WHEN {} THEN NULL ELSE {function}({}) END", nulls.join(" OR "), arguments.join(", "))
}

fn round(arguments: &[&str]) -> Result<String, String> {
    match arguments {
        [value] => Ok(format!("round({value})")),
        [value, digits] | [value, digits, "'ROUND_HALF_AWAY_FROM_ZERO'"] => Ok(format!("round({value}, {digits})")),
        [value, digits, "'ROUND_HALF_EVEN'"] => Ok(format!("round_even({value}, {digits})")),
        _ => Err("takes a value, digits and a rounding mode".into()),
    }
}
