//! Whatever is written is read back exactly.

use std::fmt::Write as _;

use arrow::{
    array::{Array, ArrayRef, AsArray},
    datatypes::{
        Date32Type, Decimal128Type, Decimal256Type, Float64Type, Int64Type, Time64MicrosecondType,
        TimestampMicrosecondType, i256,
    },
};
use chrono::{Datelike, NaiveDate, NaiveDateTime, Timelike};
use mysql_async::{Params, Value, prelude::Queryable};
use proptest::{collection::vec, option, prelude::*, strategy::ValueTree, test_runner::TestRunner};

use crate::support::{Database, batch, table};

/// A value of each type, or none.
#[derive(Debug, Clone, PartialEq)]
struct Everything {
    tiny: Option<i8>,
    medium: Option<i32>,
    big: Option<i64>,
    unsigned: Option<u64>,
    yes: Option<bool>,
    bits: Option<u64>,
    money: Option<i64>,
    huge: Option<i128>,
    single: Option<f32>,
    double: Option<f64>,
    day: Option<NaiveDate>,
    at: Option<NaiveDateTime>,
    stamp: Option<NaiveDateTime>,
    time: Option<i64>,
    word: Option<String>,
    latin: Option<String>,
    bytes: Option<Vec<u8>>,
    document: Option<String>,
}

const CREATE: &str = "
    CREATE TABLE t (
        id int PRIMARY KEY, tiny tinyint, medium mediumint, big bigint, `unsigned` bigint unsigned, yes tinyint(1), bits bit(64),
        money decimal(18,4), huge decimal(36,18), single float, `double` double, day date, at datetime(6),
        stamp timestamp(6) NULL, time time(6), word text, latin varchar(40) CHARACTER SET latin1, bytes varbinary(40),
        document json)";

/// Microseconds of a moment between two years.
fn moments(from: i32, to: i32) -> impl Strategy<Value = NaiveDateTime> {
    let start =
        |year| NaiveDate::from_ymd_opt(year, 1, 1).unwrap().and_hms_opt(0, 0, 1).unwrap().and_utc().timestamp_micros();
    (start(from)..start(to)).prop_map(|micros| chrono::DateTime::from_timestamp_micros(micros).unwrap().naive_utc())
}

fn everything() -> impl Strategy<Value = Everything> {
    let numbers = (
        option::of(any::<i8>()),
        option::of(-8_388_608..=8_388_607),
        option::of(any::<i64>()),
        option::of(any::<u64>()),
        option::of(any::<bool>()),
        option::of(any::<u64>()),
        option::of(-999_999_999_999_999_999_i64..=999_999_999_999_999_999),
        option::of(
            -999_999_999_999_999_999_999_999_999_999_999_999_i128..=999_999_999_999_999_999_999_999_999_999_999_999,
        ),
        option::of(any::<f32>().prop_filter("finite", |number| number.is_finite())),
        option::of(any::<f64>().prop_filter("finite", |number| number.is_finite())),
    );
    let others = (
        option::of(moments(1, 9999).prop_map(|at| at.date())),
        option::of(moments(1, 9999)),
        option::of(moments(1970, 2038)),
        option::of(0..86_400_000_000_i64),
        option::of("[^\0]{0,40}"),
        option::of("[a-zA-Z äöüßé€'\\\\%\u{a0}-\u{ff}]{0,20}"),
        option::of(vec(any::<u8>(), 0..40)),
        option::of(("[^\0]{0,10}", any::<i32>()).prop_map(|(text, number)| json(&text, number))),
    );
    (numbers, others).prop_map(|(numbers, others)| {
        let (tiny, medium, big, unsigned, yes, bits, money, huge, single, double) = numbers;
        let (day, at, stamp, time, word, latin, bytes, document) = others;
        Everything {
            tiny,
            medium,
            big,
            unsigned,
            yes,
            bits,
            money,
            huge,
            single,
            double,
            day,
            at,
            stamp,
            time,
            word,
            latin,
            bytes,
            document,
        }
    })
}

/// A document with a text and a number in it.
fn json(text: &str, number: i32) -> String {
    let mut escaped = String::new();
    for unit in text.encode_utf16() {
        write!(escaped, "\\u{unit:04x}").unwrap();
    }
    format!("{{\"text\": \"{escaped}\", \"numbers\": [{number}, {number}.5e3, null, true]}}")
}

