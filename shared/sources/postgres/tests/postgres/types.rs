//! What each type becomes, and that its values come as they are.

use std::collections::BTreeSet;

use arrow::{
    array::ArrayRef,
    compute::cast,
    datatypes::{DataType, TimeUnit},
    util::display::{ArrayFormatter, FormatOptions},
};
use millstream_events::{contract::ColumnType, extract::Selection};
use millstream_ports::{CellFault, CellFaultKind, Read, Source};

use crate::support::{Database, read_query, read_table};

/// A type, a value of it in SQL, what it becomes, and the value there.
type Case = (&'static str, &'static str, &'static str, &'static str);

const NUMBERS: &[Case] = &[
    ("smallint", "-32768", "INT64", "-32768"),
    ("integer", "2147483647", "INT64", "2147483647"),
    ("bigint", "-9223372036854775808", "INT64", "-9223372036854775808"),
    ("oid", "4294967295", "INT64", "4294967295"),
    ("real", "'0.5'", "FLOAT64", "0.5"),
    ("double precision", "'1e308'", "FLOAT64", "1e308"),
    ("double precision", "'-Infinity'", "FLOAT64", "-inf"),
    ("double precision", "'NaN'", "FLOAT64", "NaN"),
    ("numeric(10,2)", "-12345678.90", "NUMERIC(10, 2)", "-12345678.90"),
    ("numeric(38,9)", "99999999999999999999999999999.999999999", "NUMERIC", "99999999999999999999999999999.999999999"),
    ("numeric(5)", "0", "NUMERIC(5, 0)", "0"),
    ("numeric(40,20)", "-0.00000000000000000001", "BIGNUMERIC(40, 20)", "-0.00000000000000000001"),
    ("numeric", "0.00000000000000000000000000000000000001", "BIGNUMERIC", "0.00000000000000000000000000000000000001"),
    ("numeric", "1e37", "BIGNUMERIC", "10000000000000000000000000000000000000.00000000000000000000000000000000000000"),
    ("numeric(3,-2)", "12345", "NUMERIC(5, 0)", "12300"),
    ("numeric(3,5)", "0.00123", "NUMERIC(5, 5)", "0.00123"),
    ("money", "'-12.34'", "NUMERIC(19, 2)", "-12.34"),
    ("boolean", "true", "BOOL", "true"),
];

