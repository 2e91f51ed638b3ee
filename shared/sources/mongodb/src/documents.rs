//! Documents on their way into columns.

use std::collections::HashMap;

use millstream_events::contract::ColumnType;
use millstream_ports::{BatchSize, CellFaultKind, PortError, PortResult, Rows, SourceColumn};
use millstream_source_columns::{Cell, Columns};
use mongodb::bson::{RawArray, RawBsonRef, RawDocument};

use crate::{
    extended_json::{self, Form},
    shape::{OTHER_TYPE, is_uuid},
};

/// The largest integer up to which a double has them all.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Where values of fields without a column go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rest {
    /// Into the column of this index.
    Column(usize),
    /// Their document goes to quarantine.
    Fault,
    /// Nowhere: the columns were chosen by name, and these are not among them.
    Dropped,
}

/// The growing batch of a reading.
#[derive(Debug)]
pub(crate) struct Documents {
    columns: Columns,
    names: Vec<String>,
    indexes: HashMap<String, usize>,
    kinds: Vec<ColumnType>,
    rest: Rest,
    writer: Writer,
    /// The current document's values by column; kept for its memory.
    slots: Vec<Slot<'static>>,
}

/// A value, or that its bytes are no text.
type Slot<'a> = Option<Result<RawBsonRef<'a>, ()>>;

impl Documents {
    /// No rows yet. `strict` decides what becomes of unknown fields where no column is theirs.
    pub(crate) fn new(columns: &[SourceColumn], size: BatchSize, strict: bool) -> PortResult<Self> {
        let rest = match columns.iter().position(|column| column.source_type == OTHER_TYPE) {
            Some(index) => Rest::Column(index),
            None if strict => Rest::Fault,
            None => Rest::Dropped,
        };
        let names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
        let named = names.iter().cloned().enumerate().filter(|(index, _)| rest != Rest::Column(*index));
        Ok(Self {
            columns: Columns::new(columns, size)?,
            indexes: named.map(|(index, name)| (name, index)).collect(),
            kinds: columns.iter().filter_map(|column| column.kind.clone().ok()).collect(),
            rest,
            writer: Writer { rest, ..Writer::default() },
            slots: Vec::with_capacity(names.len()),
            names,
        })
    }

    /// Adds a document as a row; whether the batch is full now.
    pub(crate) fn add(&mut self, document: &RawDocument) -> PortResult<bool> {
        let mut slots = emptied(std::mem::take(&mut self.slots));
        slots.resize(self.names.len(), None);
        self.writer.start();
        let mut expected = 0;
        for element in document.iter_elements() {
            let element = element.map_err(|error| malformed(&error))?;
            let name = element.key().as_str();
            let value = element.value().map_err(|_| ());
            // Most documents have their fields in the order of the columns.
            let index = match self.names.get(expected) {
                Some(next) if next == name && self.rest != Rest::Column(expected) => Some(expected),
                _ => self.indexes.get(name).copied(),
            };
            match index {
                Some(index) => {
                    slots[index] = Some(value);
                    expected = index + 1;
                }
                None => self.writer.keep_at_top(name, value),
            }
        }
        let unknown = self.writer.refused.take();
        for (index, (kind, slot)) in self.kinds.iter().zip(&slots).enumerate() {
            let cell = self.columns.cell(index);
            match (slot, &unknown) {
                _ if self.rest == Rest::Column(index) => self.writer.finish(cell),
                (_, Some(unknown)) if index == 0 => cell.fault(CellFaultKind::Type, unknown),
                (None, _) => cell.null(),
                (Some(Err(())), _) => cell.fault(CellFaultKind::Text, "a text that is no UTF-8"),
                (Some(Ok(value)), _) => {
                    let at = self.writer.path.len();
                    self.writer.path.push_str(&self.names[index]);
                    self.writer.write(cell, kind, *value);
                    self.writer.path.truncate(at);
                }
            }
        }
        self.slots = emptied(slots);
        Ok(self.columns.end_row())
    }

