//! One block of a sheet's rows to Arrow columns.

use millstream_events::contract::ColumnType;

use super::{block::Block, digits::fifteen_digits, value::Value};
use crate::{
    cells::{BadRecord, Text},
    column::{ColumnBuilder, Source},
    decode::{self, Decode, Decoded, Excerpt},
    error::Rejection,
    fault::Fault,
    layout::Layout,
};

/// Decodes blocks of one sheet.
#[derive(Debug)]
pub(crate) struct WorkbookDecoder {
    pub(crate) layout: Layout,
    /// The sheet's columns: what a bad row's values are shown under.
    pub(crate) names: Vec<String>,
    pub(crate) null_values: Vec<String>,
}

impl decode::Block for Block {
    fn recycle(self) -> Vec<u8> {
        self.texts.into_bytes()
    }

    fn lines_between(&self, from: u32, position: u32) -> u64 {
        u64::from(position - from)
    }
}

/// One column's cells.
struct ColumnCells<'a, F> {
    block: &'a Block,
    column: usize,
    kind: &'a ColumnType,
    null_values: &'a [String],
    on_fault: F,
}

impl<F: FnMut(usize, Fault)> ColumnCells<'_, F> {
    /// Gives each cell's text, `None` for NULL, to `append`. An error is NULL and a fault.
    fn each_text(&mut self, mut append: impl FnMut(Option<&[u8]>) -> Option<Fault>) {
        let mut text = String::new();
        for row in 0..self.block.len() {
            let value = self.block.value(row, self.column);
            text.clear();
            value.write(self.kind, &mut text);
            let fault = match value {
                Value::Error(_) => append(None).or(Some(Fault::CellError)),
                Value::Empty => append(None),
                Value::Text(_) if self.null_values.contains(&text) => append(None),
                _ => append(Some(text.as_bytes())),
            };
            if let Some(fault) = fault {
                (self.on_fault)(row, fault);
            }
        }
    }
}

impl<F: FnMut(usize, Fault)> Source for ColumnCells<'_, F> {
    fn each(&mut self, _textual: bool, mut append: impl FnMut(Text<'_>) -> Option<Fault>) {
        self.each_text(|text| append(text.map_or(Text::Null, Text::Scalar)));
    }

    fn each_json(&mut self, append: impl FnMut(Option<&[u8]>) -> Option<Fault>) {
        self.each_text(append);
    }
}

impl Decode for WorkbookDecoder {
    type Block = Block;

    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn decode(&self, block: &Block) -> Result<Decoded, Rejection> {
        let mut faults = Vec::new();
        let mut arrays = Vec::with_capacity(self.layout.columns.len());
        for (index, column) in self.layout.columns.iter().enumerate() {
            let mut builder = ColumnBuilder::new(&column.kind);
            match self.layout.sources[index] {
                None => builder.append_nulls(block.len()),
                Some(source) => builder.append(&mut ColumnCells {
                    block,
                    column: source,
                    kind: &column.kind,
                    null_values: &self.null_values,
                    on_fault: |row, fault| {
                        faults.push(BadRecord { position: row as u32, column: Some(index as u16), fault });
                    },
                }),
            }
            arrays.push(builder.finish()?);
        }
        // A row's position is its distance from the end of the block before, so that lines are the sheet's rows.
        let positions: Vec<u32> = block.rows.iter().map(|row| row - block.before).collect();
        let lines = positions.last().map_or(0, |last| u64::from(*last) + 1);
        Ok(Decoded { arrays, positions: Some(positions), faults, broken: Vec::new(), unknown: Vec::new(), lines })
    }

    fn excerpt(&self, block: &Block, position: u32, column: Option<u16>) -> Excerpt {
        let Ok(row) = block.rows.binary_search(&(position + block.before)) else { return Excerpt::default() };
        let value = column
            .and_then(|column| self.layout.sources[usize::from(column)])
            .map(|source| block.value(row, source).to_text(&ColumnType::String))
            .filter(|text| !text.is_empty());
        Excerpt { raw: self.as_json(block, row), value: value.map(String::into_bytes) }
    }
}

impl WorkbookDecoder {
    /// A row as a JSON object, its empty cells left out.
    fn as_json(&self, block: &Block, row: usize) -> Vec<u8> {
        let mut fields = Vec::new();
        for (column, name) in self.names.iter().enumerate() {
            let value = match block.value(row, column) {
                Value::Empty => continue,
                Value::Bool(value) => value.to_string(),
                Value::Number(number) if number.is_finite() => fifteen_digits(number),
                other => serde_json::Value::from(other.to_text(&ColumnType::String)).to_string(),
            };
            fields.push(format!("{}:{value}", serde_json::Value::from(name.as_str())));
        }
        format!("{{{}}}", fields.join(",")).into_bytes()
    }
}