const TEXTS: &[Case] = &[
    ("text", "'it''s \\ \u{e4}\u{1f600}'", "STRING", "it's \\ \u{e4}\u{1f600}"),
    ("varchar(20)", "''", "STRING", ""),
    ("char(5)", "'ab'", "STRING", "ab   "),
    ("\"char\"", "'x'", "STRING", "x"),
    ("name", "'pg'", "STRING", "pg"),
    ("citext", "'MiXed'", "STRING", "MiXed"),
    ("bytea", "'\\x00ff10'", "BYTES", "00ff10"),
    ("uuid", "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", "STRING", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    ("json", "'{\"b\": 1,  \"a\": [null]}'", "JSON", "{\"b\": 1,  \"a\": [null]}"),
    ("jsonb", "'{\"b\": 1,  \"a\": [null]}'", "JSON", "{\"a\": [null], \"b\": 1}"),
    ("xml", "'<a>\u{e4}</a>'", "STRING", "<a>\u{e4}</a>"),
    ("inet", "'192.168.0.1'", "STRING", "192.168.0.1"),
    ("inet", "'2001:db8::ff00:42:8329/64'", "STRING", "2001:db8::ff00:42:8329/64"),
    ("cidr", "'10.1.0.0/16'", "STRING", "10.1.0.0/16"),
    ("macaddr", "'08-00-2b-01-02-0f'", "STRING", "08:00:2b:01:02:0f"),
    ("macaddr8", "'08:00:2b:01:02:03:04:05'", "STRING", "08:00:2b:01:02:03:04:05"),
    ("bit(10)", "B'1000000001'", "STRING", "1000000001"),
    ("varbit", "B''", "STRING", ""),
    ("mood", "'so so'", "STRING", "so so"),
    ("tsvector", "'fat cats'", "STRING", "'cats' 'fat'"),
    ("point", "'(1,2.5)'", "STRING", "(1,2.5)"),
    ("polygon", "'((0,0),(1,1))'", "STRING", "((0,0),(1,1))"),
    ("pg_lsn", "'16/B374D848'", "STRING", "16/B374D848"),
    ("ltree", "'top.science'", "STRING", "top.science"),
    ("hstore", "'a=>1, b=>NULL'", "JSON", "{\"a\": \"1\", \"b\": null}"),
    ("address", "ROW('High St', 7)", "JSON", "{\"number\": 7, \"street\": \"High St\"}"),
    ("int4range", "'[1,5]'", "STRING", "[1,6)"),
    ("tstzrange", "'[2026-01-01 12:00+02,)'", "STRING", "[\"2026-01-01 10:00:00+00\",)"),
    ("int8multirange", "'{[1,2],[5,6]}'", "STRING", "{[1,3),[5,7)}"),
];

const TIMES: &[Case] = &[
    ("date", "'0001-01-01'", "DATE", "0001-01-01"),
    ("date", "'9999-12-31'", "DATE", "9999-12-31"),
    ("timestamp", "'2026-02-28 23:59:59.999999'", "DATETIME", "2026-02-28T23:59:59.999999"),
    ("timestamp(0)", "'0001-01-01 00:00:00'", "DATETIME", "0001-01-01T00:00:00"),
    ("timestamptz", "'2026-07-01 01:00:00.000001+02'", "TIMESTAMP", "2026-06-30T23:00:00.000001Z"),
    ("timestamptz", "'9999-12-31 23:59:59.999999 UTC'", "TIMESTAMP", "9999-12-31T23:59:59.999999Z"),
    ("time", "'23:59:59.999999'", "TIME", "23:59:59.999999"),
    ("timetz", "'12:30:00.5-04:30'", "STRING", "12:30:00.5-04:30"),
    ("interval", "'1 year -2 mons 3 days -04:05:06.7'", "STRING", "P10M3DT-4H-5M-6.7S"),
    ("interval", "'0'", "STRING", "PT0S"),
];

const NESTED: &[Case] = &[
    ("integer[]", "'{1,-2}'", "ARRAY<INT64>", "[1, -2]"),
    ("text[]", "'{}'", "ARRAY<STRING>", "[]"),
    ("numeric(6,2)[]", "'{1.5,-0.01}'", "ARRAY<NUMERIC(6, 2)>", "[1.50, -0.01]"),
    ("timestamptz[]", "'{\"2026-07-01 00:00+02\"}'", "ARRAY<TIMESTAMP>", "[2026-06-30T22:00:00Z]"),
    ("uuid[]", "'{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}'", "ARRAY<STRING>", "[a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11]"),
    ("jsonb[]", "ARRAY['1'::jsonb]", "ARRAY<JSON>", "[1]"),
    ("int4range[]", "'{\"[1,3)\"}'", "ARRAY<STRING>", "[[1,3)]"),
    ("mood[]", "'{happy}'", "ARRAY<STRING>", "[happy]"),
    ("address[]", "ARRAY[ROW('a', 1)]::address[]", "JSON", "[{\"number\": 1, \"street\": \"a\"}]"),
    ("positive", "7", "INT64", "7"),
    ("price", "1.5", "NUMERIC(8, 3)", "1.500"),
    ("price[]", "'{1.5}'", "ARRAY<NUMERIC(8, 3)>", "[1.500]"),
    ("pair", "'{1,2}'", "ARRAY<INT64>", "[1, 2]"),
    ("pair[]", "ARRAY['{1,2}'::pair]", "JSON", "[[1, 2]]"),
    ("int2vector", "'1 2'", "ARRAY<INT64>", "[1, 2]"),
];

const OWN_TYPES: &str = "
    CREATE EXTENSION citext; CREATE EXTENSION hstore; CREATE EXTENSION ltree;
    CREATE TYPE mood AS ENUM ('happy', 'so so');
    CREATE TYPE address AS (street text, number integer);
    CREATE DOMAIN positive AS integer CHECK (value > 0);
    CREATE DOMAIN amount AS numeric(8,3);
    CREATE DOMAIN price AS amount CHECK (value >= 0);
    CREATE DOMAIN pair AS integer[];";

/// The same with the zone as an offset: those by name are printed with a table of zones alone.
fn printable(column: &ArrayRef) -> ArrayRef {
    let offset = DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into()));
    match column.data_type() {
        DataType::Timestamp(_, Some(_)) => cast(column, &offset).unwrap(),
        DataType::List(item) if matches!(item.data_type(), DataType::Timestamp(_, Some(_))) => {
            cast(column, &DataType::new_list(offset, true)).unwrap()
        }
        _ => column.clone(),
    }
}

