//! Every type of CQL: ordinary values, none, extremes, and what does not fit.

use arrow::{
    array::{Array, ArrayRef, AsArray},
    datatypes::{
        Date32Type, Decimal256Type, Float64Type, Int64Type, Time64MicrosecondType, TimestampMicrosecondType, i256,
    },
};
use millstream_ports::{CellFault, CellFaultKind};
use scylla::{
    frame::response::result::{ColumnType, NativeType},
    value::{Counter, CqlDate, CqlDecimal, CqlDuration, CqlTime, CqlTimestamp, CqlTimeuuid, CqlValue, CqlVarint},
};

use crate::{
    server::{Kind, Server, State, Table},
    support::{INT, TEXT, list, map, read_all, read_of, set, source, table, udt},
};

/// The values of a column, by key.
async fn column(cql: ColumnType<'static>, values: Vec<Option<CqlValue>>) -> (ArrayRef, Vec<(usize, CellFaultKind)>) {
    let mut items = Table::new("shop.items", &[("id", Kind::PartitionKey, INT), ("v", Kind::Regular, cql)]);
    items.rows =
        values.into_iter().enumerate().map(|(id, value)| vec![Some(CqlValue::Int(id as i32)), value]).collect();
    let server = Server::start(State { tables: vec![items], ..State::default() }, None).await;
    let (_, batch, faults) = read_all(&*source(&server, "").await, &read_of(table("items"))).await.unwrap();
    let ids = batch.column(0).as_primitive::<Int64Type>();
    let mut order: Vec<(i64, u64)> = ids.values().iter().copied().zip(0..).collect();
    order.sort_unstable();
    let indexes: arrow::array::UInt64Array = order.iter().map(|(_, at)| *at).collect();
    let sorted = arrow::compute::take(batch.column(1), &indexes, None).unwrap();
    let mut faults: Vec<(usize, CellFaultKind)> =
        faults.iter().map(|CellFault { row, kind, .. }| (ids.value(*row) as usize, *kind)).collect();
    faults.sort_by_key(|(row, _)| *row);
    (sorted, faults)
}

fn native(native: NativeType) -> ColumnType<'static> {
    ColumnType::Native(native)
}

fn texts(array: &dyn Array) -> Vec<Option<&str>> {
    array.as_string::<i32>().iter().collect()
}

#[tokio::test]
async fn integers() {
    for (kind, values) in [
        (NativeType::TinyInt, [CqlValue::TinyInt(i8::MIN), CqlValue::TinyInt(i8::MAX)]),
        (NativeType::SmallInt, [CqlValue::SmallInt(i16::MIN), CqlValue::SmallInt(i16::MAX)]),
        (NativeType::Int, [CqlValue::Int(i32::MIN), CqlValue::Int(i32::MAX)]),
        (NativeType::BigInt, [CqlValue::BigInt(i64::MIN), CqlValue::BigInt(i64::MAX)]),
        (NativeType::Counter, [CqlValue::Counter(Counter(i64::MIN)), CqlValue::Counter(Counter(i64::MAX))]),
    ] {
        let bits = match kind {
            NativeType::TinyInt => 8,
            NativeType::SmallInt => 16,
            NativeType::Int => 32,
            _ => 64,
        };
        let [least, most] = values;
        let (array, faults) = column(native(kind), vec![Some(least), None, Some(most)]).await;
        let expected = [Some(i64::MIN >> (64 - bits)), None, Some(i64::MAX >> (64 - bits))];
        assert_eq!(array.as_primitive::<Int64Type>().iter().collect::<Vec<_>>(), expected);
        assert_eq!(faults, []);
    }
}

