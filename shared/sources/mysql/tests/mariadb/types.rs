//! Every type: what it becomes, its ordinary values, NULL, its extremes, and what does not fit.

use millstream_events::extract::Selection;
use millstream_ports::{CellFaultKind, Source};

use crate::support::{Database, batch, everything, faults, shown, table};

/// The type of a column, what it becomes, and values as SQL writes them with what is read of each.
struct Case {
    sql: &'static str,
    becomes: &'static str,
    values: &'static [(&'static str, &'static str)],
}

const fn case(sql: &'static str, becomes: &'static str, values: &'static [(&'static str, &'static str)]) -> Case {
    Case { sql, becomes, values }
}

/// What fits. NULL is read of every column besides.
const CASES: &[Case] = &[
    case("tinyint", "INT64", &[("-128", "-128"), ("127", "127")]),
    case("tinyint unsigned", "INT64", &[("0", "0"), ("255", "255")]),
    case("tinyint(1)", "BOOL", &[("0", "false"), ("1", "true")]),
    case("smallint", "INT64", &[("-32768", "-32768"), ("32767", "32767")]),
    case("smallint unsigned", "INT64", &[("65535", "65535")]),
    case("mediumint", "INT64", &[("-8388608", "-8388608"), ("8388607", "8388607")]),
    case("mediumint unsigned", "INT64", &[("16777215", "16777215")]),
    case("int", "INT64", &[("-2147483648", "-2147483648"), ("2147483647", "2147483647")]),
    case("int(8) unsigned zerofill", "INT64", &[("42", "42"), ("4294967295", "4294967295")]),
    case(
        "bigint",
        "INT64",
        &[("-9223372036854775808", "-9223372036854775808"), ("9223372036854775807", "9223372036854775807")],
    ),
    case("bigint unsigned", "NUMERIC(20, 0)", &[("0", "0"), ("18446744073709551615", "18446744073709551615")]),
    case("bit(1)", "BOOL", &[("b'0'", "false"), ("b'1'", "true")]),
    case("bit(12)", "INT64", &[("b'100000000001'", "2049")]),
    case("bit(63)", "INT64", &[("9223372036854775807", "9223372036854775807")]),
    case("bit(64)", "NUMERIC(20, 0)", &[("18446744073709551615", "18446744073709551615")]),
    case("decimal(10,2)", "NUMERIC(10, 2)", &[("-99999999.99", "-99999999.99"), ("0.01", "0.01")]),
    case(
        "decimal(38,9)",
        "NUMERIC",
        &[("12345678901234567890123456789.123456789", "12345678901234567890123456789.123456789")],
    ),
    case("decimal(20,10) unsigned", "BIGNUMERIC(20, 10)", &[("1234567890.0123456789", "1234567890.0123456789")]),
    case(
        "decimal(65,30)",
        "BIGNUMERIC(65, 30)",
        &[(
            "-12345678901234567890123456789012345.000000000000000000000000000001",
            "-12345678901234567890123456789012345.000000000000000000000000000001",
        )],
    ),
    case(
        "decimal(65,0)",
        "BIGNUMERIC(38, 0)",
        &[("-99999999999999999999999999999999999999", "-99999999999999999999999999999999999999")],
    ),
    case(
        "float",
        "FLOAT64",
        &[("0.5", "0.5"), ("0.1", "0.10000000149011612"), ("-3.4028234e38", "-3.4028234663852886e38")],
    ),
    case(
        "double",
        "FLOAT64",
        &[("0.1", "0.1"), ("1.7976931348623157e308", "1.7976931348623157e308"), ("-5e-324", "-5e-324"), ("3", "3.0")],
    ),
    case(
        "date",
        "DATE",
        &[("'2024-02-29'", "2024-02-29"), ("'0001-01-01'", "0001-01-01"), ("'9999-12-31'", "9999-12-31")],
    ),
    case("datetime", "DATETIME", &[("'2024-02-29 23:59:59'", "2024-02-29T23:59:59")]),
    case(
        "datetime(6)",
        "DATETIME",
        &[
            ("'0001-01-01 00:00:00.000001'", "0001-01-01T00:00:00.000001"),
            ("'9999-12-31 23:59:59.999999'", "9999-12-31T23:59:59.999999"),
            ("'2024-02-29'", "2024-02-29T00:00:00"),
        ],
    ),
    // Written by a session two hours ahead.
    case(
        "timestamp NULL",
        "TIMESTAMP",
        &[("'2024-07-01 12:00:00'", "2024-07-01T10:00:00Z"), ("'1970-01-01 02:00:01'", "1970-01-01T00:00:01Z")],
    ),
    case(
        "timestamp(6) NULL",
        "TIMESTAMP",
        &[
            ("'2024-02-29 01:00:00.123456'", "2024-02-28T23:00:00.123456Z"),
            ("'2038-01-19 05:14:07.999999'", "2038-01-19T03:14:07.999999Z"),
        ],
    ),
    case("time", "TIME", &[("'00:00:00'", "00:00:00"), ("'23:59:59'", "23:59:59")]),
    case("time(6)", "TIME", &[("'12:34:56.789012'", "12:34:56.789012"), ("'23:59:59.999999'", "23:59:59.999999")]),
    case("year", "INT64", &[("2024", "2024"), ("0", "0"), ("1901", "1901"), ("2155", "2155")]),
    case("char(10)", "STRING", &[("'a '", "a"), ("''", "")]),
    case("varchar(50)", "STRING", &[("'it''s \\\\ \"ä\" 😀 '", "it's \\ \"ä\" 😀 "), ("'NULL'", "NULL")]),
    case("varchar(50) CHARACTER SET latin1", "STRING", &[("'Bücher für 5 €'", "Bücher für 5 €")]),
    case("text CHARACTER SET cp1251", "STRING", &[("'Привет'", "Привет")]),
    case("tinytext", "STRING", &[("'a\\nb'", "a\nb")]),
    case("mediumtext CHARACTER SET ucs2", "STRING", &[("'日本'", "日本")]),
    case(
        "longtext",
        "STRING",
        &[(
            "repeat('x', 300)",
            concat!(
                "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
                "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
                "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
            ),
        )],
    ),
    case("binary(4)", "BYTES", &[("'ab'", "61620000"), ("x'00ff00ff'", "00ff00ff")]),
    case("varbinary(10)", "BYTES", &[("x'00'", "00"), ("''", "")]),
    case("tinyblob", "BYTES", &[("x'ff'", "ff")]),
    case("blob", "BYTES", &[("x'fffe'", "fffe")]),
    case("mediumblob", "BYTES", &[("x'00'", "00")]),
    case("longblob", "BYTES", &[("x'0a0d'", "0a0d")]),
    case("enum('small','it''s large')", "STRING", &[("'small'", "small"), ("2", "it's large")]),
    case("set('a','b','c')", "STRING", &[("'c,a'", "a,c"), ("''", "")]),
    case(
        "json",
        "JSON",
        &[("'{\"a\": [1, 2.50, \"ä\"], \"b\": null}'", "{\"a\": [1, 2.50, \"ä\"], \"b\": null}"), ("'0'", "0")],
    ),
    case("uuid", "STRING", &[("'123E4567-E89B-12D3-A456-426655440000'", "123e4567-e89b-12d3-a456-426655440000")]),
    case("inet4", "STRING", &[("'127.0.0.1'", "127.0.0.1")]),
    case("inet6", "STRING", &[("'2001:db8::ff00:42:8329'", "2001:db8::ff00:42:8329")]),
    case("point", "STRING", &[("ST_GeomFromText('POINT(13.4 52.5)', 4326)", "POINT(13.4 52.5)")]),
    case("polygon", "STRING", &[("ST_GeomFromText('POLYGON((0 0,1.5 0,1 1,0 0))')", "POLYGON((0 0,1.5 0,1 1,0 0))")]),
    case("geometry", "STRING", &[("ST_GeomFromText('LINESTRING(0 0,1 1)')", "LINESTRING(0 0,1 1)")]),
];