    /// The rows so far.
    pub(crate) fn take(&mut self) -> PortResult<Option<Rows>> {
        self.columns.take()
    }
}

/// The same memory for values that live elsewhere.
fn emptied<'b>(mut slots: Vec<Slot<'_>>) -> Vec<Slot<'b>> {
    slots.clear();
    slots.into_iter().map(|_| None).collect()
}

fn malformed(error: &mongodb::bson::error::Error) -> PortError {
    PortError::unavailable(format!("a document is no BSON ({error}): read it again, and mend it where it stays so"))
}

/// Writes values, and gathers the fields that no column holds.
#[derive(Debug)]
struct Writer {
    rest: Rest,
    /// Where the value being written is in its document.
    path: String,
    /// The members of the rest's JSON object so far.
    other: Vec<u8>,
    /// What is wrong with the document, where unknown fields are refused.
    refused: Option<String>,
    scratch: Vec<u8>,
}

impl Default for Writer {
    fn default() -> Self {
        Self { rest: Rest::Dropped, path: String::new(), other: Vec::new(), refused: None, scratch: Vec::new() }
    }
}

impl Writer {
    fn start(&mut self) {
        self.path.clear();
        self.other.clear();
        self.refused = None;
    }

    /// Keeps a top-level field that has no column. One without a value is no loss.
    fn keep_at_top(&mut self, name: &str, value: Result<RawBsonRef<'_>, ()>) {
        match value {
            Ok(RawBsonRef::Null | RawBsonRef::Undefined) => {}
            Ok(value) => self.keep(name, value),
            Err(()) if self.rest != Rest::Dropped => {
                self.refused.get_or_insert_with(|| format!("the field {name}: a text that is no UTF-8"));
            }
            Err(()) => {}
        }
    }

    fn keep(&mut self, path: &str, value: RawBsonRef<'_>) {
        match self.rest {
            Rest::Dropped => {}
            Rest::Fault => {
                self.refused.get_or_insert_with(|| no_column(path, value));
            }
            Rest::Column(_) => {
                let whole = self.other.len();
                if whole > 0 {
                    self.other.push(b',');
                }
                let written = extended_json::quoted(&mut self.other, path).and_then(|()| {
                    self.other.push(b':');
                    extended_json::write(&mut self.other, value, Form::Relaxed)
                });
                if let Err(reason) = written {
                    self.other.truncate(whole);
                    self.refused.get_or_insert_with(|| format!("the field {path}: {reason}"));
                }
            }
        }
    }

    /// Fills the column of the rest.
    fn finish(&mut self, cell: Cell<'_>) {
        if self.other.is_empty() {
            return cell.null();
        }
        self.other.insert(0, b'{');
        self.other.push(b'}');
        json(cell, &self.other);
    }

    /// Writes a value into a column, or a place in one, of this type.
    fn write(&mut self, cell: Cell<'_>, kind: &ColumnType, value: RawBsonRef<'_>) {
        match (kind, value) {
            (_, RawBsonRef::Null | RawBsonRef::Undefined) => cell.null(),
            (ColumnType::Json, value) => {
                self.scratch.clear();
                match extended_json::write(&mut self.scratch, value, Form::Relaxed) {
                    Ok(()) => json(cell, &self.scratch),
                    Err(reason) => cell.fault(CellFaultKind::Json, &reason),
                }
            }
            (ColumnType::Int64 | ColumnType::Float64 | ColumnType::BigNumeric { .. }, RawBsonRef::Int32(value)) => {
                cell.int64(i64::from(value));
            }
            (ColumnType::Int64 | ColumnType::Float64 | ColumnType::BigNumeric { .. }, RawBsonRef::Int64(value)) => {
                cell.int64(value);
            }
            (ColumnType::Float64, RawBsonRef::Double(value)) => cell.float64(value),
            // Shells and many drivers write every number as a double; the server takes 5.0 and 5 for equal.
            (ColumnType::Int64, RawBsonRef::Double(value)) if value.fract() == 0.0 && value.abs() <= EXACT => {
                cell.int64(value as i64);
            }
            (ColumnType::BigNumeric { .. }, RawBsonRef::Decimal128(value)) => cell.decimal_text(&value.to_string()),
            (ColumnType::Bool, RawBsonRef::Boolean(value)) => cell.bool(value),
            (ColumnType::Timestamp, RawBsonRef::DateTime(at)) => {
                cell.timestamp(at.timestamp_millis().checked_mul(1_000), || extended_json::shown(value));
            }
            (ColumnType::String, RawBsonRef::String(text) | RawBsonRef::Symbol(text)) => cell.text(text),
            (ColumnType::String, RawBsonRef::ObjectId(id)) => hex(cell, &id.bytes(), &[]),
            (ColumnType::String, RawBsonRef::Binary(binary)) if is_uuid(binary.subtype, binary.bytes) => {
                hex(cell, binary.bytes, &[4, 6, 8, 10]);
            }
            (ColumnType::Bytes, RawBsonRef::Binary(binary)) => cell.binary(binary.bytes),
            (ColumnType::Struct(fields), RawBsonRef::Document(document)) => self.structure(cell, fields, document),
            (ColumnType::Array(item), RawBsonRef::Array(array)) => self.array(cell, item, array),
            (_, value) => cell.fault(CellFaultKind::Type, &extended_json::shown(value)),
        }
    }

