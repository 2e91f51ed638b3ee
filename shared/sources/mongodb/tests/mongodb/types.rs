//! Every type of MongoDB: ordinary values, none, extremes, and what does not fit.

use arrow::{
    array::{Array, AsArray},
    datatypes::{Decimal256Type, Float64Type, Int64Type, TimestampMicrosecondType, i256},
};
use millstream_ports::{CellFault, CellFaultKind};
use mongodb::bson::{
    Binary, Bson, DateTime, Document, JavaScriptCodeWithScope, Regex, Timestamp, doc, oid::ObjectId,
    spec::BinarySubtype,
};

use crate::support::{Server, read_all, read_of, table};

/// The values of one field, in order, each in a document.
async fn column(server: &Server, parameters: &str, values: Vec<Bson>) -> (arrow::array::ArrayRef, Vec<CellFault>) {
    let documents = values.into_iter().enumerate().map(|(at, value)| match value {
        Bson::DbPointer(_) => doc! { "_id": at as i32 },
        value => doc! { "_id": at as i32, "v": value },
    });
    server.collection("values").drop().await.unwrap();
    server.collection("values").insert_many(documents).await.unwrap();
    let source = server.source(parameters).await;
    let (_, batch, faults) = read_all(&*source, &read_of(table("values"))).await.unwrap();
    (std::sync::Arc::clone(batch.column_by_name("v").unwrap()), faults)
}

fn texts(array: &dyn Array) -> Vec<Option<&str>> {
    array.as_string::<i32>().iter().collect()
}

fn kinds(faults: &[CellFault]) -> Vec<(usize, CellFaultKind)> {
    faults.iter().map(|fault| (fault.row, fault.kind)).collect()
}

fn decimal(text: &str) -> Bson {
    Bson::Decimal128(text.parse().unwrap())
}

#[tokio::test]
async fn numbers() {
    let server = Server::start().await;
    let values = vec![Bson::Int32(i32::MIN), Bson::Int64(i64::MAX), Bson::Null, Bson::Int64(i64::MIN)];
    let (array, faults) = column(&server, "", values).await;
    assert_eq!(
        array.as_primitive::<Int64Type>().iter().collect::<Vec<_>>(),
        [Some(i64::from(i32::MIN)), Some(i64::MAX), None, Some(i64::MIN)]
    );
    assert_eq!(faults, []);

    let values = vec![Bson::Double(1.5), Bson::Int64((1 << 53) + 1), Bson::Int32(3), Bson::Double(f64::INFINITY)];
    let (array, faults) = column(&server, "", values).await;
    assert_eq!(
        array.as_primitive::<Float64Type>().iter().collect::<Vec<_>>(),
        [Some(1.5), None, Some(3.0), Some(f64::INFINITY)]
    );
    assert_eq!(kinds(&faults), [(1, CellFaultKind::Type)], "a double does not have every integer");
    let (array, _) = column(&server, "", vec![Bson::Double(f64::NAN)]).await;
    assert!(array.as_primitive::<Float64Type>().value(0).is_nan());

    let values = ["0.1", "-12.50", "1E+3", "NaN", "Infinity", "1E-39", "9E+40", "1E-38", "0E+6000"];
    let values = values.into_iter().map(decimal).chain([Bson::Int64(7), Bson::Null]).collect();
    let (array, faults) = column(&server, "", values).await;
    let one = i256::from_i128(10_i128.pow(38));
    let tenth = i256::from_i128(10_i128.pow(37));
    let of = |digits: i64, unit: i256| Some(i256::from_i128(i128::from(digits)).wrapping_mul(unit));
    assert_eq!(
        array.as_primitive::<Decimal256Type>().iter().collect::<Vec<_>>(),
        [
            of(1, tenth),
            of(-125, tenth),
            of(1_000, one),
            None,
            None,
            None,
            None,
            Some(i256::ONE),
            Some(i256::ZERO),
            of(7, one),
            None,
        ]
    );
    use CellFaultKind::{DecimalRange, NotFinite};
    assert_eq!(kinds(&faults), [(3, NotFinite), (4, NotFinite), (5, DecimalRange), (6, DecimalRange)]);
}