/// What does not fit, and why.
const FAULTS: &[(&str, &str, CellFaultKind, &str)] = &[
    ("tinyint(1)", "2", CellFaultKind::Type, "2"),
    ("tinyint(1)", "-1", CellFaultKind::Type, "-1"),
    (
        "decimal(65,0)",
        "100000000000000000000000000000000000000",
        CellFaultKind::DecimalRange,
        "100000000000000000000000000000000000000",
    ),
    ("date", "'0000-00-00'", CellFaultKind::DateRange, "0000-00-00"),
    ("date", "'2020-00-00'", CellFaultKind::DateRange, "2020-00-00"),
    ("date", "'2020-02-31'", CellFaultKind::DateRange, "2020-02-31"),
    ("datetime", "'0000-00-00 00:00:00'", CellFaultKind::DateRange, "0000-00-00 00:00:00.000000"),
    ("datetime(6)", "'2020-00-01 01:02:03.4'", CellFaultKind::DateRange, "2020-00-01 01:02:03.400000"),
    ("timestamp NULL", "'0000-00-00 00:00:00'", CellFaultKind::DateRange, "0000-00-00 00:00:00.000000"),
    ("time", "'24:00:00'", CellFaultKind::DateRange, "24:00:00.000000"),
    ("time(6)", "'-00:00:00.000001'", CellFaultKind::DateRange, "-00:00:00.000001"),
    ("time", "'838:59:59'", CellFaultKind::DateRange, "838:59:59.000000"),
    ("varchar(5)", "'a\\0b'", CellFaultKind::Text, "a\0b"),
    ("json CHECK (true)", "repeat('[', 2) ", CellFaultKind::Json, "[["),
];

