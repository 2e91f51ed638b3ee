//! Values that the warehouse cannot hold: told with their row, and the others come.

use millstream_ports::{CellFault, CellFaultKind};

use crate::support::Database;

async fn check(of: &str, cases: &[(&str, CellFaultKind, &str)], good: &str) {
    let database = Database::new().await;
    database.run(&format!("CREATE TABLE t (id integer PRIMARY KEY, v {of})")).await;
    database.run(&format!("INSERT INTO t VALUES (0, {good})")).await;
    for (id, (value, ..)) in cases.iter().enumerate() {
        database.run(&format!("INSERT INTO t VALUES ({}, {value})", id + 1)).await;
    }
    let extracted = database.table("public.t").await;
    let expected: Vec<_> = cases
        .iter()
        .enumerate()
        .map(|(at, (_, kind, value))| CellFault { row: at + 1, column: 1, kind: *kind, value: (*value).to_owned() })
        .collect();
    assert_eq!(extracted.faults, expected, "{of}");
    assert!(extracted.rows.column(1).is_valid(0));
    assert!(
        !of.ends_with(']')
            || cases.iter().any(|case| case.1 != CellFaultKind::Array)
            || extracted.rows.column(1).is_null(1)
    );
}

#[tokio::test]
async fn dates_before_the_year_1_after_9999_or_endless() {
    use CellFaultKind::DateRange;
    check(
        "date",
        &[
            ("'infinity'", DateRange, "infinity"),
            ("'-infinity'", DateRange, "-infinity"),
            ("'10000-01-01'", DateRange, "10000-01-01"),
            ("'0044-03-15 BC'", DateRange, "0044-03-15 BC"),
            ("'5874897-12-31'", DateRange, "5874897-12-31"),
        ],
        "'9999-12-31'",
    )
    .await;
    check(
        "timestamp",
        &[
            ("'infinity'", DateRange, "infinity"),
            ("'294276-12-31 23:59:59.999999'", DateRange, "294276-12-31 23:59:59.999999"),
            ("'0001-12-31 23:59:59 BC'", DateRange, "0001-12-31 23:59:59 BC"),
        ],
        "'0001-01-01'",
    )
    .await;
    check(
        "timestamptz",
        &[
            ("'-infinity'", DateRange, "-infinity"),
            ("'9999-12-31 23:59:59.5-01'", DateRange, "10000-01-01 00:59:59.5+00"),
            ("'4713-01-01 00:00:00+00 BC'", DateRange, "4713-01-01 00:00:00+00 BC"),
        ],
        "now()",
    )
    .await;
    check("time", &[("'24:00:00'", DateRange, "24:00:00")], "'00:00:00'").await;
}

#[tokio::test]
async fn decimals_that_are_none_or_too_large_or_too_fine() {
    use CellFaultKind::{DecimalRange, NotFinite};
    let long = format!("1{}", "0".repeat(90));
    check(
        "numeric",
        &[
            ("'NaN'", NotFinite, "NaN"),
            ("'Infinity'", NotFinite, "Infinity"),
            ("'-Infinity'", NotFinite, "-Infinity"),
            ("1e38", DecimalRange, "100000000000000000000000000000000000000"),
            ("1e90", DecimalRange, &long),
            ("-1.5e-39", DecimalRange, "-0.0000000000000000000000000000000000000015"),
            (
                "-123456789012345678901234567890123456789012.5",
                DecimalRange,
                "-123456789012345678901234567890123456789012.5",
            ),
        ],
        "-99999999999999999999999999999999999999.99999999999999999999999999999999999999",
    )
    .await;
    check("numeric(10,2)", &[("'NaN'", NotFinite, "NaN")], "99999999.99").await;
    check(
        "numeric(60,10)",
        &[(
            "12345678901234567890123456789012345678901234567890.1234567891",
            DecimalRange,
            "12345678901234567890123456789012345678901234567890.1234567891",
        )],
        "0.0000000001",
    )
    .await;
}

#[tokio::test]
async fn arrays_with_null_or_of_several_dimensions() {
    use CellFaultKind::{Array, DateRange};
    check(
        "integer[]",
        &[
            ("'{1,NULL,3}'", Array, "an array of 3 items, some of them NULL"),
            ("'{{1,2},{3,4}}'", Array, "an array of 2 dimensions"),
        ],
        "'[5:6]={1,2}'",
    )
    .await;
    check("date[]", &[("'{2026-01-01,infinity}'", DateRange, "infinity")], "'{}'").await;
}

#[tokio::test]
async fn documents_that_are_nested_too_deep() {
    let deep = format!("'{}1{}'", "[".repeat(501), "]".repeat(501));
    let shown = "[".repeat(200);
    check("json", &[(&deep, CellFaultKind::Json, &shown)], "'[1]'").await;
    check("jsonb", &[(&deep, CellFaultKind::Json, &shown)], "'[1]'").await;
}

#[tokio::test]
async fn texts_that_are_no_text_in_a_database_that_does_not_care() {
    let database = Database::new().await;
    let name = format!("{}_ascii", database.name);
    database
        .server
        .execute("postgres", &format!("CREATE DATABASE {name} ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0"));
    database
        .server
        .execute(&name, "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, E'\\xff\\x61')");
    let source = crate::support::source(&database.server, &database.server.url(&name)).await;
    let extracted = Database { name, source, ..database }.table("public.t").await;
    assert_eq!(extracted.faults.len(), 1);
    assert_eq!(extracted.faults[0].kind, CellFaultKind::Text);
    assert_eq!(extracted.faults[0].value, "\u{fffd}a");
}