    fn structure(&mut self, cell: Cell<'_>, fields: &[(String, ColumnType)], document: &RawDocument) {
        let at = self.path.len();
        let mut bad = None;
        for element in document.iter() {
            match element {
                Err(error) => bad = Some(error.to_string()),
                Ok((_, RawBsonRef::Null | RawBsonRef::Undefined)) => {}
                Ok((name, _)) if fields.iter().any(|(field, _)| field == name.as_str()) => {}
                Ok((name, value)) => {
                    self.path.push('.');
                    self.path.push_str(name.as_str());
                    let path = std::mem::take(&mut self.path);
                    self.keep(&path, value);
                    bad = self.refused.take().or(bad);
                    self.path = path;
                    self.path.truncate(at);
                }
            }
        }
        if let Some(bad) = bad {
            return cell.fault(CellFaultKind::Type, &bad);
        }
        cell.structure(
            |index, name, cell| match document.get(name) {
                Ok(Some(value)) => {
                    self.path.push('.');
                    self.path.push_str(name);
                    self.write(cell, &fields[index].1, value);
                    self.path.truncate(at);
                }
                _ => cell.null(),
            },
            || extended_json::shown(RawBsonRef::Document(document)),
        );
    }

    fn array(&mut self, cell: Cell<'_>, item: &ColumnType, array: &RawArray) {
        if let Some(error) = array.into_iter().find_map(Result::err) {
            return cell.fault(CellFaultKind::Type, &error.to_string());
        }
        let at = self.path.len();
        let mut items = array.into_iter();
        cell.array(
            array.into_iter().count(),
            |index, cell| {
                let value = items.next().and_then(Result::ok).unwrap_or(RawBsonRef::Null);
                self.path.push('.');
                self.path.push_str(&index.to_string());
                self.write(cell, item, value);
                self.path.truncate(at);
                !matches!(value, RawBsonRef::Null | RawBsonRef::Undefined)
            },
            || extended_json::shown(RawBsonRef::Array(array)),
        );
    }
}

fn no_column(path: &str, value: RawBsonRef<'_>) -> String {
    format!("no column holds the field {path}: {}", extended_json::shown(value))
}

fn json(cell: Cell<'_>, document: &[u8]) {
    match std::str::from_utf8(document) {
        Ok(document) => cell.json(document),
        Err(_) => cell.fault(CellFaultKind::Text, &String::from_utf8_lossy(document)),
    }
}

/// An id of up to 16 bytes as lower-case hexadecimal, with hyphens before these bytes.
fn hex(cell: Cell<'_>, bytes: &[u8], hyphens: &[usize]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [0; 36];
    let mut length = 0;
    for (index, byte) in bytes.iter().enumerate() {
        if hyphens.contains(&index) {
            text[length] = b'-';
            length += 1;
        }
        text[length] = DIGITS[usize::from(byte >> 4)];
        text[length + 1] = DIGITS[usize::from(byte & 15)];
        length += 2;
    }
    cell.text_bytes(&text[..length]);
}

