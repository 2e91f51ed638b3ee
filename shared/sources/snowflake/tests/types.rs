//! Every type that fakesnow has, read back as it was written.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::time::Duration;

use arrow::{
    array::{Array, AsArray, RecordBatch},
    compute::concat_batches,
    datatypes::{
        Date32Type, Decimal128Type, Decimal256Type, Float64Type, Int64Type, Time64MicrosecondType,
        TimestampMicrosecondType, i256,
    },
};
use futures::TryStreamExt;
use millstream_events::extract::{Changes, Selection};
use millstream_peers::snowflake::Snowflake;
use millstream_ports::{BatchSize, ErrorKind, PortResult, Read, ReadPlan, Secret, Source, Ties};
use millstream_source_snowflake::SnowflakeSource;
use proptest::prelude::*;

const DAY: i64 = 86_400_000_000;

async fn source_of(server: &Snowflake) -> SnowflakeSource {
    SnowflakeSource::connect(&Secret::new(server.url()), None).await.unwrap()
}

fn reading(select: Selection) -> Read {
    Read {
        select,
        only: Vec::new(),
        changes: Changes::Everything,
        since: None,
        ties: Ties::Again,
        split_by: None,
        range_rows: 1_000_000,
        statement_timeout: Duration::from_secs(60),
        batch: BatchSize::default(),
    }
}

