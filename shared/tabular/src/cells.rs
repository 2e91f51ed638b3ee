//! Where each field of a block's rows lies: what a tokeniser finds out, and all that the column builders need.

/// One field, as a range of its block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cell {
    start: u32,
    /// The end in the low 30 bits; the flags above it.
    end: u32,
}

const QUOTED: u32 = 1 << 30;
const ESCAPED: u32 = 1 << 31;

impl Cell {
    /// The longest block whose cells can be told.
    pub(crate) const MAX_BLOCK: usize = QUOTED as usize - 1;
    /// A field that is not there, such as a JSON object's missing key.
    pub(crate) const ABSENT: Self = Self { start: u32::MAX, end: 0 };

    pub(crate) fn new(start: usize, end: usize) -> Self {
        Self { start: start as u32, end: end as u32 }
    }

    /// A field between quotes (which the range leaves out); `escaped` when quotes in it are doubled.
    pub(crate) fn quoted(start: usize, end: usize, escaped: bool) -> Self {
        Self { start: start as u32, end: end as u32 | QUOTED | if escaped { ESCAPED } else { 0 } }
    }

    pub(crate) fn is_absent(self) -> bool {
        self == Self::ABSENT
    }

    pub(crate) fn is_quoted(self) -> bool {
        self.end & QUOTED != 0
    }

    pub(crate) fn is_escaped(self) -> bool {
        self.end & ESCAPED != 0
    }

    pub(crate) fn bytes(self, block: &[u8]) -> &[u8] {
        &block[self.start as usize..(self.end & !(QUOTED | ESCAPED)) as usize]
    }
}

/// Some rows' cells, row after row.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    pub(crate) cells: Vec<Cell>,
    /// Where each row's record starts in the block.
    pub(crate) starts: Vec<u32>,
}

impl Chunk {
    pub(crate) fn clear(&mut self) {
        self.cells.clear();
        self.starts.clear();
    }
}

/// A bad record: where it is in its block, the table column at fault, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadRecord {
    /// The record's start in a text block; the row in a Parquet batch.
    pub(crate) position: u32,
    pub(crate) column: Option<u16>,
    pub(crate) fault: crate::fault::Fault,
}

/// A field's text once quotes, escapes and NULLs are dealt with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Text<'a> {
    Null,
    Scalar(&'a [u8]),
    /// A JSON array or object, as written.
    Nested(&'a [u8]),
    /// A JSON string that stands for no text (a lone surrogate).
    Invalid,
}

/// How a format's cells become texts.
pub(crate) trait CellText {
    /// The cell's text. `textual` is whether an empty text is a value of the column's type. `scratch` holds what had to be
    /// unescaped.
    fn text<'a>(&self, block: &'a [u8], cell: Cell, textual: bool, scratch: &'a mut Vec<u8>) -> Text<'a>;

    /// The cell as a JSON document; `None` when it is NULL.
    fn json<'a>(&self, block: &'a [u8], cell: Cell, scratch: &'a mut Vec<u8>) -> Option<&'a [u8]>;
}
