//! ARRAY and STRUCT values, by the type's shape: recursion goes as deep as the contract's type, never as deep as the data.

use std::{borrow::Cow, fmt};

use millstream_events::contract::ColumnType;
use serde::{
    Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::decode::raw_text;
use crate::{
    column::{ColumnBuilder, One},
    fault::Fault,
};

/// Appends one value of any type from its JSON text.
pub(crate) fn append_value(builder: &mut ColumnBuilder, document: Option<&[u8]>) -> Result<(), Fault> {
    let mut scratch = Vec::new();
    let document = document.filter(|document| *document != b"null");
    let mut one = One { text: raw_text(document, &mut scratch), json: document, fault: None };
    builder.append(&mut one);
    one.fault.map_or(Ok(()), Err)
}

/// Appends the elements of a JSON array; on a fault, those up to it.
pub(crate) fn append_array(item: &mut ColumnBuilder, document: &[u8]) -> Result<(), Fault> {
    let elements: Vec<&RawValue> = serde_json::from_slice(document).map_err(|_| Fault::NotArray)?;
    item.check_text = true;
    for element in elements {
        if element.get() == "null" {
            return Err(Fault::NullElement);
        }
        append_value(item, Some(element.get().as_bytes()))?;
    }
    Ok(())
}

/// Appends one slot to every field; NULL for those that the object has not, for all of them when there is no object.
pub(crate) fn append_struct(
    fields: &mut [ColumnBuilder],
    kinds: &[(String, ColumnType)],
    document: Option<&[u8]>,
) -> Result<(), Fault> {
    let mut values: Vec<Option<&RawValue>> = vec![None; kinds.len()];
    let mut outcome = match document {
        None => Ok(()),
        Some(document) => read_fields(document, kinds, &mut values),
    };
    for (field, value) in fields.iter_mut().zip(values) {
        field.check_text = true;
        let appended = append_value(field, value.map(|value| value.get().as_bytes()));
        outcome = outcome.and(appended);
    }
    outcome
}

fn read_fields<'de>(
    document: &'de [u8],
    kinds: &[(String, ColumnType)],
    values: &mut [Option<&'de RawValue>],
) -> Result<(), Fault> {
    let mut outcome = Ok(());
    let visitor =
        FieldsVisitor(|name: &str, value| match kinds.iter().position(|(field, _)| field.eq_ignore_ascii_case(name)) {
            Some(index) => {
                if values[index].replace(value).is_some() {
                    outcome = Err(Fault::DuplicateKey);
                }
            }
            None => outcome = Err(Fault::UnknownField),
        });
    serde_json::Deserializer::from_slice(document).deserialize_map(visitor).map_err(|_| Fault::NotStruct)?;
    outcome
}

/// Hands each key and value of an object to a closure, without copying them.
pub(crate) struct FieldsVisitor<F>(pub(crate) F);

impl<'de, F: FnMut(&str, &'de RawValue)> Visitor<'de> for FieldsVisitor<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(Key(key)) = map.next_key()? {
            (self.0)(&key, map.next_value()?);
        }
        Ok(())
    }
}

/// An object's key, borrowed when it has no escapes.
#[derive(serde::Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);
