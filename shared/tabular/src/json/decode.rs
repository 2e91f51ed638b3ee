//! One block of JSON Lines to Arrow columns.

use std::collections::{BTreeSet, HashMap};

use millstream_events::contract::{Contract, OnNewColumn};
use serde::Deserializer;
use serde_json::value::RawValue;

use super::nested::FieldsVisitor;
use crate::{
    cells::{BadRecord, Cell, CellText, Text},
    column::{Cells, ColumnBuilder},
    csv::tokenize::count_lines,
    decode::{Decode, Decoded, Excerpt, TextBlock},
    error::{Rejection, RejectionKind},
    fault::Fault,
    layout::{Layout, new_column},
};

/// Decodes blocks of one file.
#[derive(Debug)]
pub(crate) struct JsonDecoder<'a> {
    layout: Layout,
    contract: &'a Contract,
    by_name: HashMap<String, usize>,
    record_limit: usize,
    column_limit: usize,
}

/// Rows whose cells are held at a time.
const CHUNK_ROWS: usize = 2048;

/// JSON values as texts.
#[derive(Debug)]
pub(crate) struct JsonText;

impl CellText for JsonText {
    fn text<'a>(&self, block: &'a [u8], cell: Cell, _textual: bool, scratch: &'a mut Vec<u8>) -> Text<'a> {
        raw_text(document(block, cell), scratch)
    }

    fn json<'a>(&self, block: &'a [u8], cell: Cell, _scratch: &'a mut Vec<u8>) -> Option<&'a [u8]> {
        document(block, cell)
    }
}

/// A cell's JSON; `None` for a missing key and for `null`.
fn document(block: &[u8], cell: Cell) -> Option<&[u8]> {
    if cell.is_absent() { None } else { Some(cell.bytes(block)).filter(|document| *document != b"null") }
}

/// A JSON value as a column's text: a string's characters, a number or a boolean as written.
pub(crate) fn raw_text<'a>(document: Option<&'a [u8]>, scratch: &'a mut Vec<u8>) -> Text<'a> {
    match document {
        None => Text::Null,
        Some(document @ [b'[' | b'{', ..]) => Text::Nested(document),
        Some(document @ [b'"', inner @ .., b'"']) => {
            if memchr::memchr(b'\\', inner).is_none() {
                return Text::Scalar(inner);
            }
            match serde_json::from_slice::<String>(document) {
                Ok(text) => {
                    *scratch = text.into_bytes();
                    Text::Scalar(scratch)
                }
                Err(_) => Text::Invalid,
            }
        }
        Some(document) => Text::Scalar(document),
    }
}

impl<'a> JsonDecoder<'a> {
    pub(crate) fn new(layout: Layout, contract: &'a Contract, record_limit: usize, column_limit: usize) -> Self {
        let by_name = layout.columns.iter().enumerate().map(|(index, c)| (c.name.to_lowercase(), index)).collect();
        Self { layout, contract, by_name, record_limit, column_limit }
    }

    /// The column of a key; `expected` is the likely one, since most files write their keys in one order.
    fn column_of(&self, key: &str, expected: usize) -> Option<usize> {
        if self.layout.columns.get(expected).is_some_and(|column| column.name == key) {
            return Some(expected);
        }
        self.by_name.get(key).or_else(|| self.by_name.get(&key.to_lowercase())).copied()
    }

    /// Puts one line's values into `cells`.
    fn read_line(
        &self,
        block: &[u8],
        line: &[u8],
        cells: &mut [Cell],
        unknown: &mut BTreeSet<String>,
    ) -> Result<(), Broken> {
        let origin = block.as_ptr() as usize;
        let (mut expected, mut outcome) = (0, Ok(()));
        let visitor = FieldsVisitor(|key: &str, value: &RawValue| match self.column_of(key, expected) {
            Some(column) => {
                let start = value.get().as_ptr() as usize - origin;
                let cell = Cell::new(start, start + value.get().len());
                if !std::mem::replace(&mut cells[column], cell).is_absent() {
                    outcome = Err(Broken::Row(Fault::DuplicateKey, Some(column as u16)));
                }
                expected = column + 1;
            }
            None if self.contract.on_new_column == OnNewColumn::Reject => {
                outcome = Err(Broken::File(Box::new(new_column(key, self.contract))));
            }
            None => {
                if !unknown.contains(key) {
                    unknown.insert(key.to_owned());
                }
            }
        });
        let mut parser = serde_json::Deserializer::from_slice(line);
        let parsed = parser.deserialize_map(visitor).and_then(|()| parser.end());
        outcome?;
        parsed.map_err(|_| {
            let fault = if std::str::from_utf8(line).is_err() { Fault::NotUtf8 } else { Fault::NotJsonObject };
            Broken::Row(fault, None)
        })
    }
}

