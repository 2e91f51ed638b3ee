//! Any value of any type comes back as it was put in.

use arrow::{
    array::{
        Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Float64Array, Int64Array, StringArray,
        Time64MicrosecondArray, TimestampMicrosecondArray,
    },
    datatypes::{Decimal128Type, Decimal256Type, i256},
};
use chrono::{DateTime, NaiveDate, TimeDelta};
use millstream_ports::BatchSize;
use proptest::{
    collection::vec,
    option,
    prelude::*,
    test_runner::{Config, TestRunner},
};
use tokio_postgres::types::ToSql;

use crate::support::{Database, read_query, read_table};

/// The first and last microsecond of the years 1 to 9999.
const MICROS: std::ops::RangeInclusive<i64> = -62_135_596_800_000_000..=253_402_300_799_999_999;
const DAYS: std::ops::RangeInclusive<i32> = -719_162..=2_932_896;

#[derive(Debug, Clone)]
struct Row {
    short: Option<i16>,
    long: Option<i64>,
    single: Option<f32>,
    double: Option<f64>,
    money: Option<i64>,
    small: Option<i64>,
    /// Sign, digits before and digits after the point.
    wide: Option<(bool, String, String)>,
    flag: Option<bool>,
    text: Option<String>,
    bytes: Option<Vec<u8>>,
    day: Option<i32>,
    local: Option<i64>,
    instant: Option<i64>,
    time: Option<i64>,
    span: Option<(i32, i32, i64)>,
    address: Option<(bool, [u8; 16], u8)>,
    items: Option<Vec<i32>>,
    words: Option<Vec<String>>,
}

fn text() -> impl Strategy<Value = String> {
    "[^\0]{0,40}"
}

fn row() -> impl Strategy<Value = Row> {
    let double = prop_oneof![any::<f64>(), Just(f64::INFINITY), Just(f64::NAN), Just(-0.0)];
    let numbers = (
        option::of(any::<i16>()),
        option::of(any::<i64>()),
        option::of(prop_oneof![any::<f32>(), Just(f32::NEG_INFINITY)]),
        option::of(double),
        option::of(any::<i64>()),
        option::of(-9_999_999_999_i64..=9_999_999_999),
        option::of((any::<bool>(), "[0-9]{1,38}", "[0-9]{0,38}")),
        option::of(any::<bool>()),
    );
    let times = (
        option::of(DAYS),
        option::of(MICROS),
        option::of(MICROS),
        option::of(0_i64..86_400_000_000),
        option::of((-100_000_i32..100_000, -100_000_i32..100_000, any::<i64>().prop_map(|micros| micros / 1_000))),
    );
    let others = (
        option::of(text()),
        option::of(vec(any::<u8>(), 0..40)),
        option::of((any::<bool>(), any::<[u8; 16]>(), 0_u8..=32)),
        option::of(vec(any::<i32>(), 0..5)),
        option::of(vec(text(), 0..5)),
    );
    (numbers, times, others).prop_map(|(numbers, times, others)| {
        let (short, long, single, double, money, small, wide, flag) = numbers;
        let (day, local, instant, time, span) = times;
        let (text, bytes, address, items, words) = others;
        Row {
            short,
            long,
            single,
            double,
            money,
            small,
            wide,
            flag,
            text,
            bytes,
            day,
            local,
            instant,
            time,
            span,
            address,
            items,
            words,
        }
    })
}

const TABLE: &str =
    "CREATE TABLE t (id serial PRIMARY KEY, short smallint, long bigint, single real, double double precision,
    money money, small numeric(10,3), wide numeric, flag boolean, text text, bytes bytea, day date, local timestamp,
    instant timestamptz, time time, span interval, address inet, items integer[], words text[])";

/// Values go in as the driver or the type's own text has them.
const INSERT: &str = "INSERT INTO t VALUES (DEFAULT, $1, $2, $3, $4, $5::text::numeric::money, $6::text::numeric,
    $7::text::numeric, $8, $9, $10, $11::text::date, $12::text::timestamp, $13::text::timestamptz, $14::text::time,
    make_interval(months => $15::int4, days => $16::int4) + $17::text::interval, $18::text::inet, $19, $20)";

