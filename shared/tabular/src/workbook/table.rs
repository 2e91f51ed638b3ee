//! The table that lies in a sheet: its header, then its rows.

use std::collections::HashMap;

use calamine::Dimensions;
use millstream_events::{
    cell_range::{CellRange, column_letters},
    contract::ColumnType,
    extract::Cells as Selected,
};

use super::{
    block::{Block, Cell},
    cells::Cells,
    open::guarded,
    value::{Moment, Value},
};
use crate::{
    error::{IngestError, Rejection, RejectionKind},
    limits::Limits,
};

/// What is known of a sheet whatever its cells.
#[derive(Debug)]
pub(crate) struct Sheet {
    pub(crate) name: String,
    pub(crate) is_1904: bool,
    pub(crate) limits: Limits,
}

/// A table that is being read.
pub struct Table<'a> {
    sheet: Sheet,
    cells: Cells<'a>,
    range: CellRange,
    /// The table's columns: for each of the sheet's from `first_column` on, its place in the table where it has a name.
    slots: Vec<Option<usize>>,
    first_column: u32,
    names: Vec<String>,
    width: usize,
    /// The header's row, from 0.
    header: Option<u32>,
    /// The row that is being put together, of which the first cell may have been read with the row before it.
    row: Row,
    ended: bool,
    /// Cells that are merged over rows, by their first row: column and last row.
    merged: HashMap<u32, Vec<(u32, u32)>>,
    /// Those whose value the rows that come get: place, last row, value and its text.
    filling: Vec<(usize, u32, Cell, String)>,
    /// The row after the last one that was given.
    before: u32,
}

/// A row of the sheet, its cells by column.
#[derive(Debug, Default)]
struct Row {
    number: u32,
    texts: String,
    cells: Vec<(u32, Cell)>,
}

impl Row {
    fn value(&self, cell: Cell, is_1904: bool) -> Value<'_> {
        let text = |start: u32, end: u32| &self.texts[start as usize..end as usize];
        match cell {
            Cell::Empty => Value::Empty,
            Cell::Number(number) => Value::Number(number),
            Cell::Bool(value) => Value::Bool(value),
            Cell::Text { start, end } => Value::Text(text(start, end)),
            Cell::Moment(serial) => Value::Moment(Moment { serial, is_1904 }),
            Cell::Iso { start, end } => Value::Iso(text(start, end)),
            Cell::Span(millis) => Value::Span(millis),
            Cell::Error(error) => Value::Error(error),
        }
    }

    fn is_blank(&self) -> bool {
        self.cells.iter().all(|(_, cell)| self.value(*cell, false).is_blank())
    }
}

impl std::fmt::Debug for Table<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { sheet, range, names, header, .. } = self;
        f.debug_struct("Table")
            .field("sheet", sheet)
            .field("range", range)
            .field("names", names)
            .field("header", header)
            .finish_non_exhaustive()
    }
}

impl<'a> Table<'a> {
    pub(crate) fn new(
        sheet: Sheet,
        cells: Cells<'a>,
        merged: &[Dimensions],
        selected: &Selected,
        columns: Option<usize>,
    ) -> Result<Self, Rejection> {
        let range = match &selected.range {
            Some(text) => text.parse().map_err(|problem: String| Rejection::new(RejectionKind::Contract, problem))?,
            None => CellRange::ALL,
        };
        let mut over_rows: HashMap<u32, Vec<(u32, u32)>> = HashMap::new();
        for area in merged.iter().filter(|area| area.end.0 > area.start.0 && range.contains(area.start.0, area.start.1))
        {
            over_rows.entry(area.start.0).or_default().push((area.start.1, area.end.0));
        }
        let mut table = Self {
            sheet,
            cells,
            range,
            slots: Vec::new(),
            first_column: range.first_column,
            names: Vec::new(),
            width: 0,
            header: None,
            row: Row::default(),
            ended: false,
            merged: over_rows,
            filling: Vec::new(),
            before: 0,
        };
        match selected.header_row {
            Some(0) => table.without_header(columns, selected.range.is_some())?,
            Some(number) => table.read_header(Some(range.first_row.saturating_add(number - 1)))?,
            None => table.read_header(None)?,
        }
        Ok(table)
    }

    /// The names of the columns, as the header has them; by their letters where there is none.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Whether it has a header.
    #[must_use]
    pub fn has_header(&self) -> bool {
        self.header.is_some()
    }