/// Why a line makes no row.
enum Broken {
    Row(Fault, Option<u16>),
    File(Box<Rejection>),
}

impl Decode for JsonDecoder<'_> {
    type Block = TextBlock;

    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn decode(&self, block: &TextBlock) -> Result<Decoded, Rejection> {
        let text = block.bytes.as_slice();
        let width = self.layout.columns.len();
        let mut builders: Vec<_> = self.layout.columns.iter().map(|column| ColumnBuilder::new(&column.kind)).collect();
        let (mut positions, mut broken, mut faults) = (Vec::new(), Vec::new(), Vec::new());
        let (mut cells, mut scratch, mut unknown) = (Vec::new(), Vec::new(), BTreeSet::new());
        let mut flush = |cells: &mut Vec<Cell>, before: usize| {
            for (index, builder) in builders.iter_mut().enumerate() {
                builder.append(&mut Cells {
                    rules: &JsonText,
                    block: text,
                    cells,
                    column: index,
                    width,
                    scratch: &mut scratch,
                    on_fault: |row, fault| {
                        faults.push(BadRecord { position: (before + row) as u32, column: Some(index as u16), fault });
                    },
                });
            }
            cells.clear();
        };
        let mut start = block.start;
        while start < text.len() {
            let end = memchr::memchr(b'\n', &text[start..]).map_or(text.len(), |newline| start + newline + 1);
            let line = text[start..end].trim_ascii();
            let rejected = |rejection: Rejection| rejection.at_line(1 + count_lines(&text[..start]));
            if line.len() > self.record_limit {
                let message = format!("the line is longer than the limit of {} bytes", self.record_limit);
                return Err(rejected(Rejection::new(RejectionKind::RecordTooLong, message)));
            }
            if !line.is_empty() {
                let first = cells.len();
                cells.resize(first + width, Cell::ABSENT);
                match self.read_line(text, line, &mut cells[first..], &mut unknown) {
                    Ok(()) => positions.push(start as u32),
                    Err(Broken::File(rejection)) => return Err(rejected(*rejection)),
                    Err(Broken::Row(fault, column)) => {
                        cells.truncate(first);
                        broken.push(BadRecord { position: start as u32, column, fault });
                    }
                }
                if unknown.len() + width > self.column_limit {
                    let message = format!("the objects have more than {} different keys", self.column_limit);
                    return Err(rejected(Rejection::new(RejectionKind::TooManyColumns, message)));
                }
            }
            start = end;
            if cells.len() >= CHUNK_ROWS * width.max(1) {
                let rows = cells.len() / width.max(1);
                flush(&mut cells, positions.len() - rows);
            }
        }
        let rows = cells.len() / width.max(1);
        flush(&mut cells, positions.len() - rows);
        let arrays = builders.into_iter().map(ColumnBuilder::finish).collect::<Result<_, _>>()?;
        let unknown = unknown.into_iter().collect();
        Ok(Decoded { arrays, positions: Some(positions), faults, broken, unknown, lines: count_lines(text) })
    }

    fn excerpt(&self, block: &TextBlock, position: u32, column: Option<u16>) -> Excerpt {
        let text = block.bytes.as_slice();
        let start = position as usize;
        let end = memchr::memchr(b'\n', &text[start..]).map_or(text.len(), |newline| start + newline);
        let line = text[start..end].trim_ascii();
        let mut cells = vec![Cell::ABSENT; self.layout.columns.len()];
        let _faulty_lines_have_values_too = self.read_line(text, line, &mut cells, &mut BTreeSet::new());
        let cell = column.map(|column| cells[usize::from(column)]).filter(|cell| !cell.is_absent());
        let value = cell.map(|cell| match raw_text(Some(cell.bytes(text)), &mut Vec::new()) {
            Text::Scalar(value) | Text::Nested(value) => value.to_vec(),
            Text::Null | Text::Invalid => cell.bytes(text).to_vec(),
        });
        Excerpt { raw: line.to_vec(), value }
    }
}