#[tokio::test]
async fn every_type_is_read_exactly() {
    let mut database = Database::new("types_read").await;
    let source = database.source().await;
    for (number, Case { sql, becomes, values }) in CASES.iter().enumerate() {
        let create = format!("CREATE TABLE t{number} (id int PRIMARY KEY AUTO_INCREMENT, v {sql})");
        database.run(&[&create, &format!("INSERT INTO t{number} (v) VALUES (NULL)")]).await;
        for (value, _) in *values {
            database.run(&[&format!("INSERT INTO t{number} (v) VALUES ({value})")]).await;
        }
        let name = format!("t{number}");
        let shape = source.describe(&Selection::Table(name.clone())).await.unwrap();
        assert_eq!(shape.columns[1].kind.as_ref().map(ToString::to_string), Ok((*becomes).to_owned()), "{sql}");
        assert!(!shape.columns[1].required, "{sql}");
        let read = batch(&source, &table(&name)).await;
        let expected: Vec<&str> = [&"NULL"].into_iter().chain(values.iter().map(|(_, read)| read)).copied().collect();
        assert_eq!(shown(&read.batch, "v"), expected, "{sql}");
        assert_eq!(read.faults, [], "{sql}");
        // The same of a query, whose columns tell less about themselves.
        let query = everything(Selection::Query(format!("SELECT v FROM t{number} ORDER BY id")));
        let shape = source.describe(&query.select).await.unwrap();
        assert_eq!(shape.columns[0].kind.as_ref().map(ToString::to_string), Ok((*becomes).to_owned()), "{sql}");
        let read = batch(&source, &query).await;
        assert_eq!(
            (shown(&read.batch, "v"), read.faults.len()),
            (expected.iter().map(ToString::to_string).collect(), 0),
            "{sql}"
        );
    }
}

