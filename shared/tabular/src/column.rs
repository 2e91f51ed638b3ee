//! Builds Arrow columns a chunk of cells at a time.
//!
//! One column's values are parsed in one tight loop. A value that cannot be read leaves a placeholder and a fault, so that
//! every column keeps one slot a row; the bad rows are filtered out of the finished block by Arrow's kernels.

use std::sync::Arc;

use arrow::{
    array::{
        ArrayRef, BinaryArray, BooleanArray, BooleanBufferBuilder, Date32Array, Decimal128Array, Decimal256Array,
        Float64Array, Int64Array, ListArray, NullBufferBuilder, StringArray, StructArray, Time64MicrosecondArray,
        TimestampMicrosecondArray,
    },
    buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer},
    datatypes::i256,
    error::ArrowError,
};
use millstream_events::contract::ColumnType;

use crate::{
    cells::{Cell, CellText, Text},
    fault::Fault,
    parse::{decimal, number, temporal, text},
    schema,
};

/// A growing column.
#[derive(Debug)]
pub(crate) struct ColumnBuilder {
    pub(crate) values: Values,
    pub(crate) nulls: NullBufferBuilder,
    /// Whether texts must be checked for UTF-8 and NUL bytes one by one: their block is not known to be clean.
    pub(crate) check_text: bool,
}

#[derive(Debug)]
pub(crate) enum Values {
    Text { data: Vec<u8>, offsets: Vec<i32>, kind: TextKind },
    Int64(Vec<i64>),
    Float64(Vec<f64>),
    Decimal128(Vec<i128>, u8, u8),
    Decimal256(Vec<i256>, u8, u8),
    Bool(BooleanBufferBuilder),
    Date(Vec<i32>),
    Micros(Vec<i64>, Clock),
    List { offsets: Vec<i32>, item: Box<ColumnBuilder>, kind: ColumnType },
    Struct { fields: Vec<ColumnBuilder>, kinds: Vec<(String, ColumnType)> },
}

/// Which type a column of bytes is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TextKind {
    String,
    Bytes,
    Json,
}

/// Which type a column of microseconds is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clock {
    Time,
    Datetime,
    Timestamp,
}

/// A run of texts to append: many rows' cells, or one value inside an array.
pub(crate) trait Source {
    /// Gives each text in turn to `append`, which says what is wrong with it. `textual` is whether an empty text is a value.
    fn each(&mut self, textual: bool, append: impl FnMut(Text<'_>) -> Option<Fault>);

    /// Gives each value as a JSON document, `None` for NULL.
    fn each_json(&mut self, append: impl FnMut(Option<&[u8]>) -> Option<Fault>);
}

/// One column's cells in a chunk.
pub(crate) struct Cells<'a, T, F> {
    pub(crate) rules: &'a T,
    pub(crate) block: &'a [u8],
    /// The chunk's cells, row after row; this column's are `column`, `column + width`, ...
    pub(crate) cells: &'a [Cell],
    pub(crate) column: usize,
    pub(crate) width: usize,
    pub(crate) scratch: &'a mut Vec<u8>,
    pub(crate) on_fault: F,
}

impl<T: CellText, F: FnMut(usize, Fault)> Source for Cells<'_, T, F> {
    fn each(&mut self, textual: bool, mut append: impl FnMut(Text<'_>) -> Option<Fault>) {
        for (row, cell) in self.cells.iter().skip(self.column).step_by(self.width).enumerate() {
            if let Some(fault) = append(self.rules.text(self.block, *cell, textual, self.scratch)) {
                (self.on_fault)(row, fault);
            }
        }
    }

    fn each_json(&mut self, mut append: impl FnMut(Option<&[u8]>) -> Option<Fault>) {
        for (row, cell) in self.cells.iter().skip(self.column).step_by(self.width).enumerate() {
            if let Some(fault) = append(self.rules.json(self.block, *cell, self.scratch)) {
                (self.on_fault)(row, fault);
            }
        }
    }
}

/// One value, by its text or as a JSON document.
pub(crate) struct One<'a> {
    pub(crate) text: Text<'a>,
    pub(crate) json: Option<&'a [u8]>,
    pub(crate) fault: Option<Fault>,
}