#[tokio::test]
async fn numbers_of_any_size() {
    let of = |text: &str| i256::from_string(text).unwrap();
    let bytes = |value: i256| value.to_be_bytes().to_vec();
    let varint = |bytes: Vec<u8>| Some(CqlValue::Varint(CqlVarint::from_signed_bytes_be(bytes)));
    let nines = of(&"9".repeat(38));
    let values = vec![
        varint(vec![0]),
        varint(vec![0xff]),
        varint(bytes(nines)),
        varint(bytes(nines.wrapping_neg())),
        varint(bytes(nines.wrapping_add(i256::ONE))),
        varint([vec![0x7f], vec![0xff; 40]].concat()),
        varint([vec![0xff; 40], vec![0x85]].concat()),
        varint([vec![0x00; 40], vec![0x85]].concat()),
        None,
    ];
    let (array, faults) = column(native(NativeType::Varint), values).await;
    let expected = [
        Some(i256::ZERO),
        Some(i256::MINUS_ONE),
        Some(nines),
        Some(nines.wrapping_neg()),
        None,
        None,
        Some(i256::from_i128(-123)),
        Some(i256::from_i128(133)),
        None,
    ];
    assert_eq!(array.as_primitive::<Decimal256Type>().iter().collect::<Vec<_>>(), expected);
    assert_eq!(faults, [(4, CellFaultKind::DecimalRange), (5, CellFaultKind::DecimalRange)]);

    let decimal = |digits: i128, scale| {
        Some(CqlValue::Decimal(CqlDecimal::from_signed_be_bytes_and_exponent(digits.to_be_bytes().to_vec(), scale)))
    };
    let values = vec![
        decimal(-1_250, 2),
        decimal(5, -3),
        decimal(1, 38),
        decimal(1, 39),
        decimal(1, -40),
        decimal(0, i32::MAX),
        None,
    ];
    let (array, faults) = column(native(NativeType::Decimal), values).await;
    let one = of(&format!("1{}", "0".repeat(38)));
    let expected = [
        Some(of(&format!("-125{}", "0".repeat(37)))),
        Some(one.wrapping_mul(i256::from_i128(5_000))),
        Some(i256::ONE),
        None,
        None,
        Some(i256::ZERO),
        None,
    ];
    assert_eq!(array.as_primitive::<Decimal256Type>().iter().collect::<Vec<_>>(), expected);
    assert_eq!(faults, [(3, CellFaultKind::DecimalRange), (4, CellFaultKind::DecimalRange)]);
}

#[tokio::test]
async fn floats_truths_bytes_and_texts() {
    let values = vec![Some(CqlValue::Float(0.1)), Some(CqlValue::Float(f32::INFINITY)), None];
    let (array, _) = column(native(NativeType::Float), values).await;
    let floats: Vec<_> = array.as_primitive::<Float64Type>().iter().collect();
    assert_eq!(floats, [Some(f64::from(0.1_f32)), Some(f64::INFINITY), None]);
    let values = vec![Some(CqlValue::Double(f64::MIN_POSITIVE)), Some(CqlValue::Double(f64::NAN))];
    let (array, _) = column(native(NativeType::Double), values).await;
    let doubles = array.as_primitive::<Float64Type>();
    assert!(doubles.value(0) == f64::MIN_POSITIVE && doubles.value(1).is_nan());

    let (array, _) = column(native(NativeType::Boolean), vec![Some(CqlValue::Boolean(true)), None]).await;
    assert_eq!(array.as_boolean().iter().collect::<Vec<_>>(), [Some(true), None]);
    let values = vec![Some(CqlValue::Blob(vec![0, 255])), Some(CqlValue::Blob(vec![])), None];
    let (array, _) = column(native(NativeType::Blob), values).await;
    assert_eq!(array.as_binary::<i32>().iter().collect::<Vec<_>>(), [Some(&[0, 255][..]), Some(b""), None]);

    let text = |text: &str| Some(CqlValue::Text(text.into()));
    let (array, faults) = column(TEXT, vec![text("\u{e4}\u{1f600}"), text(""), None, text("a\0b")]).await;
    assert_eq!(texts(&array), [Some("\u{e4}\u{1f600}"), Some(""), None, None]);
    assert_eq!(faults, [(3, CellFaultKind::Text)]);
    let (array, _) = column(native(NativeType::Ascii), vec![Some(CqlValue::Ascii("plain".into()))]).await;
    assert_eq!(texts(&array), [Some("plain")]);
}