#[tokio::test]
async fn what_does_not_fit_is_a_fault_of_its_cell() {
    let mut database = Database::new("types_faults").await;
    let source = database.source().await;
    for (number, (sql, value, kind, said)) in FAULTS.iter().enumerate() {
        let name = format!("t{number}");
        database
            .run(&[
                &format!(
                    "CREATE TABLE {name} (id int PRIMARY KEY, v {})",
                    sql.replace("json CHECK (true)", "longtext")
                ),
                &format!("INSERT INTO {name} VALUES (1, NULL), (2, {value}), (3, NULL)"),
            ])
            .await;
        if sql.starts_with("json") {
            database.run(&["SET check_constraint_checks = 0"]).await;
            database.run(&[&format!("ALTER TABLE {name} MODIFY v json"), "SET check_constraint_checks = 1"]).await;
        }
        let read = batch(&source, &table(&name)).await;
        assert_eq!(shown(&read.batch, "id"), ["1", "2", "3"], "{sql}");
        assert_eq!(shown(&read.batch, "v"), ["NULL", "NULL", "NULL"], "{sql} {value}");
        assert_eq!(faults(&read, "v"), [(1, *kind, (*said).to_owned())], "{sql} {value}");
    }
}

#[tokio::test]
async fn truth_values_stay_numbers_where_the_url_says_so() {
    let mut database = Database::new("types_tinyint1").await;
    database.run(&["CREATE TABLE t (v tinyint(1))", "INSERT INTO t VALUES (0), (1), (-5)"]).await;
    let source = database.source_with("&tinyint1=int64").await;
    let read = batch(&source, &table("t")).await;
    assert_eq!((shown(&read.batch, "v"), read.faults.len()), (["0", "1", "-5"].map(str::to_owned).to_vec(), 0));
}

#[tokio::test]
async fn a_table_is_described_with_its_key_its_comments_and_its_cursors() {
    let mut database = Database::new("types_shape").await;
    database
        .run(&[
            "CREATE TABLE t (
                b int NOT NULL COMMENT 'the ''second'' part', a varchar(5) NOT NULL, `odd ``name``` int,
                created_at datetime, updated_at datetime, stamp timestamp(3) NOT NULL DEFAULT now(3) ON UPDATE now(3),
                number bigint unsigned NOT NULL AUTO_INCREMENT UNIQUE, PRIMARY KEY (a, b))",
            "INSERT INTO t (a, b) VALUES ('x', 1), ('y', 2)",
            "CREATE VIEW v AS SELECT a, stamp FROM t",
            "CREATE TABLE `a.b` (id int)",
        ])
        .await;
    let source = database.source().await;
    let shape = source.describe(&Selection::Table("t".into())).await.unwrap();
    assert_eq!(shape.key, ["a", "b"]);
    assert_eq!(shape.cursors, ["stamp", "updated_at", "created_at", "number"]);
    assert_eq!(shape.columns[0].description.as_deref(), Some("the 'second' part"));
    assert_eq!(shape.columns[2].name, "odd `name`");
    assert_eq!(shape.columns[5].source_type, "timestamp(3)");
    assert_eq!(
        shape.columns.iter().map(|column| column.required).collect::<Vec<_>>(),
        [true, true, false, false, false, true, true]
    );
    let tables = source.tables().await.unwrap();
    let here: Vec<(&str, bool)> = tables
        .iter()
        .filter(|table| !table.name.starts_with(char::is_alphabetic) || !table.name.contains('.'))
        .map(|table| (table.name.as_str(), table.is_view))
        .collect();
    assert_eq!(here, [("`a.b`", false), ("t", false), ("v", true)]);
    assert_eq!(source.describe(&Selection::Table("`a.b`".into())).await.unwrap().columns.len(), 1);
    let view = batch(&source, &table("v")).await;
    assert_eq!(shown(&view.batch, "a"), ["x", "y"]);
    let odd = batch(&source, &table("types_shape.t")).await;
    assert_eq!(shown(&odd.batch, "odd `name`"), ["NULL", "NULL"]);
}