    /// The next rows, in the memory of `block`: as many as have about `bytes` in memory. `None` at the end.
    ///
    /// # Errors
    /// [`IngestError::Rejected`] for a damaged workbook, and for a value outside of the header's columns.
    pub fn next(&mut self, mut block: Block, bytes: usize) -> Result<Option<Block>, IngestError> {
        block.texts.clear();
        block.cells.clear();
        block.rows.clear();
        (block.width, block.is_1904, block.before) = (self.width, self.sheet.is_1904, self.before);
        let block = guarded(|| {
            while block.bytes() < bytes {
                let Some(row) = self.next_row()? else { break };
                let kept = self.place(&row, &mut block);
                self.give_back(row);
                kept?;
            }
            Ok(block)
        })?;
        if let Some(last) = block.rows.last() {
            self.before = last + 1;
        }
        Ok(Some(block).filter(|block| !block.is_empty()))
    }

    /// The next row of the range that has cells. Its first cell is what ended the row before it.
    fn next_row(&mut self) -> Result<Option<Row>, Rejection> {
        let mut row = std::mem::take(&mut self.row);
        while !self.ended {
            let start = row.texts.len();
            let Some((number, column, cell)) = self.cells.next(&mut row.texts)? else {
                self.ended = true;
                break;
            };
            if !self.range.contains(number, column) || matches!(cell, Cell::Empty) {
                row.texts.truncate(start);
                if number > self.range.last_row {
                    self.ended = true;
                }
                continue;
            }
            if row.texts.len() > self.sheet.limits.record_bytes {
                let message =
                    format!("row {} is longer than the limit of {} bytes", number + 1, self.sheet.limits.record_bytes);
                return Err(Rejection::new(RejectionKind::RecordTooLong, message));
            }
            if row.cells.is_empty() {
                row.number = number;
            } else if number < row.number {
                return Err(super::open::damaged(&format_args!(
                    "row {} comes after row {}",
                    number + 1,
                    row.number + 1
                )));
            }
            if number == row.number {
                row.cells.push((column, cell));
                continue;
            }
            // The first cell of the next row: its text goes with it.
            let moved = Row {
                number,
                texts: row.texts[start..].to_owned(),
                cells: vec![(column, cell.moved_back(start as u32))],
            };
            row.texts.truncate(start);
            self.row = moved;
            return Ok(Some(row));
        }
        Ok(Some(row).filter(|row| !row.cells.is_empty()))
    }

    /// Uses a row's memory again, where the next row has not begun in its own.
    fn give_back(&mut self, mut row: Row) {
        if self.row.cells.is_empty() {
            row.texts.clear();
            row.cells.clear();
            self.row = row;
        }
    }

    fn without_header(&mut self, columns: Option<usize>, has_range: bool) -> Result<(), Rejection> {
        let of_range = (self.range.last_column - self.range.first_column + 1) as usize;
        let width = match columns {
            Some(columns) if !has_range || columns <= of_range => columns,
            Some(columns) => {
                let message = format!("the range {} has {of_range} columns, the contract {columns}", self.range);
                return Err(Rejection::new(RejectionKind::MissingColumn, message));
            }
            None if has_range && of_range <= self.sheet.limits.columns => of_range,
            None => {
                return Err(Rejection::new(
                    RejectionKind::Contract,
                    "a sheet without a header does not say its columns",
                )
                .hint("set `range` to the columns of the table, such as B:F"));
            }
        };
        self.names = (0..width as u32).map(|index| column_letters(self.first_column + index)).collect();
        self.slots = (0..width).map(Some).collect();
        self.width = width;
        Ok(())
    }