impl Source for One<'_> {
    fn each(&mut self, _textual: bool, mut append: impl FnMut(Text<'_>) -> Option<Fault>) {
        self.fault = append(self.text);
    }

    fn each_json(&mut self, mut append: impl FnMut(Option<&[u8]>) -> Option<Fault>) {
        self.fault = append(self.json);
    }
}

/// A loop over texts that differs only in how one text becomes one value; `misfit` is the fault of an array or object.
fn fill<T: Copy + Default>(
    out: &mut Vec<T>,
    nulls: &mut NullBufferBuilder,
    source: &mut impl Source,
    misfit: Fault,
    parse: impl Fn(&[u8]) -> Result<T, Fault>,
) {
    source.each(false, |text| {
        let value = match text {
            Text::Scalar(text) => parse(text),
            Text::Null => {
                out.push(T::default());
                nulls.append_null();
                return None;
            }
            Text::Nested(_) | Text::Invalid => Err(misfit),
        };
        out.push(value.unwrap_or_default());
        nulls.append(value.is_ok());
        value.err()
    });
}

impl ColumnBuilder {
    pub(crate) fn new(kind: &ColumnType) -> Self {
        let text = |kind| Values::Text { data: Vec::new(), offsets: vec![0], kind };
        let values = match kind {
            ColumnType::String => text(TextKind::String),
            ColumnType::Bytes => text(TextKind::Bytes),
            ColumnType::Json => text(TextKind::Json),
            ColumnType::Int64 => Values::Int64(Vec::new()),
            ColumnType::Float64 => Values::Float64(Vec::new()),
            ColumnType::Numeric { precision, scale } => Values::Decimal128(Vec::new(), *precision, *scale),
            ColumnType::BigNumeric { precision, scale } => Values::Decimal256(Vec::new(), *precision, *scale),
            ColumnType::Bool => Values::Bool(BooleanBufferBuilder::new(0)),
            ColumnType::Date => Values::Date(Vec::new()),
            ColumnType::Time => Values::Micros(Vec::new(), Clock::Time),
            ColumnType::Datetime => Values::Micros(Vec::new(), Clock::Datetime),
            ColumnType::Timestamp => Values::Micros(Vec::new(), Clock::Timestamp),
            ColumnType::Array(item) => {
                Values::List { offsets: vec![0], item: Box::new(Self::new(item)), kind: (**item).clone() }
            }
            ColumnType::Struct(fields) => Values::Struct {
                fields: fields.iter().map(|(_, kind)| Self::new(kind)).collect(),
                kinds: fields.clone(),
            },
        };
        Self { values, nulls: NullBufferBuilder::new(0), check_text: true }
    }

    /// Appends every value of `source`, a placeholder for each that is at fault.
    pub(crate) fn append(&mut self, source: &mut impl Source) {
        let nulls = &mut self.nulls;
        let check = self.check_text;
        match &mut self.values {
            Values::Int64(out) => fill(out, nulls, source, Fault::NotInt64, number::int64),
            Values::Float64(out) => fill(out, nulls, source, Fault::NotFloat64, number::float64),
            Values::Decimal128(out, precision, scale) => {
                fill(out, nulls, source, Fault::NotDecimal, |text| decimal::decimal128(text, *precision, *scale));
            }
            Values::Decimal256(out, precision, scale) => {
                fill(out, nulls, source, Fault::NotDecimal, |text| decimal::decimal256(text, *precision, *scale));
            }
            Values::Date(out) => fill(out, nulls, source, Fault::NotDate, temporal::date),
            Values::Micros(out, Clock::Time) => fill(out, nulls, source, Fault::NotTime, temporal::time),
            Values::Micros(out, Clock::Datetime) => fill(out, nulls, source, Fault::NotDatetime, temporal::datetime),
            Values::Micros(out, Clock::Timestamp) => fill(out, nulls, source, Fault::NotTimestamp, temporal::timestamp),
            Values::Bool(out) => source.each(false, |value| {
                let value = match value {
                    Text::Scalar(value) => text::bool(value).map(Some),
                    Text::Null => Ok(None),
                    Text::Nested(_) | Text::Invalid => Err(Fault::NotBool),
                };
                out.append(value == Ok(Some(true)));
                nulls.append(matches!(value, Ok(Some(_))));
                value.err()
            }),
            Values::Text { data, offsets, kind: TextKind::Json } => source.each_json(|document| {
                let fault = document.and_then(|document| text::json(document).err());
                if fault.is_none() {
                    data.extend_from_slice(document.unwrap_or_default());
                }
                offsets.push(data.len() as i32);
                nulls.append(document.is_some() && fault.is_none());
                fault
            }),
            Values::Text { data, offsets, kind } => source.each(true, |value| {
                let appended = match value {
                    Text::Scalar(value) => append_text(data, value, *kind, check).map(|()| true),
                    Text::Null => Ok(false),
                    Text::Nested(_) => Err(Fault::NotString),
                    Text::Invalid => Err(Fault::NotUtf8),
                };
                offsets.push(data.len() as i32);
                nulls.append(appended == Ok(true));
                appended.err()
            }),
            Values::List { offsets, item, .. } => source.each_json(|document| {
                let appended = document.map(|document| crate::json::nested::append_array(item, document));
                offsets.push(item.len() as i32);
                nulls.append(appended.is_some());
                appended.and_then(Result::err)
            }),
            Values::Struct { fields, kinds } => source.each_json(|document| {
                nulls.append(document.is_some());
                crate::json::nested::append_struct(fields, kinds, document).err()
            }),
        }
    }