#[tokio::test]
async fn texts_and_ids() {
    let server = Server::start().await;
    let values = vec!["a\u{e4}\u{1f600}".into(), "".into(), Bson::Symbol("s".into()), Bson::Null, "nul\0".into()];
    let (array, faults) = column(&server, "", values).await;
    assert_eq!(texts(&array), [Some("a\u{e4}\u{1f600}"), Some(""), Some("s"), None, None]);
    assert_eq!(kinds(&faults), [(4, CellFaultKind::Text)]);

    let id = ObjectId::parse_str("507f1f77bcf86cd799439011").unwrap();
    let uuid = Binary { subtype: BinarySubtype::Uuid, bytes: (0..16).collect() };
    let (array, faults) = column(&server, "", vec![id.into(), uuid.into()]).await;
    assert_eq!(texts(&array), [Some("507f1f77bcf86cd799439011"), Some("00010203-0405-0607-0809-0a0b0c0d0e0f")]);
    assert_eq!(faults, []);
}

#[tokio::test]
async fn bytes_truths_and_times() {
    let server = Server::start().await;
    let binary = |subtype, bytes: &[u8]| Bson::Binary(Binary { subtype, bytes: bytes.to_vec() });
    let values = vec![
        binary(BinarySubtype::Generic, &[0, 255]),
        binary(BinarySubtype::UserDefined(0x85), b"x"),
        binary(BinarySubtype::Generic, b""),
        binary(BinarySubtype::UuidOld, &[7; 16]),
        Bson::Null,
    ];
    let (array, faults) = column(&server, "", values).await;
    let bytes: Vec<_> = array.as_binary::<i32>().iter().collect();
    assert_eq!(bytes, [Some(&[0, 255][..]), Some(b"x"), Some(b""), Some(&[7; 16]), None]);
    assert_eq!(faults, []);

    let (array, _) = column(&server, "", vec![true.into(), Bson::Null, false.into()]).await;
    assert_eq!(array.as_boolean().iter().collect::<Vec<_>>(), [Some(true), None, Some(false)]);

    // SecantusDB stores no year before 1 or after 9999; `documents.rs` has them in tests of its own.
    let (first, last) = (-62_135_596_800_000, 253_402_300_799_999);
    let values = [0, -1, first, last].into_iter().map(|millis| Bson::DateTime(DateTime::from_millis(millis)));
    let (array, faults) = column(&server, "", values.chain([Bson::Null]).collect()).await;
    let micros: Vec<_> = array.as_primitive::<TimestampMicrosecondType>().iter().collect();
    assert_eq!(micros, [Some(0), Some(-1_000), Some(first * 1_000), Some(last * 1_000), None]);
    assert_eq!(faults, []);
}

