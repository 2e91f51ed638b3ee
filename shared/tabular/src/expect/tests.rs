//! Expectations, from text to verdict.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Date32Array, Decimal128Array, Float64Array, Int64Array, StringArray};
use proptest::prelude::*;

use super::*;

fn columns() -> Vec<Column> {
    [
        ("id", "INT64"),
        ("amount", "NUMERIC(12, 2)"),
        ("lat", "FLOAT64"),
        ("name", "STRING"),
        ("day", "DATE"),
        ("doc", "JSON"),
    ]
    .into_iter()
    .map(|(name, kind)| Column { name: name.into(), kind: kind.parse().unwrap(), required: false, description: None })
    .collect()
}

fn arrays() -> Vec<ArrayRef> {
    let amount = Decimal128Array::from(vec![Some(1000), Some(-5), None]).with_precision_and_scale(12, 2).unwrap();
    vec![
        Arc::new(Int64Array::from(vec![Some(1), Some(i64::MAX), None])),
        Arc::new(amount),
        Arc::new(Float64Array::from(vec![Some(0.5), Some(f64::NAN), None])),
        Arc::new(StringArray::from(vec![Some("Ana"), Some("zoë%"), None])),
        Arc::new(Date32Array::from(vec![Some(19_724), Some(0), None])),
        Arc::new(StringArray::from(vec![Some("{}"), None, None])),
    ]
}

/// What an expectation says of the three rows: `t`, `f`, `n` for NULL, `e` for an error.
fn verdicts(text: &str) -> String {
    let compiled = parse(text).and_then(|expectation| expectation.compile(&columns()));
    let Compiled::Row(row) = compiled.unwrap_or_else(|error| panic!("{text}: {error}")) else {
        panic!("{text} is no row rule")
    };
    let verdict = row.evaluate(&arrays(), 3);
    (0..3)
        .map(|row| match verdict.errors.contains(&row) {
            true => 'e',
            false if verdict.holds.is_null(row) => 'n',
            false => {
                if verdict.holds.value(row) {
                    't'
                } else {
                    'f'
                }
            }
        })
        .collect()
}

#[test]
fn conditions_hold_fail_or_are_null_as_in_sql() {
    for (text, expected) in [
        ("amount >= 0", "tfn"),
        ("amount >= -0.05", "ttn"),
        ("amount > -0.055", "ttn"),
        ("0 <= amount", "tfn"),
        ("amount = 10.00", "tfn"),
        ("amount < 1e3", "ttn"),
        ("amount < 99999999999999999999999999", "ttn"),
        ("amount < id", "ftn"),
        ("id BETWEEN 1 AND 5", "tfn"),
        ("id NOT BETWEEN 1 AND 5", "ftn"),
        ("id IN (3, 2, 1)", "tfn"),
        ("id NOT IN (3, 2)", "ttn"),
        ("id + 1 > 0", "ten"),
        ("-id < 0", "ttn"),
        ("abs(amount) * 2 = 20", "tfn"),
        ("amount + id >= 0", "ttn"),
        ("1 / (id - 1) > 0", "etn"),
        ("id / 2 = 0.5", "tfn"),
        ("lat >= 0", "tfn"),
        ("lat != 0", "ttn"),
        ("name IS NOT NULL", "ttf"),
        ("name IS NULL OR LENGTH(name) = 3", "tft"),
        ("LENGTH(name) = 4", "ftn"),
        ("name LIKE 'A%'", "tfn"),
        ("name LIKE '%\\%'", "ftn"),
        ("name NOT LIKE '_n_'", "ftn"),
        ("UPPER(name) = 'ANA' AND id = 1", "tfn"),
        ("STARTS_WITH(name, 'zo')", "ftn"),
        ("ENDS_WITH(LOWER(name), 'na')", "tfn"),
        ("REGEXP_CONTAINS(name, r'^\\w+$')", "tfn"),
        ("TRIM(name) = name", "ttn"),
        ("day >= DATE '2020-01-01'", "tfn"),
        ("day = '1970-01-01'", "ftn"),
        ("NOT (id = 1 OR name = 'x')", "ftn"),
        ("id = 1 OR TRUE", "ttt"),
        ("id = NULL", "nnn"),
        ("doc IS NULL", "ftt"),
        ("`name` = \"Ana\" -- not".trim_end_matches(" -- not"), "tfn"),
        ("id = 1 AND amount > 0 OR lat > 7", "tfn"),
        ("2 + 3 * 2 - id = 7", "tfn"),
    ] {
        assert_eq!(verdicts(text), expected, "{text}");
    }
}

#[test]
fn mistakes_are_named_with_their_place_and_the_nearest_right_name() {
    for (text, offset, message) in [
        ("amonut >= 0", 0, "did you mean \"amount\"?"),
        ("id >", 4, "found the end"),
        ("id", 0, "a condition, not a value of type INT64"),
        ("id = 'x'", 3, "INT64 cannot be compared with STRING"),
        ("name + 1 = 2", 5, "expected a number, found STRING"),
        ("day > 'soon'", 6, "\"soon\" is not a DATE"),
        ("LENGHT(name) > 1", 0, "did you mean LENGTH?"),
        ("LENGTH(id) > 1", 0, "expected a STRING, found INT64"),
        ("id = 1 AND unique(id)", 11, "stands alone"),
        ("unique(nope)", 7, "there is no column \"nope\""),
        ("unique(doc)", 7, "cannot be compared"),
        ("doc = 'x'", 0, "only be tested with IS NULL"),
        ("1 = 1", 0, "names a column"),
        ("id = 1)", 6, "expected the end"),
        ("name = 'x", 7, "not closed"),
        ("REGEXP_CONTAINS(name, '(')", 22, "the pattern is wrong"),
        ("id ; 1", 3, "no meaning here"),
    ] {
        let error = parse(text).and_then(|expectation| expectation.check(&columns())).unwrap_err();
        assert_eq!(error.offset, offset, "{text}: {error}");
        assert!(error.message.contains(message), "{text}: {error}");
    }
}

#[test]
fn nesting_and_long_chains_are_bounded() {
    assert!(parse(&format!("{}id = 1{}", "(".repeat(2000), ")".repeat(2000))).unwrap_err().message.contains("deep"));
    assert!(parse(&"NOT ".repeat(2000)).unwrap_err().message.contains("deep"));
    assert!(parse(&vec!["id = 1"; 1000].join(" OR ")).unwrap_err().message.contains("too many"));
    let long = format!("id IN ({})", (0..2000).map(|n| n.to_string()).collect::<Vec<_>>().join(","));
    assert_eq!(verdicts(&long), "tfn");
}

proptest! {
    #[test]
    fn any_text_is_parsed_or_refused_without_a_panic(text in "\\PC{0,60}|[a-z0-9_'\"`().,=<>+*/ -]{0,60}") {
        let _ = parse(&text).and_then(|expectation| expectation.check(&columns()));
    }
}
