//! Types as a real driver hands them over: ordinary values, ends, NULL, and what does not fit.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod support;

use arrow::{
    array::{Array, AsArray},
    datatypes::{Date32Type, Decimal128Type, Float64Type, Int64Type, Time64MicrosecondType, TimestampMicrosecondType},
    util::display::array_value_to_string,
};
use chrono::DateTime;
use millstream_events::extract::Selection;
use millstream_ports::{BatchSize, CellFaultKind, Read, Rows};
use proptest::prelude::*;
use support::{Database, extract, only, read_of};

/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;

fn shown(rows: &Rows, row: usize) -> Vec<String> {
    let column = |column: &arrow::array::ArrayRef| array_value_to_string(column, row).unwrap();
    rows.batch.columns().iter().map(column).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_is_read_in_blocks() {
    let database = Database::create();
    database.execute(
        "CREATE TABLE samples (small smallint, whole integer, large bigint, price numeric(38,9), ratio double precision,
           half real, truth boolean, fixed char(5), name varchar(20), day date, hour time(6), at timestamp(6), id uuid);
         COMMENT ON COLUMN samples.price IS 'without tax';
         INSERT INTO samples VALUES
           (-32768, 2147483647, -9223372036854775808, 12345678901234567890123456789.123456789, 0.1, 0.1, true, 'ab',
            'Zürich € \u{1f600}', '2024-02-29', '23:59:59.999999', '1999-12-31 23:59:59.999999', '6f9619ff-8b86-d011-b42d-00c04fc964ff'),
           (32767, -2147483648, 9223372036854775807, -0.000000001, -1.7976931348623157e308, -3.4e38, false, '', '', '0001-01-01',
            '00:00:00', '9999-12-31 00:00:00', '00000000-0000-0000-0000-000000000000'),
           (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)",
    );
    let source = database.source().await;
    let shape = source.describe(&Selection::Table("public.samples".into())).await.unwrap();
    assert_eq!(shape.columns[3].description.as_deref(), None, "its driver does not tell comments of columns");
    let rows = only(extract(&*source, &read_of("public.samples")).await.unwrap());
    assert_eq!(rows.faults, []);
    assert_eq!(
        shown(&rows, 0),
        [
            "-32768",
            "2147483647",
            "-9223372036854775808",
            "12345678901234567890123456789.123456789",
            "0.1",
            &f64::from(0.1_f32).to_string(),
            "true",
            "ab   ",
            "Zürich € \u{1f600}",
            "2024-02-29",
            "23:59:59.999999",
            "1999-12-31T23:59:59.999999",
            "6F9619FF-8B86-D011-B42D-00C04FC964FF"
        ]
    );
    assert_eq!(shown(&rows, 1)[..3], ["32767", "-2147483648", "9223372036854775807"]);
    assert_eq!(rows.batch.column(4).as_primitive::<Float64Type>().value(1), f64::MIN);
    assert_eq!(shown(&rows, 1)[6..12], ["false", "     ", "", "0001-01-01", "00:00:00", "9999-12-31T00:00:00"]);
    assert!(rows.batch.columns().iter().all(|column| column.is_null(2)));
}

/// A photo and a text of a megabyte are whole, and so are the values beside them.
#[tokio::test(flavor = "multi_thread")]
async fn values_without_a_length_are_read_whole() {
    let database = Database::create();
    database.execute(
        "CREATE TABLE photos (id bigint PRIMARY KEY, photo bytea, story text, document json, price numeric(10,2), day date,
           at timestamp(6), hour time(6), ratio double precision, half real, truth boolean, name varchar(20));
         INSERT INTO photos SELECT 1, decode(repeat('00ff10', 400000), 'hex'), repeat('ä€', 500000), '{\"a\": [1, 2]}', 12.30,
           '2024-02-29', '2024-02-29 01:02:03.000004', '04:05:06', 0.5, 0.25, true, 'n';
         INSERT INTO photos VALUES (2); INSERT INTO photos VALUES (3, '', '', '[]')",
    );
    let source = database.source().await;
    let read = Read { batch: BatchSize { rows: 2, bytes: 64 << 20 }, ..read_of("public.photos") };
    let rows = extract(&*source, &read).await.unwrap();
    let [first, last] = &rows[..] else { panic!("{} batches", rows.len()) };
    assert_eq!((first.batch.num_rows(), last.batch.num_rows()), (2, 1));
    let photo = first.batch.column(1).as_binary::<i32>().value(0);
    assert_eq!((photo.len(), &photo[1_199_997..]), (1_200_000, &[0x00, 0xff, 0x10][..]));
    let story = first.batch.column(2).as_string::<i32>().value(0);
    assert_eq!((story.chars().count(), story.ends_with("ä€")), (1_000_000, true));
    let beside = [
        "{\"a\": [1, 2]}",
        "12.30",
        "2024-02-29",
        "2024-02-29T01:02:03.000004",
        "04:05:06",
        "0.5",
        "0.25",
        "true",
        "n",
    ];
    assert_eq!(shown(first, 0)[3..], beside);
    assert!(first.batch.columns()[1..].iter().all(|column| column.is_null(1)));
    assert_eq!(shown(last, 0)[..4], ["3", "", "", "[]"]);
}

