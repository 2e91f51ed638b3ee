//! Every type, as the protocol has it on the wire, becomes what the table of the README says.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod support;

use arrow::{
    array::{Array, ArrayRef, AsArray},
    datatypes::{
        DataType, Date32Type, Decimal128Type, Decimal256Type, Float64Type, Int64Type, Time64MicrosecondType,
        TimestampMicrosecondType, i256,
    },
};
use millstream_events::extract::Selection;
use millstream_ports::{CellFaultKind, Source};
use millstream_source_sqlserver::SqlServerSource;
use proptest::prelude::*;
use support::{
    extract, only, read_of,
    tds::{LATIN, Wire, WireColumn, chunked, long, nvarchar, pointed, sized, text, utf16},
    url,
};

/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;

async fn source_of(wire: &Wire, parameters: &str) -> SqlServerSource {
    SqlServerSource::connect(&url("reader", "secret", wire.port, &format!("encrypt=off&{parameters}")), None)
        .await
        .unwrap()
}

fn column(name: &'static str, type_name: &'static str, numbers: (i16, u8, u8), wire: &[u8]) -> WireColumn {
    WireColumn { name, type_name, numbers, wire: wire.to_vec() }
}

/// A decimal's value: its length, its sign, and 4, 8, 12 or 16 bytes.
fn decimal(value: i128) -> Vec<u8> {
    let magnitude = value.unsigned_abs().to_le_bytes();
    let bytes = [4, 8, 12, 16].into_iter().find(|bytes| magnitude[*bytes..].iter().all(|byte| *byte == 0)).unwrap();
    sized(&[&[u8::from(value >= 0)], &magnitude[..bytes]].concat())
}

/// A time of day in units of 100 ns, as scale 7 has it.
fn ticks(ticks: u64) -> Vec<u8> {
    ticks.to_le_bytes()[..5].to_vec()
}

/// Days since the year 1.
fn days(days: u32) -> Vec<u8> {
    days.to_le_bytes()[..3].to_vec()
}

/// One column of one row, and its fault.
async fn one(column: WireColumn, value: Vec<u8>) -> (ArrayRef, Option<CellFaultKind>) {
    one_with(column, value, "").await
}

async fn one_with(column: WireColumn, value: Vec<u8>, parameters: &str) -> (ArrayRef, Option<CellFaultKind>) {
    let wire = Wire::start(vec![column], vec![vec![value]]).await;
    let rows = extract(&source_of(&wire, parameters).await, &read_of(Selection::Table("t".into()))).await.unwrap();
    let (batch, faults) = only(&rows);
    (batch.column(0).clone(), faults.first().map(|fault| fault.kind))
}

#[tokio::test]
async fn whole_numbers_and_truth() {
    let cases: [(_, _, u8, Vec<u8>, i64); 6] = [
        ("tinyint", 1, 0x26, sized(&[255]), 255),
        ("smallint", 2, 0x26, sized(&i16::MIN.to_le_bytes()), i16::MIN.into()),
        ("int", 4, 0x26, sized(&i32::MAX.to_le_bytes()), i32::MAX.into()),
        ("bigint", 8, 0x26, sized(&i64::MIN.to_le_bytes()), i64::MIN),
        ("bigint", 8, 0x26, sized(&i64::MAX.to_le_bytes()), i64::MAX),
        ("bigint", 8, 0x26, sized(&(-1_i64).to_le_bytes()), -1),
    ];
    for (name, size, wire, value, expected) in cases {
        let (array, fault) = one(column("c", name, (size.into(), 0, 0), &[wire, size]), value).await;
        assert_eq!((array.as_primitive::<Int64Type>().value(0), fault), (expected, None), "{name}");
    }
    let (array, _) = one(column("c", "bit", (1, 0, 0), &[0x68, 1]), sized(&[1])).await;
    assert!(array.as_boolean().value(0));
}

#[tokio::test]
async fn decimals_are_exact_to_the_last_digit() {
    let nines = 10_i128.pow(38) - 1;
    let wire = |scale| [0x6a, 17, 38, scale];
    let (array, fault) = one(column("c", "decimal", (17, 38, 9), &wire(9)), decimal(-nines)).await;
    assert_eq!((array.as_primitive::<Decimal128Type>().value(0), fault), (-nines, None));
    assert_eq!(array.data_type(), &DataType::Decimal128(38, 9));
    let (array, fault) = one(column("c", "numeric", (17, 38, 38), &wire(38)), decimal(nines)).await;
    assert_eq!((array.as_primitive::<Decimal256Type>().value(0), fault), (i256::from_i128(nines), None));
    assert_eq!(array.data_type(), &DataType::Decimal256(38, 38));
}

