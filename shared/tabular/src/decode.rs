//! What every format's decoder does: a block in, Arrow columns and faults out.

use arrow::{array::ArrayRef, error::ArrowError};

use crate::{
    cells::BadRecord,
    error::{Rejection, RejectionKind},
    layout::Layout,
};

/// Turns blocks of one file into columns; workers share it.
pub(crate) trait Decode: Sync {
    /// What the reader cuts the file into.
    type Block: Block;

    /// The table's columns and where they come from.
    fn layout(&self) -> &Layout;

    /// Decodes one block. A rejection's line counts from the block's first line, which is 1.
    fn decode(&self, block: &Self::Block) -> Result<Decoded, Rejection>;

    /// The record at `position` as it stands in the block, and the value of one of its columns.
    fn excerpt(&self, block: &Self::Block, position: u32, column: Option<u16>) -> Excerpt;
}

/// A piece of a file.
pub(crate) trait Block: Send {
    /// The memory to use again for a later block.
    fn recycle(self) -> Vec<u8>;

    /// How many lines of the file lie before the record at `position` and after `from`, an earlier position.
    fn lines_between(&self, from: u32, position: u32) -> u64;
}

/// Whole records of a text file.
#[derive(Debug)]
pub(crate) struct TextBlock {
    pub(crate) bytes: Vec<u8>,
    /// Where its records start: after the header, in the first block.
    pub(crate) start: usize,
}

impl Block for TextBlock {
    fn recycle(self) -> Vec<u8> {
        self.bytes
    }

    fn lines_between(&self, from: u32, position: u32) -> u64 {
        crate::csv::tokenize::count_lines(&self.bytes[from as usize..position as usize])
    }
}

/// A decoded block: every column has a slot for each row, placeholders in the bad ones.
#[derive(Debug)]
pub(crate) struct Decoded {
    pub(crate) arrays: Vec<ArrayRef>,
    /// Where each row's record starts in its block; `None` when a row's position is its index.
    pub(crate) positions: Option<Vec<u32>>,
    /// Bad rows; their position is the row's index.
    pub(crate) faults: Vec<BadRecord>,
    /// Records that have no row, by position.
    pub(crate) broken: Vec<BadRecord>,
    /// Columns of the file that the table has not.
    pub(crate) unknown: Vec<String>,
    /// Lines in the block.
    pub(crate) lines: u64,
}

/// A bad record's text and the value at fault.
#[derive(Debug, Default)]
pub(crate) struct Excerpt {
    pub(crate) raw: Vec<u8>,
    pub(crate) value: Option<Vec<u8>>,
}

/// Arrow refuses only what is too large for it: the columns' types are right by construction.
impl From<ArrowError> for Rejection {
    fn from(error: ArrowError) -> Self {
        Self::new(RejectionKind::WrongFormat, format!("the rows do not fit a batch: {error}"))
    }
}