/// The driver says 8,190 characters of a text that says nothing itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_is_longer_than_the_driver_said_is_a_fault() {
    let database = Database::create();
    database.execute(
        "CREATE TABLE notes (id integer, note varchar); INSERT INTO notes VALUES (1, repeat('x', 40000)), (2, 'short')",
    );
    let rows = only(extract(&*database.source().await, &read_of("public.notes")).await.unwrap());
    assert_eq!(
        rows.faults.iter().map(|fault| (fault.row, fault.column, fault.kind)).collect::<Vec<_>>(),
        [(0, 1, CellFaultKind::Text)]
    );
    assert!(rows.batch.column(1).is_null(0));
    assert_eq!(rows.batch.column(1).as_string::<i32>().value(1), "short");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_a_fault() {
    let database = Database::create();
    database.execute(
        "CREATE TABLE strange (price numeric(10,2), hour time, document json);
         INSERT INTO strange VALUES ('NaN', '24:00:00', '1'), (1.00, '00:00:00', '2')",
    );
    let rows = only(extract(&*database.source().await, &read_of("public.strange")).await.unwrap());
    let faults: Vec<_> = rows.faults.iter().map(|fault| (fault.row, fault.column, fault.kind)).collect();
    assert_eq!(faults, [(0, 0, CellFaultKind::NotFinite), (0, 1, CellFaultKind::DateRange)]);
    assert_eq!(shown(&rows, 1), ["1.00", "00:00:00", "2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_with_a_zone_is_named_before_anything_is_read() {
    let database = Database::create();
    database.execute("CREATE TABLE zoned (id integer, at timestamptz)");
    let error = database.source().await.plan(&read_of("public.zoned")).await.unwrap_err();
    assert!(error.to_string().contains("at") && error.to_string().contains("AT TIME ZONE"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_every_kind_are_quoted() {
    let database = Database::create();
    database.execute(
        "CREATE SCHEMA \"my.schema\"; GRANT USAGE ON SCHEMA \"my.schema\" TO reader;
         CREATE TABLE \"my.schema\".\"order \"\"lines\"\"\" (\"select\" integer, \"Größe; --\" varchar(10));
         INSERT INTO \"my.schema\".\"order \"\"lines\"\"\" VALUES (1, 'x'); CREATE VIEW seen AS SELECT 1 AS one",
    );
    let source = database.source().await;
    let tables = source.tables().await.unwrap();
    let names: Vec<_> = tables.iter().map(|table| (table.name.as_str(), table.is_view)).collect();
    assert_eq!(names, [("\"my.schema\".\"order \"\"lines\"\"\"", false), ("public.seen", true)]);
    let rows = only(extract(&*source, &read_of(names[0].0)).await.unwrap());
    assert_eq!(rows.batch.schema().field(1).name(), "Größe; --");
    assert_eq!(shown(&rows, 0), ["1", "x"]);
}

/// What a row of the property test has.
#[derive(Debug, Clone)]
struct Sample {
    id: i64,
    price: i128,
    ratio: f64,
    name: Option<String>,
    photo: Vec<u8>,
    day: i64,
    at: i64,
    hour: i64,
    truth: bool,
}

fn samples() -> impl Strategy<Value = Vec<Sample>> {
    // The years 1 to 9999.
    let days = -719_162_i64..2_932_897;
    let at = -719_162 * DAY..2_932_897 * DAY;
    let bound = 10_i128.pow(38);
    let name = proptest::option::of("[^\0]{0,30}");
    let photo = proptest::collection::vec(any::<u8>(), 0..60);
    let ratio = -1e300..1e300;
    let sample = (any::<i64>(), 1 - bound..bound, ratio, name, photo, days, at, 0..DAY, any::<bool>());
    let sample = sample.prop_map(|(id, price, ratio, name, photo, day, at, hour, truth)| Sample {
        id,
        price,
        ratio,
        name,
        photo,
        day,
        at,
        hour,
        truth,
    });
    proptest::collection::vec(sample, 1..30)
}

/// A point in time as SQL writes it.
fn written(micros: i64, format: &str) -> String {
    DateTime::from_timestamp_micros(micros).unwrap().format(format).to_string()
}

impl Sample {
    /// As the VALUES of an INSERT.
    fn sql(&self) -> String {
        let name = self.name.as_ref().map_or("NULL".to_owned(), |name| format!("'{}'", name.replace('\'', "''")));
        let photo: String = self.photo.iter().map(|byte| format!("{byte:02x}")).collect();
        let digits = format!("{:010}", self.price.unsigned_abs());
        let (whole, fraction) = digits.split_at(digits.len() - 9);
        let sign = if self.price < 0 { "-" } else { "" };
        format!(
            "({}, {sign}{whole}.{fraction}, {:e}, {name}, '\\x{photo}', '{}', '{}', '{}', {})",
            self.id,
            self.ratio,
            written(self.day * DAY, "%Y-%m-%d"),
            written(self.at, "%Y-%m-%d %H:%M:%S%.6f"),
            written(self.hour, "%H:%M:%S%.6f"),
            self.truth
        )
    }
}

#[test]
fn what_was_inserted_is_in_the_batches() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let database = Database::create();
    database.execute(
        "CREATE TABLE samples (id bigint, price numeric(38,9), ratio double precision, name varchar(30), photo bytea, day date,
           at timestamp(6), hour time(6), truth boolean)",
    );
    let source = runtime.block_on(database.source());
    // Without the bytes the others are read in blocks.
    let all = ["id", "price", "ratio", "name", "day", "at", "hour", "truth", "photo"].map(str::to_owned);
    proptest!(ProptestConfig::with_cases(32), |(samples in samples())| {
        let values: Vec<String> = samples.iter().map(Sample::sql).collect();
        database.execute(&format!("TRUNCATE samples; SET client_encoding = 'UTF8'; INSERT INTO samples VALUES {}", values.join(", ")));
        for columns in [&all[..], &all[..8]] {
            let read = Read { only: columns.to_vec(), ..read_of("public.samples") };
            let Rows { batch, faults } = only(runtime.block_on(extract(&*source, &read)).unwrap());
            prop_assert_eq!(faults, vec![]);
            prop_assert_eq!(batch.num_rows(), samples.len());
            for (row, sample) in samples.iter().enumerate() {
                prop_assert_eq!(batch.column(0).as_primitive::<Int64Type>().value(row), sample.id);
                prop_assert_eq!(batch.column(1).as_primitive::<Decimal128Type>().value(row), sample.price);
                prop_assert_eq!(batch.column(2).as_primitive::<Float64Type>().value(row).to_bits(), sample.ratio.to_bits());
                let names = batch.column(3).as_string::<i32>();
                prop_assert_eq!(names.is_valid(row).then(|| names.value(row)), sample.name.as_deref());
                prop_assert_eq!(i64::from(batch.column(4).as_primitive::<Date32Type>().value(row)), sample.day);
                prop_assert_eq!(batch.column(5).as_primitive::<TimestampMicrosecondType>().value(row), sample.at);
                prop_assert_eq!(batch.column(6).as_primitive::<Time64MicrosecondType>().value(row), sample.hour);
                prop_assert_eq!(batch.column(7).as_boolean().value(row), sample.truth);
                if columns.len() > 8 {
                    prop_assert_eq!(batch.column(8).as_binary::<i32>().value(row), &sample.photo[..]);
                }
            }
        }
    });
}