fn scaled(unscaled: i128, scale: usize) -> String {
    let digits = format!("{:0width$}", unscaled.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    format!("{}{whole}.{fraction}", if unscaled < 0 { "-" } else { "" })
}

fn moment(micros: i64) -> String {
    DateTime::from_timestamp_micros(micros).unwrap().format("%Y-%m-%d %H:%M:%S%.6f").to_string()
}

fn network((is_short, bytes, bits): (bool, [u8; 16], u8)) -> String {
    use std::net::{Ipv4Addr, Ipv6Addr};
    if is_short {
        format!("{}/{bits}", Ipv4Addr::from([bytes[0], bytes[1], bytes[2], bytes[3]]))
    } else {
        format!("{}/{}", Ipv6Addr::from(bytes), bits * 4)
    }
}

async fn insert(database: &Database, row: &Row) {
    let epoch = NaiveDate::from_ymd_opt(1970, 1, 1).unwrap();
    let day = row.day.map(|day| (epoch + TimeDelta::days(day.into())).format("%Y-%m-%d").to_string());
    let time = row.time.map(|micros| moment(micros)[11..].to_owned());
    let money = row.money.map(|money| scaled(money.into(), 2));
    let small = row.small.map(|small| scaled(small.into(), 3));
    let wide = row
        .wide
        .as_ref()
        .map(|(negative, whole, fraction)| format!("{}{whole}.{fraction}", if *negative { "-" } else { "" }));
    let (local, instant) = (row.local.map(moment), row.instant.map(|micros| format!("{}+00", moment(micros))));
    let (months, days) = (row.span.map(|span| span.0), row.span.map(|span| span.1));
    let micros = row.span.map(|span| format!("{} microseconds", span.2));
    let address = row.address.map(network);
    let values: [&(dyn ToSql + Sync); 20] = [
        &row.short,
        &row.long,
        &row.single,
        &row.double,
        &money,
        &small,
        &wide,
        &row.flag,
        &row.text,
        &row.bytes,
        &day,
        &local,
        &instant,
        &time,
        &months,
        &days,
        &micros,
        &address,
        &row.items,
        &row.words,
    ];
    database.client.execute(INSERT, &values).await.unwrap_or_else(|error| panic!("{row:?}: {error:?}"));
}

/// Doubles by their bits: NaN is NaN, and -0.0 is not 0.0.
fn bits(values: impl IntoIterator<Item = Option<f64>>) -> Vec<Option<u64>> {
    values.into_iter().map(|value| value.map(f64::to_bits)).collect()
}

fn check(rows: &[Row], column: impl Fn(&str) -> ArrayRef) {
    let is = |name: &str, expected: &dyn Array| assert_eq!(&*column(name), expected, "{name}");
    is("short", &rows.iter().map(|row| row.short.map(i64::from)).collect::<Int64Array>());
    is("long", &rows.iter().map(|row| row.long).collect::<Int64Array>());
    let float = |name: &str| bits(column(name).as_any().downcast_ref::<Float64Array>().unwrap());
    assert_eq!(float("single"), bits(rows.iter().map(|row| row.single.map(f64::from))));
    assert_eq!(float("double"), bits(rows.iter().map(|row| row.double)));
    let decimal = |name: &str| column(name).as_primitive::<Decimal128Type>().iter().collect::<Vec<_>>();
    assert_eq!(decimal("money"), rows.iter().map(|row| row.money.map(i128::from)).collect::<Vec<_>>());
    assert_eq!(decimal("small"), rows.iter().map(|row| row.small.map(i128::from)).collect::<Vec<_>>());
    let wide = column("wide").as_primitive::<Decimal256Type>().iter().collect::<Vec<_>>();
    let expected = rows.iter().map(|row| {
        let (negative, whole, fraction) = row.wide.as_ref()?;
        i256::from_string(&format!("{}{whole}{fraction:0<38}", if *negative { "-" } else { "" }))
    });
    assert_eq!(wide, expected.collect::<Vec<_>>());
    is("flag", &rows.iter().map(|row| row.flag).collect::<BooleanArray>());
    is("text", &rows.iter().map(|row| row.text.as_ref()).collect::<StringArray>());
    is("bytes", &rows.iter().map(|row| row.bytes.as_ref()).collect::<BinaryArray>());
    is("day", &rows.iter().map(|row| row.day).collect::<Date32Array>());
    is("local", &rows.iter().map(|row| row.local).collect::<TimestampMicrosecondArray>());
    is("instant", &rows.iter().map(|row| row.instant).collect::<TimestampMicrosecondArray>().with_timezone("UTC"));
    is("time", &rows.iter().map(|row| row.time).collect::<Time64MicrosecondArray>());
    let items = column("items");
    let words = column("words");
    for (at, row) in rows.iter().enumerate() {
        assert_eq!(items.is_valid(at), row.items.is_some());
        assert_eq!(words.is_valid(at), row.words.is_some());
        if let Some(expected) = &row.items {
            let expected: Int64Array = expected.iter().map(|item| Some(i64::from(*item))).collect();
            assert_eq!(&*items.as_list::<i32>().value(at), &expected as &dyn Array);
        }
        if let Some(expected) = &row.words {
            let expected: StringArray = expected.iter().map(Some).collect();
            assert_eq!(&*words.as_list::<i32>().value(at), &expected as &dyn Array);
        }
    }
}

#[test]
fn what_is_put_in_is_read_back() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let database = runtime.block_on(async {
        let database = Database::new().await;
        database.run(TABLE).await;
        database.run("SET intervalstyle = 'iso_8601'").await;
        database
    });
    let mut runner = TestRunner::new(Config { cases: 24, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&vec(row(), 1..40), |rows| {
        runtime.block_on(async {
            database.run("TRUNCATE t RESTART IDENTITY").await;
            database.run("BEGIN").await;
            for row in &rows {
                insert(&database, row).await;
            }
            database.run("COMMIT").await;
            let read =
                millstream_ports::Read { batch: BatchSize { rows: 7, bytes: 1 << 20 }, ..read_table("public.t") };
            let extracted = database.extract(&read).await;
            assert_eq!(extracted.faults, []);
            check(&rows, |name| extracted.rows.column_by_name(name).unwrap().clone());
            // The server itself says how it writes these.
            let sql =
                "SELECT span::text AS span, CASE WHEN address IS NOT NULL THEN format('%s', address) END AS address
                       FROM t ORDER BY id";
            let written = database.extract(&read_query(sql)).await;
            for name in ["span", "address"] {
                assert_eq!(extracted.rows.column_by_name(name), written.rows.column_by_name(name));
            }
        });
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}
