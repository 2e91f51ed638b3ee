//! Any value of every type, serialized by the driver and read back by the source.

use arrow::{
    array::{Array, AsArray, RecordBatch},
    datatypes::{
        Date32Type, Decimal256Type, Float64Type, Int64Type, Time64MicrosecondType, TimestampMicrosecondType, i256,
    },
};
use millstream_ports::Read;
use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use scylla::{
    frame::response::result::{ColumnType, NativeType},
    value::{CqlDate, CqlDecimal, CqlTime, CqlTimestamp, CqlValue, CqlVarint},
};

use crate::{
    server::{Kind, Row, Server, State, Table},
    support::{INT, TEXT, list, map, read_all, read_of, source, table},
};

#[derive(Debug, Clone, PartialEq)]
struct Values {
    big: Option<i64>,
    varint: Option<i128>,
    decimal: Option<(i64, u8)>,
    double: Option<f64>,
    text: Option<String>,
    blob: Option<Vec<u8>>,
    days: Option<i32>,
    micros: Option<i64>,
    millis: Option<i64>,
    uuid: Option<u128>,
    items: Vec<i32>,
    entries: Vec<(String, Option<bool>)>,
}

fn values() -> impl Strategy<Value = Vec<Values>> {
    let nines = 10_i128.pow(38) - 1;
    let of = (
        prop::option::of(any::<i64>()),
        prop::option::of(-nines..=nines),
        prop::option::of((any::<i64>(), 0..=19_u8)),
        prop::option::of(prop::num::f64::NORMAL | prop::num::f64::ZERO),
        prop::option::of("[^\0]{0,12}"),
        prop::option::of(prop::collection::vec(any::<u8>(), 0..20)),
        prop::option::of(-719_162..=2_932_896_i32),
        prop::option::of(0..86_400_000_000_i64),
        prop::option::of(-62_135_596_800_000..=253_402_300_799_999_i64),
        prop::option::of(any::<u128>()),
        prop::collection::vec(any::<i32>(), 0..4),
        prop::collection::vec(("[a-z]{0,4}", prop::option::of(any::<bool>())), 0..3),
    );
    let row = of.prop_map(|(big, varint, decimal, double, text, blob, days, micros, millis, uuid, items, entries)| {
        Values { big, varint, decimal, double, text, blob, days, micros, millis, uuid, items, entries }
    });
    prop::collection::vec(row, 1..40)
}

fn columns() -> Vec<(&'static str, Kind, ColumnType<'static>)> {
    let native = ColumnType::Native;
    let entry = ColumnType::Tuple(vec![native(NativeType::Boolean)]);
    vec![
        ("id", Kind::PartitionKey, INT),
        ("big", Kind::Regular, native(NativeType::BigInt)),
        ("varint", Kind::Regular, native(NativeType::Varint)),
        ("decimal", Kind::Regular, native(NativeType::Decimal)),
        ("double", Kind::Regular, native(NativeType::Double)),
        ("text", Kind::Regular, TEXT),
        ("blob", Kind::Regular, native(NativeType::Blob)),
        ("days", Kind::Regular, native(NativeType::Date)),
        ("micros", Kind::Regular, native(NativeType::Time)),
        ("millis", Kind::Regular, native(NativeType::Timestamp)),
        ("uuid", Kind::Regular, native(NativeType::Uuid)),
        ("items", Kind::Regular, list(INT)),
        ("entries", Kind::Regular, map(TEXT, entry)),
    ]
}

