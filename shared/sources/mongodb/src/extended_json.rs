//! MongoDB's extended JSON (version 2), written from BSON as it lies in memory.
//!
//! The `bson` crate reads it; it writes it only through a tree of `serde_json` values, which loses the order of the fields.

use std::io::Write;

use base64::{Engine, engine::general_purpose::STANDARD};
use mongodb::bson::{Bson, RawBson, RawBsonRef};

/// How numbers and times are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Numbers as JSON's own, times as ISO 8601: for people and for JSON columns.
    Relaxed,
    /// Every value with its type, so that it is read back as the same: for positions and ranges.
    Canonical,
}

/// A value as text in relaxed form, for a person: what is no BSON says so.
pub(crate) fn shown(value: RawBsonRef<'_>) -> String {
    let mut out = Vec::new();
    match write(&mut out, value, Form::Relaxed) {
        Ok(()) => String::from_utf8_lossy(&out).into_owned(),
        Err(reason) => format!("malformed BSON: {reason}"),
    }
}

/// A value as text that [`read`] reads back as the same value of the same type.
pub(crate) fn canonical(value: RawBsonRef<'_>) -> Result<String, String> {
    let mut out = Vec::new();
    write(&mut out, value, Form::Canonical)?;
    String::from_utf8(out).map_err(|error| error.to_string())
}

/// A value as text, read back.
pub(crate) fn read(text: &str) -> Result<Bson, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