/// Digits with the point so many places from the end.
fn decimal(number: i128, scale: usize) -> String {
    let digits = format!("{:0width$}", number.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    format!("{}{whole}.{fraction}", if number < 0 { "-" } else { "" })
}

fn moment(at: NaiveDateTime) -> Value {
    Value::Date(
        at.year().try_into().unwrap(),
        at.month() as u8,
        at.day() as u8,
        at.hour() as u8,
        at.minute() as u8,
        at.second() as u8,
        at.nanosecond() / 1_000,
    )
}

fn span(micros: i64) -> Value {
    let seconds = micros / 1_000_000;
    let part = |of: i64| u8::try_from(of).unwrap();
    Value::Time(
        false,
        0,
        part(seconds / 3_600),
        part(seconds / 60 % 60),
        part(seconds % 60),
        (micros % 1_000_000) as u32,
    )
}

impl Everything {
    /// As the driver writes it.
    fn values(&self, id: usize) -> Vec<Value> {
        let Self { tiny, medium, big, unsigned, yes, bits, money, huge, single, double, .. } = self;
        let Self { day, at, stamp, time, word, latin, bytes, document, .. } = self;
        vec![
            id.into(),
            tiny.into(),
            medium.into(),
            big.into(),
            unsigned.into(),
            yes.into(),
            bits.into(),
            money.map(|number| decimal(number.into(), 4)).into(),
            huge.map(|number| decimal(number, 18)).into(),
            single.into(),
            double.into(),
            day.map_or(Value::NULL, |day| moment(day.into())),
            at.map_or(Value::NULL, moment),
            stamp.map_or(Value::NULL, moment),
            time.map_or(Value::NULL, span),
            word.into(),
            latin.into(),
            bytes.into(),
            document.into(),
        ]
    }

    /// From a row of a batch.
    fn read(columns: &[ArrayRef], row: usize) -> Self {
        let at = |index: usize| -> Option<&ArrayRef> {
            let column: &ArrayRef = &columns[index];
            (!column.is_null(row)).then_some(column)
        };
        let int = |index| at(index).map(|column| column.as_primitive::<Int64Type>().value(row));
        let small = |index| int(index).map(|number| i32::try_from(number).unwrap());
        let unsigned =
            |index| at(index).map(|column| u64::try_from(column.as_primitive::<Decimal128Type>().value(row)).unwrap());
        let double = |index| at(index).map(|column| column.as_primitive::<Float64Type>().value(row));
        let text = |index| at(index).map(|column| column.as_string::<i32>().value(row).to_owned());
        let moment = |index| {
            let micros = at(index).map(|column| column.as_primitive::<TimestampMicrosecondType>().value(row));
            micros.map(|micros| chrono::DateTime::from_timestamp_micros(micros).unwrap().naive_utc())
        };
        Self {
            tiny: small(1).map(|number| number.try_into().unwrap()),
            medium: small(2),
            big: int(3),
            unsigned: unsigned(4),
            yes: at(5).map(|column| column.as_boolean().value(row)),
            bits: unsigned(6),
            money: at(7).map(|column| column.as_primitive::<Decimal128Type>().value(row).try_into().unwrap()),
            huge: at(8).map(|column| i256::to_i128(column.as_primitive::<Decimal256Type>().value(row)).unwrap()),
            single: double(9).map(|number| number as f32),
            double: double(10),
            day: at(11).map(|column| {
                let days = column.as_primitive::<Date32Type>().value(row);
                NaiveDate::from_num_days_from_ce_opt(days + 719_163).unwrap()
            }),
            at: moment(12),
            stamp: moment(13),
            time: at(14).map(|column| column.as_primitive::<Time64MicrosecondType>().value(row)),
            word: text(15),
            latin: text(16),
            bytes: at(17).map(|column| column.as_binary::<i32>().value(row).to_vec()),
            document: text(18),
        }
    }
}

#[tokio::test]
async fn whatever_is_written_is_read_back_exactly() {
    let mut database = Database::new("round_trip").await;
    // A time that is UTC to the writer, and a text that its column cannot hold is an error.
    database.run(&["SET time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES'", CREATE]).await;
    let mut runner = TestRunner::default();
    let written: Vec<Everything> = vec(everything(), 600).new_tree(&mut runner).unwrap().current();
    let places = vec!["?"; 19].join(", ");
    let rows = written.iter().enumerate().map(|(id, row)| Params::Positional(row.values(id)));
    database.admin.exec_batch(format!("INSERT INTO t VALUES ({places})"), rows).await.unwrap();
    let source = database.source().await;
    let read = batch(&source, &table("t")).await;
    assert_eq!(read.faults, []);
    assert_eq!(read.batch.num_rows(), written.len());
    let ids = read.batch.column(0).as_primitive::<Int64Type>();
    for (row, id) in ids.values().iter().enumerate() {
        let expected = &written[usize::try_from(*id).unwrap()];
        assert_eq!(&Everything::read(read.batch.columns(), row), expected);
    }
}