#[tokio::test]
async fn money_is_converted_by_the_server_and_exact() {
    let most = i128::from(i64::MAX);
    let wire = Wire::start(vec![column("c", "money", (8, 19, 4), &[0x6a, 17, 19, 4])], vec![vec![decimal(most)]]).await;
    let rows = extract(&source_of(&wire, "").await, &read_of(Selection::Table("t".into()))).await.unwrap();
    assert_eq!(only(&rows).0.column(0).as_primitive::<Decimal128Type>().value(0), most);
    assert_eq!(wire.statements("FROM [t]"), ["SELECT CAST([c] AS decimal(19,4)) AS [c] FROM [t]"]);
}

#[tokio::test]
async fn doubles_are_the_same_bits() {
    for value in [0.1, f64::MAX, -f64::MIN_POSITIVE, 5e-324] {
        let (array, _) = one(column("c", "float", (8, 53, 0), &[0x6d, 8]), sized(&value.to_le_bytes())).await;
        assert_eq!(array.as_primitive::<Float64Type>().value(0).to_bits(), value.to_bits());
    }
    let (array, _) = one(column("c", "real", (4, 24, 0), &[0x6d, 4]), sized(&0.1_f32.to_le_bytes())).await;
    assert_eq!(array.as_primitive::<Float64Type>().value(0).to_bits(), f64::from(0.1_f32).to_bits());
}

#[tokio::test]
async fn dates_and_times_to_their_ends() {
    let first = |array: &ArrayRef| array.as_primitive::<TimestampMicrosecondType>().value(0);
    for (value, expected) in [(0, -719_162), (3_652_058, 2_932_896), (719_162, 0)] {
        let (array, _) = one(column("c", "date", (3, 10, 0), &[0x28]), sized(&days(value))).await;
        assert_eq!(array.as_primitive::<Date32Type>().value(0), expected);
    }
    let last = u64::try_from(DAY).unwrap() * 10 - 10;
    let (array, fault) = one(column("c", "time", (5, 16, 7), &[0x29, 7]), sized(&ticks(last))).await;
    assert_eq!((array.as_primitive::<Time64MicrosecondType>().value(0), fault), (DAY - 1, None));
    // 1753-01-01, and 9999-12-31 23:59:59.997: where datetime begins and ends.
    for (day, part, expected) in [(-53_690_i32, 0_u32, -79_257 * DAY), (2_958_463, 25_919_999, 2_932_897 * DAY - 3_000)]
    {
        let value = sized(&[day.to_le_bytes(), part.to_le_bytes()].concat());
        let (array, _) = one(column("c", "datetime", (8, 23, 3), &[0x6f, 8]), value).await;
        assert_eq!(first(&array), expected);
    }
    let value = sized(&[365_u16.to_le_bytes(), 61_u16.to_le_bytes()].concat());
    let (array, _) = one(column("c", "smalldatetime", (4, 16, 0), &[0x6f, 4]), value).await;
    assert_eq!(first(&array), (-25_567 + 365) * DAY + 61 * 60_000_000);
    let value = sized(&[ticks(10), days(0)].concat());
    let (array, _) = one(column("c", "datetime2", (8, 27, 7), &[0x2a, 7]), value).await;
    assert_eq!(first(&array), -719_162 * DAY + 1);
    // 2024-01-01T00:30:00.000001+02:00, which is on the wire as it is in UTC.
    let value = sized(
        &[ticks(22 * 36_000_000_000 + 18_000_000_000 + 10), days(738_884), 120_i16.to_le_bytes().to_vec()].concat(),
    );
    let (array, fault) = one(column("c", "datetimeoffset", (10, 34, 7), &[0x2b, 7]), value).await;
    assert_eq!((first(&array), fault), (1_704_061_800_000_001, None));
}

#[tokio::test]
async fn a_seventh_digit_is_cut_unless_it_is_to_be_a_fault() {
    let wire = || column("c", "datetime2", (8, 27, 7), &[0x2a, 7]);
    let value = || sized(&[ticks(19), days(719_162)].concat());
    let (array, fault) = one(wire(), value()).await;
    assert_eq!((array.as_primitive::<TimestampMicrosecondType>().value(0), fault), (1, None));
    let (array, fault) = one_with(wire(), value(), "fine_times=quarantine").await;
    assert_eq!((array.is_null(0), fault), (true, Some(CellFaultKind::SubMicrosecond)));
    let time = column("c", "time", (5, 16, 7), &[0x29, 7]);
    let (_, fault) = one_with(time, sized(&ticks(1)), "fine_times=quarantine").await;
    assert_eq!(fault, Some(CellFaultKind::SubMicrosecond));
}