#[cfg(test)]
mod tests {
    use arrow::{array::AsArray, datatypes::TimestampMicrosecondType};
    use mongodb::bson::{DateTime, RawDocumentBuf, doc};

    use super::*;
    use crate::shape::other_column;

    fn column(name: &str, kind: ColumnType) -> SourceColumn {
        SourceColumn {
            name: name.into(),
            source_type: "any".into(),
            kind: Ok(kind),
            required: false,
            description: None,
        }
    }

    fn rows(columns: &[SourceColumn], documents: impl IntoIterator<Item = RawDocumentBuf>) -> Rows {
        let mut rows = Documents::new(columns, BatchSize::default(), true).unwrap();
        for document in documents {
            assert!(!rows.add(&document).unwrap());
        }
        rows.take().unwrap().unwrap()
    }

    #[test]
    fn dates_that_bigquery_does_not_have_are_bad_values() {
        let (first, last) = (-62_135_596_800_000, 253_402_300_799_999);
        let millis = [first, last, first - 1, last + 1, i64::MIN, i64::MAX];
        let documents =
            millis.map(|millis| RawDocumentBuf::try_from(&doc! { "at": DateTime::from_millis(millis) }).unwrap());
        let Rows { batch, faults } = rows(&[column("at", ColumnType::Timestamp)], documents);
        let micros: Vec<_> = batch.column(0).as_primitive::<TimestampMicrosecondType>().iter().collect();
        assert_eq!(micros, [Some(first * 1_000), Some(last * 1_000), None, None, None, None]);
        assert_eq!(faults.iter().map(|fault| fault.row).collect::<Vec<_>>(), [2, 3, 4, 5]);
        assert!(faults.iter().all(|fault| fault.kind == CellFaultKind::DateRange));
        assert_eq!(faults[1].value, r#"{"$date":{"$numberLong":"253402300800000"}}"#);
    }

    #[test]
    fn a_text_that_is_no_utf8_is_a_bad_value_and_leaves_the_others() {
        let mut bytes = RawDocumentBuf::try_from(&doc! { "a": "xx", "b": 1, "c": "xx" }).unwrap().into_bytes();
        for at in 0..bytes.len() - 1 {
            if &bytes[at..at + 2] == b"xx" {
                bytes[at] = 0xff;
            }
        }
        let document = RawDocumentBuf::from_bytes(bytes).unwrap();
        let columns = [column("a", ColumnType::String), column("b", ColumnType::Int64), other_column("_other".into())];
        let Rows { batch, faults } = rows(&columns, [document]);
        assert_eq!(batch.column(1).null_count(), 0);
        // The first is of its own column, the second of a field that has none.
        assert_eq!(
            faults.iter().map(|fault| (fault.column, fault.kind)).collect::<Vec<_>>(),
            [(0, CellFaultKind::Type)]
        );
        assert!(faults[0].value.contains("field c"), "{faults:?}");
    }

    #[test]
    fn fields_in_any_order_come_into_their_columns() {
        let columns = [column("a", ColumnType::Int64), column("b", ColumnType::Int64), column("c", ColumnType::Int64)];
        let documents = [doc! { "c": 3, "a": 1, "b": 2 }, doc! { "b": 2, "c": 3 }, doc! {}];
        let Rows { batch, faults } = rows(&columns, documents.iter().map(|one| RawDocumentBuf::try_from(one).unwrap()));
        let values =
            |at: usize| batch.column(at).as_primitive::<arrow::datatypes::Int64Type>().iter().collect::<Vec<_>>();
        assert_eq!(
            [values(0), values(1), values(2)],
            [[Some(1), None, None], [Some(2), Some(2), None], [Some(3), Some(3), None],]
        );
        assert_eq!(faults, []);
    }
}