async fn read_all(source: &dyn Source, read: &Read) -> PortResult<(ReadPlan, RecordBatch)> {
    let plan = source.plan(read).await?;
    let open = source.open(read, &plan).await?;
    let mut batches = Vec::new();
    for range in &plan.ranges {
        let rows: Vec<_> = open.read(range).await?.try_collect().await?;
        assert!(rows.iter().all(|rows| rows.faults.is_empty()), "{rows:?}");
        batches.extend(rows.into_iter().map(|rows| rows.batch));
    }
    let schema = millstream_source_columns::batch_schema(&plan.columns)?;
    Ok((plan, concat_batches(&schema, &batches).unwrap()))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_is_read_with_null_and_extremes() {
    let server = Snowflake::start();
    server.execute(
        "CREATE TABLE kinds (n NUMBER(10,0), big NUMBER(38,0), m NUMBER(12,2), wide NUMBER(38,20), f FLOAT, s VARCHAR, b BINARY, \
         o BOOLEAN, d DATE, t TIME, ntz TIMESTAMP_NTZ, tz TIMESTAMP_TZ, v VARIANT)",
    );
    server.execute(
        "INSERT INTO kinds SELECT -9999999999, 9223372036854775807, -9999999999.99, 123456789012345678.00000000000000000001, \
         -1.5e300, 'it''s \u{e4}\u{1f600}', TO_BINARY('00FF', 'HEX'), TRUE, '0001-01-01', '23:59:59.999999', \
         '9999-12-31 23:59:59.999999', '2024-01-31T12:00:00+00:00', PARSE_JSON('{\"a\":[1,null]}')",
    );
    server.execute(
        "INSERT INTO kinds SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL",
    );
    let source = source_of(&server).await;
    let (plan, batch) = read_all(&source, &reading(Selection::Table("kinds".into()))).await.unwrap();
    let kinds: Vec<String> = plan.columns.iter().map(|column| column.kind.as_ref().unwrap().to_string()).collect();
    assert_eq!(
        kinds,
        [
            "INT64",
            "INT64",
            "NUMERIC(12, 2)",
            "BIGNUMERIC(38, 20)",
            "FLOAT64",
            "STRING",
            "BYTES",
            "BOOL",
            "DATE",
            "TIME",
            "DATETIME",
            "TIMESTAMP",
            "JSON"
        ]
    );
    assert_eq!(batch.num_rows(), 2);
    assert!(batch.columns().iter().all(|column| column.is_valid(0) && column.is_null(1)));
    assert_eq!(batch.column(0).as_primitive::<Int64Type>().value(0), -9_999_999_999);
    assert_eq!(batch.column(1).as_primitive::<Int64Type>().value(0), i64::MAX);
    assert_eq!(batch.column(2).as_primitive::<Decimal128Type>().value(0), -999_999_999_999);
    let wide = i256::from_i128(12_345_678_901_234_567_800_000_000_000_000_000_001);
    assert_eq!(batch.column(3).as_primitive::<Decimal256Type>().value(0), wide);
    assert_eq!(batch.column(4).as_primitive::<Float64Type>().value(0), -1.5e300);
    assert_eq!(batch.column(5).as_string::<i32>().value(0), "it's \u{e4}\u{1f600}");
    assert_eq!(batch.column(6).as_binary::<i32>().value(0), [0, 0xFF]);
    assert!(batch.column(7).as_boolean().value(0));
    assert_eq!(batch.column(8).as_primitive::<Date32Type>().value(0), -719_162);
    assert_eq!(batch.column(9).as_primitive::<Time64MicrosecondType>().value(0), DAY - 1);
    assert_eq!(batch.column(10).as_primitive::<TimestampMicrosecondType>().value(0), 2_932_897 * DAY - 1);
    assert_eq!(batch.column(11).as_primitive::<TimestampMicrosecondType>().value(0), 19_753 * DAY + DAY / 2);
    let document: serde_json::Value = serde_json::from_str(batch.column(12).as_string::<i32>().value(0)).unwrap();
    assert_eq!(document, serde_json::json!({"a": [1, null]}));
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_those_of_the_service() {
    let server = Snowflake::start();
    server.execute("CREATE SCHEMA \"my schema\"");
    server.execute("CREATE TABLE \"my schema\".\"a \"\"b\"\"\" (\"the id\" NUMBER(5,0), Name VARCHAR)");
    server.execute("INSERT INTO \"my schema\".\"a \"\"b\"\"\" SELECT 1, 'one'");
    let source = source_of(&server).await;
    let tables = source.tables().await.unwrap();
    let name = "\"my schema\".\"a \"\"b\"\"\"";
    assert!(tables.iter().any(|table| table.name == name), "{tables:?}");
    let read = Read { only: vec!["name".into(), "the id".into()], ..reading(Selection::Table(name.into())) };
    let (plan, batch) = read_all(&source, &read).await.unwrap();
    assert_eq!(plan.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>(), ["NAME", "the id"]);
    assert_eq!(batch.column(0).as_string::<i32>().value(0), "one");
    let hostile = Selection::Table("\"x\"\"; DROP TABLE kinds --\"".into());
    assert_eq!(source.describe(&hostile).await.unwrap_err().kind(), ErrorKind::NotFound);
}

type Row = (Option<i64>, Option<i64>, Option<f64>, Option<String>, Option<bool>, Option<i32>, Option<i64>, Vec<u8>);

fn row() -> impl Strategy<Value = Row> {
    (
        prop::option::of(-9_999_999_999_i64..=9_999_999_999),
        prop::option::of(-999_999_999_999_i64..=999_999_999_999),
        prop::option::of(prop::num::f64::NORMAL),
        // fakesnow takes a `$` within a text for a variable.
        prop::option::of("[ -#%-~\u{e4}\u{1f600}]{0,12}"),
        prop::option::of(any::<bool>()),
        prop::option::of(-700_000_i32..2_900_000),
        prop::option::of(-700_000 * DAY..2_900_000 * DAY),
        prop::collection::vec(any::<u8>(), 1..8),
    )
}

fn literal<T>(value: &Option<T>, write: impl Fn(&T) -> String) -> String {
    value.as_ref().map_or_else(|| "NULL".to_owned(), write)
}

#[test]
fn random_values_come_back_as_they_were_written() {
    use chrono::{DateTime, NaiveDate};

    let server = Snowflake::start();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let source = runtime.block_on(source_of(&server));
    proptest!(ProptestConfig::with_cases(24), |(rows in prop::collection::vec(row(), 1..20), batch_rows in 1_usize..9)| {
        server.execute(
            "CREATE OR REPLACE TABLE random (line NUMBER(5,0), n NUMBER(10,0), m NUMBER(12,2), f FLOAT, s VARCHAR, o BOOLEAN, d DATE, \
             ntz TIMESTAMP_NTZ, b BINARY)",
        );
        let selects: Vec<String> = rows.iter().enumerate().map(|(at, (n, m, f, s, o, d, ntz, b))| {
            let date = |days: &i32| format!("CAST('{}' AS DATE)", NaiveDate::default() + chrono::Duration::days((*days).into()));
            let moment = |micros: &i64| {
                format!("CAST('{}' AS TIMESTAMP_NTZ)", DateTime::from_timestamp_micros(*micros).unwrap().format("%Y-%m-%dT%H:%M:%S%.6f"))
            };
            let money = |cents: &i64| {
                format!("CAST('{}{}.{:02}' AS NUMBER(12,2))", if *cents < 0 { "-" } else { "" }, cents.abs() / 100, cents.abs() % 100)
            };
            let hex: String = b.iter().map(|byte| format!("{byte:02X}")).collect();
            [
                at.to_string(),
                literal(n, i64::to_string),
                literal(m, money),
                literal(f, |value| format!("CAST('{value:e}' AS FLOAT)")),
                literal(s, |text| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))),
                literal(o, bool::to_string),
                literal(d, date),
                literal(ntz, moment),
                format!("TO_BINARY('{hex}', 'HEX')"),
            ]
            .join(", ")
        }).collect();
        server.execute(&format!("INSERT INTO random SELECT {}", selects.join(" UNION ALL SELECT ")));
        let query = Selection::Query("SELECT * FROM random ORDER BY line".into());
        let read = Read { batch: BatchSize { rows: batch_rows, bytes: 1 << 20 }, ..reading(query) };
        let (_, batch) = runtime.block_on(read_all(&source, &read)).unwrap();
        let mut order: Vec<usize> = (0..batch.num_rows()).collect();
        order.sort_by_key(|row| batch.column(0).as_primitive::<Int64Type>().value(*row));
        prop_assert_eq!(order.len(), rows.len());
        for (row, (n, m, f, s, o, d, ntz, b)) in order.into_iter().zip(&rows) {
            let there = |column: usize| batch.column(column).is_valid(row);
            prop_assert_eq!(there(1).then(|| batch.column(1).as_primitive::<Int64Type>().value(row)), *n);
            prop_assert_eq!(there(2).then(|| batch.column(2).as_primitive::<Decimal128Type>().value(row)), m.map(i128::from));
            prop_assert_eq!(there(3).then(|| batch.column(3).as_primitive::<Float64Type>().value(row)), *f);
            prop_assert_eq!(there(4).then(|| batch.column(4).as_string::<i32>().value(row)), s.as_deref());
            prop_assert_eq!(there(5).then(|| batch.column(5).as_boolean().value(row)), *o);
            prop_assert_eq!(there(6).then(|| batch.column(6).as_primitive::<Date32Type>().value(row)), *d);
            prop_assert_eq!(there(7).then(|| batch.column(7).as_primitive::<TimestampMicrosecondType>().value(row)), *ntz);
            prop_assert_eq!(batch.column(8).as_binary::<i32>().value(row), b.as_slice());
        }
    });
}