#[tokio::test]
async fn texts_of_every_kind() {
    let said = "Zürich € \u{1f600}";
    let max = || [&[0xe7, 0xff, 0xff], &LATIN[..]].concat();
    // The statement makes nvarchar of every kind of varchar.
    let cases: [(_, _, Vec<u8>, Vec<u8>, &str); 9] = [
        ("nvarchar", 8_000, nvarchar(), text(said), said),
        ("nchar", 20, [&[0xef, 20, 0], &LATIN[..]].concat(), text("ab  "), "ab  "),
        ("nvarchar", -1, max(), chunked(&utf16(said)), said),
        ("varchar", 50, nvarchar(), text(said), said),
        ("char", 8, nvarchar(), text("a       "), "a       "),
        ("varchar", -1, max(), chunked(&utf16(said)), said),
        ("text", 16, max(), chunked(&utf16(said)), said),
        ("ntext", 16, [&[0x63, 0xfe, 0xff, 0xff, 0x7f], &LATIN[..], &[0]].concat(), pointed(&utf16(said)), said),
        ("xml", -1, vec![0xf1, 0], chunked(&utf16("<a>ü</a>")), "<a>ü</a>"),
    ];
    for (name, length, wire, value, expected) in cases {
        let (array, fault) = one(column("c", name, (length, 0, 0), &wire), value).await;
        assert_eq!((array.as_string::<i32>().value(0), fault), (expected, None), "{name}({length})");
    }
    let half = [0xe7, 0x40, 0x1f].iter().chain(&LATIN).copied().collect::<Vec<u8>>();
    let (array, fault) = one(column("c", "nvarchar", (8_000, 0, 0), &half), long(&[0x00, 0xd8])).await;
    assert_eq!((array.is_null(0), fault), (true, Some(CellFaultKind::Text)), "half of a surrogate pair");
    let (_, fault) = one(column("c", "nvarchar", (8_000, 0, 0), &half), text("a\0b")).await;
    assert_eq!(fault, Some(CellFaultKind::Text), "a NUL");
    let bytes = [0xff, 0x19, 0x96, 0x6f, 0x86, 0x8b, 0x11, 0xd0, 0xb4, 0x2d, 0, 0xc0, 0x4f, 0xc9, 0x64, 0xff];
    let (array, _) = one(column("c", "uniqueidentifier", (16, 0, 0), &[0x24, 16]), sized(&bytes)).await;
    assert_eq!(array.as_string::<i32>().value(0), "6F9619FF-8B86-D011-B42D-00C04FC964FF");
}

/// `LargePhoto` of the product tables is one, and failed in pandas.
#[tokio::test]
async fn bytes_are_the_same_bytes() {
    let photo: Vec<u8> = (0..=255).cycle().take(70_000).map(|byte: u8| byte.wrapping_mul(7)).collect();
    let cases: [(_, _, Vec<u8>, Vec<u8>, &[u8]); 5] = [
        ("varbinary", -1, vec![0xa5, 0xff, 0xff], chunked(&photo), &photo),
        ("image", 16, vec![0x22, 0xff, 0xff, 0xff, 0x7f, 0], pointed(&photo), &photo),
        ("varbinary", 10, vec![0xa5, 10, 0], long(&[0, 255]), &[0, 255]),
        ("binary", 4, vec![0xad, 4, 0], long(&[0, 0, 1, 0]), &[0, 0, 1, 0]),
        ("timestamp", 8, vec![0xad, 8, 0], long(&[0, 0, 0, 0, 0, 0, 7, 0xd1]), &[0, 0, 0, 0, 0, 0, 7, 0xd1]),
    ];
    for (name, length, wire, value, expected) in cases {
        let (array, fault) = one(column("c", name, (length, 0, 0), &wire), value).await;
        assert_eq!((array.as_binary::<i32>().value(0), fault), (expected, None), "{name}");
    }
}

#[tokio::test]
async fn a_variant_is_the_text_of_its_value() {
    let wire = [0x62, 0x49, 0x1f, 0, 0];
    let variant = |bytes: &[u8]| [&u32::try_from(bytes.len()).unwrap().to_le_bytes(), bytes].concat();
    let number = [&[0x6a, 2, 19, 4, 1], &123_456_u64.to_le_bytes()[..]].concat();
    for (value, expected) in [
        (variant(&[0x38, 0, 42, 0, 0, 0]), "42"),
        (variant(&number), "12.3456"),
        (variant(&[&[0xe7, 7], &LATIN[..], &[20, 0], &utf16("ä")].concat()), "ä"),
        (variant(&[&[0x2a, 1, 7], &ticks(10)[..], &days(719_162)].concat()), "1970-01-01 00:00:00.0000010"),
    ] {
        let (array, fault) = one(column("c", "sql_variant", (8_016, 0, 0), &wire), value).await;
        assert_eq!((array.as_string::<i32>().value(0), fault), (expected, None));
    }
}

