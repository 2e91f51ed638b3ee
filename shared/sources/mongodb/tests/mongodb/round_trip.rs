//! Any value of every type, written by the driver and read back by the source.

use arrow::{
    array::{Array, AsArray, RecordBatch},
    datatypes::{Decimal256Type, Float64Type, Int64Type, TimestampMicrosecondType, i256},
};
use millstream_ports::Read;
use mongodb::bson::{Binary, Bson, DateTime, Document, doc, oid::ObjectId, spec::BinarySubtype};
use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};

use crate::support::{Server, read_all, read_of, table};

#[derive(Debug, Clone, PartialEq)]
struct Row {
    int: Option<i64>,
    double: Option<f64>,
    decimal: Option<(i64, u32)>,
    flag: Option<bool>,
    text: Option<String>,
    id: Option<[u8; 12]>,
    uuid: Option<[u8; 16]>,
    bytes: Option<Vec<u8>>,
    millis: Option<i64>,
    items: Vec<i32>,
    nested: Option<(Option<String>, Vec<f64>)>,
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let maybe = |probability| prop::option::weighted(probability, Just(()));
    let text = "[^\0]{0,12}";
    let scalars = (
        prop::option::of(any::<i64>()),
        prop::option::of(prop::num::f64::NORMAL | prop::num::f64::ZERO),
        prop::option::of((any::<i64>(), 0..=20_u32)),
        prop::option::of(any::<bool>()),
        prop::option::of(text),
        prop::option::of(any::<[u8; 12]>()),
        prop::option::of(any::<[u8; 16]>()),
    );
    let others = (
        prop::option::of(prop::collection::vec(any::<u8>(), 0..20)),
        prop::option::of(-62_135_596_800_000..=253_402_300_799_999_i64),
        prop::collection::vec(any::<i32>(), 0..4),
        (maybe(0.7), prop::option::of(text), prop::collection::vec(-1e9..1e9, 0..3)),
    );
    let row = (scalars, others).prop_map(
        |((int, double, decimal, flag, text, id, uuid), (bytes, millis, items, (there, inner, numbers)))| Row {
            int,
            double,
            decimal,
            flag,
            text,
            id,
            uuid,
            bytes,
            millis,
            items,
            nested: there.map(|()| (inner, numbers)),
        },
    );
    prop::collection::vec(row, 1..60)
}

/// The same types in every document: a row of them all comes first.
fn first() -> Row {
    Row {
        int: Some(1),
        double: Some(0.5),
        decimal: Some((5, 1)),
        flag: Some(true),
        text: Some("t".into()),
        id: Some([1; 12]),
        uuid: Some([2; 16]),
        bytes: Some(vec![3]),
        millis: Some(4),
        items: vec![5],
        nested: Some((Some("n".into()), vec![0.25])),
    }
}

fn document(at: usize, row: &Row) -> Document {
    let mut document = doc! { "_id": at as i64 };
    let binary = |subtype, bytes: &[u8]| Bson::Binary(Binary { subtype, bytes: bytes.to_vec() });
    let decimal = |(digits, scale): (i64, u32)| Bson::Decimal128(format!("{digits}E-{scale}").parse().unwrap());
    let values: [(&str, Option<Bson>); 11] = [
        ("int", row.int.map(Bson::Int64)),
        ("double", row.double.map(Bson::Double)),
        ("decimal", row.decimal.map(decimal)),
        ("flag", row.flag.map(Bson::Boolean)),
        ("text", row.text.clone().map(Bson::String)),
        ("id", row.id.map(|bytes| ObjectId::from_bytes(bytes).into())),
        ("uuid", row.uuid.map(|bytes| binary(BinarySubtype::Uuid, &bytes))),
        ("bytes", row.bytes.as_deref().map(|bytes| binary(BinarySubtype::Generic, bytes))),
        ("millis", row.millis.map(|millis| DateTime::from_millis(millis).into())),
        ("items", Some(row.items.iter().copied().map(Bson::Int32).collect::<Vec<_>>().into())),
        (
            "nested",
            row.nested.as_ref().map(|(text, numbers)| {
                doc! { "text": text.clone(), "numbers": numbers.iter().copied().map(Bson::Double).collect::<Vec<_>>() }
                    .into()
            }),
        ),
    ];
    // What has no value is there as NULL in some documents and not at all in others.
    for (name, value) in values {
        match value {
            Some(value) => _ = document.insert(name, value),
            None if at.is_multiple_of(2) => _ = document.insert(name, Bson::Null),
            None => {}
        }
    }
    document
}