/// Appends a value.
///
/// # Errors
/// Says what is wrong with the BSON.
pub(crate) fn write(out: &mut Vec<u8>, value: RawBsonRef<'_>, form: Form) -> Result<(), String> {
    let canonical = form == Form::Canonical;
    match value {
        RawBsonRef::Null => out.extend(b"null"),
        RawBsonRef::Boolean(value) => out.extend(if value { &b"true"[..] } else { b"false" }),
        RawBsonRef::Int32(value) if canonical => append(out, format_args!(r#"{{"$numberInt":"{value}"}}"#)),
        RawBsonRef::Int32(value) => append(out, format_args!("{value}")),
        RawBsonRef::Int64(value) if canonical => append(out, format_args!(r#"{{"$numberLong":"{value}"}}"#)),
        RawBsonRef::Int64(value) => append(out, format_args!("{value}")),
        RawBsonRef::Double(value) => double(out, value, canonical)?,
        RawBsonRef::Decimal128(value) => append(out, format_args!(r#"{{"$numberDecimal":"{value}"}}"#)),
        RawBsonRef::String(text) => quoted(out, text)?,
        RawBsonRef::Symbol(text) => wrapped(out, "$symbol", text)?,
        RawBsonRef::JavaScriptCode(code) => wrapped(out, "$code", code)?,
        RawBsonRef::JavaScriptCodeWithScope(code) => {
            out.extend(br#"{"$code":"#);
            quoted(out, code.code)?;
            out.extend(br#","$scope":"#);
            write(out, RawBsonRef::Document(code.scope), form)?;
            out.push(b'}');
        }
        RawBsonRef::ObjectId(id) => append(out, format_args!(r#"{{"$oid":"{id}"}}"#)),
        RawBsonRef::DateTime(at) => {
            let millis = at.timestamp_millis();
            // Extended JSON writes years before 1970 and after 9999 as numbers in both forms.
            match at.try_to_rfc3339_string() {
                Ok(text) if !canonical && (0..=LAST_MILLIS).contains(&millis) => wrapped(out, "$date", &text)?,
                _ => append(out, format_args!(r#"{{"$date":{{"$numberLong":"{millis}"}}}}"#)),
            }
        }
        RawBsonRef::Timestamp(at) => {
            append(out, format_args!(r#"{{"$timestamp":{{"t":{},"i":{}}}}}"#, at.time, at.increment));
        }
        RawBsonRef::Binary(binary) => {
            let subtype = u8::from(binary.subtype);
            let text = STANDARD.encode(binary.bytes);
            append(out, format_args!(r#"{{"$binary":{{"base64":"{text}","subType":"{subtype:02x}"}}}}"#));
        }
        RawBsonRef::RegularExpression(regex) => {
            out.extend(br#"{"$regularExpression":{"pattern":"#);
            quoted(out, regex.pattern.as_str())?;
            out.extend(br#","options":"#);
            quoted(out, regex.options.as_str())?;
            out.extend(b"}}");
        }
        RawBsonRef::Undefined => out.extend(br#"{"$undefined":true}"#),
        RawBsonRef::MinKey => out.extend(br#"{"$minKey":1}"#),
        RawBsonRef::MaxKey => out.extend(br#"{"$maxKey":1}"#),
        // Its parts are the driver's own; it serializes them as extended JSON.
        RawBsonRef::DbPointer(_) => {
            serde_json::to_writer(&mut *out, &RawBson::from(value)).map_err(|error| error.to_string())?;
        }
        RawBsonRef::Document(document) => {
            out.push(b'{');
            for (index, element) in document.iter().enumerate() {
                let (name, value) = element.map_err(|error| error.to_string())?;
                if index > 0 {
                    out.push(b',');
                }
                quoted(out, name.as_str())?;
                out.push(b':');
                write(out, value, form)?;
            }
            out.push(b'}');
        }
        RawBsonRef::Array(array) => {
            out.push(b'[');
            for (index, item) in array.into_iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write(out, item.map_err(|error| error.to_string())?, form)?;
            }
            out.push(b']');
        }
    }
    Ok(())
}

/// 9999-12-31T23:59:59.999Z.
const LAST_MILLIS: i64 = 253_402_300_799_999;

fn append(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // A vector takes all that is written.
    let _ = out.write_fmt(text);
}

/// A JSON string.
pub(crate) fn quoted(out: &mut Vec<u8>, text: &str) -> Result<(), String> {
    serde_json::to_writer(out, text).map_err(|error| error.to_string())
}

fn wrapped(out: &mut Vec<u8>, name: &str, text: &str) -> Result<(), String> {
    append(out, format_args!(r#"{{"{name}":"#));
    quoted(out, text)?;
    out.push(b'}');
    Ok(())
}

fn double(out: &mut Vec<u8>, value: f64, canonical: bool) -> Result<(), String> {
    let named = match value {
        _ if value.is_nan() => "NaN",
        f64::INFINITY => "Infinity",
        f64::NEG_INFINITY => "-Infinity",
        _ if canonical => {
            append(out, format_args!(r#"{{"$numberDouble":"{value:?}"}}"#));
            return Ok(());
        }
        _ => return serde_json::to_writer(out, &value).map_err(|error| error.to_string()),
    };
    wrapped(out, "$numberDouble", named)
}

#[cfg(test)]
mod tests {
    use mongodb::bson::{
        Binary, DateTime, Decimal128, Document, Regex, Timestamp, doc, oid::ObjectId, spec::BinarySubtype,
    };
    use proptest::prelude::*;

    use super::*;

    fn written(value: &Bson, form: Form) -> String {
        let document = mongodb::bson::RawDocumentBuf::try_from(&doc! { "v": value.clone() }).unwrap();
        let mut out = Vec::new();
        write(&mut out, document.get("v").unwrap().unwrap(), form).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn value() -> impl Strategy<Value = Bson> {
        let leaf = prop_oneof![
            Just(Bson::Null),
            Just(Bson::MinKey),
            Just(Bson::MaxKey),
            Just(Bson::Undefined),
            any::<bool>().prop_map(Bson::Boolean),
            any::<i32>().prop_map(Bson::Int32),
            any::<i64>().prop_map(Bson::Int64),
            any::<f64>().prop_map(Bson::Double),
            any::<String>().prop_map(Bson::String),
            any::<String>().prop_map(Bson::Symbol),
            any::<String>().prop_map(Bson::JavaScriptCode),
            any::<[u8; 12]>().prop_map(|bytes| Bson::ObjectId(ObjectId::from_bytes(bytes))),
            any::<i64>().prop_map(|millis| Bson::DateTime(DateTime::from_millis(millis))),
            (any::<u32>(), any::<u32>()).prop_map(|(time, increment)| Bson::Timestamp(Timestamp { time, increment })),
            any::<Vec<u8>>().prop_map(|bytes| Bson::Binary(Binary { subtype: BinarySubtype::Generic, bytes })),
            any::<[u8; 16]>()
                .prop_map(|bytes| Bson::Binary(Binary { subtype: BinarySubtype::Uuid, bytes: bytes.to_vec() })),
            (any::<i64>(), -6_000..6_000_i32).prop_map(|(digits, exponent)| {
                Bson::Decimal128(format!("{digits}E{exponent}").parse::<Decimal128>().unwrap())
            }),
            "[a-z]{0,5}".prop_map(|pattern| {
                Bson::RegularExpression(Regex {
                    pattern: pattern.try_into().unwrap(),
                    options: "im".to_owned().try_into().unwrap(),
                })
            }),
        ];
        leaf.prop_recursive(4, 24, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Bson::Array),
                prop::collection::vec(("[a-zA-Z_ .\u{e4}]{1,8}", inner), 0..5)
                    .prop_map(|fields| Bson::Document(fields.into_iter().collect::<Document>())),
            ]
        })
    }

    /// NaN is equal to nothing.
    fn without_nan(value: &Bson) -> Bson {
        match value {
            Bson::Double(number) if number.is_nan() => Bson::String("NaN".into()),
            Bson::Array(items) => Bson::Array(items.iter().map(without_nan).collect()),
            Bson::Document(fields) => {
                Bson::Document(fields.iter().map(|(name, value)| (name.clone(), without_nan(value))).collect())
            }
            other => other.clone(),
        }
    }

    proptest! {
        #[test]
        fn what_is_written_in_canonical_form_is_read_back_with_its_types(value in value()) {
            let text = written(&value, Form::Canonical);
            let back = read(&text).unwrap();
            prop_assert_eq!(without_nan(&back), without_nan(&value), "{}", text);
        }

        #[test]
        fn both_forms_are_json(value in value()) {
            for form in [Form::Relaxed, Form::Canonical] {
                let text = written(&value, form);
                prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{}", text);
            }
        }
    }

    #[test]
    fn the_relaxed_form_is_the_one_of_the_specification() {
        let id = ObjectId::parse_str("507f1f77bcf86cd799439011").unwrap();
        for (value, text) in [
            (Bson::Int64(5), "5"),
            (Bson::Double(1.5), "1.5"),
            (Bson::Double(f64::NAN), r#"{"$numberDouble":"NaN"}"#),
            (Bson::ObjectId(id), r#"{"$oid":"507f1f77bcf86cd799439011"}"#),
            (Bson::DateTime(DateTime::from_millis(1_500)), r#"{"$date":"1970-01-01T00:00:01.5Z"}"#),
            (Bson::DateTime(DateTime::from_millis(-1)), r#"{"$date":{"$numberLong":"-1"}}"#),
            (Bson::Timestamp(Timestamp { time: 7, increment: 2 }), r#"{"$timestamp":{"t":7,"i":2}}"#),
            (
                Bson::Binary(Binary { subtype: BinarySubtype::Generic, bytes: vec![1, 2] }),
                r#"{"$binary":{"base64":"AQI=","subType":"00"}}"#,
            ),
            (Bson::Document(doc! { "b": [1, "x"], "a": Bson::Null }), r#"{"b":[1,"x"],"a":null}"#),
        ] {
            assert_eq!(written(&value, Form::Relaxed), text);
        }
    }
}
