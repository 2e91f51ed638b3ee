//! The cells of a sheet in the order of the file, of whichever kind it is.

use std::{fs::File, io::BufReader};

use calamine::{CellErrorType, Data, DataRef, ExcelDateTime, Range};

use super::{block::Cell, open::damaged, value::span_of};
use crate::error::Rejection;

/// What workbooks are read from.
pub(crate) type Reader = BufReader<File>;

/// A cell with its row and column, from 0; `None` after the last.
pub(crate) type NextCell = Result<Option<(u32, u32, Cell)>, Rejection>;

/// The cells that come next.
pub(crate) enum Cells<'a> {
    /// As they are decompressed.
    Streamed(Box<dyn FnMut(&mut String) -> NextCell + Send + 'a>),
    /// All in memory; the place of the next.
    Loaded(Range<Data>, usize),
}

impl Cells<'_> {
    /// The next cell, its text appended to `texts`.
    pub(crate) fn next(&mut self, texts: &mut String) -> NextCell {
        match self {
            Self::Streamed(next) => next(texts),
            Self::Loaded(range, next) => {
                let (Some((first_row, first_column)), width) = (range.start(), range.width()) else { return Ok(None) };
                let place = (*next / width, *next % width);
                let Some(value) = range.get(place) else { return Ok(None) };
                *next += 1;
                let (row, column) = (first_row + place.0 as u32, first_column + place.1 as u32);
                Ok(Some((row, column, loaded(value, texts)?)))
            }
        }
    }
}

/// A cell of a reader that streams.
pub(crate) fn placed(cell: &calamine::Cell<DataRef<'_>>, texts: &mut String) -> NextCell {
    let (row, column) = cell.get_position();
    Ok(Some((row, column, streamed(cell.get_value(), texts)?)))
}

fn streamed(value: &DataRef<'_>, texts: &mut String) -> Result<Cell, Rejection> {
    Ok(match value {
        DataRef::Empty => Cell::Empty,
        DataRef::Int(value) => Cell::Number(*value as f64),
        DataRef::Float(value) => Cell::Number(*value),
        DataRef::Bool(value) => Cell::Bool(*value),
        DataRef::String(text) => text_cell(text, texts),
        DataRef::SharedString(text) => text_cell(text, texts),
        DataRef::DateTime(at) => moment(at),
        DataRef::DateTimeIso(text) => iso_cell(text, texts),
        DataRef::DurationIso(text) => span(text)?,
        DataRef::Error(error) => Cell::Error(error_name(error)),
    })
}

fn loaded(value: &Data, texts: &mut String) -> Result<Cell, Rejection> {
    Ok(match value {
        Data::Empty => Cell::Empty,
        Data::Int(value) => Cell::Number(*value as f64),
        Data::Float(value) => Cell::Number(*value),
        Data::Bool(value) => Cell::Bool(*value),
        Data::String(text) => text_cell(text, texts),
        Data::DateTime(at) => moment(at),
        Data::DateTimeIso(text) => iso_cell(text, texts),
        Data::DurationIso(text) => span(text)?,
        Data::Error(error) => Cell::Error(error_name(error)),
    })
}

fn error_name(error: &CellErrorType) -> &'static str {
    match error {
        CellErrorType::Div0 => "#DIV/0!",
        CellErrorType::NA => "#N/A",
        CellErrorType::Name => "#NAME?",
        CellErrorType::Null => "#NULL!",
        CellErrorType::Num => "#NUM!",
        CellErrorType::Ref => "#REF!",
        CellErrorType::Value => "#VALUE!",
        CellErrorType::GettingData => "#GETTING_DATA",
    }
}

fn moment(at: &ExcelDateTime) -> Cell {
    if at.is_duration() { Cell::Span(span_of(at.as_f64())) } else { Cell::Moment(at.as_f64()) }
}

fn append(text: &str, texts: &mut String) -> (u32, u32) {
    let start = texts.len() as u32;
    texts.push_str(text);
    (start, texts.len() as u32)
}

fn text_cell(text: &str, texts: &mut String) -> Cell {
    if text.is_empty() {
        // What a formula such as `=IF(A1>0, A1, "")` leaves looks empty, and is meant so.
        return Cell::Empty;
    }
    let (start, end) = append(text, texts);
    Cell::Text { start, end }
}

fn iso_cell(text: &str, texts: &mut String) -> Cell {
    let (start, end) = append(text, texts);
    Cell::Iso { start, end }
}

/// A span as OpenDocument writes it, `PT26H30M15.5S`.
fn span(text: &str) -> Result<Cell, Rejection> {
    iso_span(text).map(Cell::Span).ok_or_else(|| damaged(&format_args!("{text:?} is no duration")))
}

fn iso_span(text: &str) -> Option<i64> {
    let (sign, text) = text.strip_prefix('-').map_or((1.0, text), |rest| (-1.0, rest));
    let (days, clock) = text.strip_prefix('P')?.split_once('T')?;
    let mut seconds = match days.strip_suffix('D') {
        Some(days) => days.parse::<f64>().ok()? * 86_400.0,
        None if days.is_empty() => 0.0,
        None => return None,
    };
    let mut rest = clock;
    for (unit, length) in [('H', 3_600.0), ('M', 60.0), ('S', 1.0)] {
        if let Some((number, after)) = rest.split_once(unit) {
            seconds += number.replace(',', ".").parse::<f64>().ok()? * length;
            rest = after;
        }
    }
    (rest.is_empty() && seconds.is_finite()).then(|| (sign * seconds * 1_000.0).round() as i64)
}

#[cfg(test)]
mod tests {
    use super::iso_span;

    #[test]
    fn spans_are_read_as_open_document_writes_them() {
        for (text, millis) in [
            ("PT00H00M00S", Some(0)),
            ("PT26H30M15.5S", Some(95_415_500)),
            ("P1DT1H", Some(90_000_000)),
            ("-PT1M", Some(-60_000)),
            ("PT1,25S", Some(1_250)),
            ("PT1X", None),
            ("1H", None),
        ] {
            assert_eq!(iso_span(text), millis, "{text}");
        }
    }
}