fn row_of(batch: &RecordBatch, at: usize) -> Row {
    let column = |name: &str| batch.column_by_name(name).unwrap();
    let there = |name: &str| column(name).is_valid(at).then_some(());
    let text = |name: &str| there(name).map(|()| column(name).as_string::<i32>().value(at).to_owned());
    let unhex = |text: String| -> Vec<u8> {
        let digits: String = text.chars().filter(|digit| *digit != '-').collect();
        (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
    };
    let numbers = |array: &dyn Array| array.as_primitive::<Float64Type>().values().to_vec();
    let micros = || column("millis").as_primitive::<TimestampMicrosecondType>().value(at);
    Row {
        int: there("int").map(|()| column("int").as_primitive::<Int64Type>().value(at)),
        double: there("double").map(|()| column("double").as_primitive::<Float64Type>().value(at)),
        decimal: None,
        flag: there("flag").map(|()| column("flag").as_boolean().value(at)),
        text: text("text"),
        id: text("id").map(|text| unhex(text).try_into().unwrap()),
        uuid: text("uuid").map(|text| unhex(text).try_into().unwrap()),
        bytes: there("bytes").map(|()| column("bytes").as_binary::<i32>().value(at).to_vec()),
        millis: there("millis").map(|()| {
            assert_eq!(micros() % 1_000, 0);
            micros() / 1_000
        }),
        items: {
            let items = column("items").as_list::<i32>().value(at);
            items.as_primitive::<Int64Type>().values().iter().map(|item| *item as i32).collect()
        },
        nested: there("nested").map(|()| {
            let nested = column("nested").as_struct();
            let text = nested.column_by_name("text").unwrap();
            let list = nested.column_by_name("numbers").unwrap().as_list::<i32>().value(at);
            (text.is_valid(at).then(|| text.as_string::<i32>().value(at).to_owned()), numbers(&list))
        }),
    }
}

fn unscaled(batch: &RecordBatch, at: usize) -> Option<i256> {
    let decimals = batch.column_by_name("decimal").unwrap();
    decimals.is_valid(at).then(|| decimals.as_primitive::<Decimal256Type>().value(at))
}

#[tokio::test]
async fn what_is_written_is_read_back() {
    let server = Server::start().await;
    let source = server.source("").await;
    let mut runner = TestRunner::deterministic();
    for round in 0..40 {
        let mut rows = rows().new_tree(&mut runner).unwrap().current();
        rows.insert(0, first());
        let items = server.collection("items");
        items.drop().await.unwrap();
        items.insert_many(rows.iter().enumerate().map(|(at, row)| document(at, row))).await.unwrap();
        let read = Read { range_rows: 1 + round, ..read_of(table("items")) };
        let (_, batch, faults) = read_all(&*source, &read).await.unwrap();
        assert_eq!(faults, []);
        assert_eq!(batch.num_rows(), rows.len());
        let ids = batch.column_by_name("_id").unwrap().as_primitive::<Int64Type>();
        for at in 0..batch.num_rows() {
            let row = &rows[ids.value(at) as usize];
            assert_eq!(row_of(&batch, at), Row { decimal: None, ..row.clone() });
            let expected = row.decimal.map(|(digits, scale)| {
                i256::from_i128(i128::from(digits)).wrapping_mul(i256::from_i128(10_i128.pow(38 - scale)))
            });
            assert_eq!(unscaled(&batch, at), expected, "{:?}", row.decimal);
        }
    }
}