fn row(id: usize, of: &Values) -> Row {
    let varint = |value: i128| CqlVarint::from_signed_bytes_be(value.to_be_bytes().to_vec());
    let decimal = |(digits, scale): (i64, u8)| {
        CqlDecimal::from_signed_be_bytes_and_exponent(digits.to_be_bytes().to_vec(), i32::from(scale))
    };
    let entry = |(key, flag): &(String, Option<bool>)| {
        (CqlValue::Text(key.clone()), CqlValue::Tuple(vec![flag.map(CqlValue::Boolean)]))
    };
    vec![
        Some(CqlValue::Int(id as i32)),
        of.big.map(CqlValue::BigInt),
        of.varint.map(|value| CqlValue::Varint(varint(value))),
        of.decimal.map(|value| CqlValue::Decimal(decimal(value))),
        of.double.map(CqlValue::Double),
        of.text.clone().map(CqlValue::Text),
        of.blob.clone().map(CqlValue::Blob),
        of.days.map(|days| CqlValue::Date(CqlDate((i64::from(days) + (1 << 31)) as u32))),
        of.micros.map(|micros| CqlValue::Time(CqlTime(micros * 1_000))),
        of.millis.map(|millis| CqlValue::Timestamp(CqlTimestamp(millis))),
        of.uuid.map(|id| CqlValue::Uuid(uuid::Uuid::from_u128(id))),
        Some(CqlValue::List(of.items.iter().map(|item| CqlValue::Int(*item)).collect())),
        Some(CqlValue::Map(of.entries.iter().map(entry).collect())),
    ]
}

fn read_back(batch: &RecordBatch, at: usize) -> Values {
    let column = |name: &str| batch.column_by_name(name).unwrap();
    macro_rules! primitive {
        ($name:literal, $kind:ty) => {
            column($name).is_valid(at).then(|| column($name).as_primitive::<$kind>().value(at))
        };
    }
    let text = |name: &str| column(name).is_valid(at).then(|| column(name).as_string::<i32>().value(at).to_owned());
    let items = column("items").as_list::<i32>().value(at);
    let entries = column("entries").as_list::<i32>().value(at);
    let keys = entries.as_struct().column_by_name("key").unwrap().as_string::<i32>();
    let flags = entries.as_struct().column_by_name("value").unwrap().as_struct().column(0).as_boolean();
    Values {
        big: primitive!("big", Int64Type),
        varint: primitive!("varint", Decimal256Type).map(|value| value.to_i128().unwrap()),
        decimal: None,
        double: primitive!("double", Float64Type),
        text: text("text"),
        blob: column("blob").is_valid(at).then(|| column("blob").as_binary::<i32>().value(at).to_vec()),
        days: primitive!("days", Date32Type),
        micros: primitive!("micros", Time64MicrosecondType),
        millis: primitive!("millis", TimestampMicrosecondType).map(|micros| {
            assert_eq!(micros % 1_000, 0);
            micros / 1_000
        }),
        uuid: text("uuid").map(|text| text.parse::<uuid::Uuid>().unwrap().as_u128()),
        items: items.as_primitive::<Int64Type>().values().iter().map(|item| *item as i32).collect(),
        entries: keys.iter().zip(flags).map(|(key, flag)| (key.unwrap().to_owned(), flag)).collect(),
    }
}

#[tokio::test]
async fn what_the_driver_serializes_is_read_back() {
    let server = Server::start(State::default(), None).await;
    let source = source(&server, "page_rows=7").await;
    let mut runner = TestRunner::deterministic();
    for _ in 0..60 {
        let values = values().new_tree(&mut runner).unwrap().current();
        let mut items = Table::new("shop.items", &columns());
        items.rows = values.iter().enumerate().map(|(id, values)| row(id, values)).collect();
        server.with(|state| state.tables = vec![items]);
        let read = Read { range_rows: 5, ..read_of(table("items")) };
        let (_, batch, faults) = read_all(&*source, &read).await.unwrap();
        assert_eq!(faults, []);
        assert_eq!(batch.num_rows(), values.len());
        let ids = batch.column(0).as_primitive::<Int64Type>();
        let decimals = batch.column_by_name("decimal").unwrap().as_primitive::<Decimal256Type>();
        for at in 0..batch.num_rows() {
            let written = &values[ids.value(at) as usize];
            assert_eq!(read_back(&batch, at), Values { decimal: None, ..written.clone() });
            let expected = written.decimal.map(|(digits, scale)| {
                let unit = i256::from_i128(10_i128.pow(38 - u32::from(scale)));
                i256::from_i128(i128::from(digits)).wrapping_mul(unit)
            });
            assert_eq!(decimals.is_valid(at).then(|| decimals.value(at)), expected, "{:?}", written.decimal);
        }
    }
}
