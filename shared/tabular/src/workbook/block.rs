//! Some rows of a sheet.

use super::value::{Moment, Value};

/// A cell's value; its text lies in the block.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cell {
    Empty,
    Number(f64),
    Bool(bool),
    Text {
        start: u32,
        end: u32,
    },
    Moment(f64),
    Iso {
        start: u32,
        end: u32,
    },
    Span(i64),
    /// By its name, such as `#N/A`.
    Error(&'static str),
}

impl Cell {
    /// The cell when what stands before its text is taken away.
    pub(crate) fn moved_back(self, distance: u32) -> Self {
        match self {
            Self::Text { start, end } => Self::Text { start: start - distance, end: end - distance },
            Self::Iso { start, end } => Self::Iso { start: start - distance, end: end - distance },
            other => other,
        }
    }

    /// Its text alone, and the cell as if that were all there is.
    pub(crate) fn apart(self, texts: &str) -> (String, Self) {
        match self {
            Self::Text { start, end } | Self::Iso { start, end } => {
                (texts[start as usize..end as usize].to_owned(), self.moved_back(start))
            }
            other => (String::new(), other),
        }
    }

    /// The cell when its text moves by `distance`.
    pub(crate) fn moved(self, distance: u32) -> Self {
        match self {
            Self::Text { start, end } => Self::Text { start: start + distance, end: end + distance },
            Self::Iso { start, end } => Self::Iso { start: start + distance, end: end + distance },
            other => other,
        }
    }
}

/// Rows of a sheet, in order, without the empty ones.
#[derive(Debug, Default)]
pub struct Block {
    pub(crate) texts: String,
    /// The cells, row after row.
    pub(crate) cells: Vec<Cell>,
    /// Each row's number in the sheet, from 0.
    pub(crate) rows: Vec<u32>,
    pub(crate) width: usize,
    pub(crate) is_1904: bool,
    /// Rows of the sheet before this block's, its header among them.
    pub(crate) before: u32,
}

impl Block {
    /// No rows, in memory that is there already.
    pub(crate) fn within(mut memory: Vec<u8>) -> Self {
        memory.clear();
        Self { texts: String::from_utf8(memory).unwrap_or_default(), ..Self::default() }
    }

    /// How many rows it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The number of a row in the sheet, from 1, as a spreadsheet shows it.
    #[must_use]
    pub fn row_number(&self, row: usize) -> u64 {
        u64::from(self.rows[row]) + 1
    }

    /// A cell of a row, by its place among the table's columns.
    #[must_use]
    pub fn value(&self, row: usize, column: usize) -> Value<'_> {
        let text = |start: u32, end: u32| &self.texts[start as usize..end as usize];
        match self.cells[row * self.width + column] {
            Cell::Empty => Value::Empty,
            Cell::Number(number) => Value::Number(number),
            Cell::Bool(value) => Value::Bool(value),
            Cell::Text { start, end } => Value::Text(text(start, end)),
            Cell::Moment(serial) => Value::Moment(Moment { serial, is_1904: self.is_1904 }),
            Cell::Iso { start, end } => Value::Iso(text(start, end)),
            Cell::Span(millis) => Value::Span(millis),
            Cell::Error(error) => Value::Error(error),
        }
    }

    /// Bytes in memory.
    pub(crate) fn bytes(&self) -> usize {
        self.texts.len() + self.cells.len() * size_of::<Cell>()
    }
}