async fn check(cases: &[Case]) {
    let database = Database::new().await;
    database.run(OWN_TYPES).await;
    let columns: Vec<_> = cases.iter().enumerate().map(|(at, (of, ..))| format!("c{at} {of}")).collect();
    let values: Vec<_> = cases.iter().map(|(_, value, ..)| *value).collect();
    database.run(&format!("CREATE TABLE t ({}); INSERT INTO t VALUES ({})", columns.join(","), values.join(","))).await;
    database.run("INSERT INTO t DEFAULT VALUES").await;
    let extracted = database.table("public.t").await;
    assert_eq!(extracted.faults, []);
    let formats = FormatOptions::default();
    for (at, (of, value, kind, expected)) in cases.iter().enumerate() {
        let column = printable(extracted.rows.column(at));
        let text = ArrayFormatter::try_new(column.as_ref(), &formats).unwrap().value(0).to_string();
        assert_eq!(text, *expected, "{of} {value}");
        assert!(column.is_null(1), "{of}: NULL is NULL");
        let kind: ColumnType = kind.parse().unwrap();
        assert_eq!(extracted.plan.columns[at].kind, Ok(kind), "{of}");
    }
    // A query tells the same of its columns.
    let of_query = database.extract(&read_query("SELECT * FROM t")).await;
    assert_eq!(of_query.rows.schema().fields(), extracted.rows.schema().fields());
    assert_eq!(of_query.rows, extracted.rows);
}

#[tokio::test]
async fn numbers_come_as_they_are() {
    check(NUMBERS).await;
}

#[tokio::test]
async fn texts_and_what_is_shown_as_text_come_as_they_are() {
    check(TEXTS).await;
}

#[tokio::test]
async fn times_come_as_they_are_whatever_the_servers_zone() {
    check(TIMES).await;
}

#[tokio::test]
async fn arrays_domains_and_their_mixtures_come_as_they_are() {
    check(NESTED).await;
}

#[tokio::test]
async fn expressions_of_a_query_have_types_too() {
    let database = Database::new().await;
    let query =
        "SELECT 1 AS one, 'text' AS text, NULL AS nothing, ROW(1, 'a') AS record, 1.50 AS decimal, now() AS now,
                 ARRAY[1.5, 2] AS decimals, '2026-01-01'::date + 1 AS day -- the end";
    let extracted = database.extract(&read_query(query)).await;
    let kinds: Vec<_> = extracted.plan.columns.iter().map(|column| column.kind.clone().unwrap().to_string()).collect();
    let expected = ["INT64", "STRING", "STRING", "JSON", "BIGNUMERIC", "TIMESTAMP", "ARRAY<BIGNUMERIC>", "DATE"]
        .map(str::to_owned);
    assert_eq!(kinds, expected);
    assert_eq!(extracted.faults, []);
    assert_eq!(extracted.rows.num_rows(), 1);
}

/// They have types that no other table has, arrays and vectors of them too.
#[tokio::test]
async fn the_servers_own_tables_are_read() {
    let database = Database::new().await;
    database.run(OWN_TYPES).await;
    let sql = "SELECT 'pg_catalog.' || relname FROM pg_class
               WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind = 'r' ORDER BY 1";
    let tables: Vec<String> = database.client.query(sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
    assert!(tables.len() > 50, "{tables:?}");
    let mut types = BTreeSet::new();
    for table in tables {
        let shape = database.source.describe(&Selection::Table(table.clone())).await.unwrap();
        let (mapped, unmapped): (Vec<_>, Vec<_>) = shape.columns.into_iter().partition(|column| column.kind.is_ok());
        assert!(unmapped.iter().all(|column| column.source_type == "anyarray"), "{table}: {unmapped:?}");
        types.extend(mapped.iter().map(|column| column.source_type.clone()));
        let only = mapped.into_iter().map(|column| column.name).collect();
        let extracted = database.extract(&Read { only, ..read_table(&table) }).await;
        let null_in_array = |fault: &CellFault| fault.kind == CellFaultKind::Array;
        assert!(extracted.faults.iter().all(null_in_array), "{table}: {:?}", extracted.faults);
    }
    for of in ["aclitem[]", "oidvector", "pg_node_tree", "xid", "regproc", "\"char\"[]", "pg_statistic[]", "pg_lsn"] {
        assert!(types.contains(of), "{of} in {types:?}");
    }
}
