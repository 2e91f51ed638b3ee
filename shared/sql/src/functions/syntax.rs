//! Syntax that marking makes calls of: casts, division, the clauses of aggregates, positions of arrays.

use super::{Family, Rule};
use Rule::Template;

pub(super) const SYNTAX: Family = &[
    // BigQuery rounds a FLOAT64 half away from zero, DuckDB half to even.
    (
        "CAST_INT64",
        Template(&[(
            1,
            "CASE WHEN typeof({0}) = 'DOUBLE' THEN CAST(round(TRY_CAST({0} AS DOUBLE)) AS BIGINT) ELSE CAST({0} AS BIGINT) END",
        )]),
    ),
    (
        "SAFE_CAST_INT64",
        Template(&[(
            1,
            "CASE WHEN typeof({0}) = 'DOUBLE' THEN TRY_CAST(round(TRY_CAST({0} AS DOUBLE)) AS BIGINT) ELSE TRY_CAST({0} AS BIGINT) END",
        )]),
    ),
    // BigQuery writes a number without the zeros that end it.
    (
        "CAST_STRING",
        Template(&[(
            1,
            "CASE WHEN regexp_matches(typeof({0}), '^(DECIMAL|DOUBLE)') THEN regexp_replace(CAST({0} AS VARCHAR), '(\\.[0-9]*[1-9])0+$|\\.0+$', '\\1') ELSE CAST({0} AS VARCHAR) END",
        )]),
    ),
    (
        "SAFE_CAST_STRING",
        Template(&[(
            1,
            "CASE WHEN regexp_matches(typeof({0}), '^(DECIMAL|DOUBLE)') THEN regexp_replace(CAST({0} AS VARCHAR), '(\\.[0-9]*[1-9])0+$|\\.0+$', '\\1') ELSE TRY_CAST({0} AS VARCHAR) END",
        )]),
    ),
    ("CAST_TIMESTAMP", Template(&[(1, "CAST({0} AS TIMESTAMPTZ)")])),
    ("SAFE_CAST_TIMESTAMP", Template(&[(1, "TRY_CAST({0} AS TIMESTAMPTZ)")])),
    ("ELEMENT", Template(&[(1, "unnest({0})")])),
    ("POSITION", Template(&[(1, "(generate_subscripts({0}, 1) - 1)")])),
    ("AGGREGATE_LIMIT", Rule::Built(|arguments| Ok(format!("LIMIT {}", arguments.join(""))))),
    ("AGGREGATE_IGNORE_NULLS", Rule::Built(|_| Ok("IGNORE NULLS".into()))),
    ("ORDER_ASC", Rule::Built(|key| Ok(format!("ORDER BY {} ASC NULLS FIRST", key.join(""))))),
    ("ORDER_ASC_FIRST", Rule::Built(|key| Ok(format!("ORDER BY {} ASC NULLS FIRST", key.join(""))))),
    ("ORDER_ASC_LAST", Rule::Built(|key| Ok(format!("ORDER BY {} ASC NULLS LAST", key.join(""))))),
    ("ORDER_DESC", Rule::Built(|key| Ok(format!("ORDER BY {} DESC NULLS LAST", key.join(""))))),
    ("ORDER_DESC_FIRST", Rule::Built(|key| Ok(format!("ORDER BY {} DESC NULLS FIRST", key.join(""))))),
    ("ORDER_DESC_LAST", Rule::Built(|key| Ok(format!("ORDER BY {} DESC NULLS LAST", key.join(""))))),
    (
        "DIVIDE",
        Template(&[(2, "({0} / CASE WHEN {1} = 0 THEN error('division by zero: use SAFE_DIVIDE') ELSE {1} END)")]),
    ),
];