    /// Appends `count` NULLs.
    pub(crate) fn append_nulls(&mut self, count: usize) {
        for _ in 0..count {
            self.append(&mut One { text: Text::Null, json: None, fault: None });
        }
    }

    /// The slots so far.
    pub(crate) fn len(&self) -> usize {
        self.nulls.len()
    }

    /// The column as Arrow sees it. Texts are checked for UTF-8 once more here, which Arrow does not let a caller vouch for.
    pub(crate) fn finish(mut self) -> Result<ArrayRef, ArrowError> {
        let nulls: Option<NullBuffer> = self.nulls.finish();
        Ok(match self.values {
            Values::Text { data, offsets, kind } => {
                let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
                let data = Buffer::from_vec(data);
                match kind {
                    TextKind::Bytes => Arc::new(BinaryArray::try_new(offsets, data, nulls)?),
                    TextKind::String | TextKind::Json => Arc::new(StringArray::try_new(offsets, data, nulls)?),
                }
            }
            Values::Int64(values) => Arc::new(Int64Array::try_new(values.into(), nulls)?),
            Values::Float64(values) => Arc::new(Float64Array::try_new(values.into(), nulls)?),
            Values::Decimal128(values, precision, scale) => Arc::new(
                Decimal128Array::try_new(values.into(), nulls)?
                    .with_precision_and_scale(precision, scale.cast_signed())?,
            ),
            Values::Decimal256(values, precision, scale) => Arc::new(
                Decimal256Array::try_new(values.into(), nulls)?
                    .with_precision_and_scale(precision, scale.cast_signed())?,
            ),
            Values::Bool(mut values) => Arc::new(BooleanArray::new(values.finish(), nulls)),
            Values::Date(values) => Arc::new(Date32Array::try_new(values.into(), nulls)?),
            Values::Micros(values, Clock::Time) => Arc::new(Time64MicrosecondArray::try_new(values.into(), nulls)?),
            Values::Micros(values, Clock::Datetime) => {
                Arc::new(TimestampMicrosecondArray::try_new(values.into(), nulls)?)
            }
            Values::Micros(values, Clock::Timestamp) => {
                Arc::new(TimestampMicrosecondArray::try_new(values.into(), nulls)?.with_timezone("UTC"))
            }
            Values::List { offsets, item, kind } => Arc::new(ListArray::try_new(
                schema::item_field(&kind),
                OffsetBuffer::new(ScalarBuffer::from(offsets)),
                item.finish()?,
                nulls,
            )?),
            Values::Struct { fields, kinds } => {
                let fields = fields.into_iter().map(Self::finish).collect::<Result<_, _>>()?;
                Arc::new(StructArray::try_new(schema::struct_fields(&kinds), fields, nulls)?)
            }
        })
    }
}

fn append_text(data: &mut Vec<u8>, value: &[u8], kind: TextKind, check: bool) -> Result<(), Fault> {
    if kind == TextKind::Bytes {
        return text::base64(value, data);
    }
    if check {
        if simdutf8::basic::from_utf8(value).is_err() {
            return Err(Fault::NotUtf8);
        }
        if memchr::memchr(0, value).is_some() {
            return Err(Fault::NulByte);
        }
    }
    data.extend_from_slice(value);
    Ok(())
}