#[tokio::test]
async fn nothing_is_null_in_every_type() {
    let zero: [(_, &[u8]); 7] = [
        ("int", &[0x26, 4]),
        ("bit", &[0x68, 1]),
        ("float", &[0x6d, 8]),
        ("date", &[0x28]),
        ("datetime2", &[0x2a, 7]),
        ("uniqueidentifier", &[0x24, 16]),
        ("image", &[0x22, 0xff, 0xff, 0xff, 0x7f, 0]),
    ];
    for (name, wire) in zero {
        let (array, fault) = one(column("c", name, (8, 10, 2), wire), vec![0]).await;
        assert_eq!((array.is_null(0), fault), (true, None), "{name}");
    }
    let (array, fault) = one(column("c", "nvarchar", (8_000, 0, 0), &nvarchar()), vec![0xff, 0xff]).await;
    assert_eq!((array.is_null(0), fault), (true, None));
    let (array, fault) = one(column("c", "varbinary", (-1, 0, 0), &[0xa5, 0xff, 0xff]), vec![0xff; 8]).await;
    assert_eq!((array.is_null(0), fault), (true, None));
}

#[tokio::test]
async fn a_type_of_the_databases_own_is_named_before_anything_is_read() {
    let wire = Wire::start(vec![column("home", "Address", (-1, 0, 0), &[0xf0])], vec![]).await;
    let error = source_of(&wire, "").await.plan(&read_of(Selection::Table("t".into()))).await.unwrap_err();
    assert!(error.to_string().contains("home") && error.to_string().contains("CAST"), "{error}");
    assert!(wire.statements("FROM [t]").is_empty());
}

/// What a row of the property test has.
#[derive(Debug, Clone)]
struct Sample {
    id: i64,
    price: i128,
    ratio: f64,
    name: Option<String>,
    photo: Vec<u8>,
    at: i64,
}

fn samples() -> impl Strategy<Value = Vec<Sample>> {
    // The years 1 to 9999, in microseconds.
    let at = -719_162 * DAY..2_932_897 * DAY;
    let bound = 10_i128.pow(38);
    let name = proptest::option::of("[^\0\u{fffd}]{0,30}");
    let photo = proptest::collection::vec(any::<u8>(), 0..60);
    let sample = (any::<i64>(), 1 - bound..bound, -1e300..1e300, name, photo, at);
    let sample = sample.prop_map(|(id, price, ratio, name, photo, at)| Sample { id, price, ratio, name, photo, at });
    proptest::collection::vec(sample, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_on_the_wire_is_in_the_batches(samples in samples()) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let columns = vec![
                column("id", "bigint", (8, 19, 0), &[0x26, 8]),
                column("price", "decimal", (17, 38, 9), &[0x6a, 17, 38, 9]),
                column("ratio", "float", (8, 53, 0), &[0x6d, 8]),
                column("name", "nvarchar", (8_000, 0, 0), &nvarchar()),
                column("photo", "varbinary", (-1, 0, 0), &[0xa5, 0xff, 0xff]),
                column("at", "datetime2", (8, 27, 7), &[0x2a, 7]),
            ];
            let rows = samples.iter().map(|sample| {
                let (day, micros) = (sample.at.div_euclid(DAY), sample.at.rem_euclid(DAY));
                vec![
                    sized(&sample.id.to_le_bytes()),
                    decimal(sample.price),
                    sized(&sample.ratio.to_le_bytes()),
                    sample.name.as_deref().map_or(vec![0xff, 0xff], text),
                    chunked(&sample.photo),
                    sized(&[ticks(micros as u64 * 10), days((day + 719_162) as u32)].concat()),
                ]
            });
            let wire = Wire::start(columns, rows.collect()).await;
            let rows = extract(&source_of(&wire, "").await, &read_of(Selection::Table("t".into()))).await.unwrap();
            let (batch, faults) = only(&rows);
            assert_eq!(faults, []);
            assert_eq!(batch.num_rows(), samples.len());
            for (row, sample) in samples.iter().enumerate() {
                assert_eq!(batch.column(0).as_primitive::<Int64Type>().value(row), sample.id);
                assert_eq!(batch.column(1).as_primitive::<Decimal128Type>().value(row), sample.price);
                assert_eq!(batch.column(2).as_primitive::<Float64Type>().value(row).to_bits(), sample.ratio.to_bits());
                let names = batch.column(3).as_string::<i32>();
                assert_eq!(names.is_valid(row).then(|| names.value(row)), sample.name.as_deref());
                assert_eq!(batch.column(4).as_binary::<i32>().value(row), sample.photo);
                assert_eq!(batch.column(5).as_primitive::<TimestampMicrosecondType>().value(row), sample.at);
            }
        });
    }
}