#[tokio::test]
async fn what_has_no_column_of_its_own_is_extended_json() {
    let server = Server::start().await;
    let pattern = "^a/".to_owned().try_into().unwrap();
    let values = vec![
        Bson::RegularExpression(Regex { pattern, options: "i".to_owned().try_into().unwrap() }),
        Bson::JavaScriptCode("f()".into()),
        Bson::JavaScriptCodeWithScope(JavaScriptCodeWithScope { code: "g".into(), scope: doc! { "x": 1 } }),
        Bson::MinKey,
        Bson::MaxKey,
        Bson::Timestamp(Timestamp { time: 5, increment: 6 }),
        Bson::Null,
        Bson::Undefined,
    ];
    let (array, faults) = column(&server, "", values).await;
    assert_eq!(
        texts(&array),
        [
            Some(r#"{"$regularExpression":{"pattern":"^a/","options":"i"}}"#),
            Some(r#"{"$code":"f()"}"#),
            Some(r#"{"$code":"g","$scope":{"x":1}}"#),
            Some(r#"{"$minKey":1}"#),
            Some(r#"{"$maxKey":1}"#),
            Some(r#"{"$timestamp":{"t":5,"i":6}}"#),
            None,
            None,
        ]
    );
    assert_eq!(faults, []);
}

#[tokio::test]
async fn values_of_several_types_meet_in_json() {
    let server = Server::start().await;
    let values =
        vec![1.into(), "a".into(), Bson::Double(0.5), doc! { "b": 1, "a": [2, Bson::Null] }.into(), true.into()];
    let (array, faults) = column(&server, "", values).await;
    assert_eq!(texts(&array), [Some("1"), Some("\"a\""), Some("0.5"), Some(r#"{"b":1,"a":[2,null]}"#), Some("true")]);
    assert_eq!(faults, []);
}

#[tokio::test]
async fn nested_documents_and_arrays() {
    let server = Server::start().await;
    let nested = |city: &str| doc! { "city": city, "at": { "lat": 1.5 }, "tags": ["a", "b"], "lines": [{ "n": 1 }] };
    let values: Vec<Bson> = vec![nested("Bern").into(), Bson::Null, doc! { "city": Bson::Null, "tags": [] }.into()];
    let (array, faults) = column(&server, "", values.clone()).await;
    let structure = array.as_struct();
    assert_eq!(texts(structure.column_by_name("city").unwrap()), [Some("Bern"), None, None]);
    assert_eq!([structure.is_null(0), structure.is_null(1), structure.is_null(2)], [false, true, false]);
    let lat = structure.column_by_name("at").unwrap().as_struct().column(0).as_primitive::<Float64Type>().clone();
    assert_eq!(lat.iter().collect::<Vec<_>>(), [Some(1.5), None, None]);
    let tags = structure.column_by_name("tags").unwrap().as_list::<i32>();
    assert_eq!(texts(&tags.value(0)), [Some("a"), Some("b")]);
    assert_eq!(tags.value(2).len(), 0);
    let lines = structure.column_by_name("lines").unwrap().as_list::<i32>().value(0);
    assert_eq!(lines.as_struct().column(0).as_primitive::<Int64Type>().value(0), 1);
    assert_eq!(faults, []);

    let (array, _) = column(&server, "nested=json", values).await;
    let json = r#"{"city":"Bern","at":{"lat":1.5},"tags":["a","b"],"lines":[{"n":1}]}"#;
    assert_eq!(texts(&array)[0], Some(json));
}

/// The sample is of other documents than these.
#[tokio::test]
async fn a_value_of_another_type_than_its_column_is_a_bad_one() {
    let server = Server::start().await;
    let ordinary =
        || doc! { "n": 1, "t": "a", "b": true, "s": { "x": 1 }, "l": [1], "d": DateTime::from_millis(0), "f": 0.5 };
    let odd = doc! { "n": "1", "t": 1, "b": 1, "s": [1], "l": [1, Bson::Null], "d": "2024-01-01", "f": "x" };
    let odder =
        doc! { "n": 1.5, "t": { "x": 1 }, "b": "true", "s": { "x": "1" }, "l": ["a"], "d": 5_i64, "f": decimal("1") };
    let exact = doc! { "n": 5.0, "t": Bson::Null, "f": 2 };
    let documents = (0..9).map(|at| {
        let mut document = doc! { "_id": at };
        document.extend::<Document>(match at {
            3 => odd.clone(),
            4 => odder.clone(),
            5 => exact.clone(),
            _ => ordinary(),
        });
        document
    });
    server.collection("items").insert_many(documents).await.unwrap();
    let (plan, batch, faults) = read_all(&*server.source("sample=2").await, &read_of(table("items"))).await.unwrap();
    let name = |fault: &CellFault| plan.columns[fault.column].name.clone();
    let told: Vec<(usize, String, CellFaultKind)> =
        faults.iter().map(|fault| (fault.row, name(fault), fault.kind)).collect();
    let (wrong, array) = (CellFaultKind::Type, CellFaultKind::Array);
    let expected: Vec<(usize, String, CellFaultKind)> = ["n", "t", "b", "s", "l", "d", "f"]
        .into_iter()
        .map(|name| (3, name.to_owned(), if name == "l" { array } else { wrong }))
        .chain(["n", "t", "b", "s", "l", "d", "f"].map(|name| (4, name.to_owned(), wrong)))
        .collect();
    assert_eq!(told, expected);
    assert_eq!(faults[0].value, "\"1\"");
    assert_eq!(batch.column_by_name("n").unwrap().as_primitive::<Int64Type>().value(5), 5);
}
