//! One block of CSV text to Arrow columns.

use crate::{
    cells::{BadRecord, Cell, CellText, Chunk, Text},
    column::{Cells, ColumnBuilder},
    decode::{Decode, Decoded, Excerpt, TextBlock},
    error::{Rejection, RejectionKind},
    layout::Layout,
};

use super::tokenize::{Tokenizer, count_lines};

/// Rows tokenised at a time: their cells and text stay in the processor's cache while each column is parsed.
const CHUNK_ROWS: usize = 2048;

/// Decodes blocks of one file.
#[derive(Debug)]
pub(crate) struct CsvDecoder {
    pub(crate) layout: Layout,
    pub(crate) delimiter: u8,
    pub(crate) rules: NullRules,
    pub(crate) record_limit: usize,
}

/// Which fields are NULL.
///
/// An unquoted field is, when it is empty or one of the null texts. A quoted one is a value in a STRING or BYTES column; in any
/// other, where an empty text means nothing, it is NULL likewise (many writers quote every field).
#[derive(Debug, Default)]
pub(crate) struct NullRules {
    pub(crate) null_values: Vec<String>,
}

impl CellText for NullRules {
    #[inline]
    fn text<'a>(&self, block: &'a [u8], cell: Cell, textual: bool, scratch: &'a mut Vec<u8>) -> Text<'a> {
        let bytes = cell.bytes(block);
        let may_be_null = !(textual && cell.is_quoted());
        if may_be_null
            && (bytes.is_empty()
                || !self.null_values.is_empty() && self.null_values.iter().any(|null| null.as_bytes() == bytes))
        {
            return Text::Null;
        }
        Text::Scalar(unquote(block, cell, scratch))
    }

    fn json<'a>(&self, block: &'a [u8], cell: Cell, scratch: &'a mut Vec<u8>) -> Option<&'a [u8]> {
        match self.text(block, cell, false, scratch) {
            Text::Scalar(text) => Some(text),
            _ => None,
        }
    }
}

/// A cell's text, doubled quotes made single.
pub(crate) fn unquote<'a>(block: &'a [u8], cell: Cell, scratch: &'a mut Vec<u8>) -> &'a [u8] {
    let bytes = cell.bytes(block);
    if !cell.is_escaped() {
        return bytes;
    }
    scratch.clear();
    let mut rest = bytes;
    while let Some(quote) = memchr::memchr(b'"', rest) {
        scratch.extend_from_slice(&rest[..=quote]);
        rest = &rest[(quote + 2).min(rest.len())..];
    }
    scratch.extend_from_slice(rest);
    scratch
}

impl Decode for CsvDecoder {
    type Block = TextBlock;

    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn decode(&self, block: &TextBlock) -> Result<Decoded, Rejection> {
        let text = block.bytes.as_slice();
        let mut builders: Vec<_> = self.layout.columns.iter().map(|column| ColumnBuilder::new(&column.kind)).collect();
        let (mut positions, mut bad, mut faults) = (Vec::new(), Vec::new(), Vec::new());
        let (mut chunk, mut scratch) = (Chunk::default(), Vec::new());
        let mut tokenizer = Tokenizer::new(text, block.start, self.delimiter);
        let mut more = block.start < text.len();
        while more {
            chunk.clear();
            let start = tokenizer.position();
            more = tokenizer.fill(CHUNK_ROWS, self.layout.width, &mut chunk, &mut bad);
            if tokenizer.longest() > self.record_limit {
                return Err(Rejection::new(
                    RejectionKind::RecordTooLong,
                    format!("a record is longer than the limit of {} bytes", self.record_limit),
                )
                .at_line(1 + count_lines(&text[..start])));
            }
            let span = &text[start..tokenizer.position()];
            let check_text = simdutf8::basic::from_utf8(span).is_err() || memchr::memchr(0, span).is_some();
            for (index, builder) in builders.iter_mut().enumerate() {
                builder.check_text = check_text;
                let Some(column) = self.layout.sources[index] else {
                    builder.append_nulls(chunk.starts.len());
                    continue;
                };
                builder.append(&mut Cells {
                    rules: &self.rules,
                    block: text,
                    cells: &chunk.cells,
                    column,
                    width: self.layout.width,
                    scratch: &mut scratch,
                    on_fault: |row, fault| {
                        faults.push(BadRecord {
                            position: (positions.len() + row) as u32,
                            column: Some(index as u16),
                            fault,
                        });
                    },
                });
            }
            positions.extend_from_slice(&chunk.starts);
        }
        let arrays = builders.into_iter().map(ColumnBuilder::finish).collect::<Result<_, _>>()?;
        Ok(Decoded {
            arrays,
            positions: Some(positions),
            faults,
            broken: bad,
            unknown: Vec::new(),
            lines: count_lines(text),
        })
    }

    fn excerpt(&self, block: &TextBlock, position: u32, column: Option<u16>) -> Excerpt {
        let text = block.bytes.as_slice();
        let start = position as usize;
        let (mut chunk, mut bad) = (Chunk::default(), Vec::new());
        let mut tokenizer = Tokenizer::new(text, start, self.delimiter);
        tokenizer.fill(1, self.layout.width, &mut chunk, &mut bad);
        let record = &text[start..tokenizer.position()];
        let record = record.strip_suffix(b"\n").unwrap_or(record);
        let record = record.strip_suffix(b"\r").unwrap_or(record);
        let value = column
            .and_then(|column| self.layout.sources[usize::from(column)])
            .and_then(|source| chunk.cells.get(source))
            .map(|cell| unquote(text, *cell, &mut Vec::new()).to_vec());
        Excerpt { raw: record.to_vec(), value }
    }
}