#[tokio::test]
async fn identifiers_and_addresses() {
    let id = uuid::Uuid::from_u128(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff);
    let text = Some("00112233-4455-6677-8899-aabbccddeeff");
    let (array, _) = column(native(NativeType::Uuid), vec![Some(CqlValue::Uuid(id)), None]).await;
    assert_eq!(texts(&array), [text, None]);
    let (array, _) = column(native(NativeType::Timeuuid), vec![Some(CqlValue::Timeuuid(CqlTimeuuid::from(id)))]).await;
    assert_eq!(texts(&array), [text]);
    let addresses =
        vec![Some(CqlValue::Inet([10, 0, 0, 1].into())), Some(CqlValue::Inet("2001:db8::1".parse().unwrap()))];
    let (array, _) = column(native(NativeType::Inet), addresses).await;
    assert_eq!(texts(&array), [Some("10.0.0.1"), Some("2001:db8::1")]);
}

#[tokio::test]
async fn dates_and_times() {
    let epoch = 1_u32 << 31;
    let (first, last) = (-719_162_i64, 2_932_896_i64);
    let date = |days: i64| Some(CqlValue::Date(CqlDate((i64::from(epoch) + days) as u32)));
    let values =
        vec![date(0), date(first), date(last), date(first - 1), date(last + 1), Some(CqlValue::Date(CqlDate(0))), None];
    let (array, faults) = column(native(NativeType::Date), values).await;
    let days: Vec<_> = array.as_primitive::<Date32Type>().iter().collect();
    assert_eq!(days, [Some(0), Some(first as i32), Some(last as i32), None, None, None, None]);
    let out = |row| (row, CellFaultKind::DateRange);
    assert_eq!(faults, [out(3), out(4), out(5)]);

    let time = |nanos| Some(CqlValue::Time(CqlTime(nanos)));
    let values = vec![time(0), time(86_399_999_999_000), time(1), time(86_399_999_999_999), None];
    let (array, faults) = column(native(NativeType::Time), values).await;
    let micros: Vec<_> = array.as_primitive::<Time64MicrosecondType>().iter().collect();
    assert_eq!(micros, [Some(0), Some(86_399_999_999), None, None, None]);
    assert_eq!(faults, [(2, CellFaultKind::SubMicrosecond), (3, CellFaultKind::SubMicrosecond)]);

    let at = |millis| Some(CqlValue::Timestamp(CqlTimestamp(millis)));
    let (first, last) = (-62_135_596_800_000, 253_402_300_799_999);
    let values = vec![at(-1), at(first), at(last), at(first - 1), at(last + 1), at(i64::MIN), at(i64::MAX), None];
    let (array, faults) = column(native(NativeType::Timestamp), values).await;
    let micros: Vec<_> = array.as_primitive::<TimestampMicrosecondType>().iter().collect();
    assert_eq!(micros, [Some(-1_000), Some(first * 1_000), Some(last * 1_000), None, None, None, None, None]);
    assert_eq!(faults, [out(3), out(4), out(5), out(6)]);

    let duration = CqlDuration { months: -1, days: 2, nanoseconds: i64::MAX };
    let (array, _) = column(native(NativeType::Duration), vec![Some(CqlValue::Duration(duration)), None]).await;
    let parts = array.as_struct();
    let part = |index: usize| parts.column(index).as_primitive::<Int64Type>().value(0);
    assert_eq!([part(0), part(1), part(2)], [-1, 2, i64::MAX]);
    assert!(parts.is_null(1));
}