    /// Reads up to the header: the row that is asked for, or the first with a value.
    fn read_header(&mut self, wanted: Option<u32>) -> Result<(), Rejection> {
        let no_header = |message: String| {
            Rejection::new(RejectionKind::Empty, message)
                .hint("`header_row` says in which row the names of the columns are, 0 that there are none")
        };
        let row = loop {
            let Some(row) = guarded(|| self.next_row())? else {
                let name = &self.sheet.name;
                return Err(match wanted {
                    Some(wanted) => no_header(format!("row {} of the sheet {name:?} has no header", wanted + 1)),
                    None => no_header(format!("the sheet {name:?} is empty: it has not even a header")),
                });
            };
            match wanted {
                None if row.is_blank() => self.give_back(row),
                Some(wanted) if row.number < wanted => self.give_back(row),
                Some(wanted) if row.number > wanted || row.is_blank() => {
                    let name = &self.sheet.name;
                    return Err(no_header(format!("row {} of the sheet {name:?} has no header", wanted + 1)));
                }
                _ => break row,
            }
        };
        let named = self.header_names(&row)?;
        let (Some((first, _)), Some((last, _))) = (named.first(), named.last()) else {
            return Err(no_header(format!("the header in row {} has no names", row.number + 1)));
        };
        if named.len() > self.sheet.limits.columns {
            let message =
                format!("the header has {} columns, more than the limit of {}", named.len(), self.sheet.limits.columns);
            return Err(Rejection::new(RejectionKind::TooManyColumns, message));
        }
        self.first_column = *first;
        self.slots = vec![None; (last - first + 1) as usize];
        for (slot, (column, _)) in named.iter().enumerate() {
            self.slots[(column - first) as usize] = Some(slot);
        }
        self.width = named.len();
        self.names = named.into_iter().map(|(_, name)| name).collect();
        self.header = Some(row.number);
        self.give_back(row);
        Ok(())
    }

    /// The columns that the header names, in the sheet's order.
    fn header_names(&self, row: &Row) -> Result<Vec<(u32, String)>, Rejection> {
        let mut named: Vec<(u32, String)> = Vec::new();
        let mut columns: HashMap<String, u32> = HashMap::new();
        for (column, cell) in &row.cells {
            let value = row.value(*cell, self.sheet.is_1904);
            let place = format!("{}{}", column_letters(*column), row.number + 1);
            if let Value::Error(error) = value {
                return Err(Rejection::new(
                    RejectionKind::WrongFormat,
                    format!("the header has the error {error} in {place}"),
                ));
            }
            // A name may be broken over lines.
            let name = value.to_text(&ColumnType::String).split_whitespace().collect::<Vec<_>>().join(" ");
            if name.is_empty() {
                continue;
            }
            if let Some(other) = columns.insert(name.to_lowercase(), *column) {
                let other = format!("{}{}", column_letters(other), row.number + 1);
                let message = format!("the header names {name:?} twice, in {other} and {place}");
                return Err(Rejection::new(RejectionKind::DuplicateColumn, message).in_column(name).hint(
                    "rename one of them, or leave it out by `range`; names are compared without regard to case",
                ));
            }
            named.push((*column, name));
        }
        named.sort_by_key(|(column, _)| *column);
        Ok(named)
    }

    /// Adds a row to a block: empty ones are left out, and a cell that is merged over rows has its value in each of them.
    fn place(&mut self, row: &Row, block: &mut Block) -> Result<(), Rejection> {
        if row.is_blank() {
            return Ok(());
        }
        let start = block.cells.len();
        block.cells.resize(start + self.width, Cell::Empty);
        let distance = block.texts.len() as u32;
        block.texts.push_str(&row.texts);
        let starting = self.merged.get(&row.number);
        self.filling.retain(|(_, last, ..)| *last >= row.number);
        for (column, cell) in &row.cells {
            let slot = column
                .checked_sub(self.first_column)
                .and_then(|index| self.slots.get(index as usize).copied().flatten());
            let Some(slot) = slot else {
                if row.value(*cell, false).is_blank() {
                    continue;
                }
                return Err(self.unnamed(*column, row.number));
            };
            block.cells[start + slot] = cell.moved(distance);
            if let Some((_, last)) = starting.and_then(|merged| merged.iter().find(|(merged, _)| merged == column)) {
                let (text, cell) = cell.apart(&row.texts);
                self.filling.push((slot, *last, cell, text));
            }
        }
        for (slot, _, cell, text) in &self.filling {
            let place = &mut block.cells[start + slot];
            if matches!(place, Cell::Empty) {
                *place = cell.moved(block.texts.len() as u32);
                block.texts.push_str(text);
            }
        }
        block.rows.push(row.number);
        Ok(())
    }

    fn unnamed(&self, column: u32, row: u32) -> Rejection {
        let letters = column_letters(column);
        let message = match self.header {
            Some(header) => {
                format!("the cell {letters}{} has a value, but {letters}{} names no column", row + 1, header + 1)
            }
            None => {
                format!("the cell {letters}{} has a value, beyond the {} columns of the contract", row + 1, self.width)
            }
        };
        Rejection::new(RejectionKind::UnnamedColumn, message)
            .hint("name the column in the header, or leave it out by `range`")
    }
}