#[tokio::test]
async fn collections() {
    let ints = |items: &[i32]| items.iter().map(|item| CqlValue::Int(*item)).collect::<Vec<_>>();
    let numbers =
        |array: &dyn Array, at: usize| array.as_list::<i32>().value(at).as_primitive::<Int64Type>().values().to_vec();
    for (cql, value) in [(list(INT), CqlValue::List(ints(&[3, 1, 3]))), (set(INT), CqlValue::Set(ints(&[3, 1, 3])))] {
        let (array, faults) = column(cql, vec![Some(value), None]).await;
        assert_eq!(numbers(&array, 0), [3, 1, 3]);
        assert!(array.is_null(1));
        assert_eq!(faults, []);
    }
    let nested =
        CqlValue::List(vec![CqlValue::List(ints(&[1])), CqlValue::List(ints(&[])), CqlValue::List(ints(&[2, 3]))]);
    let (array, _) = column(list(list(INT)), vec![Some(nested)]).await;
    let items = array.as_list::<i32>().value(0);
    let inner = items.as_struct().column_by_name("items").unwrap();
    assert_eq!([numbers(inner, 0), numbers(inner, 1), numbers(inner, 2)], [vec![1], vec![], vec![2, 3]]);

    let entries = vec![
        (CqlValue::Text("a".into()), CqlValue::List(ints(&[1, 2]))),
        (CqlValue::Text("b".into()), CqlValue::List(ints(&[]))),
    ];
    let (array, _) = column(map(TEXT, list(INT)), vec![Some(CqlValue::Map(entries)), None]).await;
    let entries = array.as_list::<i32>().value(0);
    assert_eq!(texts(entries.as_struct().column_by_name("key").unwrap()), [Some("a"), Some("b")]);
    let values = entries.as_struct().column_by_name("value").unwrap();
    assert_eq!([numbers(values, 0), numbers(values, 1)], [vec![1, 2], vec![]]);

    let vector = ColumnType::Vector { typ: Box::new(native(NativeType::Float)), dimensions: 3 };
    let value = CqlValue::Vector([0.5, -1.0, 2.0].map(CqlValue::Float).into());
    let (array, _) = column(vector, vec![Some(value)]).await;
    let floats = array.as_list::<i32>().value(0);
    assert_eq!(floats.as_primitive::<Float64Type>().values(), &[0.5, -1.0, 2.0]);
}

#[tokio::test]
async fn tuples_and_types_of_users() {
    let tuple = ColumnType::Tuple(vec![INT, TEXT]);
    let value = |text: Option<&str>| {
        Some(CqlValue::Tuple(vec![Some(CqlValue::Int(7)), text.map(|text| CqlValue::Text(text.into()))]))
    };
    let (array, _) = column(tuple, vec![value(Some("x")), value(None), None]).await;
    let fields = array.as_struct();
    assert_eq!(texts(fields.column_by_name("field2").unwrap()), [Some("x"), None, None]);
    assert_eq!([fields.is_null(0), fields.is_null(1), fields.is_null(2)], [false, false, true]);

    let point = udt("point", &[("x", INT), ("tags", list(TEXT))]);
    let value = |x: Option<i32>| CqlValue::UserDefinedType {
        keyspace: "shop".into(),
        name: "point".into(),
        fields: vec![
            ("x".into(), x.map(CqlValue::Int)),
            ("tags".into(), Some(CqlValue::List(vec![CqlValue::Text("t".into())]))),
        ],
    };
    let (array, faults) = column(list(point), vec![Some(CqlValue::List(vec![value(Some(1)), value(None)]))]).await;
    let points = array.as_list::<i32>().value(0);
    let x: Vec<_> = points.as_struct().column_by_name("x").unwrap().as_primitive::<Int64Type>().iter().collect();
    assert_eq!(x, [Some(1), None]);
    let tags = points.as_struct().column_by_name("tags").unwrap().as_list::<i32>().value(1);
    assert_eq!(texts(&tags), [Some("t")]);
    assert_eq!(faults, []);
}

#[tokio::test]
async fn a_value_of_no_bytes_is_none() {
    let (array, faults) = column(INT, vec![Some(CqlValue::Empty), Some(CqlValue::Int(1))]).await;
    assert_eq!(array.as_primitive::<Int64Type>().iter().collect::<Vec<_>>(), [None, Some(1)]);
    assert_eq!(faults, []);
}

#[tokio::test]
async fn a_type_that_cannot_be_mapped_is_named_before_anything_is_read() {
    let twice = udt("twice", &[("a", INT), ("A", INT)]);
    let items = Table::new("shop.items", &[("id", Kind::PartitionKey, INT), ("v", Kind::Regular, twice)]);
    let server = Server::start(State { tables: vec![items], ..State::default() }, None).await;
    let source = source(&server, "").await;
    let shape = source.describe(&table("items")).await.unwrap();
    assert!(shape.columns[1].kind.as_ref().unwrap_err().contains("case"), "{shape:?}");
    let error = read_all(&*source, &read_of(table("items"))).await.unwrap_err();
    assert!(error.to_string().contains("column v of type twice"), "{error}");
    assert_eq!(server.with(|state| state.executed.len()), 0);
}
